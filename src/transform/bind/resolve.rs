//! Which overload is meant: the manual's chapter 10, step by step (`parse_func.c`, `parse_oper.c`).

use super::types;
use crate::catalogue::Type;
use crate::transform::function::{Arg, CastContext, Function, Kind, candidates};

#[derive(Debug, PartialEq, Eq)]
pub enum Unresolved {
    None,
    Ambiguous,
}

/// What of an overload its choice depends on.
pub trait Overload: 'static {
    fn args(&self) -> &'static [Arg];
    fn variadic(&self) -> bool;
}

impl Overload for Function {
    fn args(&self) -> &'static [Arg] {
        self.args
    }

    fn variadic(&self) -> bool {
        self.variadic
    }
}

/// The function or operator for arguments of these types.
pub fn resolve(kind: Kind, name: &str, args: &[Type]) -> Result<&'static Function, Unresolved> {
    let all = candidates(kind, name);
    if kind == Kind::Operator
        && let [left, right] = args
        && (*left == Type::Unknown) != (*right == Type::Unknown)
    {
        // One unknown constant takes the other side's type, if there is an operator for that.
        let known = if *left == Type::Unknown { right } else { left };
        if let Some(f) = all.iter().find(|f| takes::<Function>(f, 2) && f.args.iter().all(|a| types::is(known, *a))) {
            return Ok(f);
        }
    }
    choose(all, args)
}

/// The one of these overloads that arguments of these types mean (`func_match_argtypes`, `func_select_candidate`).
pub fn choose<F: Overload>(all: Vec<&'static F>, args: &[Type]) -> Result<&'static F, Unresolved> {
    let all: Vec<&'static F> = all.into_iter().filter(|f| takes(*f, args.len())).collect();
    if let Some(f) = all.iter().find(|f| (0..args.len()).all(|i| types::is(&args[i], declared::<F>(f, i)))) {
        return Ok(f);
    }
    let fitting: Vec<_> = all.into_iter().filter(|f| coercible(*f, args)).collect();
    match fitting.as_slice() {
        [] => Err(Unresolved::None),
        [one] => Ok(one),
        _ => select(fitting, args),
    }
}

/// The declared type of the argument at `i`, the last one repeated for variadic functions.
pub fn declared<F: Overload>(f: &F, i: usize) -> Arg {
    let (args, variadic) = (f.args(), f.variadic());
    let arg = args[i.min(args.len() - 1)];
    if variadic && i + 1 >= args.len() {
        return match arg {
            Arg::TextArray => Arg::Text,
            Arg::AnyArray => Arg::AnyElement,
            arg => arg,
        };
    }
    arg
}

fn takes<F: Overload>(f: &F, count: usize) -> bool {
    if f.variadic() { count >= f.args().len() && count > 0 } else { f.args().len() == count }
}

fn coercible<F: Overload>(f: &F, args: &[Type]) -> bool {
    (0..args.len()).all(|i| implicit(&args[i], declared(f, i))) && polymorphic_agree(f, args)
}

/// All `anyelement` and `anyenum` arguments have one type, all `anyarray` ones arrays of it.
fn polymorphic_agree<F: Overload>(f: &F, args: &[Type]) -> bool {
    let mut element: Option<Type> = None;
    for (i, ty) in args.iter().enumerate() {
        let ty = match (declared(f, i), ty) {
            (_, Type::Unknown) => continue,
            (Arg::AnyElement | Arg::AnyEnum, ty) => ty.clone(),
            (Arg::AnyArray, Type::Array(e)) => (**e).clone(),
            _ => continue,
        };
        match &element {
            Some(known) if !types::same(known, &ty) => return false,
            _ => element = Some(ty),
        }
    }
    compatible(f, args).is_ok()
}

/// The type that all `anycompatible` arguments, and the elements of all `anycompatiblearray` ones, go to by themselves.
pub fn compatible<F: Overload>(f: &F, args: &[Type]) -> Result<Type, (Type, Type)> {
    let given: Vec<&Type> = args
        .iter()
        .enumerate()
        .filter_map(|(i, ty)| match (declared(f, i), ty) {
            (_, Type::Unknown) => None,
            (Arg::Other("anycompatible" | "anycompatiblenonarray"), ty) => Some(ty),
            (Arg::Other("anycompatiblearray"), Type::Array(element)) => Some(&**element),
            _ => None,
        })
        .collect();
    let common = common_type(&given)?;
    match given.into_iter().find(|ty| !implicit_between(ty, &common)) {
        Some(other) => Err((other.clone(), common)),
        None => Ok(common),
    }
}

/// Whether a type goes to a declared one by itself.
pub fn implicit(from: &Type, to: Arg) -> bool {
    if *from == Type::Unknown || types::is(from, to) {
        return true;
    }
    match to {
        Arg::Any | Arg::AnyElement => true,
        Arg::AnyArray => matches!(from, Type::Array(_)),
        Arg::AnyEnum => matches!(from, Type::Enum(_)),
        // Arrays go where their elements go.
        Arg::TextArray => matches!(from, Type::Array(element) if implicit_between(element, &Type::Text)),
        Arg::Other("anynonarray") => !matches!(from, Type::Array(_)),
        Arg::Other("anycompatible") => true,
        Arg::Other("anycompatiblenonarray") => !matches!(from, Type::Array(_)),
        Arg::Other("anycompatiblearray") => matches!(from, Type::Array(_)),
        to if types::pseudo(to) => false,
        to => implicit_cast(types::name(from), to.name()),
    }
}

pub fn implicit_between(from: &Type, to: &Type) -> bool {
    if *from == Type::Unknown || types::same(from, to) {
        return true;
    }
    match (from, to) {
        (Type::Array(from), Type::Array(to)) => implicit_between(from, to),
        _ => implicit_cast(types::name(from), types::name(to)),
    }
}

fn implicit_cast(from: &str, to: &str) -> bool {
    if from.is_empty() || to.is_empty() || from == to {
        return false;
    }
    if from == "citext" {
        return matches!(to, "text" | "varchar");
    }
    candidates(Kind::Cast(CastContext::Explicit), &format!("{from}->{to}"))
        .iter()
        .any(|f| f.kind == Kind::Cast(CastContext::Implicit))
}

/// `func_select_candidate`.
fn select<F: Overload>(mut all: Vec<&'static F>, args: &[Type]) -> Result<&'static F, Unresolved> {
    let known = |i: usize| args[i] != Type::Unknown;
    let exact = |f: &F, i: usize| types::is(&args[i], declared(f, i));
    let preferred = |f: &F, i: usize| {
        let name = declared(f, i).name();
        types::preferred(name) && types::category_of(name) == types::category(&args[i])
    };
    best(&mut all, |f| (0..args.len()).filter(|i| known(*i) && exact(f, *i)).count());
    if let [one] = all.as_slice() {
        return Ok(one);
    }
    best(&mut all, |f| (0..args.len()).filter(|i| known(*i) && (exact(f, *i) || preferred(f, *i))).count());
    if let [one] = all.as_slice() {
        return Ok(one);
    }
    let unknowns: Vec<usize> = (0..args.len()).filter(|i| !known(*i)).collect();
    if unknowns.is_empty() {
        return Err(Unresolved::Ambiguous);
    }
    if let Some(slots) = unknowns.iter().map(|i| slot(&all, *i)).collect::<Option<Vec<_>>>() {
        let fits = |f: &&'static F| {
            unknowns.iter().zip(&slots).all(|(i, (category, wants_preferred))| {
                let name = declared(*f, *i).name();
                types::category_of(name) == *category && (!wants_preferred || types::preferred(name))
            })
        };
        let kept: Vec<_> = all.iter().copied().filter(fits).collect();
        if !kept.is_empty() {
            all = kept;
        }
        if let [one] = all.as_slice() {
            return Ok(one);
        }
    }
    // If all known arguments have one type, the unknown ones may have it too.
    let mut types_known = args.iter().filter(|t| **t != Type::Unknown);
    if let Some(first) = types_known.next()
        && types_known.all(|t| types::same(t, first))
    {
        let assumed = vec![first.clone(); args.len()];
        let fitting: Vec<_> = all.iter().copied().filter(|f| coercible(*f, &assumed)).collect();
        if let [one] = fitting.as_slice() {
            return Ok(one);
        }
    }
    Err(Unresolved::Ambiguous)
}

/// The category that an unknown argument is taken for, and whether a preferred type of it is there; None: no agreement.
fn slot<F: Overload>(all: &[&'static F], i: usize) -> Option<(char, bool)> {
    let mut slot: Option<(char, bool)> = None;
    let mut conflict = false;
    for f in all {
        let name = declared(*f, i).name();
        let (category, preferred) = (types::category_of(name), types::preferred(name));
        match &mut slot {
            None => slot = Some((category, preferred)),
            Some((c, p)) if *c == category => *p |= preferred,
            Some(s) if category == 'S' => *s = (category, preferred),
            Some(_) => conflict = true,
        }
    }
    slot.filter(|(category, _)| !conflict || *category == 'S')
}

fn best<F: Overload>(all: &mut Vec<&'static F>, score: impl Fn(&F) -> usize) {
    let most = all.iter().map(|f| score(f)).max().unwrap_or(0);
    all.retain(|f| score(f) == most);
}

/// `select_common_type`: for CASE, COALESCE, GREATEST, IN. The first pair that cannot be matched otherwise.
pub fn common_type(args: &[&Type]) -> Result<Type, (Type, Type)> {
    let mut chosen = args.first().copied().cloned().unwrap_or(Type::Unknown);
    if chosen != Type::Unknown && args.iter().all(|t| types::same(t, &chosen)) {
        return Ok(chosen);
    }
    for ty in args.iter().skip(1) {
        if **ty == Type::Unknown || types::same(ty, &chosen) {
            continue;
        }
        if chosen == Type::Unknown {
            chosen = (*ty).clone();
        } else if types::category(ty) != types::category(&chosen) {
            return Err((chosen, (*ty).clone()));
        } else if !types::preferred(types::name(&chosen))
            && implicit_between(&chosen, ty)
            && !implicit_between(ty, &chosen)
        {
            chosen = (*ty).clone();
        }
    }
    Ok(if chosen == Type::Unknown { Type::Text } else { chosen })
}
