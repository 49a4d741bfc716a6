//! The server's side of the opening (RFC 6455 section 4.2).
//!
//! [`Opening`] eats the request; an [`Offer`] is a valid one, to be accepted or refused; a
//! [`Refusal`] is an HTTP answer that says why not.
//!
//! ```
//! use lastword_proto::handshake::server::{Opening, Step};
//!
//! let mut opening = Opening::new(Default::default(), Default::default());
//! assert!(matches!(opening.receive(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"), Step::More));
//! let rest = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
//! let Step::Offer(offer) = opening.receive(rest) else { panic!("a valid request") };
//! assert_eq!(offer.request().uri(), "/chat");
//! let (answer, _agreement) = offer.accept().unwrap();
//! assert!(answer.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! ```

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};

use super::head::{Head, HeadError};
use super::{asks_for_upgrade, key, negotiate};
use crate::agreement::Agreement;
use crate::config::{Config, OpeningLimits};
use crate::exchange::Exchange;
use crate::wire::Role;

/// What a server asks of requests.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Which subprotocols it speaks.
    pub subprotocols: Subprotocols,
    /// Which origins (sites whose scripts connect from browsers) it serves.
    pub origins: Origins,
    /// Headers to add to the 101 response, such as `Server`.
    pub headers: HeaderMap,
}

/// The subprotocols of a server, the preferred first. The first that the client offers, too, is
/// chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "none, some if shared, some or nothing")]
pub enum Subprotocols {
    /// None is chosen, whatever is offered.
    #[default]
    None,
    /// One is chosen if both sides have it; otherwise none.
    Optional(Vec<String>),
    /// A request without one of them is refused with 400.
    Required(Vec<String>),
}

/// The origins that a server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "any, or a list")]
pub enum Origins {
    /// Any, and none.
    #[default]
    Any,
    /// Exactly these, such as `https://example.com`; a request without an origin does not come
    /// from a browser and is served.
    Only(Vec<String>),
}

/// The opening of one connection, before its request is complete.
#[derive(Debug)]
pub struct Opening {
    head: Head,
    options: Arc<Options>,
    config: Arc<Config>,
    state: Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Request,
    /// Answered: what comes now is never parsed.
    Done,
}

/// What the bytes so far came to.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "more, yes, or no")]
pub enum Step {
    /// More bytes are needed.
    More,
    /// A valid request.
    Offer(Box<Offer>),
    /// A request that is to be answered with a refusal.
    Refused(Box<Refusal>),
}

/// A valid request for a WebSocket connection, with what came right behind it.
#[derive(Debug)]
pub struct Offer {
    request: Request<()>,
    /// The request as it came.
    head: Vec<u8>,
    leftover: Bytes,
    options: Arc<Options>,
    config: Arc<Config>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The request is not HTTP/1.1 as it should be, or exceeds a limit of ours.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Another method than GET.
    #[error("method {0} is not GET")]
    Method(String),
    /// No `Host`, or several.
    #[error("{0} Host headers, expected exactly one")]
    Host(usize),
    /// A body, which a WebSocket request cannot have.
    #[error("request has a body")]
    Body,
    /// No request to upgrade to WebSocket: an ordinary HTTP request.
    #[error("not a request to upgrade to WebSocket")]
    NoUpgrade,
    /// Another version than 13.
    #[error("Sec-WebSocket-Version is {0:?}, expected \"13\"")]
    Version(String),
    /// No version, or several.
    #[error("{0} Sec-WebSocket-Version headers, expected exactly one")]
    VersionCount(usize),
    /// No key, several, or one that is not the base64 of 16 bytes.
    #[error("expected exactly one Sec-WebSocket-Key of 16 bytes in base64")]
    Key,
    /// An origin that is not served.
    #[error("origin {0:?} is not allowed")]
    Origin(String),
    /// No subprotocol that both sides speak.
    #[error("no shared subprotocol")]
    Subprotocol,
    /// The application said no.
    #[error("{0}")]
    Application(String),
}

/// An HTTP answer to a request that does not become a connection.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    reason: RefusalReason,
    headers: HeaderMap,
    body: Body,
}

/// A response to HEAD has no body (RFC 9110 section 9.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Sent,
    Withheld,
}

impl Opening {
    /// The opening of a connection that has just been accepted.
    pub fn new(options: Arc<Options>, config: Arc<Config>) -> Self {
        let limits: OpeningLimits = config.opening.clone();
        Self { head: Head::new(limits), options, config, state: Reading::Request }
    }

    /// Takes bytes of the request. What comes behind a refused request is not looked at.
    pub fn receive(&mut self, bytes: &[u8]) -> Step {
        if self.state == Reading::Done {
            return Step::More;
        }
        let step = match self.head.push(bytes) {
            Ok(None) => return Step::More,
            Ok(Some(size)) => self.judge(size),
            Err(error) => Err(Refusal::new(error.into())),
        };
        self.state = Reading::Done;
        match step {
            Ok(offer) => Step::Offer(offer),
            Err(refusal) => Step::Refused(refusal),
        }
    }

    /// How many bytes of the request have come.
    pub const fn received(&self) -> usize {
        self.head.len()
    }

    fn judge(&mut self, size: usize) -> Result<Box<Offer>, Box<Refusal>> {
        let leftover = Bytes::from(self.head.split_off(size));
        let (method, target, headers) =
            self.head.parse_request().map_err(|error| Refusal::new(error.into()))?;
        check(&method, &headers, &self.options).map_err(|reason| {
            let mut refusal = Refusal::new(reason);
            if method == "HEAD" {
                refusal.body = Body::Withheld;
            }
            refusal
        })?;
        let uri: Uri = target.parse().map_err(|_| Refusal::new(HeadError::Target.into()))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        let (options, config) = (Arc::clone(&self.options), Arc::clone(&self.config));
        let head = self.head.take();
        Ok(Box::new(Offer { request, head, leftover, options, config }))
    }
}

/// All that section 4.2.1 asks of a request, in the order in which it helps to hear of it.
fn check(method: &str, headers: &HeaderMap, options: &Options) -> Result<(), RefusalReason> {
    if method != "GET" {
        return Err(RefusalReason::Method(method.to_owned()));
    }
    let hosts = headers.get_all(HOST).iter().count();
    if hosts != 1 {
        return Err(RefusalReason::Host(hosts));
    }
    // A body would be taken for frames, or frames for a body.
    let empty = |value: &HeaderValue| value.as_bytes().iter().all(|&digit| digit == b'0');
    if headers.contains_key(TRANSFER_ENCODING) || !headers.get_all(CONTENT_LENGTH).iter().all(empty)
    {
        return Err(RefusalReason::Body);
    }
    if !asks_for_upgrade(headers) {
        return Err(RefusalReason::NoUpgrade);
    }
    match sole(headers, SEC_WEBSOCKET_VERSION) {
        Ok(version) if version.as_bytes() == b"13" => {}
        Ok(version) => {
            let version = String::from_utf8_lossy(version.as_bytes()).into_owned();
            return Err(RefusalReason::Version(version));
        }
        Err(count) => return Err(RefusalReason::VersionCount(count)),
    }
    let key = sole(headers, SEC_WEBSOCKET_KEY).ok().and_then(|key| key.to_str().ok());
    if !key.is_some_and(key::is_valid) {
        return Err(RefusalReason::Key);
    }
    check_origin(headers, &options.origins)
}

fn check_origin(headers: &HeaderMap, origins: &Origins) -> Result<(), RefusalReason> {
    let Origins::Only(allowed) = origins else { return Ok(()) };
    let is_allowed = |origin: &HeaderValue| {
        allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    };
    match headers.get_all(ORIGIN).iter().find(|origin| !is_allowed(origin)) {
        None => Ok(()),
        Some(origin) => {
            Err(RefusalReason::Origin(String::from_utf8_lossy(origin.as_bytes()).into_owned()))
        }
    }
}

/// The only value of a header; how many there are if that is not one.
fn sole(headers: &HeaderMap, name: HeaderName) -> Result<&HeaderValue, usize> {
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(headers.get_all(&name).iter().count()),
    }
}

impl Offer {
    /// The request.
    pub const fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The subprotocols that the client offers, its preferred first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let values = self.request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let values = values.into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// Accepts it: the response to write before anything else, and the agreement.
    ///
    /// # Errors
    /// A [`Refusal`] with 400 when a subprotocol is required and none is shared.
    pub fn accept(self) -> Result<(Bytes, Agreement), Box<Refusal>> {
        let subprotocol = self.choose_subprotocol()?;
        let headers = self.request.headers();
        let deflate = self.config.deflate.as_ref();
        let deflate = deflate.and_then(|config| negotiate::accept_offer(headers, config));
        let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());

        let mut fields = HeaderMap::new();
        fields.insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(http::header::CONNECTION, HeaderValue::from_static("Upgrade"));
        let accept = HeaderValue::try_from(key::accept_key(key.unwrap_or_default()));
        if let Ok(accept) = accept {
            fields.insert(http::header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        let (deflate, extensions) = deflate.unzip();
        if let Some(extensions) = extensions {
            fields.insert(http::header::SEC_WEBSOCKET_EXTENSIONS, extensions);
        }
        if let Some(Ok(subprotocol)) = subprotocol.as_deref().map(HeaderValue::from_str) {
            fields.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        fields.extend(self.options.headers.clone());
        let bytes = encode(StatusCode::SWITCHING_PROTOCOLS, &fields, "");
        let agreement = Agreement {
            role: Role::Server,
            subprotocol: subprotocol.map(Into::into),
            deflate,
            exchange: Exchange::new(&self.head, &bytes),
            leftover: self.leftover,
        };
        Ok((bytes, agreement))
    }

    /// Refuses it with a status and a line of text.
    pub fn refuse(self, status: StatusCode, why: impl Into<String>) -> Box<Refusal> {
        Refusal::application(status, why)
    }

    fn choose_subprotocol(&self) -> Result<Option<String>, Box<Refusal>> {
        let ours = match &self.options.subprotocols {
            Subprotocols::None => return Ok(None),
            Subprotocols::Optional(ours) | Subprotocols::Required(ours) => ours,
        };
        let chosen = ours.iter().find(|&ours| self.subprotocols().any(|theirs| theirs == ours));
        match (&self.options.subprotocols, chosen) {
            (Subprotocols::Required(_), None) => Err(Refusal::new(RefusalReason::Subprotocol)),
            (_, chosen) => Ok(chosen.cloned()),
        }
    }
}

impl Refusal {
    /// A refusal of the application's own; a driver uses it for 503 while shutting down.
    pub fn application(status: StatusCode, why: impl Into<String>) -> Box<Self> {
        let mut refusal = Self::new(RefusalReason::Application(why.into()));
        refusal.status = status;
        refusal
    }

    fn new(reason: RefusalReason) -> Box<Self> {
        let mut headers = HeaderMap::new();
        let status = match &reason {
            RefusalReason::Head(HeadError::StartLineTooLong { .. }) => StatusCode::URI_TOO_LONG,
            RefusalReason::Head(
                HeadError::HeadersTooLong { .. } | HeadError::TooManyHeaders { .. },
            ) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            RefusalReason::Head(HeadError::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            RefusalReason::Method(_) => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
                StatusCode::METHOD_NOT_ALLOWED
            }
            RefusalReason::NoUpgrade => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                StatusCode::UPGRADE_REQUIRED
            }
            RefusalReason::Version(_) => {
                // 4.4: the versions that we do speak.
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                StatusCode::UPGRADE_REQUIRED
            }
            RefusalReason::Origin(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Box::new(Self { status, reason, headers, body: Body::Sent })
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Why it was refused.
    pub const fn reason(&self) -> &RefusalReason {
        &self.reason
    }

    /// Headers to add to the answer, such as `Retry-After`.
    pub const fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The whole HTTP answer. The connection is to be closed behind it.
    pub fn to_bytes(&self) -> Bytes {
        let body = format!("{}\n", self.reason);
        let mut headers = self.headers.clone();
        // `Upgrade` is a hop-by-hop field (RFC 9110 section 7.8).
        let connection = if headers.contains_key(UPGRADE) { "upgrade, close" } else { "close" };
        headers.insert(http::header::CONNECTION, HeaderValue::from_static(connection));
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let body = if self.body == Body::Sent { body.as_str() } else { "" };
        encode(self.status, &headers, body)
    }
}

fn encode(status: StatusCode, headers: &HeaderMap, body: &str) -> Bytes {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    super::client::write_headers(&mut bytes, headers);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.as_bytes());
    bytes.into()
}
