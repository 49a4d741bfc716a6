//! What an application may do about a request, and what is made of that: pure, from a request and an
//! answer to an agreement or a refusal.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use lastword_proto::Agreement;
use lastword_proto::handshake::server::{Offer, Refusal};

/// A request that has come, for `Server::on_request` to look at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// Method, target and headers.
    pub request: Request<()>,
    /// Whether it asks for a WebSocket, by all rules; otherwise it is an ordinary HTTP request.
    pub wants: Wants,
    /// Our address, if the transport has one.
    pub local_addr: Option<SocketAddr>,
    /// The peer's address, if the transport has one.
    pub peer_addr: Option<SocketAddr>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a WebSocket, or anything else")]
pub enum Wants {
    /// A WebSocket, in a request that is valid for one.
    WebSocket,
    /// An answer over HTTP.
    Http,
}

impl Incoming {
    /// The path of the target, such as `/chat`.
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// What stands behind the `?` of the target, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    /// The value of a header, if it is there and is text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }
}

/// What an application answers to a request.
///
/// ```
/// # use lastword_kit::Answer;
/// use http::{StatusCode, header};
///
/// let accept = Answer::accept().header(header::SERVER, "mine/1".try_into()?).subprotocol("v2");
/// let refuse = Answer::text(StatusCode::FORBIDDEN, "members only\n");
/// let health = Answer::from(http::Response::new("OK\n".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Answer(Said);

#[derive(Clone, Debug)]
enum Said {
    Accept { headers: HeaderMap, subprotocol: Option<String> },
    Respond(Response<Bytes>),
}

impl Answer {
    /// Accepts the request; one that wants no WebSocket is answered as if nobody had been asked.
    pub fn accept() -> Self {
        Self(Said::Accept { headers: HeaderMap::new(), subprotocol: None })
    }

    /// Answers with this status and body, as plain text, and closes. The body goes out as it is:
    /// keep it small.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response.into()
    }

    /// Adds a header to the response. What the handshake or the framing of a response itself says is
    /// left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let headers = match &mut self.0 {
            Said::Accept { headers, .. } => headers,
            Said::Respond(response) => response.headers_mut(),
        };
        headers.append(name, value);
        self
    }

    /// Chooses a subprotocol, instead of what `Server::subprotocols` would have chosen. One that the client has not offered is answered with 500: no client may
    /// take it. Means nothing where the request is not accepted.
    #[must_use]
    pub fn subprotocol(mut self, chosen: impl Into<String>) -> Self {
        if let Said::Accept { subprotocol, .. } = &mut self.0 {
            *subprotocol = Some(chosen.into());
        }
        self
    }

    /// What becomes of a valid request that is answered so.
    pub(crate) fn decide_offer(self, mut offer: Offer) -> Result<(Bytes, Agreement), Box<Refusal>> {
        match self.0 {
            Said::Accept { headers, subprotocol } => {
                *offer.headers_mut() = headers;
                if let Some(subprotocol) = subprotocol {
                    offer.choose_subprotocol(&subprotocol)?;
                }
                offer.accept()
            }
            Said::Respond(response) => Err(Refusal::of_response(response)),
        }
    }

    /// What becomes of a request that is no valid one for a WebSocket, and would otherwise be refused
    /// so.
    pub(crate) fn decide_ordinary(
        self,
        request: &Request<()>,
        refusal: Box<Refusal>,
    ) -> Box<Refusal> {
        match self.0 {
            Said::Accept { .. } => refusal,
            Said::Respond(response) => Refusal::of_ordinary(request, response),
        }
    }

    /// Whether the request is accepted.
    pub const fn accepts(&self) -> bool {
        matches!(self.0, Said::Accept { .. })
    }
}

impl From<Response<Bytes>> for Answer {
    /// Answers with this response. Its body goes out as it is: keep it small. A status of 1xx is
    /// answered with 500.
    fn from(response: Response<Bytes>) -> Self {
        Self(Said::Respond(response))
    }
}
