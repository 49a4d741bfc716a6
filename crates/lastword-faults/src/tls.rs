//! Certificates of our own, and whoever trusts them.

use std::sync::Arc;

use lastword::rustls::crypto::aws_lc_rs::default_provider;
use lastword::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use lastword::rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};

/// A server's certificate for [`Certificates::HOST`], and a client that trusts no other.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the two sides of TLS")]
pub struct Certificates {
    /// For whoever accepts.
    pub server: Arc<ServerConfig>,
    /// For whoever connects.
    pub client: Arc<ClientConfig>,
}

impl Certificates {
    /// Whom they are for.
    pub const HOST: &str = "localhost";

    /// Fresh ones.
    ///
    /// # Panics
    /// When the machine cannot make a key.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec![Self::HOST.to_owned()])
            .expect("a certificate can be made");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let certificate = made.cert.der().clone();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from(key))
            .expect("the key is that of the certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("it is a certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    /// One side of TLS without a socket, as the proxy needs it.
    pub(crate) fn accept(&self) -> Connection {
        let connection = ServerConnection::new(Arc::clone(&self.server));
        connection.expect("the configuration is whole").into()
    }

    /// The other side.
    pub(crate) fn connect(&self) -> Connection {
        let name = ServerName::try_from(Self::HOST).expect("it is a name");
        let connection = ClientConnection::new(Arc::clone(&self.client), name);
        connection.expect("the configuration is whole").into()
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
