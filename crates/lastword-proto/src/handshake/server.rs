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
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HeaderName, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};

pub use super::busy::Busy;
use super::client::write_headers;
use super::head::{Fields, Head, HeadError};
use super::{extensions, has_token, is_text, key};
use crate::agreement::Agreement;
use crate::config::{Config, OpeningLimits};
use crate::exchange::{self, Exchange};
use crate::wire::Role;

/// What a server asks of requests.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Which subprotocols it speaks.
    pub subprotocols: Subprotocols,
    /// Which origins (sites whose scripts connect from browsers) it serves.
    pub origins: Origins,
    /// Under which names it may be addressed.
    pub hosts: Hosts,
    /// Headers to add to the 101 response, such as `Server`. Those that the handshake itself says
    /// (`Upgrade`, `Sec-WebSocket-Accept`, …) are left out.
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

/// The origins that a server serves. Others are refused with 403.
///
/// An entry is an origin as browsers write it, such as `https://example.com`, and means exactly that
/// one; a `*` in it stands for one or more letters, digits, dots and hyphens, so that
/// `https://*.example.com` means all subdomains at any depth, and not `https://example.com` itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "any, or a list, or a list and nothing else")]
pub enum Origins {
    /// Any, and none.
    #[default]
    Any,
    /// These; a request without an origin does not come from a browser and is served. With an empty
    /// list only requests without an origin are.
    Only(Vec<String>),
    /// These; a request without an origin is refused, too.
    Required(Vec<String>),
}

/// The names under which a server may be addressed, in `Host` or in the request target where that is
/// a whole URI. Others are refused with 421: a page that had its own name resolved to our address
/// (DNS rebinding) gets nowhere.
///
/// An entry without a port, such as `example.com` or `[::1]`, means any port; one with a port exactly
/// that. A `*` stands for one or more letters, digits, dots and hyphens. Case does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "any, or a list")]
pub enum Hosts {
    /// Any.
    #[default]
    Any,
    /// These.
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
    /// An ordinary HTTP request, answered with a refusal.
    Ordinary,
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
    /// The request as it came.
    head: Vec<u8>,
    answer: Answer,
    leftover: Bytes,
    options: Arc<Options>,
    /// Headers of the application's for this one.
    headers: HeaderMap,
}

/// What a request is answered with, should it be accepted.
#[derive(Debug)]
struct Answer {
    accept_key: [u8; 28],
    subprotocol: Option<Box<str>>,
    /// What is agreed on, and how that is said.
    accepted: extensions::Accepted,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The request is not HTTP/1.1 as it should be, or exceeds a limit of ours.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A request that an HTTP server took over HTTP/2 or HTTP/3, whose way to a WebSocket (RFC 8441,
    /// RFC 9220) is not supported here.
    #[error("request came over {0:?}; a WebSocket is opened over HTTP/1.1 here")]
    HttpVersion(Version),
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
    /// No origin, where one is required.
    #[error("no Origin header, and one is required")]
    NoOrigin,
    /// Addressed under a name that is not ours.
    #[error("host {0:?} is not served here")]
    Misdirected(String),
    /// The application chose a subprotocol that the client has not offered.
    #[error("subprotocol {0:?} was chosen and had not been offered")]
    NotOffered(String),
    /// No subprotocol that both sides speak.
    #[error("no shared subprotocol")]
    Subprotocol,
    /// The server takes on nobody right now.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The application said no.
    #[error("{0}")]
    Application(String),
    /// Nothing was refused: an ordinary HTTP request, which the application answered.
    #[error("answered by the application: {method} {target:?}")]
    Answered {
        /// The method of the request.
        method: Method,
        /// Its target, such as `/health?full`.
        target: String,
    },
}

/// An HTTP answer to a request that does not become a connection.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    reason: RefusalReason,
    headers: HeaderMap,
    /// What the application answers with, instead of a line with the reason.
    content: Option<Bytes>,
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
        if self.state != Reading::Request {
            return Step::More;
        }
        let step = match self.head.push(bytes) {
            Ok(None) => return Step::More,
            Ok(Some(size)) => self.judge(size),
            Err(error) => Err(Refusal::new(error.into())),
        };
        if self.state == Reading::Request {
            self.state = Reading::Done;
        }
        match step {
            Ok(offer) => Step::Offer(offer),
            Err(refusal) => Step::Refused(refusal),
        }
    }

    /// The request that was refused, if it asked for no WebSocket: an ordinary HTTP request (a health
    /// check, say) can be answered as such; one of HTTP/1.0, too, to which all answers are of 1.1. Given away
    /// once.
    pub fn take_ordinary_request(&mut self) -> Option<Request<()>> {
        let is_ordinary = self.state == Reading::Ordinary;
        self.state = if is_ordinary { Reading::Done } else { self.state };
        is_ordinary.then(|| exchange::parse_request(&self.head.take()))
    }

    /// How many bytes of the request have come.
    pub const fn received(&self) -> usize {
        self.head.len()
    }

    fn judge(&mut self, size: usize) -> Result<Box<Offer>, Box<Refusal>> {
        let leftover = Bytes::from(self.head.split_off(size));
        let (options, config) = (&*self.options, &*self.config);
        let answer = self.head.parse_request(|method, target, fields| {
            let checked = check(method, target, fields, options);
            checked.map(|key| Answer::new(key, fields, options, config)).map_err(|reason| {
                let mut refusal = Refusal::new(reason);
                if method == "HEAD" {
                    refusal.body = Body::Withheld;
                }
                refusal
            })
        });
        let answer = answer.map_err(|error| {
            let refusal = Refusal::new(error.into());
            // HTTP/1.0 knows no upgrade, and health checks still speak it.
            match self.head.request_of_http_1_0() {
                Some(request) if !request.headers().contains_key(UPGRADE) => {
                    self.state = Reading::Ordinary;
                    if request.method() == Method::HEAD { refusal.without_body() } else { refusal }
                }
                _ => refusal,
            }
        })?;
        let answer = answer.inspect_err(|refusal| {
            if matches!(refusal.reason, RefusalReason::Method(_) | RefusalReason::NoUpgrade) {
                self.state = Reading::Ordinary;
            }
        })?;
        let options = Arc::clone(&self.options);
        let (head, headers) = (self.head.take(), HeaderMap::new());
        Ok(Box::new(Offer { head, answer, leftover, options, headers }))
    }
}

/// All that section 4.2.1 asks of a request, in the order in which it helps to hear of it. Returns
/// the key.
fn check<'a>(
    method: &str,
    target: &str,
    fields: &Fields<'a>,
    options: &Options,
) -> Result<&'a [u8], RefusalReason> {
    if method != "GET" {
        return Err(RefusalReason::Method(method.to_owned()));
    }
    let hosts = fields.all("host").count();
    if hosts != 1 {
        return Err(RefusalReason::Host(hosts));
    }
    // A body would be taken for frames, or frames for a body.
    let empty = |value: &[u8]| value.iter().all(|&digit| digit == b'0');
    if fields.all("transfer-encoding").next().is_some() || !fields.all("content-length").all(empty)
    {
        return Err(RefusalReason::Body);
    }
    let upgrades = has_token(fields.all("upgrade"), "websocket");
    if !upgrades || !has_token(fields.all("connection"), "upgrade") {
        return Err(RefusalReason::NoUpgrade);
    }
    match fields.sole("sec-websocket-version") {
        Ok(b"13") => {}
        Ok(version) => {
            let version = String::from_utf8_lossy(version).into_owned();
            return Err(RefusalReason::Version(version));
        }
        Err(count) => return Err(RefusalReason::VersionCount(count)),
    }
    let key = fields.sole("sec-websocket-key").ok().filter(|key| key::is_valid(key));
    let key = key.ok_or(RefusalReason::Key)?;
    check_host(fields, target, &options.hosts)?;
    check_origin(fields, &options.origins)?;
    if !is_uri(target) {
        return Err(HeadError::Target.into());
    }
    Ok(key)
}

fn check_origin(fields: &Fields<'_>, origins: &Origins) -> Result<(), RefusalReason> {
    let (Origins::Only(allowed) | Origins::Required(allowed)) = origins else { return Ok(()) };
    let is_allowed =
        |origin: &&[u8]| allowed.iter().any(|allowed| matches(allowed.as_bytes(), origin));
    match fields.all("origin").find(|origin| !is_allowed(origin)) {
        Some(origin) => Err(RefusalReason::Origin(String::from_utf8_lossy(origin).into_owned())),
        None if matches!(origins, Origins::Required(_))
            && fields.all("origin").next().is_none() =>
        {
            Err(RefusalReason::NoOrigin)
        }
        None => Ok(()),
    }
}

fn check_host(fields: &Fields<'_>, target: &str, hosts: &Hosts) -> Result<(), RefusalReason> {
    let Hosts::Only(allowed) = hosts else { return Ok(()) };
    let uri = target.parse::<Uri>().ok();
    // A whole URI as target goes before `Host` (RFC 9112 section 3.2.2).
    let host = match uri.as_ref().and_then(Uri::authority) {
        Some(authority) => authority.as_str().as_bytes(),
        None => fields.sole("host").unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    let colon = host.iter().rposition(|&byte| byte == b':');
    let name = match colon.and_then(|colon| host.split_at_checked(colon)) {
        Some((name, [_, port @ ..])) if is_port(port) => name,
        _ => &host,
    };
    let is_ours = |ours: &String| {
        let ours = ours.to_ascii_lowercase();
        matches(ours.as_bytes(), &host) || matches(ours.as_bytes(), name)
    };
    if allowed.iter().any(is_ours) {
        return Ok(());
    }
    Err(RefusalReason::Misdirected(String::from_utf8_lossy(&host).into_owned()))
}

/// Whether `text` is what `pattern` means, where a `*` stands for a part of a host's name, at least
/// one byte long. Never goes back further than to the last star.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let (mut pattern, mut text) = (pattern, text);
    // What the last star was followed by, and what it may begin at next.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([], []) => return true,
            ([b'*', behind @ ..], [first, rest @ ..]) if is_of_name(first) => {
                last_star = Some((behind, rest));
                (pattern, text) = (behind, rest);
            }
            ([expected, behind @ ..], [byte, rest @ ..])
                if *expected != b'*' && expected == byte =>
            {
                (pattern, text) = (behind, rest);
            }
            // The last star takes one byte more.
            _ => match last_star {
                Some((behind, [first, rest @ ..])) if is_of_name(first) => {
                    last_star = Some((behind, rest));
                    (pattern, text) = (behind, rest);
                }
                _ => return false,
            },
        }
    }
}

/// Whether a request target is a URI. The paths that nearly all requests have are seen to be without
/// parsing them.
fn is_uri(target: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'?' | b'=' | b'&' | b'-' | b'.' | b'_')
    };
    let is_plain_path = target.starts_with('/')
        && target.len() < usize::from(u16::MAX)
        && target.bytes().all(is_plain);
    is_plain_path || target.parse::<Uri>().is_ok()
}

impl Answer {
    fn new(key: &[u8], fields: &Fields<'_>, options: &Options, config: &Config) -> Self {
        let accepted = extensions::accept(fields.all("sec-websocket-extensions"), config);
        let subprotocol = choose_subprotocol(fields, &options.subprotocols);
        Self { accept_key: key::accept(key), subprotocol, accepted }
    }

    /// The response, as it is sent.
    fn to_bytes(&self, more: [&HeaderMap; 2]) -> Bytes {
        let subprotocol = self.subprotocol.as_deref().unwrap_or_default();
        let mut others = Vec::new();
        let is_other = |(name, _): &(&HeaderName, _)| !SAID_BY_HANDSHAKE.contains(*name);
        for more in more {
            write_headers(&mut others, more.iter().filter(is_other));
        }
        let lines = [
            [SWITCHING_PROTOCOLS, &self.accept_key, b"\r\n"],
            line("Sec-WebSocket-Extensions: ", &self.accepted.answer),
            line("Sec-WebSocket-Protocol: ", subprotocol),
            [&others, b"\r\n", b""],
        ];
        lines.as_flattened().concat().into()
    }
}

/// The subprotocol that the server prefers among those that the client offers, too.
fn choose_subprotocol(fields: &Fields<'_>, subprotocols: &Subprotocols) -> Option<Box<str>> {
    let (Subprotocols::Optional(ours) | Subprotocols::Required(ours)) = subprotocols else {
        return None;
    };
    let is_offered = |ours: &&String| {
        let mut values = fields.all("sec-websocket-protocol").filter(|value| is_text(value));
        values.any(|value| {
            value.split(|&byte| byte == b',').any(|theirs| theirs.trim_ascii() == ours.as_bytes())
        })
    };
    ours.iter().find(is_offered).map(|ours| ours.as_str().into())
}

impl Offer {
    /// Judges a request that an HTTP server has parsed already, by the very rules and limits that
    /// [`Opening`] has for bytes: it is written as it would have crossed the wire, and read again.
    /// Nothing is known of what came behind it.
    ///
    /// ```
    /// use lastword_proto::handshake::server::Offer;
    ///
    /// let request = http::Request::get("/chat")
    ///     .header("host", "example.com")
    ///     .header("connection", "keep-alive, Upgrade")
    ///     .header("upgrade", "websocket")
    ///     .header("sec-websocket-version", "13")
    ///     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    /// let request = request.body(()).unwrap();
    /// let offer = Offer::of_request(&request, Default::default(), Default::default()).unwrap();
    /// let (_, agreement) = offer.accept().unwrap();
    /// let accepted = agreement.exchange.response();
    /// assert_eq!(accepted.status(), 101);
    /// assert_eq!(accepted.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    /// ```
    ///
    /// # Errors
    /// A [`Refusal`]; [`Refusal::to_response`] answers with it.
    pub fn of_request<B>(
        request: &Request<B>,
        options: Arc<Options>,
        config: Arc<Config>,
    ) -> Result<Box<Self>, Box<Refusal>> {
        match request.version() {
            Version::HTTP_11 => {}
            Version::HTTP_09 | Version::HTTP_10 => {
                return Err(Refusal::new(HeadError::Version.into()));
            }
            later => return Err(Refusal::new(RefusalReason::HttpVersion(later))),
        }
        let head = exchange::write_request(request);
        match Opening::new(options, config).receive(&head) {
            Step::Offer(offer) => Ok(offer),
            Step::Refused(refusal) => Err(refusal),
            // Only a head that does not end would ask for more.
            Step::More => Err(Refusal::new(HeadError::Malformed("incomplete").into())),
        }
    }

    /// The request; parsed anew at each call.
    pub fn request(&self) -> Request<()> {
        exchange::parse_request(&self.head)
    }

    /// Headers to add to the response, behind those of [`Options::headers`]. What the handshake itself
    /// says is left out.
    pub const fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Chooses this subprotocol, whatever [`Options::subprotocols`] would have chosen.
    ///
    /// # Errors
    /// A [`Refusal`] with 500 when the client has not offered it: it would have to fail the
    /// connection.
    pub fn choose_subprotocol(&mut self, subprotocol: &str) -> Result<(), Box<Refusal>> {
        let request = self.request();
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let mut offered = offered.iter().flat_map(|value| value.as_bytes().split(|&b| b == b','));
        if !offered.any(|offered| offered.trim_ascii() == subprotocol.as_bytes()) {
            return Err(Refusal::new(RefusalReason::NotOffered(subprotocol.to_owned())));
        }
        self.answer.subprotocol = Some(subprotocol.into());
        Ok(())
    }

    /// Accepts it: the response to write before anything else, and the agreement.
    ///
    /// # Errors
    /// A [`Refusal`] with 400 when a subprotocol is required and none is shared.
    pub fn accept(self) -> Result<(Bytes, Agreement), Box<Refusal>> {
        let required = matches!(self.options.subprotocols, Subprotocols::Required(_));
        if required && self.answer.subprotocol.is_none() {
            return Err(Refusal::new(RefusalReason::Subprotocol));
        }
        let bytes = self.answer.to_bytes([&self.options.headers, &self.headers]);
        let agreement = Agreement {
            role: Role::Server,
            subprotocol: self.answer.subprotocol,
            deflate: self.answer.accepted.deflate,
            extensions: self.answer.accepted.extensions,
            exchange: Exchange::new(&self.head, &bytes),
            leftover: self.leftover,
        };
        Ok((bytes, agreement))
    }

    /// Refuses it with a status and a line of text.
    pub fn refuse(self, status: StatusCode, why: impl Into<String>) -> Box<Refusal> {
        Refusal::application(status, why)
    }
}

impl Refusal {
    /// A refusal of the application's own.
    pub fn application(status: StatusCode, why: impl Into<String>) -> Box<Self> {
        let mut refusal = Self::new(RefusalReason::Application(why.into()));
        refusal.status = status;
        refusal
    }

    /// A refusal of a driver's, which takes on nobody right now; with `Retry-After` in whole seconds, if
    /// it knows when that may be over.
    pub fn busy(busy: Busy, retry_after: Option<Duration>) -> Box<Self> {
        let mut refusal = Self::new(busy.into());
        refusal.status = busy.status();
        if let Some(wait) = retry_after {
            // Rounded up: who comes then is not too early.
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            refusal.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        refusal
    }

    /// An answer of the application's own, of any status but 101. Its headers are sent, except for
    /// those that say how the answer is framed.
    pub fn of_response(response: Response<Bytes>) -> Box<Self> {
        let (mut parts, body) = response.into_parts();
        for framing in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(framing);
        }
        let status = match parts.status {
            // To say 101 and to mean it is another function.
            status if status.is_informational() => StatusCode::INTERNAL_SERVER_ERROR,
            status => status,
        };
        let mut refusal = Self::application(status, "answered by the application");
        (refusal.headers, refusal.content) = (parts.headers, Some(body));
        refusal
    }

    /// The application's answer to an ordinary request (of [`Opening::take_ordinary_request`]), as
    /// [`of_response`](Self::of_response); without its body if that is one for HEAD.
    pub fn of_ordinary(request: &Request<()>, response: Response<Bytes>) -> Box<Self> {
        let (method, target) = (request.method().clone(), request.uri().to_string());
        let is_head = method == Method::HEAD;
        let mut refusal = Self::of_response(response);
        refusal.reason = RefusalReason::Answered { method, target };
        if is_head { refusal.without_body() } else { refusal }
    }

    /// Leaves the body out, as the answer to HEAD has to.
    #[must_use]
    pub fn without_body(mut self: Box<Self>) -> Box<Self> {
        self.body = Body::Withheld;
        self
    }

    fn new(reason: RefusalReason) -> Box<Self> {
        let mut headers = HeaderMap::new();
        let status = match &reason {
            RefusalReason::Head(HeadError::StartLineTooLong { .. }) => StatusCode::URI_TOO_LONG,
            RefusalReason::Head(
                HeadError::HeadersTooLong { .. } | HeadError::TooManyHeaders { .. },
            ) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            RefusalReason::Head(HeadError::Version) | RefusalReason::HttpVersion(_) => {
                StatusCode::HTTP_VERSION_NOT_SUPPORTED
            }
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
            RefusalReason::Origin(_) | RefusalReason::NoOrigin => StatusCode::FORBIDDEN,
            RefusalReason::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            RefusalReason::NotOffered(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Box::new(Self { status, reason, headers, content: None, body: Body::Sent })
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
        let (mut headers, body) = self.content();
        // `Upgrade` is a hop-by-hop field (RFC 9110 section 7.8).
        let connection = if headers.contains_key(UPGRADE) { "upgrade, close" } else { "close" };
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
        // An answer that has no body by its status has no length either, unless it stands for one that has
        // (RFC 9110 section 8.6).
        let stands_for_none = self.status == StatusCode::NOT_MODIFIED && body.is_empty();
        if self.status != StatusCode::NO_CONTENT && !stands_for_none {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let is_bodiless = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_sent = self.body == Body::Sent && !is_bodiless;
        encode(self.status, &headers, if is_sent { &body } else { b"" })
    }

    /// The answer for an HTTP server to send, which knows itself how long it is, whether its
    /// connection goes on, and that HEAD is answered without a body.
    pub fn to_response(&self) -> Response<Bytes> {
        let (mut headers, body) = self.content();
        if headers.contains_key(UPGRADE) {
            // `Upgrade` is a hop-by-hop field (RFC 9110 section 7.8).
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }

    /// What is said in any way of sending it.
    fn content(&self) -> (HeaderMap, Bytes) {
        let mut headers = self.headers.clone();
        if let Some(content) = &self.content {
            return (headers, content.clone());
        }
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(http::header::CONTENT_TYPE, text);
        (headers, format!("{}\n", self.reason).into())
    }
}

/// A line of a response; nothing if there is nothing to say.
const fn line<'a>(name: &'static str, value: &'a str) -> [&'a [u8]; 3] {
    if value.is_empty() { [b"", b"", b""] } else { [name.as_bytes(), value.as_bytes(), b"\r\n"] }
}

/// How each response that accepts begins; the value of `Sec-WebSocket-Accept` comes next.
const SWITCHING_PROTOCOLS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: ";

const SAID_BY_HANDSHAKE: [HeaderName; 5] =
    [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL];

fn encode(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Bytes {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    write_headers(&mut bytes, headers);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes.into()
}
