//! Rows of `COPY … TO STDOUT` in text: the same bytes per value as pgoutput sends, after the escapes are undone.
//!
//! Source of truth: PostgreSQL manual, COPY, "Text Format". Nothing is allocated per row: a cell without a backslash is
//! the line's own bytes, the others are written to one buffer that is used again.

use std::ops::Range;

use crate::row::Row;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CopyTextError {
    #[error("a row has {found} columns instead of {expected}")]
    Columns { expected: usize, found: usize },
    #[error("column {column} holds the escape {escape:#04x} that COPY does not write")]
    Escape { column: usize, escape: u8 },
    #[error("column {column} ends in the middle of an escape")]
    Cut { column: usize },
}

#[derive(Default)]
pub struct CopyText {
    places: Vec<Place>,
    unescaped: Vec<u8>,
    /// Always empty between rows; kept for its memory.
    cells: Vec<Option<&'static [u8]>>,
}

enum Place {
    Null,
    Line(Range<usize>),
    Unescaped(Range<usize>),
}

impl CopyText {
    /// Hands the row of `columns` cells that `line` holds to `take`. The line may end in a newline.
    pub fn row<T>(&mut self, line: &[u8], columns: usize, take: impl FnOnce(Row<'_>) -> T) -> Result<T, CopyTextError> {
        self.places.clear();
        self.unescaped.clear();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // No column at all and one empty column look the same.
        if columns > 0 || !line.is_empty() {
            let mut start = 0;
            while let Some(end) = self.cell(line, start)? {
                start = end + 1;
            }
        }
        if self.places.len() != columns {
            return Err(CopyTextError::Columns { expected: columns, found: self.places.len() });
        }
        let mut cells = shorten(std::mem::take(&mut self.cells));
        let unescaped = &self.unescaped;
        cells.extend(self.places.iter().map(|place| match place {
            Place::Null => None,
            Place::Line(range) => Some(&line[range.clone()]),
            Place::Unescaped(range) => Some(&unescaped[range.clone()]),
        }));
        let taken = take(&cells);
        self.cells = forget(cells);
        Ok(taken)
    }

    /// Reads the cell at `start`; gives the place of the tab behind it, or None after the last.
    fn cell(&mut self, line: &[u8], start: usize) -> Result<Option<usize>, CopyTextError> {
        let rest = &line[start..];
        let stop = rest.iter().position(|&b| b == b'\t' || b == b'\\').map_or(line.len(), |i| start + i);
        if line.get(stop) != Some(&b'\\') {
            self.places.push(Place::Line(start..stop));
            return Ok((stop < line.len()).then_some(stop));
        }
        let end = line[stop..].iter().position(|&b| b == b'\t').map_or(line.len(), |i| stop + i);
        let cell = &line[start..end];
        if cell == b"\\N" {
            self.places.push(Place::Null);
        } else {
            let from = self.unescaped.len();
            self.unescape(cell)?;
            self.places.push(Place::Unescaped(from..self.unescaped.len()));
        }
        Ok((end < line.len()).then_some(end))
    }

    fn unescape(&mut self, cell: &[u8]) -> Result<(), CopyTextError> {
        let column = self.places.len();
        let mut rest = cell;
        while let Some(at) = rest.iter().position(|&b| b == b'\\') {
            self.unescaped.extend_from_slice(&rest[..at]);
            let Some(&escape) = rest.get(at + 1) else {
                return Err(CopyTextError::Cut { column });
            };
            self.unescaped.push(match escape {
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                b'\\' => b'\\',
                escape => return Err(CopyTextError::Escape { column, escape }),
            });
            rest = &rest[at + 2..];
        }
        self.unescaped.extend_from_slice(rest);
        Ok(())
    }
}

/// An empty list with the same memory for cells of a shorter life.
fn shorten<'a>(cells: Vec<Option<&'static [u8]>>) -> Vec<Option<&'a [u8]>> {
    cells
}

/// Empties the list and keeps its memory: collecting a Vec's own iterator is done in place.
fn forget(mut cells: Vec<Option<&[u8]>>) -> Vec<Option<&'static [u8]>> {
    cells.clear();
    cells.into_iter().map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8], columns: usize) -> Result<Vec<Option<Vec<u8>>>, CopyTextError> {
        CopyText::default().row(line, columns, |row| row.iter().map(|c| c.map(<[u8]>::to_vec)).collect())
    }

    #[test]
    fn a_line_becomes_its_cells() {
        let cell = |s: &[u8]| Some(s.to_vec());
        assert_eq!(read(b"1\t\\N\t\t\\\\N\n", 4), Ok(vec![cell(b"1"), None, cell(b""), cell(b"\\N")]));
        assert_eq!(
            read(b"a\\tb\\nc\\\\\\r\t\\b\\f\\v x\n", 2),
            Ok(vec![cell(b"a\tb\nc\\\r"), cell(b"\x08\x0c\x0b x")])
        );
        assert_eq!(read(b"\n", 1), Ok(vec![cell(b"")]));
        assert_eq!(read(b"\n", 0), Ok(vec![]));
        assert_eq!(read(b"\\N", 1), Ok(vec![None]));
    }

    #[test]
    fn what_the_server_does_not_write_is_an_error() {
        assert_eq!(read(b"a\tb\n", 3), Err(CopyTextError::Columns { expected: 3, found: 2 }));
        assert_eq!(read(b"a\tb\n", 0), Err(CopyTextError::Columns { expected: 0, found: 2 }));
        assert_eq!(read(b"a\tx\\x\n", 2), Err(CopyTextError::Escape { column: 1, escape: b'x' }));
        assert_eq!(read(b"x\\", 1), Err(CopyTextError::Cut { column: 0 }));
        assert_eq!(read(b"\\\tb", 2), Err(CopyTextError::Cut { column: 0 }));
    }

    #[test]
    fn the_memory_of_one_row_serves_the_next() {
        let mut reader = CopyText::default();
        let place = |r: Row<'_>| r.as_ptr().addr();
        let first = reader.row(b"a\\\\\tb\tc\n", 3, place).unwrap();
        for _ in 0..10 {
            assert_eq!(reader.row(b"d\te\\n\t\\N\n", 3, place), Ok(first));
        }
    }
}
