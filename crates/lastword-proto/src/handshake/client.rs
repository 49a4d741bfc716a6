//! The client's side of the opening (RFC 6455 section 4.1).
//!
//! [`Opening`] holds the request to write and eats the response; all that the RFC asks a client to
//! verify is verified. An answer that refuses is an [`Error`] with its status, headers and the
//! start of its body.
//!
//! ```
//! use lastword_proto::Config;
//! use lastword_proto::handshake::client::{Error, Opening, Options};
//!
//! let options = Options::new("example.com".parse().unwrap(), "/chat".parse().unwrap());
//! // The nonce is random, and fresh for each opening.
//! let mut opening = Opening::new(options, &Config::default(), *b"the sample nonce").unwrap();
//! assert!(opening.request_bytes().starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
//!
//! let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
//! let Err(Error::Refused(response)) = opening.receive(answer) else { panic!("a refusal") };
//! assert_eq!((response.status().as_u16(), &response.body()[..]), (503, &b"busy"[..]));
//! ```

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};

use super::head::{Head, HeadError};
use super::negotiate::NegotiationError;
use super::{extensions, has_token, key};
use crate::agreement::Agreement;
use crate::config::{Config, DeflateConfig, OpeningLimits};
use crate::exchange::Exchange;
use crate::extension::Extensions;
use crate::wire::Role;

/// What a client asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The `Host` header: a name, with a port unless it is the scheme's own.
    pub host: HeaderValue,
    /// What is asked for: path and query.
    pub target: PathAndQuery,
    /// Subprotocols, the preferred first.
    pub subprotocols: Vec<String>,
    /// The `Origin` header, as a browser would send it.
    pub origin: Option<HeaderValue>,
    /// Further headers, such as cookies or credentials.
    pub headers: HeaderMap,
}

impl Options {
    /// A request to `host` for `target`, with nothing special.
    pub fn new(host: HeaderValue, target: PathAndQuery) -> Self {
        Self { host, target, subprotocols: Vec::new(), origin: None, headers: HeaderMap::new() }
    }
}

/// A request that the caller cannot make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A header that the handshake sets itself.
    #[error("header {0} is set by the handshake itself")]
    ReservedHeader(HeaderName),
    /// A subprotocol that is not a token (RFC 6455 section 4.1).
    #[error("subprotocol {0:?} is not a token")]
    Subprotocol(String),
}

/// Why an opening failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer is malformed, or exceeds a limit of ours.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The answer is no HTTP at all: another protocol is spoken there, such as TLS.
    #[error("answer is no HTTP: it begins with \"{}\"", .began.escape_ascii())]
    NotHttp {
        /// Its first bytes, at most 32.
        began: Bytes,
    },
    /// The server refused.
    #[error("server refused the connection with {}", .0.status())]
    Refused(Box<Response<Bytes>>),
    /// A 101 without `Upgrade: websocket` and `Connection: upgrade`.
    #[error("answer does not upgrade to WebSocket")]
    NoUpgrade,
    /// A 101 whose `Sec-WebSocket-Accept` does not answer our key.
    #[error("Sec-WebSocket-Accept is {came:?}, expected {expected:?}")]
    Accept {
        /// What came; empty if it was missing.
        came: String,
        /// What our key asks for.
        expected: String,
    },
    /// An answer about extensions or subprotocols that was not allowed.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The stream ended inside the answer.
    #[error("stream ended inside the server's answer ({bytes} bytes had come)")]
    Eof {
        /// How many bytes had come.
        bytes: usize,
    },
    /// Too many interim answers (1xx).
    #[error("more than {0} interim answers")]
    TooManyInterim(usize),
}

/// The opening of one connection, from the request to the end of the answer.
#[derive(Debug)]
pub struct Opening {
    request: Request<()>,
    wire: Bytes,
    expected: String,
    deflate: Option<DeflateConfig>,
    extensions: Extensions,
    limits: OpeningLimits,
    head: Head,
    interim: usize,
    refusal: Option<RefusalBody>,
}

impl Opening {
    /// An opening with `options`, whose key is made of 16 random bytes.
    ///
    /// # Errors
    /// [`InvalidRequest`] if the options contradict the handshake.
    pub fn new(options: Options, config: &Config, nonce: [u8; 16]) -> Result<Self, InvalidRequest> {
        let key = key::new_key(nonce);
        let expected = key::accept_key(&key);
        let request = request(options, config, &key)?;
        let mut wire = format!("GET {} HTTP/1.1\r\n", request.uri()).into_bytes();
        write_headers(&mut wire, request.headers());
        wire.extend_from_slice(b"\r\n");
        Ok(Self {
            request,
            wire: wire.into(),
            expected,
            deflate: config.deflate.clone(),
            extensions: config.extensions.clone(),
            limits: config.opening.clone(),
            head: Head::new(config.opening.clone()),
            interim: 0,
            refusal: None,
        })
    }

    /// The request: target and headers.
    pub const fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The request, as it is to be written.
    pub const fn request_bytes(&self) -> &Bytes {
        &self.wire
    }

    /// Takes bytes of the answer; `None` if more are needed.
    ///
    /// # Errors
    /// [`Error`] if the server refused, or if the answer is not what the RFC asks for.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<Agreement>, Error> {
        if let Some(refusal) = &mut self.refusal {
            refusal.push(bytes);
            return self.refused_if_complete();
        }
        let mut input = bytes.to_vec();
        loop {
            let pushed = self.head.push(&input);
            if !self.head.may_be_response() {
                let began = self.head.take().into_iter().take(MAX_BEGAN).collect();
                return Err(Error::NotHttp { began });
            }
            let Some(size) = pushed? else { return Ok(None) };
            let leftover = self.head.split_off(size);
            let (status, headers) = self.head.parse_response()?;
            let status =
                StatusCode::from_u16(status).map_err(|_| HeadError::Malformed("invalid status"))?;
            if status == StatusCode::SWITCHING_PROTOCOLS {
                return self.agree(headers, leftover.into()).map(Some);
            }
            if !status.is_informational() {
                let mut body = RefusalBody::new(status, headers, self.limits.max_refusal_body);
                body.push(&leftover);
                self.refusal = Some(body);
                return self.refused_if_complete();
            }
            // An interim answer: the real one follows (RFC 9110 section 15.2).
            self.interim = self.interim.saturating_add(1);
            if self.interim > MAX_INTERIM {
                return Err(Error::TooManyInterim(MAX_INTERIM));
            }
            self.head = Head::new(self.limits.clone());
            input = leftover;
        }
    }

    /// The stream ended: the error that this means.
    pub fn receive_eof(&mut self) -> Error {
        self.refused().unwrap_or_else(|| Error::Eof { bytes: self.head.len() })
    }

    /// No more will come, be it that the wait is over or that the transport failed: the refusal, if the head
    /// of one had come, with as much of its body as there is.
    pub fn refused(&mut self) -> Option<Error> {
        self.refusal.take().map(RefusalBody::into_error)
    }

    fn refused_if_complete(&mut self) -> Result<Option<Agreement>, Error> {
        match self.refusal.take_if(|refusal| refusal.is_complete()) {
            Some(refusal) => Err(refusal.into_error()),
            None => Ok(None),
        }
    }

    /// All that section 4.1 asks a client to verify.
    fn agree(&mut self, headers: HeaderMap, leftover: Bytes) -> Result<Agreement, Error> {
        let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        if !has_token(values(UPGRADE), "websocket") || !has_token(values(CONNECTION), "upgrade") {
            return Err(Error::NoUpgrade);
        }
        let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        match (accepts.next(), accepts.next()) {
            (Some(accept), None) if accept.as_bytes() == self.expected.as_bytes() => {}
            (came, _) => {
                let came = came.map(|came| String::from_utf8_lossy(came.as_bytes()).into_owned());
                let (came, expected) = (came.unwrap_or_default(), self.expected.clone());
                return Err(Error::Accept { came, expected });
            }
        }
        let subprotocol = self.check_subprotocol(&headers)?;
        let answers = values(SEC_WEBSOCKET_EXTENSIONS);
        let (deflate, extensions) =
            extensions::check(answers, self.deflate.as_ref(), &self.extensions)?;
        let exchange = Exchange::new(&self.wire, &self.head.take());
        let subprotocol = subprotocol.map(Into::into);
        Ok(Agreement { role: Role::Client, subprotocol, deflate, extensions, exchange, leftover })
    }

    fn check_subprotocol(&self, headers: &HeaderMap) -> Result<Option<String>, NegotiationError> {
        let values: Vec<_> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect();
        let Some(first) = values.first() else { return Ok(None) };
        let chosen = String::from_utf8_lossy(first.as_bytes()).into_owned();
        let offered = self.request.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let offered = offered.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_offered = offered.split(", ").any(|offered| offered == chosen);
        if values.len() > 1 || chosen.is_empty() || !is_offered {
            return Err(NegotiationError::Subprotocol(chosen));
        }
        Ok(Some(chosen))
    }
}

fn request(options: Options, config: &Config, key: &str) -> Result<Request<()>, InvalidRequest> {
    let reserved = RESERVED.iter().find(|&name| options.headers.contains_key(name));
    if let Some(name) = reserved {
        return Err(InvalidRequest::ReservedHeader(name.clone()));
    }
    let mut headers = HeaderMap::new();
    headers.insert(HOST, options.host);
    if let Some(origin) = options.origin {
        headers.insert(ORIGIN, origin);
    }
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Some(offer) = extensions::offer(config) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    if !options.subprotocols.is_empty() {
        // A header name is a token, as a subprotocol has to be.
        let is_token = |name: &String| HeaderName::try_from(name.as_str()).is_ok();
        if let Some(bad) = options.subprotocols.iter().find(|&name| !is_token(name)) {
            return Err(InvalidRequest::Subprotocol(bad.clone()));
        }
        if let Ok(list) = HeaderValue::try_from(options.subprotocols.join(", ")) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, list);
        }
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    // The caller's own agent replaces ours; all else is added.
    headers.extend(options.headers);
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = options.target.into();
    *request.headers_mut() = headers;
    Ok(request)
}

/// The body of a refusal, as far as it is kept.
#[derive(Debug)]
struct RefusalBody {
    status: StatusCode,
    headers: HeaderMap,
    raw: Vec<u8>,
    limit: usize,
    length: Length,
}

/// How one knows where a body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilEof,
}

impl RefusalBody {
    fn new(status: StatusCode, headers: HeaderMap, limit: usize) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let digits = length.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = match digits.and_then(|text| text.parse().ok()) {
            _ if headers.contains_key(TRANSFER_ENCODING) => Length::Chunked,
            Some(length) => Length::Known(length),
            None if status == StatusCode::NO_CONTENT => Length::Known(0),
            None => Length::UntilEof,
        };
        Self { status, headers, raw: Vec::new(), limit, length }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.raw.len());
        self.raw.extend(bytes.iter().take(room));
    }

    fn is_complete(&self) -> bool {
        let full = self.raw.len() >= self.limit;
        full || match self.length {
            Length::Known(length) => self.raw.len() >= length,
            Length::Chunked => self.raw.ends_with(b"0\r\n\r\n"),
            Length::UntilEof => false,
        }
    }

    fn into_error(self) -> Error {
        let mut body = match self.length {
            Length::Chunked => dechunk(&self.raw),
            Length::Known(_) | Length::UntilEof => self.raw,
        };
        if let Length::Known(length) = self.length {
            body.truncate(length);
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Error::Refused(Box::new(response))
    }
}

/// The content of the chunks, as far as they came (RFC 9112 section 7.1).
fn dechunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|pair| pair == b"\r\n") {
        let (line, rest) = raw.split_at(end);
        let digits: Vec<u8> =
            line.iter().copied().take_while(u8::is_ascii_hexdigit).take(8).collect();
        let size = std::str::from_utf8(&digits).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else { break };
        if size == 0 {
            break;
        }
        let rest = rest.get(2..).unwrap_or_default();
        body.extend(rest.iter().take(size));
        raw = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    body
}

/// Appends header fields in wire form.
pub(super) fn write_headers<'a>(
    out: &mut Vec<u8>,
    headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) {
    for (name, value) in headers {
        out.extend_from_slice(canonical(name).as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `sec-websocket-key` → `Sec-WebSocket-Key`: names are the same in any case, but some peers and
/// all readers expect this one.
fn canonical(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        word => {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    });
    words.collect::<Vec<_>>().join("-")
}

const RESERVED: [HeaderName; 8] = [
    HOST,
    UPGRADE,
    CONNECTION,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL,
    CONTENT_LENGTH,
];

/// How many interim answers are skipped.
const MAX_INTERIM: usize = 16;

/// How much is kept of an answer that is none.
const MAX_BEGAN: usize = 32;

const AGENT: &str = concat!("lastword/", env!("CARGO_PKG_VERSION"));
