//! Authentication: trust, cleartext, md5, SCRAM-SHA-256 (PostgreSQL manual, "Message Flow: Start-up").

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

use super::error::{Error, ProtocolError};
use super::server_error::ServerError;
use super::wire::{Body, Wire, message, put_cstr};

const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// Answers the server until it says AuthenticationOk.
pub fn authenticate(wire: &mut Wire, user: &str, password: Option<&str>) -> Result<(), Error> {
    let needed = || password.ok_or(Error::NoPassword);
    let mut proved = false;
    loop {
        let (method, data) = receive(wire)?;
        match method {
            // After a SCRAM exchange the server must have proved that it knows the password, too.
            OK => return Ok(()),
            CLEARTEXT => send_password(wire, needed()?)?,
            MD5 => {
                let salt = Body::new(b'R', &data).bytes(4)?;
                let salt = [salt[0], salt[1], salt[2], salt[3]];
                let hash = md5_hash(user.as_bytes(), needed()?.as_bytes(), salt);
                send_password(wire, &hash)?;
            }
            SASL if !proved => {
                scram(wire, &data, needed()?)?;
                proved = true;
            }
            other => return Err(Error::AuthenticationMethod { method: method_name(other) }),
        }
    }
}

fn scram(wire: &mut Wire, mechanisms: &[u8], password: &str) -> Result<(), Error> {
    let mut list = Mechanisms(mechanisms);
    if !list.any(|m| Ok(m == SCRAM_SHA_256))? {
        return Err(Error::AuthenticationMethod { method: "SASL without SCRAM-SHA-256".into() });
    }
    let mut exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    wire.send(&message(b'p', |out| {
        put_cstr(out, SCRAM_SHA_256);
        out.extend_from_slice(&(exchange.message().len() as u32).to_be_bytes());
        out.extend_from_slice(exchange.message());
    }))?;
    let data = expect(wire, SASL_CONTINUE)?;
    exchange.update(&data).map_err(Error::Scram)?;
    wire.send(&message(b'p', |out| out.extend_from_slice(exchange.message())))?;
    let data = expect(wire, SASL_FINAL)?;
    exchange.finish(&data).map_err(Error::Scram)
}

fn expect(wire: &mut Wire, wanted: u32) -> Result<Vec<u8>, Error> {
    match receive(wire)? {
        (method, data) if method == wanted => Ok(data),
        _ => Err(ProtocolError::Unexpected { tag: b'R', state: "a SCRAM exchange is under way" }.into()),
    }
}

fn receive(wire: &mut Wire) -> Result<(u32, Vec<u8>), Error> {
    loop {
        let (tag, body) = wire.receive()?;
        match tag {
            b'R' => {
                let mut body = Body::new(tag, body);
                let method = body.u32()?;
                return Ok((method, body.rest().to_vec()));
            }
            b'E' => return Err(Box::new(ServerError::parse(tag, body)?).into()),
            b'N' => {}
            // NegotiateProtocolVersion: we ask for 3.0 without options, so there is nothing to negotiate.
            tag => return Err(ProtocolError::Unexpected { tag, state: "the server authenticates us" }.into()),
        }
    }
}

fn send_password(wire: &mut Wire, password: &str) -> Result<(), Error> {
    if password.contains('\0') {
        return Err(super::options::OptionsError::ZeroByte("password").into());
    }
    wire.send(&message(b'p', |out| put_cstr(out, password)))
}

fn method_name(method: u32) -> String {
    match method {
        2 => "Kerberos V5".into(),
        7 | 8 => "GSSAPI".into(),
        9 => "SSPI".into(),
        n => format!("method {n}"),
    }
}

struct Mechanisms<'a>(&'a [u8]);

impl<'a> FallibleIterator for Mechanisms<'a> {
    type Item = &'a str;
    type Error = ProtocolError;
    fn next(&mut self) -> Result<Option<&'a str>, ProtocolError> {
        let mut body = Body::new(b'R', self.0);
        let name = body.cstr()?;
        self.0 = body.rest();
        Ok((!name.is_empty()).then_some(name))
    }
}
