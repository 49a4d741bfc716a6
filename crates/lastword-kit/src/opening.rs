//! What is known of a connection since its opening: the request, the response, who talks to whom.

use std::fmt;
use std::net::SocketAddr;
// The name of a connection orders nothing: a model checker has nothing to try here.
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use lastword_proto::{Agreement, DeflateAgreement, Exchange, Parameters, Role, handshake};

/// The two addresses of a connection, where its transport has addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a connection has two ends")]
pub struct Addresses {
    /// Ours.
    pub local: Option<SocketAddr>,
    /// The peer's.
    pub peer: Option<SocketAddr>,
}

/// Names a connection: no two of a process have the same, whether client or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        // 2^64 connections are never made.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What both sides said in the opening handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opening {
    /// Names the connection among all of this process.
    pub id: ConnectionId,
    /// Which side we are.
    pub role: Role,
    exchange: Exchange,
    /// The subprotocol that was chosen, if one was.
    pub subprotocol: Option<Box<str>>,
    /// permessage-deflate as agreed on, if it was.
    pub deflate: Option<DeflateAgreement>,
    /// Our address, if the transport has one.
    pub local_addr: Option<SocketAddr>,
    /// The peer's address, if the transport has one.
    pub peer_addr: Option<SocketAddr>,
}

impl Opening {
    /// What is kept of an agreement.
    pub fn new(agreement: Agreement, addresses: Addresses) -> Self {
        Self {
            id: ConnectionId::next(),
            role: agreement.role,
            exchange: agreement.exchange,
            subprotocol: agreement.subprotocol,
            deflate: agreement.deflate,
            local_addr: addresses.local,
            peer_addr: addresses.peer,
        }
    }

    /// What is logged about the connection stands in this span.
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!(
            "websocket",
            id = %self.id,
            role = ?self.role,
            peer = self.peer_addr.map(tracing::field::display),
        )
    }

    /// The request. It is kept as it crossed the wire and parsed at each call: keep the result
    /// where it is needed often.
    pub fn request(&self) -> Request<()> {
        self.exchange.request()
    }

    /// The response that accepted it; parsed at each call, as [`request`](Self::request) is.
    pub fn response(&self) -> Response<()> {
        self.exchange.response()
    }

    /// The extensions that were agreed on, in the order in which messages go out through them: name and
    /// parameters, permessage-deflate included. Parsed at each call, as the response is.
    pub fn extensions(&self) -> Vec<(String, Parameters)> {
        handshake::extensions_in(&self.response())
    }
}
