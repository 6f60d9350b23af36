//! `upper`, `lower` and `initcap` as the server's own locale has them, asked for every code point.
//!
//! That is exact only where the server maps one code point to one, whatever stands around it: libc and the builtin
//! provider's simple mappings do, ICU and `PG_UNICODE_FAST` do not (`ß` → `SS`).

use crate::capture::Connection;
use crate::capture::ask::{Question, ReadError, question};
use crate::catalogue::CollationProvider;
use crate::transform::function::CaseMap;

const CASE_MAP: Question = question!("case_map");

/// None: this database's mappings are not by code point, and `upper`, `lower` and `initcap` cannot be matched.
pub fn case_map(conn: &mut Connection) -> Result<Option<CaseMap>, ReadError> {
    let server = super::server(conn)?;
    if server.provider == CollationProvider::Icu || server.encoding != "UTF8" {
        return Ok(None);
    }
    let mut map = CaseMap::default();
    for line in CASE_MAP.ask(conn, &[])?.lines() {
        let code = |column| {
            let number = line.number::<u32>(column)?;
            char::from_u32(number).ok_or_else(|| line.wrong(column))
        };
        let (first, last) = (code("first")?, code("last")?);
        if line.text("kind")? == "word" {
            if !line.bool("agree")? {
                return Ok(None);
            }
            map.alphanumeric.push((first, last));
            continue;
        }
        for (column, pairs) in [("upper", &mut map.upper), ("lower", &mut map.lower)] {
            let Some(answer) = line.optional(column)? else { continue };
            let mut chars = answer.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => pairs.push((first, only)),
                _ => return Ok(None),
            }
        }
    }
    for pairs in [&mut map.upper, &mut map.lower, &mut map.alphanumeric] {
        pairs.sort_unstable();
    }
    Ok(words_keep_their_class(&map).then_some(map))
}

/// PostgreSQL's `initcap` asks for the class of the character it has just written, not of the one it read. One class
/// per code point is enough only if both are always the same.
fn words_keep_their_class(map: &CaseMap) -> bool {
    let in_word = |c: char| {
        let after = map.alphanumeric.partition_point(|(first, _)| *first <= c);
        after > 0 && map.alphanumeric[after - 1].1 >= c
    };
    map.upper.iter().chain(&map.lower).all(|(from, to)| in_word(*from) == in_word(*to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_whose_capital_is_no_letter_makes_the_map_unusable() {
        let mut map = CaseMap { upper: vec![('a', 'A')], lower: vec![('A', 'a')], alphanumeric: vec![('a', 'z')] };
        assert!(!words_keep_their_class(&map));
        map.alphanumeric = vec![('A', 'Z'), ('a', 'z')];
        assert!(words_keep_their_class(&map));
    }
}
