//! 2: pgoutput messages, protocol version 1 (PostgreSQL manual, "Logical Replication Message Formats").
//!
//! One file per message. Reads are checked, an unknown tag is an error that shows it, and so are bytes that follow a
//! message: nothing is skipped (I7). Borrowed from the bytes, except for Relation, which outlives them.

mod begin;
mod commit;
mod delete;
mod fields;
mod insert;
mod logical_message;
mod origin;
mod relation;
pub mod text;
mod truncate;
mod type_;
mod update;

pub use begin::Begin;
pub use commit::Commit;
pub use delete::Delete;
pub use insert::Insert;
pub use logical_message::LogicalMessage;
pub use origin::Origin;
pub use truncate::Truncate;
pub use type_::Type;
pub use update::Update;

use crate::relation::Relation;
use crate::row::TupleError;
use fields::Fields;

/// The payload of one XLogData.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Begin(Begin),
    Commit(Commit),
    Origin(Origin<'a>),
    Relation(Relation),
    Type(Type<'a>),
    Insert(Insert<'a>),
    Update(Update<'a>),
    Delete(Delete<'a>),
    Truncate(Truncate),
    Message(LogicalMessage<'a>),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("an empty pgoutput message")]
    Empty,
    #[error("the unknown pgoutput message {}", show(*.tag))]
    UnknownTag { tag: u8 },
    #[error("{message} ends at {field}")]
    Truncated { message: &'static str, field: &'static str },
    #[error("{message} has {bytes} bytes too many")]
    Trailing { message: &'static str, bytes: usize },
    #[error("{message}: {field} has the unknown value {}", show(*.value))]
    UnknownValue { message: &'static str, field: &'static str, value: u8 },
    #[error("{message}: {field} is not UTF-8")]
    NotUtf8 { message: &'static str, field: &'static str },
    #[error("{message}: {field} cannot be read")]
    Tuple {
        message: &'static str,
        field: &'static str,
        #[source]
        source: TupleError,
    },
}

impl<'a> Message<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let (&tag, body) = payload.split_first().ok_or(DecodeError::Empty)?;
        match tag {
            b'B' => Fields::whole("Begin", body, Begin::read).map(Message::Begin),
            b'C' => Fields::whole("Commit", body, Commit::read).map(Message::Commit),
            b'O' => Fields::whole("Origin", body, Origin::read).map(Message::Origin),
            b'R' => Fields::whole("Relation", body, relation::read).map(Message::Relation),
            b'Y' => Fields::whole("Type", body, Type::read).map(Message::Type),
            b'I' => Fields::whole("Insert", body, Insert::read).map(Message::Insert),
            b'U' => Fields::whole("Update", body, Update::read).map(Message::Update),
            b'D' => Fields::whole("Delete", body, Delete::read).map(Message::Delete),
            b'T' => Fields::whole("Truncate", body, Truncate::read).map(Message::Truncate),
            b'M' => Fields::whole("Message", body, LogicalMessage::read).map(Message::Message),
            tag => Err(DecodeError::UnknownTag { tag }),
        }
    }
}

fn show(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("'{}'", byte as char) } else { format!("{byte:#04x}") }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
