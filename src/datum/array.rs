//! Arrays by their text form: `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, `[2:3]={1,2}`.

use std::borrow::Cow;

use super::DatumError;
use crate::catalogue::Type;

const ERROR: DatumError = DatumError::Malformed { ty: "array" };

/// The elements of an array, the last subscript running fastest. NULL is `None`.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    delimiter: u8,
    depth: u8,
    dimensions: u8,
    /// A comma or the end has to follow, not an element.
    after: bool,
    failed: bool,
}

/// Opens an array whose element type delimits with a comma: every type but `box`.
pub fn elements(text: &[u8]) -> Result<Elements<'_>, DatumError> {
    elements_by(text, b',')
}

pub fn elements_by(text: &[u8], delimiter: u8) -> Result<Elements<'_>, DatumError> {
    let body = &text[bounds_len(text)?..];
    if body == b"{}" {
        return Ok(Elements { rest: b"", delimiter, depth: 0, dimensions: 0, after: true, failed: false });
    }
    let dimensions = body.iter().take_while(|&&b| b == b'{').count();
    if dimensions == 0 || dimensions > 6 {
        return Err(ERROR);
    }
    Ok(Elements { rest: body, delimiter, depth: 0, dimensions: dimensions as u8, after: false, failed: false })
}

/// The length of `[2:3][1:2]=` in front; 0 without.
fn bounds_len(text: &[u8]) -> Result<usize, DatumError> {
    if text.first() != Some(&b'[') {
        return Ok(0);
    }
    let end = text.iter().position(|&b| b == b'=').ok_or(ERROR)?;
    for pair in text[..end].split_inclusive(|&b| b == b']') {
        let inner = pair.strip_prefix(b"[").and_then(|p| p.strip_suffix(b"]")).ok_or(ERROR)?;
        let mut numbers = inner.split(|&b| b == b':').map(super::integer::read::<i32>);
        if !matches!((numbers.next(), numbers.next(), numbers.next()), (Some(Ok(_)), Some(Ok(_)), None)) {
            return Err(ERROR);
        }
    }
    Ok(end + 1)
}

/// What stands before the `=`, without it: `[2:3]`; empty where all subscripts begin at 1.
pub fn bounds(text: &[u8]) -> Result<&[u8], DatumError> {
    Ok(&text[..bounds_len(text)?.saturating_sub(1)])
}

/// Lower bound and length of each dimension.
pub fn shape(text: &[u8]) -> Result<Vec<(i32, usize)>, DatumError> {
    shape_by(text, b',')
}

pub fn shape_by(text: &[u8], delimiter: u8) -> Result<Vec<(i32, usize)>, DatumError> {
    let mut array = elements_by(text, delimiter)?;
    let dimensions = usize::from(array.dimensions);
    // How many braces each depth has, and after the last one how many elements there are.
    let mut groups = vec![0usize; dimensions + 1];
    while let Some(element) = array.next() {
        element?;
        groups[dimensions] += 1;
        let closing = array.rest.iter().take_while(|&&b| b == b'}').count().min(dimensions);
        for group in &mut groups[dimensions - closing..dimensions] {
            *group += 1;
        }
    }
    let mut lowers = bounds(text)?.split(|&b| b == b']').map(|pair| {
        let lower = pair.strip_prefix(b"[").and_then(|p| p.split(|&b| b == b':').next());
        lower.and_then(|l| super::integer::read::<i32>(l).ok()).unwrap_or(1)
    });
    let length = |pair: &[usize]| pair[1].checked_div(pair[0]).unwrap_or(0);
    Ok(groups.windows(2).map(|pair| (lowers.next().unwrap_or(1), length(pair))).collect())
}

impl<'a> Elements<'a> {
    /// 0 for the empty array.
    pub fn dimensions(&self) -> u8 {
        self.dimensions
    }

    fn step(&mut self) -> Result<Option<Option<Cow<'a, [u8]>>>, DatumError> {
        loop {
            let Some((&first, after)) = self.rest.split_first() else {
                return if self.depth == 0 && self.after { Ok(None) } else { Err(ERROR) };
            };
            match first {
                b'{' if !self.after && self.depth < self.dimensions => {
                    self.depth += 1;
                    self.rest = after;
                }
                b'}' if self.after && self.depth > 0 => {
                    self.depth -= 1;
                    self.rest = after;
                }
                _ if first == self.delimiter && self.after && self.depth > 0 => {
                    self.after = false;
                    self.rest = after;
                }
                _ if !self.after && self.depth == self.dimensions && first != b'}' => {
                    self.after = true;
                    return if first == b'"' { self.quoted(after).map(Some) } else { self.bare().map(Some) };
                }
                _ => return Err(ERROR),
            }
        }
    }

    fn bare(&mut self) -> Result<Option<Cow<'a, [u8]>>, DatumError> {
        let stop = |&b: &u8| b == self.delimiter || matches!(b, b'{' | b'}' | b'"' | b'\\');
        let end = self.rest.iter().position(stop).ok_or(ERROR)?;
        let (element, rest) = self.rest.split_at(end);
        self.rest = rest;
        if element.is_empty() { Err(ERROR) } else { Ok((element != b"NULL").then_some(Cow::Borrowed(element))) }
    }

    fn quoted(&mut self, body: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, DatumError> {
        let end = body.iter().position(|b| matches!(b, b'"' | b'\\')).ok_or(ERROR)?;
        if body[end] == b'"' {
            self.rest = &body[end + 1..];
            return Ok(Some(Cow::Borrowed(&body[..end])));
        }
        let mut owned = body[..end].to_vec();
        let mut bytes = body[end..].iter().enumerate();
        while let Some((i, &b)) = bytes.next() {
            match b {
                b'\\' => owned.push(*bytes.next().ok_or(ERROR)?.1),
                b'"' => {
                    self.rest = &body[end + i + 1..];
                    return Ok(Some(Cow::Owned(owned)));
                }
                b => owned.push(b),
            }
        }
        Err(ERROR)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Option<Cow<'a, [u8]>>, DatumError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

/// What stands between elements of this type (`pg_type.typdelim`).
pub fn delimiter(element: &Type) -> char {
    match element {
        Type::Other(other) if other.name.schema == "pg_catalog" && other.name.name == "box" => ';',
        Type::Array(element) => delimiter(element),
        _ => ',',
    }
}

/// Writes `[2:3][1:2]=` where a dimension does not begin at 1.
pub fn write_bounds(bounds: &[(i32, usize)], out: &mut String) {
    if bounds.iter().all(|(lower, _)| *lower == 1) {
        return;
    }
    for (lower, length) in bounds {
        let upper = i64::from(*lower) + *length as i64 - 1;
        out.push_str(&format!("[{lower}:{upper}]"));
    }
    out.push('=');
}

/// Writes an element as `array_out` does: quoted where the bare text would be read differently.
pub fn push_element(element: Option<&str>, out: &mut String) {
    push_element_by(element, ',', out);
}

pub fn push_element_by(element: Option<&str>, delimiter: char, out: &mut String) {
    let Some(text) = element else { return out.push_str("NULL") };
    let special =
        |c: char| matches!(c, '{' | '}' | '"' | '\\' | ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}') || c == delimiter;
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Option<String>>, DatumError> {
        elements(text.as_bytes())?.map(|e| e.map(|e| e.map(|e| String::from_utf8_lossy(&e).into_owned()))).collect()
    }

    #[test]
    fn elements_come_in_order() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(all("{}"), Ok(vec![]));
        assert_eq!(all("{1,NULL,\"NULL\"}"), Ok(vec![some("1"), None, some("NULL")]));
        assert_eq!(all("{{1,2},{3,4}}"), Ok(vec![some("1"), some("2"), some("3"), some("4")]));
        assert_eq!(all("[2:3]={a,\"\"}"), Ok(vec![some("a"), some("")]));
        assert_eq!(all(r#"{"a,\"b\\}"}"#), Ok(vec![some(r#"a,"b\}"#)]));
        assert_eq!(elements(b"{{1}}").unwrap().dimensions(), 2);
        assert_eq!(bounds(b"[2:3]={1,2}"), Ok(&b"[2:3]"[..]));
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        for text in
            ["", "1", "{", "{1", "{1,}", "{,1}", "{1}x", "{1}}", "{{1},2}", "{\"a}", "[1]={1}", "[a:b]={1}", "{\"a\\"]
        {
            assert!(all(text).is_err(), "{text}: {:?}", all(text));
        }
    }
}
