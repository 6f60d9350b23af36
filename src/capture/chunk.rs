//! A buffer of whole messages, as the reader hands it to the pipeline, and what is in it.

use super::error::ProtocolError;
use super::wire::{Body, MAX_MESSAGE, frame};
use crate::lsn::Lsn;

/// Whole messages of the stream, one after the other.
#[derive(Debug)]
pub struct Chunk {
    pub(super) buffer: Vec<u8>,
    /// What is filled: `buffer[..len]`.
    pub(super) len: usize,
}

/// What the walsender puts into CopyData.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationMessage<'a> {
    XLogData {
        wal_start: Lsn,
        /// The end of WAL on the server, as of sending.
        wal_end: Lsn,
        /// Microseconds since 2000-01-01.
        time: i64,
        payload: &'a [u8],
    },
    Keepalive {
        /// Everything before it has been sent.
        wal_end: Lsn,
        time: i64,
        reply_requested: bool,
    },
}

impl Chunk {
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The messages in order; of keepalives that follow each other only the newest.
    pub fn messages(&self) -> Messages<'_> {
        Messages { rest: self.bytes() }
    }
}

#[derive(Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<ReplicationMessage<'a>, ProtocolError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let total = match frame(self.rest, MAX_MESSAGE) {
                Ok(Some(total)) => total,
                // The reader hands over whole messages only.
                Ok(None) => return None,
                Err(e) => {
                    self.rest = &[];
                    return Some(Err(e));
                }
            };
            let (message, rest) = self.rest.split_at(total);
            self.rest = rest;
            // Notices and parameters: the reader has dealt with them.
            if message[0] != b'd' || (is_keepalive(message) && is_keepalive(rest)) {
                continue;
            }
            return Some(ReplicationMessage::parse(&message[5..]));
        }
    }
}

pub(super) fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'd') && bytes.get(5) == Some(&b'k')
}

impl<'a> ReplicationMessage<'a> {
    /// The body of one CopyData message.
    #[inline]
    pub fn parse(copy_data: &'a [u8]) -> Result<ReplicationMessage<'a>, ProtocolError> {
        let mut body = Body::new(b'd', copy_data);
        match body.u8()? {
            b'w' => Ok(ReplicationMessage::XLogData {
                wal_start: Lsn(body.u64()?),
                wal_end: Lsn(body.u64()?),
                time: body.i64()?,
                payload: body.rest(),
            }),
            b'k' => Ok(ReplicationMessage::Keepalive {
                wal_end: Lsn(body.u64()?),
                time: body.i64()?,
                reply_requested: body.u8()? != 0,
            }),
            tag => Err(ProtocolError::UnknownCopyData { tag }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::capture::wire::message;

    pub fn xlog(start: u64, payload: &[u8]) -> Vec<u8> {
        message(b'd', |out| {
            out.push(b'w');
            out.extend_from_slice(&start.to_be_bytes());
            out.extend_from_slice(&start.to_be_bytes());
            out.extend_from_slice(&7_i64.to_be_bytes());
            out.extend_from_slice(payload);
        })
    }

    pub fn keepalive(wal_end: u64, reply: bool) -> Vec<u8> {
        message(b'd', |out| {
            out.push(b'k');
            out.extend_from_slice(&wal_end.to_be_bytes());
            out.extend_from_slice(&7_i64.to_be_bytes());
            out.push(u8::from(reply));
        })
    }

    #[test]
    fn messages_come_in_order_and_only_the_newest_keepalive_of_a_row() {
        let notice = message(b'N', |out| out.push(0));
        let parts = [keepalive(1, false), keepalive(2, true), xlog(3, b"abc"), notice, keepalive(4, false)];
        let buffer = parts.concat();
        let len = buffer.len();
        let chunk = Chunk { buffer, len };
        let got: Vec<_> = chunk.messages().map(Result::unwrap).collect();
        assert_eq!(
            got,
            [
                ReplicationMessage::Keepalive { wal_end: Lsn(2), time: 7, reply_requested: true },
                ReplicationMessage::XLogData { wal_start: Lsn(3), wal_end: Lsn(3), time: 7, payload: b"abc" },
                ReplicationMessage::Keepalive { wal_end: Lsn(4), time: 7, reply_requested: false },
            ]
        );
    }

    #[test]
    fn a_cut_or_unknown_copydata_is_an_error() {
        let whole = &keepalive(4, true)[5..];
        for end in 0..whole.len() {
            assert!(ReplicationMessage::parse(&whole[..end]).is_err(), "{end}");
        }
        assert_eq!(ReplicationMessage::parse(b"z"), Err(ProtocolError::UnknownCopyData { tag: b'z' }));
    }
}
