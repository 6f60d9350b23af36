//! The answer to a query of the simple protocol: names, type oids, and cells in text form.

use std::str::FromStr;

use super::error::{Error, ProtocolError};
use super::wire::Body;
use crate::catalogue::Oid;

#[derive(Debug, Default)]
pub struct Rows {
    columns: Vec<ResultColumn>,
    /// Row by row.
    cells: Vec<Option<String>>,
}

/// A column of RowDescription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub name: String,
    pub type_oid: Oid,
    /// −1: none.
    pub typmod: i32,
}

#[derive(Clone, Copy, Debug)]
pub struct ResultRow<'a> {
    columns: &'a [ResultColumn],
    cells: &'a [Option<String>],
}

impl Rows {
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.columns.len()).unwrap_or(0)
    }
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    pub fn iter(&self) -> impl Iterator<Item = ResultRow<'_>> {
        self.cells.chunks_exact(self.columns.len().max(1)).map(|cells| ResultRow { columns: &self.columns, cells })
    }
    pub fn first(&self) -> Option<ResultRow<'_>> {
        self.iter().next()
    }
    /// The only row.
    pub fn single(&self) -> Result<ResultRow<'_>, Error> {
        match self.len() {
            1 => self.first().ok_or(Error::RowCount { count: 0 }),
            count => Err(Error::RowCount { count }),
        }
    }
}

impl<'a> ResultRow<'a> {
    /// The cell of a column by name; `None` is NULL. A column that is not there is an error.
    pub fn get(&self, column: &str) -> Result<Option<&'a str>, Error> {
        let at = self.columns.iter().position(|c| c.name == column);
        match at.and_then(|i| self.cells.get(i)) {
            Some(cell) => Ok(cell.as_deref()),
            None => Err(Error::Answer { column: column.to_owned(), value: None }),
        }
    }

    /// A cell that is not NULL.
    pub fn text(&self, column: &str) -> Result<&'a str, Error> {
        self.get(column)?.ok_or_else(|| Error::Answer { column: column.to_owned(), value: None })
    }

    /// A cell that is not NULL, read as a `T`: numbers, `Lsn`.
    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T, Error> {
        self.maybe(column)?.ok_or_else(|| Error::Answer { column: column.to_owned(), value: None })
    }

    /// As `parse`; NULL is `None`.
    pub fn maybe<T: FromStr>(&self, column: &str) -> Result<Option<T>, Error> {
        let wrong = |text: &str| Error::Answer { column: column.to_owned(), value: Some(text.to_owned()) };
        self.get(column)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// A boolean cell that is not NULL.
    pub fn bool(&self, column: &str) -> Result<bool, Error> {
        match self.text(column)? {
            "t" => Ok(true),
            "f" => Ok(false),
            other => Err(Error::Answer { column: column.to_owned(), value: Some(other.to_owned()) }),
        }
    }

    pub fn cells(&self) -> &'a [Option<String>] {
        self.cells
    }
}

#[derive(Default)]
pub(super) struct RowsBuilder {
    rows: Rows,
}

impl RowsBuilder {
    /// RowDescription: rows of an earlier statement are dropped.
    pub fn description(&mut self, body: &[u8]) -> Result<bool, Error> {
        let mut body = Body::new(b'T', body);
        self.rows = Rows::default();
        for _ in 0..body.u16()? {
            let name = body.cstr_lossy()?;
            let (_table, _attnum) = (body.u32()?, body.u16()?);
            let type_oid = body.u32()?;
            let (_size, typmod, _format) = (body.u16()?, body.i32()?, body.u16()?);
            self.rows.columns.push(ResultColumn { name, type_oid, typmod });
        }
        Ok(true)
    }

    /// DataRow.
    pub fn row(&mut self, body: &[u8]) -> Result<bool, Error> {
        let mut body = Body::new(b'D', body);
        let count = usize::from(body.u16()?);
        if count != self.rows.columns.len() {
            return Err(ProtocolError::Unexpected { tag: b'D', state: "a row has another number of columns" }.into());
        }
        for _ in 0..count {
            let cell = match body.i32()? {
                -1 => None,
                len => {
                    let len = usize::try_from(len).map_err(|_| ProtocolError::Short { tag: b'D' })?;
                    let text = String::from_utf8(body.bytes(len)?.to_vec());
                    Some(text.map_err(|_| ProtocolError::NotUtf8 { tag: b'D' })?)
                }
            };
            self.rows.cells.push(cell);
        }
        Ok(true)
    }

    pub fn finish(self) -> Rows {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_name_and_parsed() {
        let mut builder = RowsBuilder::default();
        let mut description = vec![0, 2];
        for name in [b'a', b'b'] {
            description.extend_from_slice(&[name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0, 4, 255, 255, 255, 255, 0, 0]);
        }
        builder.description(&description).unwrap();
        let row = b"\0\x02\0\0\0\x0242\xff\xff\xff\xff";
        builder.row(row).unwrap();
        for end in 0..row.len() {
            let mut cut = RowsBuilder::default();
            cut.description(&description).unwrap();
            assert!(cut.row(&row[..end]).is_err(), "{end}");
        }
        let rows = builder.finish();
        let row = rows.single().unwrap();
        assert_eq!(row.parse::<u32>("a").unwrap(), 42);
        assert_eq!(row.get("b").unwrap(), None);
        assert!(row.text("b").is_err() && row.get("c").is_err() && row.bool("a").is_err());
        assert_eq!(rows.columns()[1].type_oid, 25);
    }
}
