//! Messages of the frontend/backend protocol 3.0: tag, length, body (PostgreSQL manual, "Message Formats").
//!
//! Every length that the server sends is checked before it is used, and the buffer grows with the bytes that came,
//! never with a length that was only announced.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::error::{Error, ProtocolError};
use super::socket::Socket;

/// PostgreSQL itself builds no message above 1 GiB (`MaxAllocSize`).
pub const MAX_MESSAGE: usize = 0x4000_0000;
/// Before the server has proved to be one, only small messages make sense (libpq has a like limit).
pub const MAX_STARTUP_MESSAGE: usize = 64 * 1024;

const READ_STEP: usize = 32 * 1024;

#[derive(Debug)]
pub struct Wire {
    pub socket: Socket,
    buffer: Vec<u8>,
    /// Received and not yet handed out: `buffer[start..end]`.
    start: usize,
    end: usize,
    pub limit: usize,
    /// Say Terminate at the end, so that the server logs no lost connection.
    polite: bool,
}

impl Wire {
    pub fn new(socket: Socket) -> Wire {
        Wire { socket, buffer: Vec::new(), start: 0, end: 0, limit: MAX_STARTUP_MESSAGE, polite: true }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes).map_err(Error::from_io)
    }

    /// The next message: its tag and body. Waits as long as the socket's read timeout allows.
    pub fn receive(&mut self) -> Result<(u8, &[u8]), Error> {
        loop {
            if let Some(total) = frame(&self.buffer[self.start..self.end], self.limit)? {
                let from = self.start;
                self.start += total;
                return Ok((self.buffer[from], &self.buffer[from + 5..from + total]));
            }
            self.fill()?;
        }
    }

    /// Takes the connection apart: the socket, and what was received beyond the last message.
    pub fn take_apart(&mut self) -> Result<(Socket, Vec<u8>), Error> {
        self.polite = false;
        Ok((self.socket.hand_over().map_err(Error::Io)?, self.buffer[self.start..self.end].to_vec()))
    }

    /// No Terminate at the end.
    pub fn forget(&mut self) {
        self.polite = false;
    }

    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.socket.stream.set_read_timeout(timeout).map_err(Error::from_io)
    }

    fn fill(&mut self) -> Result<(), Error> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < READ_STEP {
            let grown = (self.buffer.len() + READ_STEP).max(self.buffer.len() * 2);
            self.buffer.resize(grown, 0);
        }
        let n = read_some(&mut self.socket, &mut self.buffer[self.end..]).map_err(Error::from_io)?;
        if n == 0 {
            return Err(Error::Closed);
        }
        self.end += n;
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.polite {
            // The peer may be gone or its window full: the end of the connection says the same then.
            let _ = self.socket.stream.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = self.socket.write_all(&message(b'X', |_| ()));
        }
    }
}

/// One read that a signal does not interrupt.
pub fn read_some(socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Length of the message at the start of `bytes` with its tag, or None while it is not there whole.
#[inline]
pub fn frame(bytes: &[u8], limit: usize) -> Result<Option<usize>, ProtocolError> {
    let Some((head, _)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len < 4 || len > limit {
        return Err(ProtocolError::Length { tag: head[0], len });
    }
    Ok((bytes.len() > len).then_some(len + 1))
}

/// Builds one message; the length is filled in at the end.
pub fn message(tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![tag, 0, 0, 0, 0];
    body(&mut out);
    let len = (out.len() - 1) as u32;
    out[1..5].copy_from_slice(&len.to_be_bytes());
    out
}

/// A string with its end mark. NUL cannot be part of one: the caller has checked what came from outside.
pub fn put_cstr(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Checked reads over the body of one message.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    tag: u8,
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    pub fn new(tag: u8, rest: &'a [u8]) -> Body<'a> {
        Body { tag, rest }
    }

    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], ProtocolError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(ProtocolError::Short { tag: self.tag })?;
        self.rest = rest;
        Ok(head)
    }

    pub fn u8(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.array::<1>()?[0])
    }
    pub fn u16(&mut self) -> Result<u16, ProtocolError> {
        Ok(u16::from_be_bytes(self.array()?))
    }
    pub fn u32(&mut self) -> Result<u32, ProtocolError> {
        Ok(u32::from_be_bytes(self.array()?))
    }
    pub fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(i32::from_be_bytes(self.array()?))
    }
    pub fn i64(&mut self) -> Result<i64, ProtocolError> {
        Ok(i64::from_be_bytes(self.array()?))
    }
    pub fn u64(&mut self) -> Result<u64, ProtocolError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn cstr(&mut self) -> Result<&'a str, ProtocolError> {
        let at = self.rest.iter().position(|&b| b == 0).ok_or(ProtocolError::Short { tag: self.tag })?;
        let text = self.bytes(at)?;
        self.rest = &self.rest[1..];
        std::str::from_utf8(text).map_err(|_| ProtocolError::NotUtf8 { tag: self.tag })
    }

    /// As `cstr`, with replacement characters for what is not UTF-8.
    pub fn cstr_lossy(&mut self) -> Result<String, ProtocolError> {
        let at = self.rest.iter().position(|&b| b == 0).ok_or(ProtocolError::Short { tag: self.tag })?;
        let text = self.bytes(at)?;
        self.rest = &self.rest[1..];
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ProtocolError::Short { tag: self.tag })?;
        self.rest = rest;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_or_not_there() {
        let bytes = message(b'Z', |b| b.push(b'I'));
        for end in 0..bytes.len() {
            assert_eq!(frame(&bytes[..end], 100), Ok(None));
        }
        assert_eq!(frame(&bytes, 100), Ok(Some(6)));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        assert_eq!(frame(b"Z\0\0\0\x03", 100), Err(ProtocolError::Length { tag: b'Z', len: 3 }));
        assert_eq!(frame(b"HTTP/1.1", 65536), Err(ProtocolError::Length { tag: b'H', len: 0x5454_502f }));
    }
}
