//! Record headers, as text, without an allocation per record: written one after the other into one buffer.

use std::ffi::CStr;
use std::io::Write;
use std::ops::Range;

use super::options::Headers;
use super::progress::rfc3339;
use crate::clock::POSTGRES_EPOCH_MICROS;
use crate::lsn::Lsn;
use crate::record::{OutputRecord, annotation};

const LSN: &CStr = c"pgspine-lsn";
const SEQ: &CStr = c"pgspine-seq";
const ORIGIN: &CStr = c"pgspine-origin";
const EPOCH: &CStr = c"pgspine-epoch";
const PART: &CStr = c"pgspine-part";
const XID: &CStr = c"pgspine-xid";
const COMMITTED_AT: &CStr = c"pgspine-committed-at";
const TRANSFORM: &CStr = c"pgspine-transform";
pub const EVENT_ID: &CStr = c"pgspine-event-id";

/// What a record carries beside what all records carry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own<'a> {
    pub event_id: Option<&'a [u8]>,
    /// As in `record::annotation`.
    pub annotations: &'a [u8],
}

#[derive(Debug)]
enum Name {
    Fixed(&'static CStr),
    /// In the buffer, with its NUL.
    Annotation(Range<usize>),
}

/// Headers of one record; used again for the next.
#[derive(Debug, Default)]
pub(super) struct HeaderBuffer {
    text: Vec<u8>,
    entries: Vec<(Name, Range<usize>)>,
    /// The LSN whose text `text` begins with: records of one source transaction follow each other.
    lsn: Option<(Lsn, usize)>,
}

impl HeaderBuffer {
    /// `event`: event records carry their commit's time under every mode that has headers.
    pub fn fill(
        &mut self,
        mode: Headers,
        record: &OutputRecord,
        epoch: u32,
        transform: &str,
        event: bool,
        own: Own<'_>,
    ) {
        self.entries.clear();
        if mode == Headers::None {
            return;
        }
        match self.lsn {
            Some((lsn, end)) if lsn == record.lsn => {
                self.text.truncate(end);
                self.entries.push((Name::Fixed(LSN), 0..end));
            }
            _ => {
                self.text.clear();
                self.push(LSN, |t| write!(t, "{}", record.lsn));
                self.lsn = Some((record.lsn, self.text.len()));
            }
        }
        self.push(SEQ, |t| t.write_all(decimal(record.seq, &mut [0; 20])));
        self.push(ORIGIN, |t| t.write_all(record.origin.as_str().as_bytes()));
        if epoch > 1 {
            self.push(EPOCH, |t| write!(t, "{epoch}"));
        }
        if let Some((part, last)) = record.part {
            self.push(PART, |t| write!(t, "{part}/{}", if last { "last" } else { "more" }));
        }
        if event || mode == Headers::Full {
            let at = rfc3339(record.timestamp * 1000 - POSTGRES_EPOCH_MICROS);
            self.push(COMMITTED_AT, |t| t.write_all(at.as_bytes()));
        }
        if mode == Headers::Full {
            if record.xid != 0 {
                self.push(XID, |t| write!(t, "{}", record.xid));
            }
            self.push(TRANSFORM, |t| t.write_all(transform.as_bytes()));
        }
        if let Some(id) = own.event_id {
            self.push(EVENT_ID, |t| t.write_all(id));
        }
        for (name, value) in annotation::each(own.annotations) {
            let start = self.text.len();
            self.text.extend_from_slice(name.to_bytes_with_nul());
            let named = self.text.len();
            self.text.extend_from_slice(value);
            self.entries.push((Name::Annotation(start..named), named..self.text.len()));
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&CStr, &[u8])> {
        self.entries.iter().map(|(name, at)| {
            let name = match name {
                Name::Fixed(name) => name,
                Name::Annotation(at) => CStr::from_bytes_until_nul(&self.text[at.clone()]).unwrap_or_default(),
            };
            (name, &self.text[at.clone()])
        })
    }

    fn push(&mut self, name: &'static CStr, value: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
        let start = self.text.len();
        // Writing into memory has no error.
        let written = value(&mut self.text);
        debug_assert!(written.is_ok());
        self.entries.push((Name::Fixed(name), start..self.text.len()));
    }
}

/// A number's digits, at the end of the room for them.
fn decimal(mut n: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Origin, TopicId};

    fn record() -> OutputRecord {
        OutputRecord {
            topic: TopicId(0),
            partition: 0,
            key: 0..0,
            value: None,
            timestamp: 946_684_800_123,
            lsn: Lsn(0x16B3748),
            seq: 7,
            origin: Origin::Stream,
            xid: 742,
            part: None,
            event_id: None,
            annotations: 0..0,
        }
    }

    fn check(mode: Headers, record: &OutputRecord, epoch: u32, expected: &[(&str, &str)]) {
        let mut buffer = HeaderBuffer::default();
        buffer.fill(mode, record, epoch, "shop/order", false, Own::default());
        let found: Vec<_> =
            buffer.iter().map(|(n, v)| (n.to_str().unwrap(), std::str::from_utf8(v).unwrap())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_mode_has_its_headers() {
        let standard = [("pgspine-lsn", "0/16B3748"), ("pgspine-seq", "7"), ("pgspine-origin", "stream")];
        check(Headers::None, &record(), 2, &[]);
        check(Headers::Standard, &record(), 1, &standard);
        // The same buffer for record after record.
        let mut buffer = HeaderBuffer::default();
        for (lsn, seq) in [(0x16B3748, 0), (0x16B3748, 10), (0x16B3800, u64::MAX), (0x16B3748, 7)] {
            buffer.fill(
                Headers::Standard,
                &OutputRecord { lsn: Lsn(lsn), seq, ..record() },
                1,
                "shop/order",
                false,
                Own::default(),
            );
            let found: Vec<_> = buffer.iter().map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect();
            assert_eq!(found, [Lsn(lsn).to_string(), seq.to_string(), "stream".to_owned()]);
        }
        let more = [&standard[..], &[("pgspine-epoch", "2"), ("pgspine-part", "1/more")]].concat();
        check(Headers::Standard, &OutputRecord { part: Some((1, false)), ..record() }, 2, &more);
        let full = [
            &standard[..],
            &[
                ("pgspine-part", "7/last"),
                ("pgspine-committed-at", "2000-01-01T00:00:00.123000Z"),
                ("pgspine-xid", "742"),
                ("pgspine-transform", "shop/order"),
            ],
        ]
        .concat();
        check(Headers::Full, &OutputRecord { part: Some((7, true)), ..record() }, 1, &full);
    }

    #[test]
    fn an_event_has_its_id_and_its_transaction_s_annotations() {
        let mut annotations = Vec::new();
        assert!(annotation::write("user", "ann", &mut annotations));
        assert!(annotation::write("request_id", "", &mut annotations));
        assert!(!annotation::write("a\0b", "x", &mut annotations));
        let mut buffer = HeaderBuffer::default();
        for _ in 0..2 {
            let own = Own { event_id: Some(b"e1"), annotations: &annotations };
            buffer.fill(Headers::Standard, &record(), 1, "shop/order", true, own);
            let found: Vec<_> =
                buffer.iter().map(|(n, v)| (n.to_str().unwrap(), std::str::from_utf8(v).unwrap())).collect();
            let more = [
                ("pgspine-committed-at", "2000-01-01T00:00:00.123000Z"),
                ("pgspine-event-id", "e1"),
                ("user", "ann"),
                ("request_id", ""),
            ];
            assert_eq!(found[3..], more);
        }
        buffer.fill(Headers::None, &record(), 1, "t", true, Own { event_id: Some(b"e1"), annotations: &annotations });
        assert_eq!(buffer.len(), 0);
    }
}
