//! Calls: which function is meant, what its arguments become, what it gives.

use super::coerce::call;
use super::{Binder, Bound, codes, resolve, types};
use crate::catalogue::{ColumnType, Type};
use crate::diagnostic::Span;
use crate::transform::function::signatures;
use crate::transform::function::{Arg, Function, Kind, Returns, candidates};
use crate::transform::nearest;
use crate::transform::parse::ast::Name;
use crate::transform::plan::Expr;

/// Answers depend on the moment, the session or chance, by name: the help is the same for all.
const VOLATILE: &[&str] = &[
    "now",
    "random",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "nextval",
    "currval",
    "lastval",
    "setval",
    "gen_random_uuid",
    "uuid_generate_v1",
    "uuid_generate_v4",
    "txid_current",
    "pg_current_xact_id",
    "current_setting",
    "pg_sleep",
    "setseed",
    "pg_backend_pid",
    "version",
    "random_normal",
    "uuidv4",
    "uuidv7",
    "gen_random_bytes",
    "inet_client_addr",
    "current_database",
    "current_schemas",
];

impl Binder<'_> {
    pub(super) fn function(&self, schema: Option<&Name>, name: &Name, args: Vec<Expr>, span: Span) -> Bound<Expr> {
        let at = name.span;
        if let Some(schema) = schema
            && schema.text != "pg_catalog"
        {
            let message = format!("{}.{} is a user-defined function", schema.text, name.text);
            return Err(self
                .error(codes::UNKNOWN_FUNCTION, at, message)
                .help("only PostgreSQL's own functions can be computed here"));
        }
        if VOLATILE.contains(&name.text.as_str()) {
            let message = format!("{}() answers differently from one moment or session to the next", name.text);
            return Err(self
                .error(codes::VOLATILE, at, message)
                .help("store the value in a column when the row is written"));
        }
        if let (None, Some(user)) = (schema, self.catalogue.user_functions.iter().find(|f| f.name == name.text)) {
            let message = format!("{} could be the function {user} of this database", name.text);
            return Err(self
                .error(codes::USER_FUNCTION, at, message)
                .help(format!("write pg_catalog.{} for PostgreSQL's own", name.text)));
        }
        let all = candidates(Kind::Function, &name.text);
        if all.is_empty() {
            return Err(self.no_function(name));
        }
        let arg_types: Vec<Type> = args.iter().map(|a| a.ty.ty.clone()).collect();
        let f = resolve::resolve(Kind::Function, &name.text, &arg_types).map_err(|e| {
            let shown: Vec<String> = arg_types.iter().map(types::sql_name).collect();
            let shown = format!("{}({})", name.text, shown.join(", "));
            let message = match e {
                resolve::Unresolved::None => format!("function {shown} does not exist"),
                resolve::Unresolved::Ambiguous => format!("function {shown} is not unique"),
            };
            self.error(codes::TYPE_MISMATCH, at, message).help("an explicit cast may help")
        })?;
        self.usable(f, at)?;
        let args = self.fit(f, args)?;
        self.case_is_exact(&name.text, &args, at)?;
        self.has_json(&name.text, &args)?;
        self.elements_are_exact(f, &args, at)?;
        let mut ty = self.returned(f, &args);
        ty.collation = if types::is_text(types::element(&ty.ty)) { self.merged_collation(&args, span)? } else { None };
        Ok(call(f, args, ty, span))
    }

    /// What becomes json is written as PostgreSQL writes it: composites have a form that is not built here, and a type
    /// from outside may have a cast to json of its own, as hstore has.
    pub(super) fn has_json(&self, name: &str, args: &[Expr]) -> Bound<()> {
        if !matches!(name, "to_json" | "to_jsonb" | "array_to_json")
            && !matches!(name, "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg")
            && !name.starts_with("json_build_")
            && !name.starts_with("jsonb_build_")
        {
            return Ok(());
        }
        for arg in args {
            let element = types::element(&arg.ty.ty);
            let help = match element {
                Type::Composite(_) => {
                    "publish the column as an output of its own; the contract may have a record there"
                }
                Type::Other(other) if other.name.schema != "pg_catalog" => {
                    "cast it to text, or publish it as an output of its own"
                }
                _ => continue,
            };
            let message = format!("{name} of {} is not computed here", types::sql_name(&arg.ty.ty));
            return Err(self.error(codes::NOT_EXACT, arg.span, message).help(help));
        }
        Ok(())
    }

    fn no_function(&self, name: &Name) -> crate::diagnostic::Diagnostic {
        let mut known: Vec<&str> =
            signatures::implemented().filter(|f| f.kind == Kind::Function).map(|f| f.name).collect();
        known.extend(["coalesce", "nullif", "greatest", "least"]);
        known.sort_unstable();
        known.dedup();
        let help = match nearest(&name.text, known) {
            Some(near) => format!("did you mean {near}?"),
            None => "docs/sql.md lists the functions there are".to_owned(),
        };
        self.error(codes::UNKNOWN_FUNCTION, name.span, format!("the function {} is not supported", name.text))
            .help(help)
    }

    /// Each argument as the overload declares it.
    pub(super) fn fit(&self, f: &Function, args: Vec<Expr>) -> Bound<Vec<Expr>> {
        let element = args.iter().enumerate().find_map(|(i, a)| match (resolve::declared(f, i), &a.ty.ty) {
            (_, Type::Unknown) => None,
            (Arg::AnyElement | Arg::AnyEnum, ty) => Some(ty.clone()),
            (Arg::AnyArray, Type::Array(e)) => Some((**e).clone()),
            _ => None,
        });
        let at = args.first().map_or(Span::default(), |a| a.span);
        let compatible = self.compatible(f, &args, at)?;
        let fit = |(i, arg): (usize, Expr)| {
            let declared = resolve::declared(f, i);
            if let (Arg::AnyEnum, Some(domain), Type::Enum(base)) = (declared, &arg.ty.domain, &arg.ty.ty) {
                let message = format!("{} does not take the domain {domain} over an enum", f.name);
                let help = format!("PostgreSQL asks for the cast too: write CAST(… AS {})", base.name);
                return Err(self.error(codes::TYPE_MISMATCH, arg.span, message).help(help));
            }
            match (declared, types::concrete(declared)) {
                (_, Some(ty)) => self.coerce_implicit(arg, &ty),
                (Arg::Other("anycompatible" | "anycompatiblenonarray"), _) => self.coerce_implicit(arg, &compatible),
                (Arg::Other("anycompatiblearray"), _) => {
                    self.coerce_implicit(arg, &Type::Array(std::sync::Arc::new(compatible.clone())))
                }
                (Arg::AnyElement | Arg::AnyEnum, None) if arg.ty.ty == Type::Unknown => match &element {
                    Some(ty) => self.coerce_implicit(arg, ty),
                    None => Err(self.error(
                        codes::TYPE_MISMATCH,
                        arg.span,
                        "could not determine polymorphic type because input has type unknown",
                    )),
                },
                (Arg::AnyArray, None) if arg.ty.ty == Type::Unknown => match &element {
                    Some(ty) => self.coerce_implicit(arg, &Type::Array(std::sync::Arc::new(ty.clone()))),
                    None => Err(self.error(
                        codes::TYPE_MISMATCH,
                        arg.span,
                        "could not determine polymorphic type because input has type unknown",
                    )),
                },
                _ => self.settle(arg),
            }
        };
        args.into_iter().enumerate().map(fit).collect()
    }

    pub(super) fn returned(&self, f: &Function, args: &[Expr]) -> ColumnType {
        let compatible = |i: &usize| resolve::declared(f, *i) == Arg::Other("anycompatiblearray");
        let polymorphic =
            |i: &usize| matches!(resolve::declared(f, *i), Arg::AnyElement | Arg::AnyArray | Arg::AnyEnum);
        let ty = match f.returns {
            Returns::Type(Arg::Other("anycompatiblearray")) => {
                (0..args.len()).find(compatible).map(|i| args[i].ty.ty.clone())
            }
            Returns::Type(arg) => types::concrete(arg),
            Returns::SameAsArgument => (0..args.len()).find(polymorphic).map(|i| args[i].ty.ty.clone()),
            Returns::ArrayOfArgument => args.first().map(|a| Type::Array(std::sync::Arc::new(a.ty.ty.clone()))),
        };
        ColumnType::plain(ty.unwrap_or(Type::Text))
    }
}
