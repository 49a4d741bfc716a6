//! What is known of a connection since its opening: the request, the response, who talks to whom.

use std::net::SocketAddr;

use http::{Request, Response};
use lastword_proto::{Agreement, DeflateAgreement, Role};

use crate::transport::Addresses;

/// What both sides said in the opening handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opening {
    /// Which side we are.
    pub role: Role,
    /// The request.
    pub request: Request<()>,
    /// The response that accepted it.
    pub response: Response<()>,
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
    pub(crate) fn new(agreement: Agreement, addresses: Addresses) -> Self {
        Self {
            role: agreement.role,
            request: agreement.request,
            response: agreement.response,
            subprotocol: agreement.subprotocol,
            deflate: agreement.deflate,
            local_addr: addresses.local,
            peer_addr: addresses.peer,
        }
    }
}
