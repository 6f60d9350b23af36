//! Rows in PostgreSQL's text forms.

/// One column of a tuple in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    Null,
    /// The type's output form under the pinned settings.
    Text(&'a [u8]),
    /// An unchanged TOASTed value, which the stream leaves out.
    Unchanged,
}

/// TupleData of the protocol, checked once by [`Tuple::parse`]; cells are read in place, in the Relation's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<'a> {
    columns: u16,
    bytes: &'a [u8],
}

/// A whole row of the columns that a plan uses: `None` is NULL. The order is the plan's.
pub type Row<'a> = &'a [Option<&'a [u8]>];

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TupleError {
    #[error("TupleData ends in the middle of column {column}")]
    Truncated { column: u16 },
    #[error("TupleData column {column} has the unknown kind {kind:#04x}")]
    UnknownKind { column: u16, kind: u8 },
}

impl<'a> Tuple<'a> {
    /// Reads one TupleData at the start of `bytes`; gives it and what follows it.
    pub fn parse(bytes: &'a [u8]) -> Result<(Tuple<'a>, &'a [u8]), TupleError> {
        let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else {
            return Err(TupleError::Truncated { column: 0 });
        };
        let (columns, body) = (u16::from_be_bytes(*count), rest);
        for column in 0..columns {
            let truncated = TupleError::Truncated { column };
            let (&kind, after) = rest.split_first().ok_or(TupleError::Truncated { column })?;
            rest = match kind {
                b'n' | b'u' => after,
                b't' => {
                    let (len, text) = after.split_first_chunk::<4>().ok_or(TupleError::Truncated { column })?;
                    text.get(u32::from_be_bytes(*len) as usize..).ok_or(truncated)?
                }
                kind => return Err(TupleError::UnknownKind { column, kind }),
            };
        }
        Ok((Tuple { columns, bytes: &body[..body.len() - rest.len()] }, rest))
    }

    pub fn len(&self) -> usize {
        self.columns as usize
    }

    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    pub fn cells(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let mut rest = self.bytes;
        (0..self.columns).map(move |_| {
            // `parse` has walked these bytes: a missing byte cannot happen here.
            let (&kind, after) = rest.split_first().expect("checked by parse");
            match kind {
                b't' => {
                    let (len, text) = after.split_first_chunk::<4>().expect("checked by parse");
                    let (text, after) = text.split_at(u32::from_be_bytes(*len) as usize);
                    rest = after;
                    Cell::Text(text)
                }
                kind => {
                    rest = after;
                    if kind == b'n' { Cell::Null } else { Cell::Unchanged }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_sent() {
        let bytes = b"\0\x03nt\0\0\0\x02hiurest";
        let (tuple, rest) = Tuple::parse(bytes).unwrap();
        assert_eq!(tuple.cells().collect::<Vec<_>>(), [Cell::Null, Cell::Text(b"hi"), Cell::Unchanged]);
        assert_eq!(rest, b"rest");
    }

    #[test]
    fn every_cut_is_an_error_and_no_panic() {
        let bytes = b"\0\x02t\0\0\0\x02hin";
        for end in 0..bytes.len() {
            assert!(Tuple::parse(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(Tuple::parse(b"\0\x01x"), Err(TupleError::UnknownKind { column: 0, kind: b'x' }));
    }
}
