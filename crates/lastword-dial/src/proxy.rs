//! What is between client and server: which protocol it speaks, where it is, and who we are to it.

use core::net::SocketAddr;
use std::fmt;

use crate::authority::{Authority, Wrong};
use crate::credentials::Credentials;
use crate::host::{Endpoint, Host};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// `http`: `CONNECT`, in plain text (RFC 9110 section 9.3.6). Port 80 if none is named.
    Http,
    /// `https`: `CONNECT`, over TLS with the proxy. Port 443 if none is named.
    Https,
    /// `socks4`: IPv4 addresses only, which are resolved here. Port 1080 if none is named, as for all
    /// of SOCKS.
    Socks4,
    /// `socks4a`: as `socks4`, but the proxy resolves names.
    Socks4a,
    /// `socks5`: addresses, which are resolved here (RFC 1928).
    Socks5,
    /// `socks5h`: as `socks5`, but the proxy resolves names.
    Socks5h,
}

/// Who resolves the names of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either we do, or the proxy")]
pub enum Resolution {
    /// We do, and give the proxy an address.
    Here,
    /// The proxy does; nothing is asked of our resolver.
    AtProxy,
}

/// A proxy. Its `Display` and `Debug` do not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: ProxyProtocol,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
}

/// Why a text is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// A scheme of no proxy that we speak to.
    #[error("expected http, https, socks4, socks4a, socks5 or socks5h as the scheme of a proxy")]
    Scheme,
    /// There is a path, a query or a fragment.
    #[error("the URL of a proxy ends with its port")]
    Path,
    /// No host, or what is no host.
    #[error(
        "expected the host of a proxy: a name, an IPv4 address, or an IPv6 address in brackets"
    )]
    Host,
    /// What is no port.
    #[error("expected a proxy's port from 1 to 65535")]
    Port,
    /// User information that the protocol cannot carry.
    #[error("the protocol of the proxy cannot carry these credentials")]
    Credentials,
}

impl Proxy {
    /// Reads the URL of a proxy; without a scheme it is one of HTTP, as in the environment variables.
    ///
    /// # Errors
    /// [`InvalidProxy`]: what was expected in the place where something else came.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (protocol, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyProtocol::Http, 80),
            "https" => (ProxyProtocol::Https, 443),
            "socks4" => (ProxyProtocol::Socks4, SOCKS_PORT),
            "socks4a" => (ProxyProtocol::Socks4a, SOCKS_PORT),
            "socks5" => (ProxyProtocol::Socks5, SOCKS_PORT),
            "socks5h" => (ProxyProtocol::Socks5h, SOCKS_PORT),
            _ => return Err(InvalidProxy::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidProxy::Path);
        }
        let authority = Authority::parse(rest).map_err(|wrong| match wrong {
            Wrong::UserInfo => InvalidProxy::Credentials,
            Wrong::Host => InvalidProxy::Host,
            Wrong::Port => InvalidProxy::Port,
        })?;
        let endpoint = Endpoint { host: authority.host, port: authority.port.unwrap_or(port) };
        Self { protocol, endpoint, credentials: None }.maybe_with(authority.credentials)
    }

    /// The same proxy, with these credentials.
    ///
    /// # Errors
    /// [`InvalidProxy::Credentials`] if the protocol cannot carry them: SOCKS4 has no password, and
    /// SOCKS5 takes 1 to 255 bytes of each.
    pub fn with_credentials(self, credentials: Credentials) -> Result<Self, InvalidProxy> {
        self.maybe_with(Some(credentials))
    }

    fn maybe_with(mut self, credentials: Option<Credentials>) -> Result<Self, InvalidProxy> {
        let fits = |credentials: &Credentials| {
            let (user, password) = (credentials.user().len(), credentials.password().len());
            match self.protocol {
                ProxyProtocol::Http | ProxyProtocol::Https => true,
                ProxyProtocol::Socks4 | ProxyProtocol::Socks4a => {
                    user <= SOCKS_LONGEST && password == 0
                }
                ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => {
                    (1..=SOCKS_LONGEST).contains(&user) && (1..=SOCKS_LONGEST).contains(&password)
                }
            }
        };
        if credentials.as_ref().is_some_and(|credentials| !fits(credentials)) {
            return Err(InvalidProxy::Credentials);
        }
        self.credentials = credentials;
        Ok(self)
    }

    /// How it is spoken to.
    pub const fn protocol(&self) -> ProxyProtocol {
        self.protocol
    }

    /// Where it is.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who we are to it.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Who resolves the names of servers.
    pub const fn resolution(&self) -> Resolution {
        match self.protocol {
            ProxyProtocol::Socks4 | ProxyProtocol::Socks5 => Resolution::Here,
            ProxyProtocol::Http
            | ProxyProtocol::Https
            | ProxyProtocol::Socks4a
            | ProxyProtocol::Socks5h => Resolution::AtProxy,
        }
    }

    /// What to ask this proxy for, where [`resolution`](Self::resolution) is
    /// [`Here`](Resolution::Here) and the server's name has these addresses: one is all that a proxy
    /// takes, and SOCKS4 has no form for those of IPv6. `None` if there are none.
    pub fn target(&self, found: &[SocketAddr]) -> Option<Endpoint> {
        let fits =
            |address: &&SocketAddr| self.protocol != ProxyProtocol::Socks4 || address.is_ipv4();
        let address = found.iter().find(fits).or(found.first())?;
        Some(Endpoint { host: Host::Address(address.ip()), port: address.port() })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Https => "https",
            ProxyProtocol::Socks4 => "socks4",
            ProxyProtocol::Socks4a => "socks4a",
            ProxyProtocol::Socks5 => "socks5",
            ProxyProtocol::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Where SOCKS is served, as registered.
const SOCKS_PORT: u16 = 1080;

/// What the one byte of a length can say (RFC 1929 section 2).
const SOCKS_LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_asked_for_the_first_address_that_it_can_take() {
        let check = |proxy: &str, found: &[&str], expected: Option<&str>| {
            let found: Vec<_> = found.iter().map(|text| text.parse().unwrap()).collect();
            let target = Proxy::parse(proxy).unwrap().target(&found);
            assert_eq!(target.map(|target| target.to_string()).as_deref(), expected, "{proxy}");
        };
        check("socks5://p", &["[::1]:9", "1.2.3.4:9"], Some("[::1]:9"));
        check("socks4://p", &["[::1]:9", "1.2.3.4:9"], Some("1.2.3.4:9"));
        // The tunnel says that it has no form for it.
        check("socks4://p", &["[::1]:9"], Some("[::1]:9"));
        check("socks5://p", &[], None);
    }
}
