//! Checked reads over one message. Each names its field, so that an error says where the bytes ended.

use super::DecodeError;
use crate::row::Tuple;

pub(super) struct Fields<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads a message that must fill its bytes exactly.
    pub fn whole<T>(
        message: &'static str,
        body: &'a [u8],
        read: impl FnOnce(&mut Fields<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut fields = Fields { message, rest: body };
        let value = read(&mut fields)?;
        match fields.rest.len() {
            0 => Ok(value),
            bytes => Err(DecodeError::Trailing { message, bytes }),
        }
    }

    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|b| b[0])
    }
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// A byte that must be 0: flags that version 1 does not use.
    pub fn zero(&mut self, field: &'static str) -> Result<(), DecodeError> {
        match self.u8(field)? {
            0 => Ok(()),
            value => Err(self.unknown(field, value)),
        }
    }

    pub fn bytes(&mut self, field: &'static str, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(self.truncated(field))?;
        self.rest = rest;
        Ok(head)
    }

    pub fn cstr(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or(self.truncated(field))?;
        let text = self.bytes(field, end)?;
        self.rest = &self.rest[1..];
        std::str::from_utf8(text).map_err(|_| DecodeError::NotUtf8 { message: self.message, field })
    }

    #[inline]
    pub fn tuple(&mut self, field: &'static str) -> Result<Tuple<'a>, DecodeError> {
        let (tuple, rest) =
            Tuple::parse(self.rest).map_err(|source| DecodeError::Tuple { message: self.message, field, source })?;
        self.rest = rest;
        Ok(tuple)
    }

    pub fn unknown(&self, field: &'static str, value: u8) -> DecodeError {
        DecodeError::UnknownValue { message: self.message, field, value }
    }

    /// How many bytes are left: no list can have more elements than that.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    fn truncated(&self, field: &'static str) -> DecodeError {
        DecodeError::Truncated { message: self.message, field }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.truncated(field))?;
        self.rest = rest;
        Ok(*head)
    }
}
