//! Connections that are being made: sockets that do not wait, so that one thread has several of them under
//! way, with a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use lastword_kit::Addresses;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket as AnySocket, Type};

use crate::socket::{Socket, Until};

/// A connection that is being made.
pub(crate) struct Connecting(AnySocket);

impl Connecting {
    /// Begins to connect to an address, from this one of ours if one is given.
    pub(crate) fn to(address: SocketAddr, local: Option<IpAddr>) -> io::Result<Self> {
        let socket =
            AnySocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(local) = local {
            socket.bind(&SocketAddr::new(local, 0).into())?;
        }
        Self::begin(socket, &address.into())
    }

    /// Begins to connect to a Unix socket. `WouldBlock` if it has too many who wait.
    pub(crate) fn to_path(path: &Path) -> io::Result<Self> {
        Self::begin(AnySocket::new(Domain::UNIX, Type::STREAM, None)?, &SockAddr::unix(path)?)
    }

    fn begin(socket: AnySocket, address: &SockAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        match socket.connect(address) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::INPROGRESS | Errno::INTR)
                ) => {}
            Err(error) => return Err(error),
        }
        Ok(Self(socket))
    }

    /// Whether it stands by now.
    ///
    /// # Errors
    /// It never will.
    pub(crate) fn stands(&self) -> io::Result<bool> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        match self.0.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The socket, which stands, and its addresses.
    pub(crate) fn into_socket(self) -> io::Result<(Socket, Addresses)> {
        let address = |address: io::Result<SockAddr>| address.ok().and_then(|a| a.as_socket());
        let addresses =
            Addresses { local: address(self.0.local_addr()), peer: address(self.0.peer_addr()) };
        Ok((Socket::new(self.0)?, addresses))
    }

    pub(crate) const fn socket(&self) -> &AnySocket {
        &self.0
    }
}

/// Waits until it stands.
pub(crate) fn stand(connecting: Connecting, until: Until<'_>) -> io::Result<Connecting> {
    while !connecting.stands()? {
        until.wait_to_write([connecting.socket()], None)?;
    }
    Ok(connecting)
}
