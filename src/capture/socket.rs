//! The transport below the protocol: TCP or a unix socket, and TLS over either of them.
//!
//! One thread at a time reads and writes a socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::options::{Host, Keepalive};
use super::tls::Session;

#[derive(Debug)]
pub struct Socket {
    pub stream: Stream,
    /// None: what the protocol says goes as it is.
    pub session: Option<Box<Session>>,
}

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where a connection went, so that a cancel request finds the same server.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(std::path::PathBuf),
}

impl Stream {
    /// Tries every address of the host until one answers or `deadline` has passed.
    pub fn connect(host: &Host, keepalive: &Keepalive, deadline: Instant) -> io::Result<(Stream, Address)> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in host.addresses()? {
            match Stream::open(&address, keepalive, deadline) {
                Ok(socket) => return Ok((socket, address)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    pub fn open(address: &Address, keepalive: &Keepalive, deadline: Instant) -> io::Result<Stream> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Address::Tcp(address) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let stream = TcpStream::connect_timeout(address, left)?;
                stream.set_nodelay(true)?;
                if keepalive.enabled {
                    let settings = TcpKeepalive::new()
                        .with_time(keepalive.idle)
                        .with_interval(keepalive.interval)
                        .with_retries(keepalive.count);
                    SockRef::from(&stream).set_tcp_keepalive(&settings)?;
                }
                if let Some(timeout) = keepalive.user_timeout {
                    SockRef::from(&stream).set_tcp_user_timeout(Some(timeout))?;
                }
                Ok(Stream::Tcp(stream))
            }
        }
    }

    /// `None` waits for ever. A timeout shows as `WouldBlock`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.set_read_timeout(timeout),
            Stream::Unix(s) => s.set_read_timeout(timeout),
        }
    }

    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.set_write_timeout(timeout),
            Stream::Unix(s) => s.set_write_timeout(timeout),
        }
    }

    /// Ends both directions at once: a thread that is blocked in a read of this socket returns.
    pub fn shutdown(&self) {
        // The other side may have gone first; then there is nothing left to shut down.
        let _ = match self {
            Stream::Tcp(s) => s.shutdown(std::net::Shutdown::Both),
            Stream::Unix(s) => s.shutdown(std::net::Shutdown::Both),
        };
    }

    pub fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(s) => s.try_clone().map(Stream::Tcp),
            Stream::Unix(s) => s.try_clone().map(Stream::Unix),
        }
    }
}

impl Host {
    fn addresses(&self) -> io::Result<Vec<Address>> {
        match self {
            Host::Tcp { address: Some(address), port, .. } => Ok(vec![Address::Tcp((*address, *port).into())]),
            Host::Tcp { name, port, .. } => Ok((name.as_str(), *port).to_socket_addrs()?.map(Address::Tcp).collect()),
            Host::Unix { directory, port } => Ok(vec![Address::Unix(directory.join(format!(".s.PGSQL.{port}")))]),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buf),
            Stream::Unix(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.write(buf),
            Stream::Unix(s) => s.write(buf),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    pub fn plain(stream: Stream) -> Socket {
        Socket { stream, session: None }
    }

    /// Takes the transport away from here; what stays can only be dropped.
    pub fn hand_over(&mut self) -> io::Result<Socket> {
        Ok(Socket { stream: self.stream.try_clone()?, session: self.session.take() })
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.stream.read(buf),
            Some(session) => session.read(&mut self.stream, buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.stream.write(buf),
            Some(session) => session.write(&mut self.stream, buf),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
