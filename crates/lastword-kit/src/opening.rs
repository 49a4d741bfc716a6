//! What is known of a connection since its opening: the request, the response, who talks to whom.

use std::net::SocketAddr;

use http::{Request, Response};
use lastword_proto::{Agreement, DeflateAgreement, Exchange, Role};

/// The two addresses of a connection, where its transport has addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a connection has two ends")]
pub struct Addresses {
    /// Ours.
    pub local: Option<SocketAddr>,
    /// The peer's.
    pub peer: Option<SocketAddr>,
}

/// What both sides said in the opening handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opening {
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
            role: agreement.role,
            exchange: agreement.exchange,
            subprotocol: agreement.subprotocol,
            deflate: agreement.deflate,
            local_addr: addresses.local,
            peer_addr: addresses.peer,
        }
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
}
