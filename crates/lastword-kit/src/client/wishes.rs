//! What a client was asked for: where to go, through what, whom to trust, what to say. The builders of
//! all drivers fill it in, and mean the same by it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use lastword_dial::{
    Endpoint, Environment, Host, HostAddresses, MAX_REDIRECTS, Proxy, WebSocketUri, without_user,
};
use lastword_proto::{Config, Unconfirmed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::error::ConnectError;
use crate::trust::{ClientTls, Trust};

/// What a client was asked for. Its `Debug` shows neither the user information of the URL nor values of
/// headers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Wishes {
    /// Where to go, as it was given.
    pub url: String,
    /// Limits, timeouts, keepalive and compression.
    pub config: Config,
    /// Headers of the caller's own.
    pub headers: HeaderMap,
    /// `Host`, if not the URL's; another origin that a redirect leads to is called by its own.
    pub host: Option<HeaderValue>,
    /// Subprotocols to offer, the preferred first.
    pub subprotocols: Vec<String>,
    /// `Origin`, as a browser would send it.
    pub origin: Option<HeaderValue>,
    /// How many redirects are followed. With 0, one is a refusal like any other.
    pub max_redirects: usize,
    /// Which proxy to go through.
    pub via: Via,
    /// Where hosts are that nobody looks up; the last one that fits counts.
    pub addresses: Vec<HostAddresses>,
    /// Which address of ours to connect from.
    pub local_address: Option<IpAddr>,
    /// TLS with the server. Whoever trusts others than [`Trust::Platform`] asks for it over streams of the
    /// caller's own, too.
    pub tls: ClientTls,
    /// The name that a server's certificate has to be for, if not the URL's host.
    pub server_name: Option<ServerName<'static>>,
    /// TLS with a proxy of HTTPS.
    pub proxy_tls: ClientTls,
}

/// Which proxy a client goes through.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_enums, reason = "the environment says, or the caller does")]
pub enum Via {
    /// The one that the environment asks for; see [`Environment`].
    #[default]
    Environment,
    /// None.
    Nobody,
    /// This one.
    Proxy(Proxy),
}

/// Whom TLS is to be established with, and how.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    /// Whom we trust, and who we are.
    pub config: Arc<ClientConfig>,
    /// Whom its certificate has to be for.
    pub name: ServerName<'static>,
    host: String,
}

impl Wishes {
    /// To go to `url`, and nothing special.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            config: Config::default(),
            headers: HeaderMap::new(),
            host: None,
            subprotocols: Vec::new(),
            origin: None,
            max_redirects: MAX_REDIRECTS,
            via: Via::default(),
            addresses: Vec::new(),
            local_address: None,
            tls: ClientTls::default(),
            server_name: None,
            proxy_tls: ClientTls::default(),
        }
    }

    /// Adds a header to the request, beside those of the same name; `Host` takes the place of the URL's.
    pub fn header(&mut self, name: HeaderName, value: HeaderValue) {
        if name == HOST {
            self.host = Some(value);
        } else {
            self.headers.append(name, value);
        }
    }

    /// Sends this `User-Agent` instead of ours.
    pub fn user_agent(&mut self, agent: HeaderValue) {
        self.headers.insert(USER_AGENT, agent);
    }

    /// Keeps what was handed over until it is confirmed, so that it can be sent again.
    pub const fn keep_unconfirmed(&mut self) {
        self.config.unconfirmed = Unconfirmed::Kept;
    }

    /// Where to go.
    ///
    /// # Errors
    /// [`ConnectError::Url`].
    pub fn uri(&self) -> Result<WebSocketUri, ConnectError> {
        WebSocketUri::parse(&self.url)
            .map_err(|why| ConnectError::Url { url: without_user(&self.url), why })
    }

    /// When an opening that begins now has to be complete (`Config::open_timeout`).
    pub fn deadline(&self, now: Instant) -> Instant {
        now.checked_add(self.config.open_timeout).unwrap_or_else(|| now + FOR_EVER)
    }

    /// The proxy on the way to `uri`, if there is one.
    ///
    /// # Errors
    /// [`ConnectError::InvalidProxy`] if the environment names one that is none.
    pub fn proxy(&self, uri: &WebSocketUri) -> Result<Option<Proxy>, ConnectError> {
        match &self.via {
            Via::Nobody => Ok(None),
            Via::Proxy(proxy) => Ok(Some(proxy.clone())),
            Via::Environment => {
                let environment = Environment::read(|name| std::env::var(name).ok());
                environment.proxy_for(uri).map_err(ConnectError::InvalidProxy)
            }
        }
    }

    /// The addresses of a server or a proxy, if nobody has to be asked for them: it is an address itself, or
    /// was [given some](Self::addresses).
    pub fn known(&self, endpoint: &Endpoint) -> Option<Vec<SocketAddr>> {
        match &endpoint.host {
            Host::Address(address) => Some(vec![SocketAddr::new(*address, endpoint.port)]),
            Host::Name(_) => self.addresses.iter().rev().find_map(|given| given.of(endpoint)),
        }
    }

    /// Whether TLS is spoken over a stream of the caller's own, if its URL is one of `wss`: somebody was
    /// named who is to be trusted. Otherwise such a stream is taken to be encrypted already.
    pub const fn secures_own_streams(&self) -> bool {
        !matches!(self.tls.trust(), Trust::Platform)
    }

    /// How TLS is established with the server of `uri`.
    ///
    /// # Errors
    /// [`ConnectError::Tls`] if nobody can be trusted so, or the host cannot have a certificate.
    pub fn tls(&self, uri: &WebSocketUri) -> Result<TlsPeer, ConnectError> {
        let name = self.server_name.clone();
        TlsPeer::new(uri.host(), name, &self.tls)
    }

    /// How TLS is established with a proxy of HTTPS.
    ///
    /// # Errors
    /// As [`tls`](Self::tls).
    pub fn proxy_tls(&self, proxy: &Proxy) -> Result<TlsPeer, ConnectError> {
        TlsPeer::new(&proxy.endpoint().host, None, &self.proxy_tls)
    }
}

impl TlsPeer {
    fn new(
        host: &Host,
        name: Option<ServerName<'static>>,
        tls: &ClientTls,
    ) -> Result<Self, ConnectError> {
        let host = host.bare();
        let failed = |source| ConnectError::Tls { host: host.clone(), source };
        let config = tls.config().map_err(|e| failed(io::Error::other(e)))?;
        let name = match name {
            Some(name) => name,
            // A certificate knows no dot at the end of a name.
            None => ServerName::try_from(host.trim_end_matches('.').to_owned())
                .map_err(|e| failed(io::Error::other(e)))?,
        };
        Ok(Self { config, name, host })
    }

    /// A session with it, to be carried over a stream.
    ///
    /// # Errors
    /// [`ConnectError::Tls`] if the configuration contradicts itself.
    pub fn session(self) -> Result<ClientConnection, ConnectError> {
        let Self { config, name, host } = self;
        ClientConnection::new(config, name)
            .map_err(|error| ConnectError::Tls { host, source: io::Error::other(error) })
    }

    /// The name by which errors call it.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wishes")
            .field("url", &without_user(&self.url))
            .field("config", &self.config)
            .field("via", &self.via)
            .field("addresses", &self.addresses)
            .field("local_address", &self.local_address)
            .field("tls", &self.tls)
            .field("server_name", &self.server_name)
            .field("proxy_tls", &self.proxy_tls)
            .finish_non_exhaustive()
    }
}

/// Longer than anybody waits, and not beyond any clock.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 30);
