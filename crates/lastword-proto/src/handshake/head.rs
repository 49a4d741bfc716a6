//! The head of an HTTP/1.1 message: found as its bytes come, parsed once, within limits.

use std::mem::MaybeUninit;

use http::{HeaderMap, Request, Version};
use httparse::Header;

use crate::config::OpeningLimits;
use crate::exchange;

/// The bytes of a head, so far.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    limits: OpeningLimits,
    /// How far the end was looked for, and where the line that stands there begins.
    scanned: usize,
    line_start: usize,
    /// Where the start line ends, with its line end.
    start_line: Option<usize>,
    fields: usize,
}

/// The fields of a head, as they stand in it.
pub(super) struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// The values of all fields of this name, in any case, in their order.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value)
    }

    /// The only value of a header; how many there are if that is not one.
    pub(super) fn sole(&self, name: &'static str) -> Result<&'a [u8], usize> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(self.all(name).count()),
        }
    }
}

/// What is wrong with a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The request line or status line is too long.
    #[error("start line exceeds our limit of {limit} bytes (max_start_line)")]
    StartLineTooLong {
        /// `OpeningLimits::max_start_line`.
        limit: usize,
    },
    /// The header section is too long.
    #[error("header section exceeds our limit of {limit} bytes (max_header_bytes)")]
    HeadersTooLong {
        /// `OpeningLimits::max_header_bytes`.
        limit: usize,
    },
    /// There are too many header fields.
    #[error("more than {limit} header fields (max_headers)")]
    TooManyHeaders {
        /// `OpeningLimits::max_headers`.
        limit: usize,
    },
    /// A line that does not end in CR LF (RFC 9112 section 2.2).
    #[error("line that ends in LF without CR")]
    BareLineFeed,
    /// Another version of HTTP than 1.1.
    #[error("HTTP version is not 1.1")]
    Version,
    /// A request target that is no URI.
    #[error("request target is not a valid URI")]
    Target,
    /// Anything else that is not HTTP.
    #[error("malformed HTTP: {0}")]
    Malformed(&'static str),
}

impl Head {
    pub(super) fn new(mut limits: OpeningLimits) -> Self {
        limits.max_headers = limits.max_headers.min(MOST_FIELDS);
        Self { bytes: Vec::new(), limits, scanned: 0, line_start: 0, start_line: None, fields: 0 }
    }

    /// Whether the first bytes are those of a response (RFC 9112 section 4), as far as they have come.
    pub(super) fn may_be_response(&self) -> bool {
        self.bytes.iter().zip(b"HTTP/").all(|(came, expected)| came == expected)
    }

    /// How many bytes have come.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes further bytes: the size of the head, once it is complete. Each byte is looked at once,
    /// and refused as soon as it proves a limit broken.
    pub(super) fn push(&mut self, input: &[u8]) -> Result<Option<usize>, HeadError> {
        self.bytes.extend_from_slice(input);
        while let Some(newline) = self.next_newline() {
            let line = self.bytes.get(self.line_start..newline).unwrap_or_default();
            if line.last() != Some(&b'\r') {
                return Err(HeadError::BareLineFeed);
            }
            let (empty, after) = (line.len() == 1, newline.saturating_add(1));
            self.end_line(after)?;
            if empty {
                return Ok(Some(after));
            }
        }
        self.check(self.bytes.len())?;
        Ok(None)
    }

    /// What has come; nothing is left.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The bytes behind the head.
    pub(super) fn split_off(&mut self, size: usize) -> Vec<u8> {
        if size > self.bytes.len() { Vec::new() } else { self.bytes.split_off(size) }
    }

    /// What `look` finds in the request: method, target and fields. They are shown where they stand;
    /// nothing is copied.
    pub(super) fn parse_request<T>(
        &self,
        look: impl FnOnce(&str, &str, &Fields<'_>) -> T,
    ) -> Result<T, HeadError> {
        let mut few = [MaybeUninit::uninit(); FEW];
        let mut many = Vec::new();
        let room = if self.fields <= FEW {
            few.as_mut_slice()
        } else {
            many.resize(self.fields, MaybeUninit::uninit());
            many.as_mut_slice()
        };
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(&self.bytes, room) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError::Malformed("incomplete")),
            Err(error) => return Err(malformed(error)),
        }
        if request.version != Some(1) {
            return Err(HeadError::Version);
        }
        let (method, target) =
            (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        Ok(look(method, target, &Fields(request.headers)))
    }

    /// The request, if it is a proper one of HTTP/1.0.
    pub(super) fn request_of_http_1_0(&self) -> Option<Request<()>> {
        let start_line = self.bytes.get(..self.start_line?)?;
        let request =
            start_line.ends_with(b" HTTP/1.0\r\n").then(|| exchange::parse_request(&self.bytes))?;
        // What is not proper was not parsed.
        (request.version() == Version::HTTP_10).then_some(request)
    }

    /// The response: status and headers.
    pub(super) fn parse_response(&self) -> Result<(u16, HeaderMap), HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&self.bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError::Malformed("incomplete")),
            Err(error) => return Err(malformed(error)),
        }
        Ok((response.code.unwrap_or_default(), header_map(response.headers)?))
    }

    fn next_newline(&mut self) -> Option<usize> {
        let unseen = self.bytes.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', unseen) else {
            self.scanned = self.bytes.len();
            return None;
        };
        let newline = self.scanned.saturating_add(found);
        self.scanned = newline.saturating_add(1);
        Some(newline)
    }

    fn end_line(&mut self, after: usize) -> Result<(), HeadError> {
        self.check(after)?;
        self.line_start = after;
        if self.start_line.is_none() {
            self.start_line = Some(after);
        } else {
            // The empty line counts as one: it costs a slot, and keeps the sum simple.
            self.fields = self.fields.saturating_add(1);
        }
        Ok(())
    }

    /// Holds what has come up to `end` against the limits.
    fn check(&self, end: usize) -> Result<(), HeadError> {
        let OpeningLimits { max_start_line, max_header_bytes, max_headers, .. } = self.limits;
        match self.start_line {
            None if end > max_start_line => {
                Err(HeadError::StartLineTooLong { limit: max_start_line })
            }
            Some(start) if end.saturating_sub(start) > max_header_bytes => {
                Err(HeadError::HeadersTooLong { limit: max_header_bytes })
            }
            _ if self.fields > max_headers => Err(HeadError::TooManyHeaders { limit: max_headers }),
            _ => Ok(()),
        }
    }
}

/// More do not fit into an `http::HeaderMap`, in which whoever asks for the head gets them.
const MOST_FIELDS: usize = 24_576;

/// As many fields as are parsed without asking for memory. Browsers send some 15.
const FEW: usize = 32;

const fn malformed(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::Version => HeadError::Version,
        httparse::Error::HeaderName => HeadError::Malformed("invalid header name"),
        httparse::Error::HeaderValue => HeadError::Malformed("invalid header value"),
        httparse::Error::NewLine => HeadError::Malformed("invalid line end"),
        httparse::Error::Status => HeadError::Malformed("invalid status"),
        httparse::Error::Token => HeadError::Malformed("invalid token"),
        httparse::Error::TooManyHeaders => HeadError::Malformed("too many headers"),
    }
}

fn header_map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    exchange::header_map(fields).ok_or(HeadError::Malformed("invalid header"))
}
