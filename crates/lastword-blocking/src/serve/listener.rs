//! Sockets that listen, of any family.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use lastword_kit::{BACKLOG, is_of_the_guest};
use socket2::{Domain, SockAddr, Socket, Type};

/// A socket that listens, and does not wait.
#[derive(Debug)]
pub(super) struct Listener(Socket);

impl Listener {
    /// Listens on the first of the addresses that can be listened on.
    pub(super) fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address");
        for address in addresses.to_socket_addrs()? {
            match Self::at(Domain::for_address(address), &address.into()) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Listens on a path.
    pub(super) fn bind_unix(path: &Path) -> io::Result<Self> {
        Self::at(Domain::UNIX, &SockAddr::unix(path)?)
    }

    fn at(domain: Domain, address: &SockAddr) -> io::Result<Self> {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if domain != Domain::UNIX {
            // A server that is started again takes its port back from connections that linger.
            socket.set_reuse_address(true)?;
        }
        socket.bind(address)?;
        socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
        Self::of(socket)
    }

    /// A socket of the caller's own, that listens already.
    pub(super) fn own(socket: OwnedFd) -> io::Result<Self> {
        Self::of(socket.into())
    }

    fn of(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Where it listens, if that is an address of the internet.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        let none = || io::Error::new(io::ErrorKind::Unsupported, "a Unix socket has no address");
        self.0.local_addr()?.as_socket().ok_or_else(none)
    }

    /// The next stream, and whose it is, if its peers have addresses. `WouldBlock` when there is
    /// none.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        loop {
            match self.0.accept() {
                Ok((stream, peer)) => return Ok((stream.into(), peer.as_socket())),
                // One that left before we came to the door; the next may be behind it.
                Err(error) if is_of_the_guest(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
