//! `CONNECT` to a proxy of HTTP (RFC 9110 section 9.3.6).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::answer::{MAX_ANSWER, Progress, ProxyError};
use crate::host::Endpoint;
use crate::proxy::Proxy;

/// The answer to a `CONNECT`, as it comes.
#[derive(Debug)]
pub(crate) struct HttpConnect {
    /// Of the head that is not complete yet.
    head: Vec<u8>,
    /// How far its end was looked for, so that each byte is looked at once.
    scanned: usize,
    received: usize,
}

impl HttpConnect {
    pub(crate) fn new(proxy: &Proxy, endpoint: &Endpoint, outgoing: &mut Vec<u8>) -> Self {
        outgoing.extend_from_slice(format!("CONNECT {endpoint} HTTP/1.1\r\n").as_bytes());
        outgoing.extend_from_slice(format!("Host: {endpoint}\r\n{AGENT}\r\n").as_bytes());
        if let Some(credentials) = proxy.credentials() {
            outgoing.extend_from_slice(b"Proxy-Authorization: ");
            outgoing.extend_from_slice(credentials.basic().as_bytes());
            outgoing.extend_from_slice(b"\r\n");
        }
        outgoing.extend_from_slice(b"\r\n");
        Self { head: Vec::new(), scanned: 0, received: 0 }
    }

    pub(crate) const fn received(&self) -> usize {
        self.received
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Progress, ProxyError> {
        self.received = self.received.saturating_add(bytes.len());
        self.head.extend_from_slice(bytes);
        while let Some(end) = self.find_end() {
            let rest = self.head.split_off(end);
            // All heads together, so that interim answers have an end, too.
            if self.received.saturating_sub(rest.len()) > MAX_ANSWER {
                return Err(ProxyError::TooLong { limit: MAX_ANSWER });
            }
            let (status, headers) = parse(&self.head)?;
            self.head = rest;
            self.scanned = 0;
            if status.is_success() {
                // A length or a body of a 2xx means nothing here; what follows is the tunnel.
                return match self.head.len() {
                    0 => Ok(Progress::Open),
                    bytes => Err(ProxyError::Excess { bytes }),
                };
            }
            if !status.is_informational() {
                return Err(ProxyError::Refused { status, headers: Box::new(headers) });
            }
        }
        if self.received > MAX_ANSWER {
            return Err(ProxyError::TooLong { limit: MAX_ANSWER });
        }
        Ok(Progress::Unfinished)
    }

    /// Where the empty line ends. Old proxies end lines in LF alone.
    fn find_end(&mut self) -> Option<usize> {
        let from = self.scanned.saturating_sub(3);
        let unseen = self.head.get(from..).unwrap_or_default();
        let ends = |at: usize| {
            let tail = unseen.get(..at)?;
            (tail.ends_with(b"\n\n") || tail.ends_with(b"\n\r\n")).then_some(at)
        };
        let found = (1..=unseen.len()).find_map(ends);
        self.scanned = self.head.len();
        Some(from.saturating_add(found?))
    }
}

fn parse(head: &[u8]) -> Result<(StatusCode, HeaderMap), ProxyError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(ProxyError::Malformed("incomplete head")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ProxyError::Malformed("more than 128 header fields"));
        }
        Err(_) => return Err(ProxyError::Malformed("not an answer of HTTP/1")),
    }
    let status = StatusCode::from_u16(response.code.unwrap_or_default())
        .map_err(|_| ProxyError::Malformed("status out of range"))?;
    let mut headers = HeaderMap::new();
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else {
            return Err(ProxyError::Malformed("invalid header field"));
        };
        headers.append(name, value);
    }
    Ok((status, headers))
}

/// More fields than any proxy sends.
const MAX_FIELDS: usize = 128;

const AGENT: &str = concat!("User-Agent: lastword/", env!("CARGO_PKG_VERSION"));
