//! Authentication: trust, cleartext, md5, SCRAM-SHA-256 and its -PLUS, which binds it to the server's certificate
//! (PostgreSQL manual, "Message Flow: Start-up" and "SASL Authentication").

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};

use super::error::{Error, ProtocolError};
use super::server_error::ServerError;
use super::wire::{Body, Wire, message, put_cstr};

const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// `channel_binding`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Binding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// `require_auth`: one flag for each of [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedMethods([bool; 4]);

const METHODS: [&str; 4] = ["none", "password", "md5", "scram-sha-256"];

impl Default for AllowedMethods {
    fn default() -> AllowedMethods {
        AllowedMethods([true; 4])
    }
}

impl AllowedMethods {
    /// A list of methods, or of those that are not allowed, each with a `!`.
    pub fn parse(text: &str) -> Option<AllowedMethods> {
        if text.is_empty() {
            return Some(AllowedMethods::default());
        }
        let negative = text.starts_with('!');
        let mut allowed = [negative; 4];
        for word in text.split(',').map(str::trim) {
            let method = if negative { word.strip_prefix('!')? } else { word };
            allowed[METHODS.iter().position(|m| *m == method)?] = !negative;
        }
        Some(AllowedMethods(allowed))
    }

    fn check(self, method: usize) -> Result<(), Error> {
        if self.0[method] { Ok(()) } else { Err(Error::MethodNotAllowed { method: METHODS[method] }) }
    }
}

/// What one connection authenticates with.
pub struct Authentication<'a> {
    pub user: &'a str,
    pub password: Option<&'a str>,
    pub binding: Binding,
    pub allowed: AllowedMethods,
    pub encrypted: bool,
    /// `tls-server-end-point`, if the server's certificate has one.
    pub end_point: Option<Vec<u8>>,
}

impl Authentication<'_> {
    /// Answers the server until it says AuthenticationOk.
    pub fn run(&self, wire: &mut Wire) -> Result<(), Error> {
        let (mut asked, mut bound) = (false, false);
        loop {
            let (method, data) = receive(wire)?;
            match method {
                // After a SCRAM exchange the server must have proved that it knows the password, too.
                OK => {
                    if !asked {
                        self.allowed.check(0)?;
                    }
                    return match self.binding {
                        Binding::Require if !bound => {
                            Err(Error::NoChannelBinding("the server authenticated us without it"))
                        }
                        _ => Ok(()),
                    };
                }
                // Checked before anything is sent: a password in clear would be gone.
                CLEARTEXT => {
                    self.allowed.check(1)?;
                    send_password(wire, self.plain_password()?)?;
                }
                MD5 => {
                    self.allowed.check(2)?;
                    let salt = Body::new(b'R', &data).bytes(4)?;
                    let salt = [salt[0], salt[1], salt[2], salt[3]];
                    let hash = md5_hash(self.user.as_bytes(), self.plain_password()?.as_bytes(), salt);
                    send_password(wire, &hash)?;
                }
                SASL if !asked => {
                    self.allowed.check(3)?;
                    bound = self.scram(wire, &data)?;
                }
                other => return Err(Error::AuthenticationMethod { method: method_name(other) }),
            }
            asked = true;
        }
    }

    fn password(&self) -> Result<&str, Error> {
        self.password.ok_or(Error::NoPassword)
    }

    /// For methods that cannot be bound to the TLS connection.
    fn plain_password(&self) -> Result<&str, Error> {
        match self.binding {
            Binding::Require => Err(Error::NoChannelBinding("the server asks for a password without SCRAM")),
            _ => self.password(),
        }
    }

    /// True when it was bound to the server's certificate.
    fn scram(&self, wire: &mut Wire, mechanisms: &[u8]) -> Result<bool, Error> {
        let password = self.password()?;
        let (mut simple, mut plus) = (false, false);
        Mechanisms(mechanisms).for_each(|m| {
            simple |= m == SCRAM_SHA_256;
            plus |= m == SCRAM_SHA_256_PLUS;
            Ok(())
        })?;
        let end_point = self.end_point.clone().filter(|_| self.binding != Binding::Disable);
        let (mechanism, binding) = match end_point {
            // Offered without TLS: somebody stands between us.
            _ if plus && !self.encrypted => {
                return Err(Error::NoChannelBinding("the server offers it over a connection without TLS"));
            }
            Some(end_point) if plus => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point)),
            _ if self.binding == Binding::Require => {
                return Err(Error::NoChannelBinding(match (self.encrypted, &self.end_point) {
                    (false, _) => "the connection has no TLS",
                    (true, None) => "the signature of the server's certificate names no hash to bind to",
                    (true, Some(_)) => "the server does not offer it",
                }));
            }
            // "We could, and you do not offer it": a server that did offer it learns that its offer was taken away.
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        if mechanism == SCRAM_SHA_256 && !simple {
            return Err(Error::AuthenticationMethod { method: "SASL without SCRAM-SHA-256".into() });
        }
        let mut exchange = ScramSha256::new(password.as_bytes(), binding);
        wire.send(&message(b'p', |out| {
            put_cstr(out, mechanism);
            out.extend_from_slice(&(exchange.message().len() as u32).to_be_bytes());
            out.extend_from_slice(exchange.message());
        }))?;
        let data = expect(wire, SASL_CONTINUE)?;
        exchange.update(&data).map_err(Error::Scram)?;
        wire.send(&message(b'p', |out| out.extend_from_slice(exchange.message())))?;
        let data = expect(wire, SASL_FINAL)?;
        exchange.finish(&data).map_err(Error::Scram)?;
        Ok(mechanism == SCRAM_SHA_256_PLUS)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn require_auth_is_a_list_or_its_opposite() {
        let allowed = |text| AllowedMethods::parse(text).map(|a| a.0);
        assert_eq!(allowed(""), Some([true; 4]));
        assert_eq!(allowed("scram-sha-256"), Some([false, false, false, true]));
        assert_eq!(allowed("md5,none"), Some([true, false, true, false]));
        assert_eq!(allowed("!password,!md5"), Some([true, false, false, true]));
        for bad in ["gss", "md5,!none", "!md5,none", ",", "scram"] {
            assert_eq!(allowed(bad), None, "{bad}");
        }
    }
}
