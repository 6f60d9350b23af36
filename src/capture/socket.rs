//! The transport below the protocol: TCP or a unix socket today. TLS becomes one more variant.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::options::{Host, Keepalive};

#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where a connection went, so that a cancel request finds the same server.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(std::path::PathBuf),
}

impl Socket {
    /// Tries every address of the host until one answers or `deadline` has passed.
    pub fn connect(host: &Host, keepalive: &Keepalive, deadline: Instant) -> io::Result<(Socket, Address)> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in host.addresses()? {
            match Socket::open(&address, keepalive, deadline) {
                Ok(socket) => return Ok((socket, address)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    pub fn open(address: &Address, keepalive: &Keepalive, deadline: Instant) -> io::Result<Socket> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
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
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// `None` waits for ever. A timeout shows as `WouldBlock`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(s) => s.set_read_timeout(timeout),
            Socket::Unix(s) => s.set_read_timeout(timeout),
        }
    }

    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(s) => s.set_write_timeout(timeout),
            Socket::Unix(s) => s.set_write_timeout(timeout),
        }
    }

    /// Ends both directions at once: a thread that is blocked in a read of this socket returns.
    pub fn shutdown(&self) {
        // The other side may have gone first; then there is nothing left to shut down.
        let _ = match self {
            Socket::Tcp(s) => s.shutdown(std::net::Shutdown::Both),
            Socket::Unix(s) => s.shutdown(std::net::Shutdown::Both),
        };
    }

    pub fn try_clone(&self) -> io::Result<Socket> {
        match self {
            Socket::Tcp(s) => s.try_clone().map(Socket::Tcp),
            Socket::Unix(s) => s.try_clone().map(Socket::Unix),
        }
    }
}

impl Host {
    fn addresses(&self) -> io::Result<Vec<Address>> {
        match self {
            Host::Tcp { name, port } => Ok((name.as_str(), *port).to_socket_addrs()?.map(Address::Tcp).collect()),
            Host::Unix { directory, port } => Ok(vec![Address::Unix(directory.join(format!(".s.PGSQL.{port}")))]),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => (&*s).read(buf),
            Socket::Unix(s) => (&*s).read(buf),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => (&*s).write(buf),
            Socket::Unix(s) => (&*s).write(buf),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
