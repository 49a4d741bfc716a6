//! Sockets that listen, and what each accepted stream is given before anything is read from it.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use lastword_kit::Addresses;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    /// Our address of each stream; `None` if each has its own, since all addresses are listened on.
    local: Option<SocketAddr>,
    /// Whether streams come with the listener's `TCP_NODELAY`, as they do on Linux: known when one
    /// was asked.
    nodelay_comes: OnceLock<bool>,
}

impl Listener {
    pub(super) fn new(socket: TcpListener) -> Self {
        let local = socket.local_addr().ok().filter(|address| !address.ip().is_unspecified());
        Self { socket, local, nodelay_comes: OnceLock::new() }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next stream, and whose it is.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.socket.accept().await {
                // One that left before we came to the door; the next may be behind it.
                Err(error) if is_of_the_guest(&error) => {}
                accepted => return accepted,
            }
        }
    }

    /// Makes a stream ready for small messages, which must not wait for the acknowledgement of
    /// others. The kernel is asked only what is not known already.
    pub(super) fn prepare(&self, stream: &TcpStream, peer: SocketAddr) -> io::Result<Addresses> {
        if !self.nodelay_comes.get_or_init(|| stream.nodelay().unwrap_or_default()) {
            stream.set_nodelay(true)?;
        }
        let local = self.local.or_else(|| stream.local_addr().ok());
        Ok(Addresses { local, peer: Some(peer) })
    }
}

/// Listens on an address.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

/// Sockets for `count` threads that listen on the same address. Linux spreads connections over them;
/// where that is not so, they are one socket that all threads accept from.
pub(super) fn listen_together(
    address: SocketAddr,
    count: NonZeroUsize,
) -> io::Result<Vec<std::net::TcpListener>> {
    let first = bind(address)?;
    // Only now: whoever has this port to himself keeps it, and we are told.
    spread(&first)?;
    let first = first.listen(BACKLOG)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first.into_std()?];
    while sockets.len() < count.get() {
        sockets.push(another(&sockets, address)?);
    }
    Ok(sockets)
}

/// The caller's own socket, for `count` threads that all accept from it.
pub(super) fn share(
    listener: std::net::TcpListener,
    count: NonZeroUsize,
) -> io::Result<Vec<std::net::TcpListener>> {
    let clones = (1..count.get()).map(|_| listener.try_clone());
    let mut sockets = clones.collect::<io::Result<Vec<_>>>()?;
    sockets.push(listener);
    Ok(sockets)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn spread(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn another(
    _sockets: &[std::net::TcpListener],
    address: SocketAddr,
) -> io::Result<std::net::TcpListener> {
    let socket = new_socket(address)?;
    spread(&socket)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

// Elsewhere the option is absent, or the last socket takes all.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn spread(_socket: &TcpSocket) -> io::Result<()> {
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn another(
    sockets: &[std::net::TcpListener],
    _address: SocketAddr,
) -> io::Result<std::net::TcpListener> {
    let first = sockets.first().ok_or(io::ErrorKind::NotFound)?;
    first.try_clone()
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = new_socket(address)?;
    socket.bind(address)?;
    Ok(socket)
}

fn new_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again takes its port back from connections that linger. On Windows
    // the option means something else: to share the port with whoever holds it.
    socket.set_reuseaddr(cfg!(not(windows)))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Whether accepting failed because of the one connection that was to be accepted: on some systems
/// one that was reset while it waited is told like this.
fn is_of_the_guest(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How many connections may wait to be accepted; the kernel has a limit of its own, too. With the 128
/// of the standard library a burst that comes while all threads are busy is dropped without a word,
/// and tries again after a second.
const BACKLOG: u32 = 4096;
