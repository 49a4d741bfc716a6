//! Certificates of our own, and whoever trusts them.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A server's certificate for `localhost` and `::1`, and a client that trusts no other.
///
/// # Panics
/// When the machine cannot make a key.
pub fn certificates() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let names = ["localhost", "::1"].map(ToOwned::to_owned);
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let certificate = made.cert.der().clone();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("the key is that of the certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("it is a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
