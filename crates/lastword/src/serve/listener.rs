//! Sockets that listen, and what each accepted stream is given before anything is read from it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::{Context, Poll};

#[cfg(unix)]
use lastword_kit::SocketFile;
use lastword_kit::{Addresses, Kind, ListeningSocket, is_of_the_guest};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::stream::Stream;

/// The sockets of one thread.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Which is asked first: each in its turn, so that none has to wait for a busy one.
    turn: usize,
}

/// A socket that listens.
#[derive(Debug)]
struct Listener {
    socket: Socket,
    /// Our address of each stream; `None` if each has its own, since all addresses are listened on.
    local: Option<SocketAddr>,
    /// Whether streams come with the listener's `TCP_NODELAY`, as they do on Linux: known when one
    /// was asked.
    nodelay_comes: OnceLock<bool>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, #[expect(dead_code, reason = "it goes with us")] Option<Arc<SocketFile>>),
}

impl Listeners {
    /// These, in the runtime of this thread.
    pub(super) fn new(sockets: Vec<ListeningSocket>) -> io::Result<Self> {
        let all = sockets.into_iter().map(Listener::new).collect::<io::Result<_>>()?;
        Ok(Self { all, turn: 0 })
    }

    /// The next stream and whose it is; or what it failed with when it was made ready, and whose it was.
    ///
    /// # Errors
    /// When nothing can be accepted.
    pub(super) async fn accept(&mut self) -> io::Result<(Addresses, io::Result<Stream>)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Addresses, io::Result<Stream>)>> {
        let count = self.all.len();
        for asked in 0..count {
            let index = (self.turn + asked) % count;
            let Some(listener) = self.all.get(index) else { continue };
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                self.turn = index + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

impl Listener {
    fn new(socket: ListeningSocket) -> io::Result<Self> {
        let socket = match socket.into_kind() {
            Kind::Tcp(socket) => Socket::Tcp(TcpListener::from_std(socket)?),
            #[cfg(unix)]
            Kind::Unix(socket, file) => Socket::Unix(UnixListener::from_std(socket)?, file),
        };
        let local = match &socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(..) => None,
        };
        let local = local.filter(|address| !address.ip().is_unspecified());
        Ok(Self { socket, local, nodelay_comes: OnceLock::new() })
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Addresses, io::Result<Stream>)>> {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(socket) => std::task::ready!(socket.poll_accept(cx))
                    .map(|(stream, peer)| (Stream::Tcp(stream), Some(peer))),
                #[cfg(unix)]
                Socket::Unix(socket, _) => std::task::ready!(socket.poll_accept(cx))
                    .map(|(stream, _)| (Stream::Unix(stream), None)),
            };
            match accepted {
                // One that left before we came to the door; the next may be behind it.
                Err(error) if is_of_the_guest(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((stream, peer)) => return Poll::Ready(Ok(self.prepare(stream, peer))),
            }
        }
    }

    /// Makes a stream ready for small messages, which must not wait for the acknowledgement of
    /// others. The kernel is asked only what is not known already.
    fn prepare(&self, stream: Stream, peer: Option<SocketAddr>) -> (Addresses, io::Result<Stream>) {
        let mut addresses = Addresses { local: self.local, peer };
        let ready = match &stream {
            Stream::Tcp(stream) => {
                addresses.local = self.local.or_else(|| stream.local_addr().ok());
                let comes = self.nodelay_comes.get_or_init(|| stream.nodelay().unwrap_or_default());
                if *comes { Ok(()) } else { stream.set_nodelay(true) }
            }
            #[cfg(unix)]
            Stream::Unix(_) => Ok(()),
        };
        (addresses, ready.map(|()| stream))
    }
}
