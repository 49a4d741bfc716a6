//! Whoever vouches for clients, and servers that ask who somebody is.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What somebody shows, its own certificate first, and the key to it.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Whoever vouches for clients.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One of this name.
    ///
    /// # Panics
    /// When the machine cannot make a key.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate can be made"))
    }

    /// A certificate for `name`, and its key.
    ///
    /// # Panics
    /// When the machine cannot make a key, or nobody can have that name.
    pub fn vouch_for(&self, name: &str) -> Shown {
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
        let made = params.signed_by(&key, &self.0).expect("a certificate can be made");
        (vec![made.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// The TLS of a server on `localhost` that lets in whom this authority vouches for, and nobody else.
    ///
    /// # Panics
    /// When the machine cannot make a key.
    pub fn guard(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("it is a certificate");
        let provider = Arc::new(default_provider());
        let guard = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let (chain, key) = self.vouch_for("localhost");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks them")
            .with_client_cert_verifier(guard.build().expect("there is a root"))
            .with_single_cert(chain, key)
            .expect("the key is that of the certificate");
        Arc::new(config)
    }
}
