//! `upper`, `lower` and `initcap`, by the server's own answers for each code point.
//!
//! libc maps one code point to one; where the collation provider maps whole strings (ICU), the binder refuses.

use super::Arg::{Other, Text};
use super::declare::*;
use super::{Call, CaseMap, EvalError, Function};
use crate::datum::Value;

const RANGES: &str = "ranges are not supported; publish lower(x) and upper(x) as generated columns";

pub static FUNCTIONS: &[Function] = &[
    function("upper", &[Text], Text, upper),
    function("lower", &[Text], Text, lower),
    function("initcap", &[Text], Text, initcap),
    nullable(refused("upper", &[Other("anyrange")], super::Arg::AnyElement, RANGES)),
    nullable(refused("lower", &[Other("anyrange")], super::Arg::AnyElement, RANGES)),
    nullable(refused("upper", &[Other("anymultirange")], super::Arg::AnyElement, RANGES)),
    nullable(refused("lower", &[Other("anymultirange")], super::Arg::AnyElement, RANGES)),
];

impl CaseMap {
    /// No map: the database's collation is C or POSIX, and only ASCII has cases.
    fn ascii_only(&self) -> bool {
        self.upper.is_empty() && self.lower.is_empty()
    }

    pub fn upper(&self, c: char) -> char {
        if self.ascii_only() { c.to_ascii_uppercase() } else { mapped(&self.upper, c) }
    }

    pub fn lower(&self, c: char) -> char {
        if self.ascii_only() { c.to_ascii_lowercase() } else { mapped(&self.lower, c) }
    }

    fn alphanumeric(&self, c: char) -> bool {
        if self.ascii_only() {
            return c.is_ascii_alphanumeric();
        }
        let after = self.alphanumeric.partition_point(|(first, _)| *first <= c);
        after > 0 && c <= self.alphanumeric[after - 1].1
    }

    pub fn lower_text(&self, text: &str) -> String {
        text.chars().map(|c| self.lower(c)).collect()
    }
}

fn mapped(pairs: &[(char, char)], c: char) -> char {
    pairs.binary_search_by_key(&c, |(from, _)| *from).map_or(c, |at| pairs[at].1)
}

fn upper<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let case = &call.context.case;
    owned(text(args, 0)?.chars().map(|c| case.upper(c)).collect::<String>())
}

fn lower<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(call.context.case.lower_text(&text(args, 0)?))
}

/// The first letter of each word in upper case, the rest in lower; what is in a word is asked of the mapped character.
fn initcap<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let case = &call.context.case;
    let mut inside = false;
    let whole = text(args, 0)?;
    let capped = whole.chars().map(|c| {
        let c = if inside { case.lower(c) } else { case.upper(c) };
        inside = case.alphanumeric(c);
        c
    });
    owned(capped.collect::<String>())
}
