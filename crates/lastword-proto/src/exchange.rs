//! What was said in an opening over HTTP/1.1, kept as it crossed the wire.
//!
//! A head of a few hundred bytes becomes several times as many when it is parsed, and few
//! applications ask for it after the opening: it is parsed for those that do.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Version};

/// The request and the response of an opening, without bodies.
///
/// ```
/// use lastword_proto::Exchange;
/// let exchange = Exchange::new(
///     b"GET /chat HTTP/1.1\r\nHost: example.com\r\n\r\n",
///     b"HTTP/1.1 101 Switching Protocols\r\nServer: lastword\r\n\r\n",
/// );
/// assert_eq!(exchange.request().uri(), "/chat");
/// assert_eq!(exchange.request().headers()["host"], "example.com");
/// assert_eq!(exchange.response().headers()["server"], "lastword");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Both heads, one behind the other.
    heads: Box<[u8]>,
    /// Where the second begins.
    response_at: usize,
}

impl Exchange {
    /// An exchange of these two heads. What is not HTTP/1.1 in them is left out when they are asked
    /// for.
    pub fn new(request: &[u8], response: &[u8]) -> Self {
        Self { heads: [request, response].concat().into(), response_at: request.len() }
    }

    /// The request, parsed anew at each call.
    pub fn request(&self) -> Request<()> {
        parse_request(self.heads.get(..self.response_at).unwrap_or_default())
    }

    /// The response, parsed anew at each call.
    pub fn response(&self) -> Response<()> {
        let head = self.heads.get(self.response_at..).unwrap_or_default();
        let mut fields = room_for_fields(head);
        let mut parsed = httparse::Response::new(&mut fields);
        let mut response = Response::new(());
        if parsed.parse(head).is_ok() {
            if let Some(Ok(status)) = parsed.code.map(StatusCode::from_u16) {
                *response.status_mut() = status;
            }
            *response.headers_mut() = header_map(parsed.headers).unwrap_or_default();
        }
        response
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (request, response) = (self.request(), self.response());
        f.debug_struct("Exchange").field("request", &request).field("response", &response).finish()
    }
}

/// The request of this head.
pub(crate) fn parse_request(head: &[u8]) -> Request<()> {
    let mut fields = room_for_fields(head);
    let mut parsed = httparse::Request::new(&mut fields);
    let mut request = Request::new(());
    // An opening that failed to parse never became an exchange; a made-up one says nothing.
    if parsed.parse(head).is_ok() {
        *request.version_mut() =
            if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        if let Some(Ok(method)) = parsed.method.map(str::parse) {
            *request.method_mut() = method;
        }
        if let Some(Ok(uri)) = parsed.path.map(str::parse) {
            *request.uri_mut() = uri;
        }
        *request.headers_mut() = header_map(parsed.headers).unwrap_or_default();
    }
    request
}

/// The head of a request, as it would cross the wire in HTTP/1.1. Names, values and targets that `http`
/// took in hold no line end.
pub(crate) fn write_request<B>(request: &Request<B>) -> Vec<u8> {
    let (method, target) = (request.method().as_str(), request.uri().to_string());
    let mut head = Vec::with_capacity(USUAL_HEAD);
    for piece in [method, " ", &target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in request.headers() {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// More than most clients send in a head.
const USUAL_HEAD: usize = 512;

/// Header fields as a map; `None` if a name or a value may not stand in one.
pub(crate) fn header_map(fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::try_with_capacity(fields.len()).ok()?;
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(field.value).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

fn room_for_fields(head: &[u8]) -> Vec<httparse::Header<'_>> {
    let lines = head.iter().filter(|&&byte| byte == b'\n').count();
    vec![httparse::EMPTY_HEADER; lines]
}
