//! Clients: from a URL to a connection.
//!
//! Finds the way, says the opening, and follows redirects; then the core takes over. One deadline
//! covers it all. What can be decided without I/O is decided in `lastword-kit` and `lastword-dial`.

mod by_hand;
mod race;
mod way;

use std::fmt;
use std::net::IpAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use lastword_dial::{HostAddresses, Proxy};
use lastword_kit::{Addresses, ConnectError, Identity, Journey, Phase, Trust, Via, Wishes};
use lastword_proto::handshake::client::Opening;
use lastword_proto::{Agreement, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::pump::Pump;
use crate::shared::{Keeper, Shared};
use crate::transport::{Plain, Transport};
use crate::websocket::WebSocket;
use way::Patience;

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
    wishes: Wishes,
}

impl Client {
    /// A connection to `url`, with default settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self { wishes: Wishes::new(url) }
    }

    /// Limits, timeouts, keepalive and compression.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.wishes.config = config;
        self
    }

    /// Adds a header to the request. `Host` takes the place of the URL's, until a redirect leads to another
    /// origin.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.wishes.header(name, value);
        self
    }

    /// Offers a subprotocol; the first offered is the preferred.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.wishes.subprotocols.push(name.into());
        self
    }

    /// Sends an `Origin`, as a browser would.
    #[must_use]
    pub fn origin(mut self, origin: HeaderValue) -> Self {
        self.wishes.origin = Some(origin);
        self
    }

    /// Sends this `User-Agent` instead of ours.
    #[must_use]
    pub fn user_agent(mut self, agent: HeaderValue) -> Self {
        self.wishes.user_agent(agent);
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
        self.wishes.max_redirects = limit;
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
        self.wishes.via = Via::Proxy(proxy);
        self
    }

    /// Goes through no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.wishes.via = Via::Nobody;
        self
    }

    /// Goes through the proxy that the environment asks for, as by default: `ws_proxy`, `http_proxy`,
    /// `all_proxy` for `ws`, `wss_proxy`, `https_proxy`, `all_proxy` for `wss`, but to those that
    /// `no_proxy` lists, and to this host itself, directly. See
    /// [`Environment`](lastword_dial::Environment).
    #[must_use]
    pub fn proxy_from_environment(mut self) -> Self {
        self.wishes.via = Via::Environment;
        self
    }

    /// Uses this configuration of TLS with a proxy of HTTPS, instead of the platform's roots.
    #[must_use]
    pub fn proxy_tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.wishes.proxy_tls.trusting(Trust::Own(config));
        self
    }

    /// Connects to these addresses of a host instead of looking its name up: servers, and proxies. A proxy
    /// is asked for the address, too, instead of the name. All else keeps to the name: `Host`, SNI, and
    /// whose certificate is accepted. Of several for one host, the last one counts.
    ///
    /// ```
    /// # fn example() -> Result<(), lastword::InvalidHostAddresses> {
    /// use std::net::Ipv4Addr;
    /// use lastword::{Client, HostAddresses};
    ///
    /// let staging = HostAddresses::new("example.com", [Ipv4Addr::new(192, 0, 2, 7).into()])?;
    /// let client = Client::new("wss://example.com/").resolve(staging);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn resolve(mut self, addresses: HostAddresses) -> Self {
        self.wishes.addresses.push(addresses);
        self
    }

    /// Connects from this address of ours; addresses of the other family are not reached then.
    #[must_use]
    pub const fn local_address(mut self, address: IpAddr) -> Self {
        self.wishes.local_address = Some(address);
        self
    }

    /// Uses this configuration of TLS for `wss://`, instead of the platform's roots; also over a
    /// stream of the caller's own.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.wishes.tls.trusting(Trust::Own(config));
        self
    }

    /// Trusts the roots that Mozilla trusts, instead of the platform's: the same on every machine, but
    /// only as new as this program.
    #[must_use]
    pub fn tls_webpki_roots(mut self) -> Self {
        self.wishes.tls.trusting(Trust::Webpki);
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
        self.wishes.tls.being(Identity::new(chain, key));
        self
    }

    /// Verifies that the certificate is for this name, and sends it as SNI, instead of the URL's host.
    #[must_use]
    pub fn tls_server_name(mut self, name: ServerName<'static>) -> Self {
        self.wishes.server_name = Some(name);
        self
    }

    /// Accepts any certificate of the server, from anybody. **Whoever is on the way can then read and
    /// change all that is said.** For tests; a certificate of your own is trusted by a configuration
    /// with its root, given to [`tls`](Self::tls). Proxies are verified all the same.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.wishes.tls.trusting(Trust::Anybody);
        self
    }

    /// Keeps what was handed over until it is confirmed, so that it can be sent again.
    pub(crate) const fn keep_unconfirmed(&mut self) {
        self.wishes.keep_unconfirmed();
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing is left behind.
    pub async fn connect(self) -> Result<WebSocket, ConnectError> {
        let patience = Patience::of(&self.wishes);
        let mut journey = Journey::begin(&self.wishes)?;
        loop {
            let (transport, addresses) = way::go(&self.wishes, journey.uri(), patience).await?;
            match self.open(journey.opening()?, transport, addresses, patience).await {
                Err(failed) => journey.follow(failed)?,
                opened => return opened,
            }
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
        let patience = Patience::of(&self.wishes);
        let journey = Journey::begin(&self.wishes)?;
        let transport = way::go_unix(&self.wishes, journey.uri(), path.as_ref(), patience).await?;
        self.open_here(&journey, transport, patience).await
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
        let patience = Patience::of(&self.wishes);
        let journey = Journey::begin(&self.wishes)?;
        let stream = Plain(stream);
        let transport: Box<dyn Transport> = if self.wishes.secures_own_streams() {
            way::secure(&self.wishes, journey.uri(), stream, patience).await?
        } else {
            Box::new(stream)
        };
        self.open_here(&journey, transport, patience).await
    }

    /// Opens over a stream that leads to one place only.
    async fn open_here(
        &self,
        journey: &Journey<'_>,
        transport: Box<dyn Transport>,
        patience: Patience,
    ) -> Result<WebSocket, ConnectError> {
        let opened = self.open(journey.opening()?, transport, Addresses::default(), patience).await;
        opened.map_err(|failed| journey.stay(failed))
    }

    async fn open(
        &self,
        mut opening: Opening,
        mut transport: Box<dyn Transport>,
        addresses: Addresses,
        patience: Patience,
    ) -> Result<WebSocket, ConnectError> {
        let talk = converse(&mut transport, &mut opening);
        let talked = patience.within(Phase::Handshake, talk).await;
        // A refusal is one, however its body ends.
        let agreement = talked.map_err(|failed| opening.refused().map_or(failed, Into::into))?;
        let config = Arc::new(self.wishes.config.clone());
        let shared = Shared::new(transport, agreement, addresses, config, Keeper::Pump);
        tokio::spawn(Pump::new(Arc::clone(&shared)));
        Ok(WebSocket::new(shared))
    }
}

/// Without the URL's user information, and without values of headers.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("wishes", &self.wishes).finish()
    }
}

/// Writes the request and reads the answer.
async fn converse(
    transport: &mut Box<dyn Transport>,
    opening: &mut Opening,
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
            Err(error) => return Err(ConnectError::lost(error)),
        }
    }
}
