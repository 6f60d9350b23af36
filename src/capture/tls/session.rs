//! One TLS connection over a stream.
//!
//! One thread reads and writes it, as it does the stream below: so there is no lock, and a read that waits is over
//! after the stream's read timeout. Records are taken from the socket in large pieces, so that the reader's naps
//! (`pace`) save as many system calls as without TLS.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::super::Error;
use super::super::socket::Stream;
use super::certificate;
use super::error::TlsError;

/// Bytes of one read from the socket: grows with what comes, up to what the reader takes at once.
const SMALL: usize = 32 * 1024;
const LARGE: usize = 256 * 1024;

pub struct Session {
    tls: ClientConnection,
    /// Received and not yet decrypted: `raw[start..end]`.
    raw: Vec<u8>,
    start: usize,
    end: usize,
}

impl Session {
    pub fn handshake(
        stream: &mut Stream,
        config: Arc<ClientConfig>,
        host: ServerName<'static>,
    ) -> Result<Session, Error> {
        let name = host.to_str().into_owned();
        let tls = ClientConnection::new(config, host).map_err(TlsError::from)?;
        let mut session = Session { tls, raw: vec![0; SMALL], start: 0, end: 0 };
        while session.tls.is_handshaking() {
            session.flush(stream).map_err(Error::from_io)?;
            if !session.tls.is_handshaking() {
                break;
            }
            let received = session.receive(stream).map_err(Error::from_io)?;
            if received == 0 {
                return Err(TlsError::ClosedInHandshake.into());
            }
            if let Err(e) = session.decrypt() {
                // The alert, so that the server's log says why.
                let _ = session.flush(stream);
                return Err(TlsError::of(e, Some(&name)).into());
            }
        }
        session.flush(stream).map_err(Error::from_io)?;
        Ok(session)
    }

    /// What binds an authentication to this server's certificate (`tls-server-end-point`).
    pub fn end_point(&self) -> Option<Vec<u8>> {
        certificate::end_point(self.tls.peer_certificates()?.first()?)
    }

    /// As much as is there, up to the buffer's size. Waits only when nothing is; 0 is the end.
    pub fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.tls.reader().read(&mut buffer[filled..]) {
                // All that could be had; or the server has said that this is the end.
                Ok(0) => return Ok(filled),
                Ok(n) => {
                    filled += n;
                    if filled == buffer.len() {
                        return Ok(filled);
                    }
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // Cut off without a farewell. The protocol has its own end, and a stream goes on from a position.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(filled),
                Err(e) => return if filled > 0 { Ok(filled) } else { Err(e) },
            }
            if self.start < self.end {
                let before = self.end - self.start;
                self.decrypt().map_err(io::Error::other)?;
                // An incomplete record waits inside the TLS connection: all bytes have gone there.
                debug_assert!(self.end - self.start < before, "decrypting takes what is there");
                continue;
            }
            if filled > 0 {
                return Ok(filled);
            }
            if self.tls.wants_write() {
                self.flush(stream)?;
            }
            if self.receive(stream)? == 0 {
                // Told to the TLS connection, which knows whether the server had said farewell.
                self.tls.read_tls(&mut io::empty())?;
            }
        }
    }

    /// Takes some of the bytes and sends them.
    pub fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.tls.writer().write(bytes)?;
        self.flush(stream)?;
        Ok(taken)
    }

    /// From the socket into `raw`, which is empty.
    fn receive(&mut self, stream: &mut Stream) -> io::Result<usize> {
        debug_assert_eq!(self.start, self.end);
        let n = stream.read(&mut self.raw)?;
        (self.start, self.end) = (0, n);
        Ok(n)
    }

    /// One step: from `raw` into the TLS connection, which takes about one record at once.
    fn decrypt(&mut self) -> Result<(), rustls::Error> {
        let mut rest = &self.raw[self.start..self.end];
        let taken = self.tls.read_tls(&mut rest).map_err(|e| rustls::Error::General(e.to_string()))?;
        self.start += taken;
        self.tls.process_new_packets()?;
        if self.start == self.end && self.end == self.raw.len() && self.raw.len() < LARGE {
            // It was full: there may be more to take at once.
            self.raw = vec![0; self.raw.len() * 2];
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    fn flush(&mut self, stream: &mut Stream) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => drop(done?),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("version", &self.tls.protocol_version()).finish_non_exhaustive()
    }
}
