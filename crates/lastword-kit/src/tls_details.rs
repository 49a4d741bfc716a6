//! What the TLS of a connection came to.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, ProtocolVersion};

/// What the TLS of a connection came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsDetails {
    /// The version of the protocol.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// What ALPN chose, if it was asked.
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for (SNI), on the server's side.
    pub server_name: Option<String>,
    /// The certificates that the peer showed, its own first; none of a client that was not asked.
    pub peer_certificates: Vec<CertificateDer<'static>>,
}

impl TlsDetails {
    /// Of an established session, and the name that its client asked for, where we are the server.
    pub fn of(session: &CommonState, server_name: Option<&str>) -> Self {
        Self {
            version: session.protocol_version(),
            cipher_suite: session.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            server_name: server_name.map(ToOwned::to_owned),
            peer_certificates: session.peer_certificates().unwrap_or_default().to_vec(),
        }
    }
}
