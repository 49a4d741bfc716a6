//! The URIs of WebSocket: text in, where to go out (RFC 6455 section 3, RFC 3986, RFC 3987).
//!
//! International hosts become ASCII by IDNA, other characters of path and query are percent-encoded
//! as UTF-8. Nothing that two readers could read in two ways passes: no fragment, no white space, no
//! control character, no backslash.

use std::fmt;

use http::HeaderValue;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::authority::{Authority, Wrong};
use crate::credentials::Credentials;
use crate::host::{Endpoint, Host};

/// With TLS, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 knows two schemes")]
pub enum Scheme {
    /// `ws`: plain.
    Ws,
    /// `wss`: over TLS.
    Wss,
}

impl Scheme {
    /// The port where none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// Where a client goes. Its `Display` and `Debug` do not show credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSocketUri {
    scheme: Scheme,
    endpoint: Endpoint,
    path: PathAndQuery,
    credentials: Option<Credentials>,
}

/// Why a text is no URI of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUri {
    /// The scheme is missing, or another one.
    #[error("expected ws:// or wss://")]
    Scheme,
    /// `http://`.
    #[error("the scheme is http; did you mean ws?")]
    Http,
    /// `https://`.
    #[error("the scheme is https; did you mean wss?")]
    Https,
    /// There is a fragment (RFC 6455 section 3).
    #[error("a WebSocket URL has no fragment (escape # as %23)")]
    Fragment,
    /// White space, a control character or a backslash.
    #[error("a URL has no {0:?} (escape it)")]
    Character(char),
    /// No host, or what is no host.
    #[error("expected a host: a name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// What is no port.
    #[error("expected a port from 1 to 65535")]
    Port,
    /// User information that cannot be sent as Basic credentials.
    #[error(
        "expected user:password, with @, : and control characters escaped, and no colon in the user"
    )]
    UserInfo,
    /// A path or query that is none.
    #[error("invalid path or query")]
    Path,
}

impl WebSocketUri {
    /// Reads a `ws://` or `wss://` URI, or IRI.
    ///
    /// # Errors
    /// [`InvalidUri`]: what was expected in the place where something else came.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUri::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "http" => return Err(InvalidUri::Http),
            "https" => return Err(InvalidUri::Https),
            _ => return Err(InvalidUri::Scheme),
        };
        if rest.contains('#') {
            return Err(InvalidUri::Fragment);
        }
        Self::of_parts(scheme, rest)
    }

    /// What stands behind `scheme://`.
    pub(crate) fn of_parts(scheme: Scheme, rest: &str) -> Result<Self, InvalidUri> {
        let forbidden =
            |found: &char| found.is_whitespace() || found.is_control() || *found == '\\';
        if let Some(found) = rest.chars().find(forbidden) {
            return Err(InvalidUri::Character(found));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let Authority { credentials, host, port } =
            Authority::parse(authority).map_err(|wrong| match wrong {
                Wrong::UserInfo => InvalidUri::UserInfo,
                Wrong::Host => InvalidUri::Host,
                Wrong::Port => InvalidUri::Port,
            })?;
        let endpoint = Endpoint { host, port: port.unwrap_or(scheme.default_port()) };
        let path = path_and_query(path)?;
        Ok(Self { scheme, endpoint, path, credentials })
    }

    /// With TLS, or without.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host and the port to connect to.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The host: a name, or an address.
    pub const fn host(&self) -> &Host {
        &self.endpoint.host
    }

    /// What is asked for: path and query; never empty.
    pub const fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// The user information, decoded.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The `Host` header: with the port only if it is not the scheme's own.
    pub fn host_header(&self) -> HeaderValue {
        // The host is visible ASCII; were it not, an empty header refuses itself.
        HeaderValue::try_from(self.authority()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Whether both have the same scheme, host and port (RFC 6454 section 5).
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.endpoint == other.endpoint
    }

    /// The same place, with these credentials.
    pub(crate) fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    pub(crate) fn authority(&self) -> String {
        if self.endpoint.port == self.scheme.default_port() {
            self.endpoint.host.to_string()
        } else {
            self.endpoint.to_string()
        }
    }
}

impl fmt::Display for WebSocketUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.path)
    }
}

impl fmt::Debug for WebSocketUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocketUri({self})")
    }
}

fn path_and_query(text: &str) -> Result<PathAndQuery, InvalidUri> {
    let encoded = utf8_percent_encode(text, TO_ENCODE);
    // An empty path is `/` (RFC 6455 section 3).
    let text = if text.starts_with('/') { encoded.to_string() } else { format!("/{encoded}") };
    PathAndQuery::try_from(text).map_err(|_| InvalidUri::Path)
}

/// What RFC 3986 does not allow in a path or query, so that an IRI becomes a URI.
const TO_ENCODE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A URL, or what should be one, with nothing but the scheme in front of its last `@`.
#[must_use]
pub fn without_user(url: &str) -> String {
    match (url.rsplit_once('@'), url.split_once("://")) {
        (Some((user, rest)), Some((scheme, _))) if user.contains("://") => {
            format!("{scheme}://…@{rest}")
        }
        (Some((_, rest)), _) => format!("…@{rest}"),
        (None, _) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
