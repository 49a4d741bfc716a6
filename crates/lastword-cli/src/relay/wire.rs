//! The two streams of a connection: TCP from the client, TCP or TLS to the target. A client of the library
//! would hide the socket, and a socket is what is reset and cut here.

use std::net::SocketAddr;
use std::time::Duration;

use lastword::dial::{Endpoint, Scheme, WebSocketUri, interleave};
use lastword::{ConnectError, Phase};
use lastword_kit::{Attempt, TlsPeer, Wishes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A stream over TCP, whatever is spoken in it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&mut self) -> &mut TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&mut self) -> &mut TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }
}

/// How the target is reached.
pub(super) struct Way {
    endpoint: Endpoint,
    /// Where it is, if nobody has to be asked.
    known: Option<Vec<SocketAddr>>,
    tls: Option<TlsPeer>,
    limit: Duration,
}

impl Way {
    /// To `target`, as `wishes` say.
    pub(super) fn new(target: &WebSocketUri, wishes: &Wishes) -> Result<Self, ConnectError> {
        let tls = match target.scheme() {
            Scheme::Ws => None,
            Scheme::Wss => Some(wishes.tls(target)?),
        };
        let (endpoint, limit) = (target.endpoint().clone(), wishes.config.open_timeout);
        Ok(Self { known: wishes.known(&endpoint), endpoint, tls, limit })
    }

    /// Goes there.
    pub(super) async fn connect(&self) -> Result<Box<dyn Wire>, ConnectError> {
        let deadline = Instant::now() + self.limit;
        let late = |phase| ConnectError::TimedOut { limit: self.limit, phase };
        let found = timeout_at(deadline, self.resolve());
        let found = found.await.map_err(|_| late(Phase::Resolving))??;
        let tcp = timeout_at(deadline, self.reach(found));
        let tcp = tcp.await.map_err(|_| late(Phase::Connecting))??;
        // What comes in one piece goes on in one, and at once.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return Ok(Box::new(tcp)) };
        let host = tls.host().to_owned();
        let secured = timeout_at(deadline, TlsConnector::from(tls.config).connect(tls.name, tcp));
        match secured.await.map_err(|_| late(Phase::Tls))? {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(ConnectError::Tls { host, source }),
        }
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let Endpoint { host, port } = &self.endpoint;
        let found = lookup_host((host.bare(), *port)).await;
        Ok(found.map_err(|source| ConnectError::unresolved(host, source))?.collect())
    }

    /// The first address that answers.
    async fn reach(&self, found: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
        let mut failed = Vec::new();
        for address in interleave(found) {
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failed.push(Attempt { address, error }),
            }
        }
        Err(ConnectError::unreachable(&self.endpoint.host, failed))
    }
}

/// Resets the connection (RST).
pub(super) fn reset(wire: &mut dyn Wire) {
    // A socket that is gone needs no more.
    let _ = wire.tcp().set_zero_linger();
}

/// Ends the stream (FIN), TLS without a word, and waits a little for the other side to do so, too: closed
/// with bytes unread, it would be reset.
pub(super) async fn cut(wire: &mut dyn Wire) {
    let tcp = wire.tcp();
    let _ = tcp.shutdown().await;
    let mut nowhere = [0; 4096];
    let rest = async { while tcp.read(&mut nowhere).await.is_ok_and(|size| size > 0) {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// How long an end is waited for.
const LINGER: Duration = Duration::from_secs(2);
