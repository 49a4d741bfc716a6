//! TLS through rustls: whom we trust by default. All else is the caller's own configuration.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, Error};
use rustls_platform_verifier::BuilderVerifierExt;

/// Trusts whom the platform trusts. The provider is named, so that nothing process-wide is
/// installed or asked for.
///
/// # Errors
/// When the platform has no roots.
pub fn platform_client() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}
