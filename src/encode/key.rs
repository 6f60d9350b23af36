//! The key's schema: derived from the contract, or the user's `.key.avsc`, or none (`key_format = "string"`).
//!
//! Key bytes of an entity never change, so the derived schema depends only on the key columns, their order and the
//! types that the contract gives them; docs and other fields do not reach it.

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::encode::avro::{Avro, Record, RecordField, Special};
use crate::encode::codes;
use crate::encode::contract::Contract;
use crate::encode::plain_json;
use crate::encode::wire::{BodyError, FrameError, unframe};
use crate::transform::Plan;

#[derive(Debug, Clone)]
pub enum KeySchema {
    Avro {
        record: Arc<Record>,
        text: String,
    },
    /// One column, its text form, not framed and not registered.
    String,
}

impl KeySchema {
    /// `<Name>Key` in the contract's namespace, with the key columns as the contract types them, never null.
    pub fn derive(plan: &Plan, contract: &Contract) -> Result<KeySchema, Vec<Diagnostic>> {
        let (mut fields, mut findings) = (Vec::new(), Vec::new());
        for name in key_names(plan) {
            match contract.record().fields.iter().find(|f| f.name == name) {
                Some(field) => fields.push(RecordField {
                    name: name.to_owned(),
                    aliases: Vec::new(),
                    ty: field.ty.non_null().0.clone(),
                    default: None,
                    lossy: field.lossy,
                    special: Special::RowError,
                    span: field.span,
                }),
                None => findings.push(
                    Diagnostic::error(codes::BAD_KEY, format!("the key column {name:?} is no field of the contract"))
                        .help("add the field, or write a NAME.key.avsc that says its type"),
                ),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let record = Arc::new(Record { name: format!("{}Key", contract.name()), aliases: Vec::new(), fields });
        let text = Avro::Record(record.clone()).to_json().to_string();
        Ok(KeySchema::Avro { record, text })
    }

    /// The user's own: a record whose fields are the key columns.
    pub fn from_file(path: &Path, text: &str) -> Result<KeySchema, Vec<Diagnostic>> {
        let contract = Contract::parse(path, text)?;
        Ok(KeySchema::Avro { record: contract.record().clone(), text: text.to_owned() })
    }

    /// What is registered under `<topic>-key`.
    pub fn text(&self) -> Option<&str> {
        match self {
            KeySchema::Avro { text, .. } => Some(text),
            KeySchema::String => None,
        }
    }

    /// The key as it stands in Kafka, as an object. `column` is the key column, for string keys.
    pub fn plain_json(&self, column: &str, key: &[u8]) -> Result<serde_json::Value, KeyError> {
        match self {
            KeySchema::String => Ok(plain_json::string_key(column, key)),
            KeySchema::Avro { record, .. } => Ok(plain_json::record(record, unframe(key)?.1)?),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key has no Confluent frame")]
    Frame(#[from] FrameError),
    #[error("the key is not one of its schema")]
    Body(#[from] BodyError),
}

pub(crate) fn key_names(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.key.iter().filter_map(|i| plan.outputs.get(*i)).map(|output| output.name.as_str())
}
