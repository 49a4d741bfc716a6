//! TLS through rustls: whom a client trusts, and who it is. All else is the caller's own configuration.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

/// Whose certificates a client accepts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Those that the platform trusts.
    #[default]
    Platform,
    /// Those that Mozilla trusts, as of the release of `webpki-roots`.
    Webpki,
    /// Everybody's.
    Anybody,
    /// Whatever the caller's configuration says.
    Own(Arc<ClientConfig>),
}

/// Who a client is, to servers that ask. Its `Debug` shows nothing of the key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Whoever has this key; the first certificate of the chain is its own.
    pub const fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// How a client speaks TLS: whom it trusts and who it is, and the configuration that comes of both. That is
/// made once, when it is first needed, for all clones together: roots are read once, and a connection takes
/// up the session of the one before it.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    trust: Trust,
    identity: Option<Arc<Identity>>,
    made: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl ClientTls {
    /// Trusts these from now on.
    pub fn trusting(&mut self, trust: Trust) {
        self.trust = trust;
        self.made = Arc::default();
    }

    /// Is this one from now on, to servers that ask. Whoever trusts by [`Trust::Own`] knows that already.
    pub fn being(&mut self, identity: Identity) {
        self.identity = Some(Arc::new(identity));
        self.made = Arc::default();
    }

    /// Whom it trusts.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The configuration.
    ///
    /// # Errors
    /// When the platform has no roots, or the identity's key is none that rustls knows. It is made anew the
    /// next time.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(made) = self.made.get() {
            return Ok(Arc::clone(made));
        }
        let made = self.trust.config(self.identity.as_deref())?;
        Ok(Arc::clone(self.made.get_or_init(|| made)))
    }
}

impl Trust {
    /// The configuration of a client that trusts so, and is this one. The provider is named, so that
    /// nothing process-wide is installed or asked for. A configuration of the caller's own knows who
    /// it is, and is not changed.
    fn config(&self, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let signatures = provider.signature_verification_algorithms;
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match self {
            Self::Own(config) => return Ok(Arc::clone(config)),
            Self::Platform => builder.with_platform_verifier()?,
            Self::Webpki => {
                let roots =
                    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                builder.with_root_certificates(roots)
            }
            Self::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAnybody { signatures })),
        };
        let config = match identity {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key())?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

/// Takes any certificate, though not a signature that its key did not make.
#[derive(Debug)]
struct AcceptAnybody {
    signatures: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AcceptAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.signatures)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.signatures)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_schemes()
    }
}
