//! Clients: from a URL to a connection.
//!
//! Finds the way, says the opening, and follows redirects; then the core takes over. One deadline
//! covers it all. What can be decided without I/O is decided in `lastword-dial`.

mod by_hand;
mod race;
mod way;

use std::fmt;
use std::net::IpAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use lastword_dial::{
    MAX_REDIRECTS, Proxy, RedirectRefused, Redirects, WebSocketUri, strip_credentials, without_user,
};
use lastword_kit::{Addresses, ConnectError, Phase};
use lastword_proto::handshake::client::{self, Opening};
use lastword_proto::{Agreement, Config, Unconfirmed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::pump::Pump;
use crate::shared::{Keeper, Shared};
use crate::tls::{Identity, Trust};
use crate::transport::{Plain, Transport};
use crate::websocket::WebSocket;
use way::{Patience, Via, Way};

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
///
/// By default a client goes through the proxy that the environment asks for
/// ([`proxy_from_environment`](Self::proxy_from_environment)), trusts whom the platform trusts, and
/// follows 10 redirects. User information in the URL is sent as Basic credentials. Cookies are a
/// header like any other, and the caller's to keep.
#[derive(Clone)]
pub struct Client {
    url: String,
    config: Config,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    origin: Option<HeaderValue>,
    max_redirects: usize,
    way: Way,
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
            max_redirects: MAX_REDIRECTS,
            way: Way::default(),
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

    /// Sends this `User-Agent` instead of ours.
    #[must_use]
    pub fn user_agent(mut self, agent: HeaderValue) -> Self {
        self.headers.insert(USER_AGENT, agent);
        self
    }

    /// Follows at most so many redirects; 10 by default. With 0, a redirect is a refusal like any
    /// other.
    ///
    /// None is followed from `wss` to `ws`. To another origin (scheme, host and port) go neither the
    /// user information of the URL, nor `Authorization`, `Cookie`, `Proxy-Authorization`, nor any
    /// header whose value [is sensitive](HeaderValue::set_sensitive).
    #[must_use]
    pub const fn max_redirects(mut self, limit: usize) -> Self {
        self.max_redirects = limit;
        self
    }

    /// Goes through this proxy, whatever the environment says.
    ///
    /// ```
    /// # fn example() -> Result<(), lastword::InvalidProxy> {
    /// let proxy = lastword::Proxy::parse("socks5h://user:secret@proxy.example")?;
    /// let client = lastword::Client::new("wss://example.com/").proxy(proxy);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.way.via = Via::Proxy(proxy);
        self
    }

    /// Goes through no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.way.via = Via::Nobody;
        self
    }

    /// Goes through the proxy that the environment asks for, as by default: `ws_proxy`, `http_proxy`,
    /// `all_proxy` for `ws`, `wss_proxy`, `https_proxy`, `all_proxy` for `wss`, but to those that
    /// `no_proxy` lists, and to this host itself, directly. See
    /// [`Environment`](lastword_dial::Environment).
    #[must_use]
    pub fn proxy_from_environment(mut self) -> Self {
        self.way.via = Via::Environment;
        self
    }

    /// Uses this configuration of TLS with a proxy of HTTPS, instead of the platform's roots.
    #[must_use]
    pub fn proxy_tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.way.proxy_trust = Trust::Own(config);
        self
    }

    /// Connects from this address of ours; addresses of the other family are not reached then.
    #[must_use]
    pub const fn local_address(mut self, address: IpAddr) -> Self {
        self.way.local_address = Some(address);
        self
    }

    /// Uses this configuration of TLS for `wss://`, instead of the platform's roots; also over a
    /// stream of the caller's own.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.way.trust = Trust::Own(config);
        self
    }

    /// Trusts the roots that Mozilla trusts, instead of the platform's: the same on every machine, but
    /// only as new as this program.
    #[must_use]
    pub fn tls_webpki_roots(mut self) -> Self {
        self.way.trust = Trust::Webpki;
        self
    }

    /// Shows this certificate, the first of its `chain`, to servers that ask for one. A configuration
    /// given to [`tls`](Self::tls) has its own, and is not changed by this.
    #[must_use]
    pub fn tls_client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.way.identity = Some(Arc::new(Identity { chain, key }));
        self
    }

    /// Verifies that the certificate is for this name, and sends it as SNI, instead of the URL's host.
    #[must_use]
    pub fn tls_server_name(mut self, name: ServerName<'static>) -> Self {
        self.way.server_name = Some(name);
        self
    }

    /// Accepts any certificate of the server, from anybody. **Whoever is on the way can then read and
    /// change all that is said.** For tests; a certificate of your own is trusted by a configuration
    /// with its root, given to [`tls`](Self::tls). Proxies are verified all the same.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.way.trust = Trust::Anybody;
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
        let mut uri = self.uri()?;
        let mut headers = self.headers.clone();
        let patience = Patience::new(self.config.open_timeout);
        let mut redirects = Redirects::at_most(self.max_redirects);
        loop {
            let (transport, addresses) = self.way.go(&uri, patience).await?;
            let refused = match self.open(&uri, &headers, transport, addresses, patience).await {
                Err(ConnectError::Handshake(client::Error::Refused(response)))
                    if self.max_redirects > 0 =>
                {
                    response
                }
                other => return other,
            };
            let Some(to) = redirects.follow(&uri, refused.status(), refused.headers())? else {
                return Err(client::Error::Refused(refused).into());
            };
            if !to.is_same_origin(&uri) {
                strip_credentials(&mut headers);
            }
            uri = to;
        }
    }

    /// Connects over a Unix socket; the URL gives host and path. `wss://` is TLS over it. No proxy is
    /// used, and no redirect followed.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing is left behind.
    #[cfg(unix)]
    pub async fn connect_unix(self, path: impl AsRef<Path>) -> Result<WebSocket, ConnectError> {
        let uri = self.uri()?;
        let patience = Patience::new(self.config.open_timeout);
        let path = path.as_ref();
        let failed = |source| ConnectError::Unix { path: path.to_owned(), source };
        let connecting = async { tokio::net::UnixStream::connect(path).await.map_err(failed) };
        let stream = patience.within(Phase::Connecting, connecting).await?;
        let transport = self.way.secure(&uri, stream, patience).await?;
        self.open_here(&uri, transport, patience).await
    }

    /// Opens a connection over a stream of the caller's own; the URL gives host and path. No redirect
    /// is followed.
    ///
    /// With a `wss://` URL and a configuration given to [`tls`](Self::tls), or another choice of whom
    /// to trust, TLS is established over the stream; without one, a stream for `wss://` is taken to be
    /// encrypted already.
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
        let uri = self.uri()?;
        let patience = Patience::new(self.config.open_timeout);
        let stream = Plain(stream);
        let transport: Box<dyn Transport> = match self.way.trust {
            Trust::Platform => Box::new(stream),
            _ => self.way.secure(&uri, stream, patience).await?,
        };
        self.open_here(&uri, transport, patience).await
    }

    fn uri(&self) -> Result<WebSocketUri, ConnectError> {
        WebSocketUri::parse(&self.url)
            .map_err(|why| ConnectError::Url { url: without_user(&self.url), why })
    }

    /// Opens over a stream that leads to one place only.
    async fn open_here(
        self,
        uri: &WebSocketUri,
        transport: Box<dyn Transport>,
        patience: Patience,
    ) -> Result<WebSocket, ConnectError> {
        let addresses = Addresses::default();
        let opened = self.open(uri, &self.headers, transport, addresses, patience).await;
        if let Err(ConnectError::Handshake(client::Error::Refused(response))) = &opened
            && self.max_redirects > 0
            && let Some(to) =
                Redirects::at_most(1).follow(uri, response.status(), response.headers())?
        {
            return Err(RedirectRefused::OwnStream { to: Box::new(to) }.into());
        }
        opened
    }

    async fn open(
        &self,
        uri: &WebSocketUri,
        headers: &HeaderMap,
        mut transport: Box<dyn Transport>,
        addresses: Addresses,
        patience: Patience,
    ) -> Result<WebSocket, ConnectError> {
        let options = self.options_for(uri, headers);
        let opening = Opening::new(options, &self.config, lastword_kit::fresh())?;
        let talk = converse(&mut transport, opening);
        let agreement = patience.within(Phase::Handshake, talk).await?;
        let config = Arc::new(self.config.clone());
        let shared = Shared::new(transport, agreement, addresses, config, Keeper::Pump);
        tokio::spawn(Pump::new(Arc::clone(&shared)));
        Ok(WebSocket::new(shared))
    }
}

/// Without the URL's user information, and without values of headers.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &without_user(&self.url))
            .field("config", &self.config)
            .field("way", &self.way)
            .finish_non_exhaustive()
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
