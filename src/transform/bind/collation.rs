//! What of text depends on a collation: its order, its case, and, under nondeterministic collations, its equality.

use super::{Binder, Bound, codes, types};
use crate::catalogue::{CollationProvider, Type};
use crate::diagnostic::Span;
use crate::transform::function::{Arg, Function};
use crate::transform::parse::ast::Name;
use crate::transform::plan::Expr;

/// These order by bytes.
const BYTEWISE: &[&str] = &["C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic"];

impl Binder<'_> {
    /// Refuses a comparison that another collation than ours would answer otherwise.
    pub(super) fn order_is_exact(&self, symbol: &str, f: &Function, args: &[Expr], span: Span) -> Bound<()> {
        let order = matches!(symbol, "<" | ">" | "<=" | ">=");
        let equality = matches!(symbol, "=" | "<>");
        let pattern = matches!(symbol, "~~" | "!~~" | "~" | "!~" | "~~*" | "!~~*" | "~*" | "!~*");
        let text =
            args.iter().any(|a| types::is_text(&a.ty.ty) || matches!(&a.ty.ty, Type::Array(e) if types::is_text(e)));
        let by_name = f.args.contains(&Arg::Name) && !f.args.contains(&Arg::Text);
        if !text || by_name || !(order || equality || pattern) {
            return Ok(());
        }
        if args.iter().any(|a| a.ty.ty == Type::Citext) {
            return Err(self
                .error(codes::COLLATION, span, "citext is compared without case by the server's locale")
                .help("compare lower(column::text), or cast to text"));
        }
        let collation = self.merged_collation(args, span)?;
        match &collation {
            Some(c) if BYTEWISE.contains(&bare(c)) => Ok(()),
            Some(c) if order => Err(self
                .error(codes::COLLATION, span, format!("the order of text follows the collation {c}"))
                .help("write COLLATE \"C\" behind one side: text by bytes")),
            Some(c) if !predefined(bare(c)) => Err(self
                .error(codes::COLLATION, span, format!("equality of text may depend on the collation {c}"))
                .help("write COLLATE \"C\" behind one side: text by bytes")),
            Some(c) if symbol.ends_with('*') => Err(self.case_refusal(c, span)),
            None if order && !self.database_is_bytewise() => Err(self
                .error(
                    codes::COLLATION,
                    span,
                    format!("the order of text follows the database's collation {}", self.catalogue.server.collate),
                )
                .help("write COLLATE \"C\" behind one side: text by bytes")),
            None if symbol.ends_with('*') => self.database_case(span),
            _ => Ok(()),
        }
    }

    /// upper, lower and initcap: by the database's own tables, which libc and builtin have by code point.
    pub(super) fn case_is_exact(&self, name: &str, args: &[Expr], span: Span) -> Bound<()> {
        if !matches!(name, "upper" | "lower" | "initcap") || !args.iter().any(|a| types::is_text(&a.ty.ty)) {
            return Ok(());
        }
        match self.merged_collation(args, span)? {
            Some(c) => Err(self.case_refusal(&c, span)),
            None => self.database_case(span),
        }
    }

    fn database_case(&self, span: Span) -> Bound<()> {
        let server = &self.catalogue.server;
        let full = server.provider == CollationProvider::Builtin && server.collate == "PG_UNICODE_FAST";
        if server.provider != CollationProvider::Icu && !full {
            return Ok(());
        }
        Err(self
            .error(codes::COLLATION, span, "upper and lower case follow the server's ICU version")
            .help("store the value in a column, or publish the text as it is"))
    }

    fn case_refusal(&self, collation: &str, span: Span) -> crate::diagnostic::Diagnostic {
        self.error(codes::COLLATION, span, format!("upper and lower case follow the collation {collation}"))
            .help("publish the text as it is")
    }

    fn database_is_bytewise(&self) -> bool {
        let server = &self.catalogue.server;
        match server.provider {
            CollationProvider::Builtin => true,
            CollationProvider::Libc => BYTEWISE.contains(&server.collate.as_str()),
            CollationProvider::Icu => false,
        }
    }

    /// The collation that the arguments have together; a named one beats the database's.
    pub(super) fn merged_collation(&self, args: &[Expr], span: Span) -> Bound<Option<String>> {
        let mut found: Option<&String> = None;
        for collation in args.iter().filter_map(|a| a.ty.collation.as_ref()) {
            match found {
                Some(other) if other != collation => {
                    return Err(self
                        .error(codes::COLLATION, span, format!("the collations {other} and {collation} meet here"))
                        .help("write COLLATE \"C\" behind each side"));
                }
                _ => found = Some(collation),
            }
        }
        Ok(found.cloned())
    }

    pub(super) fn collate(&self, expr: Expr, collation: &[Name], span: Span) -> Bound<Expr> {
        if !types::is_text(&expr.ty.ty) && expr.ty.ty != Type::Name {
            let message = format!("collations are not supported by type {}", types::sql_name(&expr.ty.ty));
            return Err(self.error(codes::TYPE_MISMATCH, span, message));
        }
        let known = match collation {
            [name] => BYTEWISE.contains(&name.text.as_str()),
            [schema, name] => schema.text == "pg_catalog" && BYTEWISE.contains(&name.text.as_str()),
            _ => false,
        };
        let (Some(name), true) = (collation.last(), known) else {
            return Err(self
                .error(codes::COLLATION, span, "only the collations C, POSIX and ucs_basic can be matched exactly")
                .help("write COLLATE \"C\""));
        };
        let mut expr = expr;
        expr.ty.collation = Some(name.text.clone());
        Ok(Expr { span, ..expr })
    }
}

fn bare(collation: &str) -> &str {
    collation.strip_prefix("pg_catalog.").unwrap_or(collation).trim_matches('"')
}

/// Collations that come with PostgreSQL are deterministic: equality is by bytes.
fn predefined(name: &str) -> bool {
    let locale = |n: &str| {
        let mut parts = n.splitn(2, '_');
        let language = parts.next().unwrap_or("");
        (2..=3).contains(&language.len())
            && language.bytes().all(|c| c.is_ascii_lowercase())
            && parts.next().is_some_and(|r| r.len() >= 2 && r.as_bytes()[..2].iter().all(u8::is_ascii_uppercase))
    };
    BYTEWISE.contains(&name) || name == "default" || name.ends_with("-x-icu") || locale(name)
}
