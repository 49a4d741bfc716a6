//! The handshake with a proxy: bytes out, bytes in, and in the end a tunnel to the server.

use crate::answer::{Progress, ProxyError};
use crate::host::Endpoint;
use crate::http_connect::HttpConnect;
use crate::proxy::{Proxy, ProxyProtocol};
use crate::socks::Socks;

/// A handshake with a proxy.
///
/// Write what [`to_write`](Self::to_write) lends and acknowledge it with [`wrote`](Self::wrote); when
/// it is empty, read, and hand over what came to [`receive`](Self::receive), until it is
/// [`Progress::Open`].
#[derive(Debug)]
pub struct Tunnel {
    outgoing: Vec<u8>,
    handshake: Handshake,
}

#[derive(Debug)]
enum Handshake {
    Http(HttpConnect),
    Socks(Socks),
}

impl Tunnel {
    /// A handshake that asks `proxy` for a tunnel to `endpoint`.
    ///
    /// Where [`Proxy::resolution`] is [`Here`](crate::Resolution::Here), the host has to be an address.
    ///
    /// # Errors
    /// [`ProxyError::Address`] if the protocol cannot carry the endpoint.
    pub fn new(proxy: &Proxy, endpoint: &Endpoint) -> Result<Self, ProxyError> {
        let mut outgoing = Vec::new();
        let handshake = match proxy.protocol() {
            ProxyProtocol::Http | ProxyProtocol::Https => {
                Handshake::Http(HttpConnect::new(proxy, endpoint, &mut outgoing))
            }
            _ => Handshake::Socks(Socks::new(proxy, endpoint, &mut outgoing)?),
        };
        Ok(Self { outgoing, handshake })
    }

    /// What is to be written now.
    pub fn to_write(&self) -> &[u8] {
        &self.outgoing
    }

    /// So many bytes of it were written.
    pub fn wrote(&mut self, count: usize) {
        self.outgoing.drain(..count.min(self.outgoing.len()));
    }

    /// Takes what the proxy answered, in pieces of any size.
    ///
    /// # Errors
    /// [`ProxyError`]: the proxy refused, or does not speak its protocol.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Progress, ProxyError> {
        match &mut self.handshake {
            Handshake::Http(http) => http.receive(bytes),
            Handshake::Socks(socks) => socks.receive(bytes, &mut self.outgoing),
        }
    }

    /// The stream ended: the error that this means.
    pub fn receive_eof(&self) -> ProxyError {
        let bytes = match &self.handshake {
            Handshake::Http(http) => http.received(),
            Handshake::Socks(socks) => socks.received(),
        };
        ProxyError::Eof { bytes }
    }
}

#[cfg(test)]
mod tests;
