//! Clients: from a URL to a connection.
//!
//! Resolves, connects, establishes TLS, says the opening; then the core takes over. One deadline
//! covers it all.

use std::io;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use lastword_kit::{Addresses, ConnectError, Phase, Scheme, Target, fresh, platform_client};
use lastword_proto::handshake::client::{self, Opening};
use lastword_proto::{Agreement, Config, Unconfirmed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::pump::Pump;
use crate::shared::{Keeper, Shared};
use crate::transport::{Plain, Tls, Transport, addresses_of};
use crate::websocket::WebSocket;

/// Connects to a `ws://` or `wss://` URL with default settings. [`Client`] has more.
///
/// # Errors
/// [`ConnectError`]: what failed, and whose fault it was.
///
/// # Cancel safety
/// Dropping the future closes the socket; nothing is left behind.
pub async fn connect(url: impl Into<String>) -> Result<WebSocket, ConnectError> {
    Client::new(url).connect().await
}

/// A connection to be made, with its options.
///
/// ```no_run
/// # async fn example() -> Result<(), lastword::ConnectError> {
/// let ws = lastword::Client::new("wss://example.com/feed")
///     .subprotocol("v2.feed")
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
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
    /// stream of the caller's own.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Keeps what was handed over until it is confirmed, so that it can be sent again.
    pub(crate) fn keep_unconfirmed(mut self) -> Self {
        self.config.unconfirmed = Unconfirmed::Kept;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing is left behind.
    pub async fn connect(self) -> Result<WebSocket, ConnectError> {
        let target = Target::parse(&self.url)?;
        let deadline = Instant::now() + self.config.open_timeout;
        let limit = self.config.open_timeout;
        let late = |phase| move |_| ConnectError::TimedOut { limit, phase };

        let dial = dial(&target.host, target.port);
        let stream = timeout_at(deadline, dial).await.map_err(late(Phase::Connecting))??;
        let addresses = addresses_of(&stream);
        if target.scheme == Scheme::Plain {
            return self.open(target, Box::new(stream), addresses, deadline).await;
        }
        let tls = establish_tls(&target.host, self.tls.clone(), stream);
        let stream = timeout_at(deadline, tls).await.map_err(late(Phase::Tls))??;
        self.open(target, Box::new(stream), addresses, deadline).await
    }

    /// Opens a connection over a stream of the caller's own; the URL gives host and path.
    ///
    /// With a `wss://` URL and a configuration given to [`tls`](Self::tls), TLS is established over
    /// the stream; without one, a stream for `wss://` is taken to be encrypted already.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn connect_over<S>(self, stream: S) -> Result<WebSocket, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let target = Target::parse(&self.url)?;
        let limit = self.config.open_timeout;
        let deadline = Instant::now() + limit;
        let stream = Plain(stream);
        if target.scheme == Scheme::Plain || self.tls.is_none() {
            return self.open(target, Box::new(stream), Addresses::default(), deadline).await;
        }
        let late = |_| ConnectError::TimedOut { limit, phase: Phase::Tls };
        let tls = establish_tls(&target.host, self.tls.clone(), stream);
        let stream = timeout_at(deadline, tls).await.map_err(late)??;
        self.open(target, Box::new(stream), Addresses::default(), deadline).await
    }

    async fn open(
        self,
        target: Target,
        mut transport: Box<dyn Transport>,
        addresses: Addresses,
        deadline: Instant,
    ) -> Result<WebSocket, ConnectError> {
        let limit = self.config.open_timeout;
        let mut options = client::Options::new(target.host_header, target.path);
        options.subprotocols = self.subprotocols;
        options.origin = self.origin;
        options.headers = self.headers;
        let opening = Opening::new(options, &self.config, fresh())?;
        let agreement = timeout_at(deadline, converse(&mut transport, opening))
            .await
            .map_err(|_| ConnectError::TimedOut { limit, phase: Phase::Handshake })??;
        let config = Arc::new(self.config);
        let shared = Shared::new(transport, agreement, addresses, config, Keeper::Pump);
        tokio::spawn(Pump::new(Arc::clone(&shared)));
        Ok(WebSocket::new(shared))
    }
}

/// Writes the request and reads the answer.
async fn converse(
    transport: &mut Box<dyn Transport>,
    mut opening: Opening,
) -> Result<Agreement, ConnectError> {
    transport.write_all(opening.request_bytes()).await.map_err(ConnectError::Lost)?;
    transport.flush().await.map_err(ConnectError::Lost)?;
    let mut buffer = [0; 4096];
    loop {
        match transport.read(&mut buffer).await {
            Ok(0) => return Err(opening.receive_eof().into()),
            Ok(count) => {
                if let Some(agreement) = opening.receive(buffer.get(..count).unwrap_or_default())? {
                    return Ok(agreement);
                }
            }
            Err(error) => return Err(ConnectError::Lost(error)),
        }
    }
}

/// Tries the addresses of a host, one after the other.
async fn dial(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let resolve = |source| ConnectError::Resolve { host: host.to_owned(), source };
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(resolve)?;
    let mut failure = resolve(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Small messages must not wait for the acknowledgement of others.
                stream.set_nodelay(true).map_err(ConnectError::Lost)?;
                return Ok(stream);
            }
            Err(source) => {
                failure = ConnectError::Connect { address: address.to_string(), source };
            }
        }
    }
    Err(failure)
}

async fn establish_tls<S: Transport>(
    host: &str,
    config: Option<Arc<ClientConfig>>,
    stream: S,
) -> Result<Tls<S>, ConnectError> {
    let failed = |source| ConnectError::Tls { host: host.to_owned(), source };
    let config = match config {
        Some(config) => config,
        None => platform_client().map_err(|e| failed(io::Error::other(e)))?,
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(io::Error::other(e)))?;
    TlsConnector::from(config).connect(name, stream).await.map(Tls::new).map_err(failed)
}
