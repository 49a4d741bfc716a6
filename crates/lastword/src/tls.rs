//! TLS through rustls: whom we trust by default, and what came of it. All else is the caller's own
//! configuration.

use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{CipherSuite, ClientConfig, Error, ProtocolVersion};

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
    pub(crate) fn of<S>(stream: &TlsStream<S>) -> Self {
        let session = stream.get_ref().1;
        let server_name = match stream {
            TlsStream::Server(stream) => stream.get_ref().1.server_name().map(ToOwned::to_owned),
            TlsStream::Client(_) => None,
        };
        Self {
            version: session.protocol_version(),
            cipher_suite: session.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            peer_certificates: session.peer_certificates().unwrap_or_default().to_vec(),
        }
    }
}

/// Trusts whom the platform trusts. The provider is named, so that nothing process-wide is
/// installed or asked for.
pub(crate) fn platform_client() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}
