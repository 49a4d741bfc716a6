//! Clients: from a URL to a connection.
//!
//! Resolves, connects, establishes TLS, says the opening; then the core takes over. One deadline
//! covers all of it but the resolver, which knows none.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use lastword_dial::{Endpoint, Scheme, WebSocketUri, without_user};
use lastword_kit::rustls::pki_types::ServerName;
use lastword_kit::rustls::{ClientConfig, ClientConnection};
use lastword_kit::{Addresses, Attempt, ConnectError, Phase, fresh, platform_client};
use lastword_proto::Config;
use lastword_proto::handshake::client::{self, Opening};

use crate::pump;
use crate::shared::Shared;
use crate::socket::{Socket, now};
use crate::stream::Stream;
use crate::websocket::WebSocket;

/// Connects to a `ws://` or `wss://` URL with default settings. [`Client`] has more.
///
/// # Errors
/// [`ConnectError`]: what failed, and whose fault it was.
pub fn connect(url: impl Into<String>) -> Result<WebSocket, ConnectError> {
    Client::new(url).connect()
}

/// A connection to be made, with its options.
///
/// ```no_run
/// # fn example() -> Result<(), lastword_blocking::ConnectError> {
/// let ws = lastword_blocking::Client::new("wss://example.com/feed")
///     .subprotocol("v2.feed")
///     .connect()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    url: String,
    config: Config,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    origin: Option<HeaderValue>,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// A connection to `url`, with default settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            config: Config::default(),
            headers: HeaderMap::new(),
            subprotocols: Vec::new(),
            origin: None,
            tls: None,
        }
    }

    /// Limits, timeouts, keepalive and compression.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Offers a subprotocol; the first offered is the preferred.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Sends an `Origin`, as a browser would.
    #[must_use]
    pub fn origin(mut self, origin: HeaderValue) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Uses this configuration of TLS for `wss://`, instead of the platform's roots; also over a
    /// socket of the caller's own.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    pub fn connect(self) -> Result<WebSocket, ConnectError> {
        let uri = self.uri()?;
        let deadline = self.deadline();
        let (stream, addresses) = self.dial(uri.endpoint(), deadline)?;
        let stream = match uri.scheme() {
            Scheme::Ws => stream,
            Scheme::Wss => self.secure(&uri, stream, deadline)?,
        };
        self.open(&uri, stream, addresses, deadline)
    }

    /// Opens a connection over a socket of the caller's own; the URL gives host and path.
    ///
    /// With a `wss://` URL and a configuration given to [`tls`](Self::tls), TLS is established over
    /// the socket; without one, a socket for `wss://` is taken to be encrypted already.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    pub fn connect_over(self, socket: impl Into<OwnedFd>) -> Result<WebSocket, ConnectError> {
        let uri = self.uri()?;
        let deadline = self.deadline();
        let mut stream = Stream::plain(Socket::new(socket).map_err(ConnectError::Lost)?);
        if uri.scheme() == Scheme::Wss && self.tls.is_some() {
            stream = self.secure(&uri, stream, deadline)?;
        }
        self.open(&uri, stream, Addresses::default(), deadline)
    }

    fn uri(&self) -> Result<WebSocketUri, ConnectError> {
        WebSocketUri::parse(&self.url)
            .map_err(|why| ConnectError::Url { url: without_user(&self.url), why })
    }

    fn deadline(&self) -> Instant {
        now() + self.config.open_timeout
    }

    /// Tries the addresses of a host, one after the other.
    fn dial(
        &self,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<(Stream, Addresses), ConnectError> {
        let limit = self.config.open_timeout;
        let late = || ConnectError::TimedOut { limit, phase: Phase::Connecting };
        let host = endpoint.host.bare();
        let unresolved = |source| ConnectError::Resolve { host: host.clone(), source };
        let found = (host.as_str(), endpoint.port).to_socket_addrs().map_err(unresolved)?;
        let mut failed: Vec<Attempt> = Vec::new();
        for address in found {
            let left = deadline.saturating_duration_since(now());
            if left == Duration::ZERO {
                return Err(late());
            }
            let connected = TcpStream::connect_timeout(&address, left).and_then(|stream| {
                let local = stream.local_addr().ok();
                let addresses = Addresses { local, peer: Some(address) };
                Ok((Stream::plain(Socket::new(stream)?), addresses))
            });
            match connected {
                Ok(connected) => return Ok(connected),
                Err(error) if error.kind() == io::ErrorKind::TimedOut && now() >= deadline => {
                    return Err(late());
                }
                Err(error) => failed.push(Attempt { address, error }),
            }
        }
        Err(match failed.pop() {
            Some(Attempt { address, error }) => ConnectError::Connect {
                address: address.to_string(),
                source: error,
                before: failed,
            },
            None => unresolved(io::Error::new(io::ErrorKind::NotFound, "no address")),
        })
    }

    fn secure(
        &self,
        uri: &WebSocketUri,
        stream: Stream,
        deadline: Instant,
    ) -> Result<Stream, ConnectError> {
        let host = uri.host().bare();
        let failed = |source| ConnectError::Tls { host: host.clone(), source };
        let other = |error| failed(io::Error::other(error));
        let config = self.tls.clone().map_or_else(platform_client, Ok).map_err(other)?;
        // A certificate knows no dot at the end of a name.
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|error| failed(io::Error::other(error)))?;
        let session = ClientConnection::new(config, name).map_err(other)?;
        let mut stream = stream.under(session.into());
        stream.establish(deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                ConnectError::TimedOut { limit: self.config.open_timeout, phase: Phase::Tls }
            }
            _ => failed(error),
        })?;
        Ok(stream)
    }

    fn open(
        self,
        uri: &WebSocketUri,
        mut stream: Stream,
        addresses: Addresses,
        deadline: Instant,
    ) -> Result<WebSocket, ConnectError> {
        let limit = self.config.open_timeout;
        let late = |phase| ConnectError::TimedOut { limit, phase };
        let mut options = client::Options::new(uri.host_header(), uri.path().clone());
        options.subprotocols = self.subprotocols;
        options.origin = self.origin;
        options.headers = self.headers;
        if let Some(credentials) = uri.credentials() {
            // What the caller set is meant so.
            options.headers.entry(AUTHORIZATION).or_insert_with(|| credentials.basic());
        }
        let mut opening = Opening::new(options, &self.config, fresh())?;
        let lost = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut => late(Phase::Handshake),
            _ => ConnectError::Lost(error),
        };
        stream.write_all(opening.request_bytes(), deadline).map_err(lost)?;
        let mut buffer = [0; READ];
        let agreement = loop {
            match stream.read_until(&mut buffer, deadline).map_err(lost)? {
                0 => return Err(opening.receive_eof().into()),
                count => {
                    let read = buffer.get(..count).unwrap_or_default();
                    if let Some(agreement) = opening.receive(read)? {
                        break agreement;
                    }
                }
            }
        };
        let shared = Shared::new(stream, agreement, addresses, Arc::new(self.config));
        let shared = shared.map_err(ConnectError::Lost)?;
        pump::start(&shared, |_, _| ()).map_err(ConnectError::Lost)?;
        Ok(WebSocket::new(shared))
    }
}

/// Without the URL's user information, and without values of headers.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &without_user(&self.url))
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// How much of an answer is read at once.
const READ: usize = 4096;
