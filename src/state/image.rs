//! A row image: the values of a table's used columns in one byte string.
//!
//! Per column a little-endian base-128 number, 0 for NULL, else length + 1, then the bytes. Columns that follow the
//! last one stored read as NULL.

use crate::varint;

/// Appends one row.
pub fn write<'v>(row: impl IntoIterator<Item = Option<&'v [u8]>>, out: &mut Vec<u8>) {
    for cell in row {
        match cell {
            None => out.push(0),
            Some(bytes) => {
                varint::put(bytes.len() as u64 + 1, out);
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// The image does not hold `columns` values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a row image on disk ends in the middle of column {column}")]
pub struct BadImage {
    pub column: usize,
}

/// Reads `columns` values into `row`, which is emptied first.
pub fn read<'i>(image: &'i [u8], columns: usize, row: &mut Vec<Option<&'i [u8]>>) -> Result<(), BadImage> {
    row.clear();
    row.resize(columns, None);
    read_into(image, row)
}

/// Reads as many values as `row` has places.
pub fn read_into<'i>(image: &'i [u8], row: &mut [Option<&'i [u8]>]) -> Result<(), BadImage> {
    let mut rest = image;
    for (column, cell) in row.iter_mut().enumerate() {
        let mut n = 0u64;
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(BadImage { column })?;
            rest = after;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 35 {
                return Err(BadImage { column });
            }
        }
        *cell = match n.checked_sub(1) {
            None => None,
            Some(len) => {
                let (value, after) = rest.split_at_checked(len as usize).ok_or(BadImage { column })?;
                rest = after;
                Some(value)
            }
        };
    }
    if rest.is_empty() { Ok(()) } else { Err(BadImage { column: row.len() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let long = vec![7u8; 300];
        let row: Vec<Option<&[u8]>> = vec![None, Some(b""), Some(b"x"), Some(&long), None];
        let mut image = Vec::new();
        write(row.iter().copied(), &mut image);
        let mut back = Vec::new();
        read(&image, row.len(), &mut back).unwrap();
        assert_eq!(back, row);
        for cut in 0..image.len() {
            assert!(read(&image[..cut], row.len(), &mut back).is_err(), "{cut}");
        }
        assert!(read(&image, row.len() - 1, &mut back).is_err());
    }
}
