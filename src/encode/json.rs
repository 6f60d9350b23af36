//! json and jsonb into a record, an array or a map that the contract has in their place.
//!
//! Nothing is guessed and nothing is dropped: a key that the record does not have is a fault, a missing one takes the
//! field's default or null. Numbers are read from their text, so that decimals stay exact.

use std::collections::BTreeMap;

use crate::encode::array::put_count;
use crate::encode::avro::{Avro, Special};
use crate::encode::codes;
use crate::encode::decimal::DecimalCode;
use crate::encode::default::encode_default;
use crate::encode::leaf::{EnumCode, Fault, NullRule, integer, put_int};
use crate::encode::spanned::{self, Node, Spanned};
use crate::encode::wire::{put_bytes, put_long};

#[derive(Debug)]
pub(crate) struct JsonCode {
    null: NullRule,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Boolean,
    Int,
    Long,
    Double,
    String,
    Enum(EnumCode),
    Decimal(DecimalCode),
    Array(Box<JsonCode>),
    Map(Box<JsonCode>),
    Record(Vec<JsonField>),
}

#[derive(Debug)]
struct JsonField {
    name: Box<str>,
    code: JsonCode,
    /// What stands for a key that is not there.
    missing: Option<Vec<u8>>,
}

impl JsonCode {
    /// None with the type that JSON cannot fill exactly.
    pub fn compile(ty: &Avro, lossy: bool) -> Result<JsonCode, Avro> {
        let (inner, union) = ty.non_null();
        let null = match union {
            Some((null, some)) => NullRule::Union { null: null as u8 * 2, some: some as u8 * 2 },
            None => NullRule::Never,
        };
        let kind = match inner {
            Avro::Boolean => Kind::Boolean,
            Avro::Int => Kind::Int,
            Avro::Long => Kind::Long,
            // A number of JSON has any number of digits.
            Avro::Double if lossy => Kind::Double,
            Avro::String => Kind::String,
            Avro::Enum(e) => {
                Kind::Enum(EnumCode { symbols: e.symbols.iter().map(|s| s.as_str().into()).collect(), default: None })
            }
            Avro::Decimal(d) => Kind::Decimal(DecimalCode {
                precision: d.precision,
                scale: d.scale,
                fixed: d.fixed.as_ref().map(|f| f.size),
            }),
            Avro::Array(items) => Kind::Array(Box::new(JsonCode::compile(items, lossy)?)),
            Avro::Map(values) => Kind::Map(Box::new(JsonCode::compile(values, lossy)?)),
            Avro::Record(record) => {
                let fields = record.fields.iter().map(|f| {
                    let missing = match (&f.default, f.ty.non_null().1) {
                        (Some(default), _) => {
                            let mut bytes = Vec::new();
                            // The contract was parsed: its defaults are values of their types.
                            encode_default(default, &f.ty, &mut bytes).map_err(|_| f.ty.clone())?;
                            Some(bytes)
                        }
                        (None, Some((null, _))) => Some(vec![null as u8 * 2]),
                        (None, None) => None,
                    };
                    Ok(JsonField {
                        name: f.name.as_str().into(),
                        code: JsonCode::compile(&f.ty, lossy || f.lossy)?,
                        missing,
                    })
                });
                Kind::Record(fields.collect::<Result<_, Avro>>()?)
            }
            other => return Err(other.clone()),
        };
        Ok(JsonCode { null, kind })
    }

    /// JSON's text, without the union of the outermost place.
    pub fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::malformed("text that is not UTF-8"))?;
        let tree = spanned::parse(text).map_err(|_| Fault::malformed("not JSON that can be read"))?;
        self.put_kind(text, &tree, out)
    }

    fn put_node(&self, text: &str, node: &Spanned, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let is_null = matches!(&node.node, Node::Other(v) if v.is_null());
        match (self.null, is_null) {
            (NullRule::Never, true) => return Err(Fault::new(codes::ROW_NULL, "null, and the field does not take it")),
            (NullRule::Union { null, .. }, true) => {
                out.push(null);
                return Ok(());
            }
            (NullRule::Union { some, .. }, false) => out.push(some),
            (NullRule::Never, false) => {}
        }
        self.put_kind(text, node, out)
    }

    fn put_kind(&self, text: &str, node: &Spanned, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let wrong = |what: &'static str| Fault::new(codes::ROW_RANGE, what);
        let number = || match &node.node {
            Node::Other(v) if v.is_number() => Ok(&text.as_bytes()[node.span.start as usize..node.span.end as usize]),
            _ => Err(wrong("a JSON value that is no number")),
        };
        match (&self.kind, &node.node) {
            (Kind::Boolean, Node::Other(serde_json::Value::Bool(flag))) => out.push(u8::from(*flag)),
            (Kind::Boolean, _) => return Err(wrong("a JSON value that is no boolean")),
            (Kind::Int, _) => put_int(whole(number()?)?, out)?,
            (Kind::Long, _) => put_long(out, whole(number()?)?),
            (Kind::Double, _) => {
                let n: Option<f64> = std::str::from_utf8(number()?).ok().and_then(|t| t.parse().ok());
                out.extend_from_slice(&n.ok_or_else(|| wrong("a JSON value that is no number"))?.to_le_bytes());
            }
            (Kind::Decimal(code), _) => code.put(number()?, Special::RowError, out).map_err(|mut fault| {
                if fault.code == codes::ROW_MALFORMED {
                    *fault = *Fault::new(codes::ROW_RANGE, "a JSON number with an exponent");
                }
                fault
            })?,
            (Kind::String, Node::Text(value)) => put_bytes(out, value.as_bytes()),
            (Kind::String, _) => return Err(wrong("a JSON value that is no string")),
            (Kind::Enum(code), Node::Text(value)) => put_long(out, code.index(value.as_bytes())? as i64),
            (Kind::Enum(_), _) => return Err(wrong("a JSON value that is no string")),
            (Kind::Array(code), Node::Array(items)) => {
                if !items.is_empty() {
                    put_long(out, items.len() as i64);
                }
                for (i, item) in items.iter().enumerate() {
                    code.put_node(text, item, out).map_err(|f| below(f, format!("[{i}]")))?;
                }
                out.push(0);
            }
            (Kind::Array(_), _) => return Err(wrong("a JSON value that is no array")),
            (Kind::Map(code), Node::Object(entries)) => {
                // The last of equal keys counts, as in jsonb.
                let entries: BTreeMap<&str, &Spanned> = entries.iter().map(|(k, v)| (k.as_str(), v)).collect();
                let at = out.len();
                out.push(0);
                for (key, value) in &entries {
                    put_bytes(out, key.as_bytes());
                    code.put_node(text, value, out).map_err(|f| below(f, "{}".into()))?;
                }
                if !entries.is_empty() {
                    put_count(entries.len() as i64, at, out);
                    out.push(0);
                }
            }
            (Kind::Record(_), Node::Object(entries)) => self.put_record(text, entries, out)?,
            (Kind::Map(_) | Kind::Record(_), _) => return Err(wrong("a JSON value that is no object")),
        }
        Ok(())
    }

    fn put_record(&self, text: &str, entries: &[(String, Spanned)], out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let Kind::Record(fields) = &self.kind else { return Ok(()) };
        if entries.iter().any(|(key, _)| fields.iter().all(|f| *f.name != **key)) {
            return Err(Fault::new(
                codes::ROW_RANGE,
                "a JSON object with a key that the contract's record does not have",
            ));
        }
        for field in fields {
            let value = entries.iter().rev().find(|(key, _)| **key == *field.name);
            let put = match (value, &field.missing) {
                (Some((_, value)), _) => field.code.put_node(text, value, out),
                (None, Some(bytes)) => {
                    out.extend_from_slice(bytes);
                    Ok(())
                }
                (None, None) => Err(Fault::new(codes::ROW_NULL, "a key that the JSON object does not have")),
            };
            put.map_err(|fault| below(fault, format!(".{}", field.name)))?;
        }
        Ok(())
    }
}

/// `1` and `1.00`, which jsonb keeps apart, are the same integer.
fn whole(number: &[u8]) -> Result<i64, Box<Fault>> {
    let (digits, fraction) = match number.iter().position(|b| *b == b'.') {
        Some(dot) => (&number[..dot], &number[dot + 1..]),
        None => (number, &[][..]),
    };
    if fraction.iter().any(|b| *b != b'0') {
        return Err(Fault::new(codes::ROW_RANGE, "a JSON number that is no integer"));
    }
    integer(digits).map_err(|_| Fault::new(codes::ROW_RANGE, "a JSON number that is no integer of 64 bits"))
}

fn below(mut fault: Box<Fault>, step: String) -> Box<Fault> {
    fault.path.push(step);
    fault
}
