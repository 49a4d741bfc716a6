//! Sockets that listen.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again takes its port back from connections that linger. On Windows
    // the option means something else: to share the port with whoever holds it.
    socket.set_reuseaddr(cfg!(not(windows)))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether accepting failed because of the one connection that was to be accepted: on some systems
/// one that was reset while it waited is told like this.
pub(super) fn is_of_the_guest(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How many connections may wait to be accepted; the kernel has a limit of its own, too. With the 128
/// of the standard library a burst that comes while all threads are busy is dropped without a word,
/// and tries again after a second.
const BACKLOG: u32 = 4096;
