//! Sockets that listen, of any family: who knocks at which, and is let in in turn.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use lastword_kit::{Kind, ListeningSocket, SocketFile, is_of_the_guest};
use socket2::Socket;

/// All sockets that a server listens on.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Which is asked first: each in its turn, so that none has to wait for a busy one.
    turn: usize,
}

/// A socket that listens, and does not wait.
#[derive(Debug)]
struct Listener {
    socket: Socket,
    #[expect(dead_code, reason = "it goes with us")]
    file: Option<Arc<SocketFile>>,
}

impl Listeners {
    /// These.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub(super) fn new(sockets: Vec<ListeningSocket>) -> io::Result<Self> {
        let all = sockets.into_iter().map(|socket| {
            let (socket, file) = match socket.into_kind() {
                Kind::Tcp(socket) => (socket.into(), None),
                Kind::Unix(socket, file) => (socket.into(), file),
            };
            Listener::new(socket, file)
        });
        Ok(Self { all: all.collect::<io::Result<_>>()?, turn: 0 })
    }

    /// A socket of the caller's own, that listens already.
    pub(super) fn own(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { all: vec![Listener::new(socket.into(), None)?], turn: 0 })
    }

    /// Where it listens, as far as those are addresses of the internet.
    pub(super) fn local_addrs(&self) -> Vec<SocketAddr> {
        let addresses = self.all.iter().filter_map(|one| one.socket.local_addr().ok());
        addresses.filter_map(|address| address.as_socket()).collect()
    }

    /// To wait at.
    pub(super) fn doors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().map(|listener| listener.socket.as_fd())
    }

    /// The next stream, and whose it is, if its peers have addresses. `WouldBlock` when there is
    /// none.
    pub(super) fn accept(&mut self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        let count = self.all.len();
        for asked in 0..count {
            let index = (self.turn + asked) % count;
            let Some(listener) = self.all.get(index) else { continue };
            match listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => {
                    self.turn = index + 1;
                    return accepted;
                }
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Listener {
    fn new(socket: Socket, file: Option<Arc<SocketFile>>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, file })
    }

    fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        loop {
            match self.socket.accept() {
                Ok((stream, peer)) => return Ok((stream.into(), peer.as_socket())),
                // One that left before we came to the door; the next may be behind it.
                Err(error) if is_of_the_guest(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
