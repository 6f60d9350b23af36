//! Avro's binary primitives and Confluent's frame: magic 0, the schema id as four bytes big-endian, the body.
//!
//! Source of truth: the Avro specification ("Binary Encoding") and Confluent's "Wire format".

/// Bytes before the body.
pub const FRAME: usize = 5;

pub(crate) fn put_long(out: &mut Vec<u8>, n: i64) {
    let mut z = ((n << 1) ^ (n >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_frame(out: &mut Vec<u8>, schema_id: u32) {
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
}

/// What follows the frame; nothing where there is not even a frame.
pub fn body_of(framed: &[u8]) -> &[u8] {
    framed.get(FRAME..).unwrap_or_default()
}

/// Schema id and body of a framed record.
pub fn unframe(bytes: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    match bytes.split_first_chunk::<FRAME>() {
        Some(([0, a, b, c, d], body)) => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        Some(([magic, ..], _)) => Err(FrameError::Magic { magic: *magic }),
        None => Err(FrameError::Short { len: bytes.len() }),
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    #[error("{len} bytes are too few for magic and schema id")]
    Short { len: usize },
    #[error("the first byte is {magic:#04x}, not Confluent's magic 0x00")]
    Magic { magic: u8 },
}

/// The body ends early, or has a length or an index that cannot be.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("the bytes at {at} are not a value of the schema: {what}")]
pub struct BodyError {
    pub at: usize,
    pub what: &'static str,
}

/// Checked reads of an Avro body.
pub(crate) struct Body<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Body<'b> {
    pub fn new(bytes: &'b [u8]) -> Body<'b> {
        Body { bytes, at: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn error(&self, what: &'static str) -> BodyError {
        BodyError { at: self.at, what }
    }

    pub fn take(&mut self, n: usize) -> Result<&'b [u8], BodyError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(self.error("the body ends early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub fn long(&mut self) -> Result<i64, BodyError> {
        let mut z = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            z |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((z >> 1) as i64 ^ -((z & 1) as i64));
            }
        }
        Err(self.error("a number of more than 64 bits"))
    }

    pub fn int(&mut self) -> Result<i32, BodyError> {
        let n = self.long()?;
        i32::try_from(n).map_err(|_| self.error("an int of more than 32 bits"))
    }

    pub fn index(&mut self, len: usize) -> Result<usize, BodyError> {
        let n = self.long()?;
        usize::try_from(n).ok().filter(|n| *n < len).ok_or(self.error("an index that the schema does not have"))
    }

    pub fn bytes(&mut self) -> Result<&'b [u8], BodyError> {
        let n = self.long()?;
        let n = usize::try_from(n).map_err(|_| self.error("a negative length"))?;
        self.take(n)
    }

    pub fn string(&mut self) -> Result<&'b str, BodyError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a string that is not UTF-8"))
    }

    /// The number of items in the next block of an array or map; 0 ends it.
    pub fn block(&mut self) -> Result<u64, BodyError> {
        let n = self.long()?;
        if n < 0 {
            // A negative count is followed by the block's size in bytes, for readers that skip.
            self.long()?;
        }
        Ok(n.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_come_back() {
        for n in [0, -1, 1, 63, 64, -64, -65, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_long(&mut out, n);
            let mut body = Body::new(&out);
            assert_eq!(body.long().unwrap(), n);
            assert!(body.is_empty());
        }
        assert!(Body::new(&[0xff; 11]).long().is_err());
    }

    #[test]
    fn a_frame_is_magic_and_id() {
        assert_eq!(unframe(&[0, 0, 0, 1, 2, 9]), Ok((258, &[9u8][..])));
        assert_eq!(unframe(&[1, 0, 0, 1, 2]), Err(FrameError::Magic { magic: 1 }));
        assert_eq!(unframe(&[0, 0]), Err(FrameError::Short { len: 2 }));
    }
}
