//! Bytes as text and back (`encode`, `decode`: hex, base64, escape), and their digests.

use std::borrow::Cow;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::Arg::{Bytea, Name, Text};
use super::declare::*;
use super::text::hex_into;
use super::{Call, EvalError, Function};
use crate::datum::Value;

pub static FUNCTIONS: &[Function] = &[
    stable(function("convert_to", &[Text, Name], Bytea, convert_to)),
    function("encode", &[Bytea, Text], Text, encode),
    function("decode", &[Text, Text], Bytea, decode),
    function("sha224", &[Bytea], Bytea, |_, args| digest::<Sha224>(args)),
    function("sha256", &[Bytea], Bytea, |_, args| digest::<Sha256>(args)),
    function("sha384", &[Bytea], Bytea, |_, args| digest::<Sha384>(args)),
    function("sha512", &[Bytea], Bytea, |_, args| digest::<Sha512>(args)),
];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters in a line.
const LINE: usize = 76;

fn digest<'a, D: Digest>(args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Bytea(Cow::Owned(D::digest(bytea(args, 0)?).to_vec())))
}

/// The bytes of a text in UTF-8, which is how it comes here, whatever the server stores.
fn convert_to<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    check(&text(args, 1)?)?;
    Ok(Value::Bytea(Cow::Owned(text(args, 0)?.into_owned().into_bytes())))
}

pub(super) fn check(encoding: &str) -> Result<(), EvalError> {
    let utf8 = ["utf8", "utf-8"].iter().any(|name| name.eq_ignore_ascii_case(encoding));
    if utf8 { Ok(()) } else { Err(error("0A000", "other encodings than UTF8 are not converted; write 'UTF8'")) }
}

#[derive(Clone, Copy)]
enum Form {
    Hex,
    Base64,
    Escape,
}

fn form(name: &str) -> Result<Form, EvalError> {
    match &*name.to_ascii_lowercase() {
        "hex" => Ok(Form::Hex),
        "base64" => Ok(Form::Base64),
        "escape" => Ok(Form::Escape),
        _ => Err(error("22023", "unrecognized encoding")),
    }
}

fn encode<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (bytes, name) = (bytea(args, 0)?, text(args, 1)?);
    let mut out = String::new();
    match form(&name)? {
        Form::Hex => hex_into(&bytes, &mut out),
        Form::Base64 => base64(&bytes, &mut out),
        Form::Escape => {
            for byte in bytes.iter() {
                match byte {
                    0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
                    b'\\' => out.push_str("\\\\"),
                    byte => out.push(char::from(*byte)),
                }
            }
        }
    }
    owned(out)
}

/// A line that is full ends with a line feed, the last one too.
fn base64(bytes: &[u8], out: &mut String) {
    let mut line = 0;
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let digit = BASE64[(all >> (18 - 6 * i) & 63) as usize];
            out.push(if i > three.len() { '=' } else { char::from(digit) });
        }
        line += 4;
        if line == LINE && three.len() == 3 {
            out.push('\n');
            line = 0;
        }
    }
}

fn decode<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (encoded, name) = (text(args, 0)?, text(args, 1)?);
    let bytes = match form(&name)? {
        Form::Hex => from_hex(encoded.as_bytes())?,
        Form::Base64 => from_base64(encoded.as_bytes())?,
        Form::Escape => from_escape(encoded.as_bytes())?,
    };
    Ok(Value::Bytea(Cow::Owned(bytes)))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Blanks between bytes, not inside of one.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, EvalError> {
    let nibble = |byte: u8| {
        char::from(byte).to_digit(16).map(|d| d as u8).ok_or_else(|| error("22023", "invalid hexadecimal digit"))
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if is_blank(byte) {
            continue;
        }
        let high = nibble(byte)?;
        let low = rest.next().ok_or_else(|| error("22023", "invalid hexadecimal data: odd number of digits"))?;
        out.push(high << 4 | nibble(low)?);
    }
    Ok(out)
}

fn from_base64(text: &[u8]) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    // `end` says how many bytes the last group has, 0 that it was not seen.
    let (mut all, mut count, mut end) = (0u32, 0, 0);
    for byte in text.iter().copied().filter(|b| !is_blank(*b)) {
        let digit = if byte == b'=' {
            if end == 0 {
                end = match count {
                    2 => 1,
                    3 => 2,
                    _ => return Err(error("22023", "unexpected \"=\" while decoding base64 sequence")),
                };
            }
            0
        } else {
            let at = BASE64.iter().position(|b| *b == byte);
            at.ok_or_else(|| error("22023", "invalid symbol while decoding base64 sequence"))? as u32
        };
        all = all << 6 | digit;
        count += 1;
        if count == 4 {
            out.push((all >> 16) as u8);
            if end != 1 {
                out.push((all >> 8) as u8);
            }
            if end == 0 {
                out.push(all as u8);
            }
            (all, count) = (0, 0);
        }
    }
    if count == 0 { Ok(out) } else { Err(error("22023", "invalid base64 end sequence")) }
}

fn from_escape(text: &[u8]) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                out.push(b'\\');
                rest = tail;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            (b'\\', _) => return Err(error("22P02", "invalid input syntax for type bytea")),
            (byte, _) => out.push(*byte),
        }
    }
    Ok(out)
}
