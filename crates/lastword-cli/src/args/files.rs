//! Files that arguments name: certificates and keys, and what proves who somebody is, which no list of processes
//! shows.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lastword::rustls::crypto::aws_lc_rs;
use lastword::rustls::pki_types::pem::{self, PemObject};
use lastword::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use lastword::rustls::sign::CertifiedKey;
use lastword::rustls::{self, ClientConfig, InconsistentKeys, RootCertStore};

use super::wrong::Wrong;

/// Where a password and a token may be in the environment.
const PASSWORD: &str = "LASTWORD_PASSWORD";
pub(super) const BEARER: &str = "LASTWORD_BEARER";

/// What of our environment is no business of a process that we start.
pub(crate) const SECRETS: [&str; 2] = [PASSWORD, BEARER];

pub(super) type Chain = Vec<CertificateDer<'static>>;

/// Who we are to those who ask.
pub(super) type Itself = (Chain, PrivateKeyDer<'static>);

/// Who we are, if both files are named.
pub(super) fn identity(cert: Option<&Path>, key: Option<&Path>) -> Result<Option<Itself>, Wrong> {
    let (Some(cert), Some(key)) = (cert, key) else { return Ok(None) };
    let (chain, secret) = (certificates(cert)?, private_key(key)?);
    let signer = aws_lc_rs::sign::any_supported_type(&secret)
        .map_err(|why| Wrong::Certificate { path: key.to_owned(), why })?;
    if let Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) =
        CertifiedKey::new(chain.clone(), signer).keys_match()
    {
        return Err(Wrong::Pair { cert: cert.to_owned(), key: key.to_owned() });
    }
    Ok(Some((chain, secret)))
}

/// Those who have signed with the certificates of a file.
pub(super) fn signers(path: &Path) -> Result<RootCertStore, Wrong> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|why| Wrong::Certificate { path: path.to_owned(), why })?;
    }
    Ok(roots)
}

/// Trusts the certificates of a file, and nobody else.
pub(super) fn trusting(path: &Path, identity: Option<Itself>) -> Result<ClientConfig, Wrong> {
    let roots = signers(path)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |why| Wrong::Certificate { path: path.to_owned(), why };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots);
    match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(failed),
        None => Ok(config.with_no_client_auth()),
    }
}

/// The certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Chain, Wrong> {
    let content = bytes(path)?;
    let found: Result<Chain, _> = CertificateDer::pem_slice_iter(&content).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(Wrong::pem(path, "certificate", pem::Error::NoItemsFound))
        }
        found => found.map_err(|error| Wrong::pem(path, "certificate", error)),
    }
}

/// The key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Wrong> {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    let content = bytes(path)?;
    PrivateKeyDer::from_pem_slice(&content).map_err(|error| {
        // It stands in the first line, or in the next one.
        let is_encrypted = content.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
        match is_encrypted {
            true => Wrong::Passphrase(path.to_owned()),
            false => Wrong::pem(path, "key", error),
        }
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Wrong> {
    fs::read(path).map_err(|source| Wrong::File { path: path.to_owned(), source })
}

pub(super) fn read(path: &Path) -> Result<String, Wrong> {
    fs::read_to_string(path).map_err(|source| Wrong::File { path: path.to_owned(), source })
}

pub(super) fn first_line(path: &Path) -> Result<String, Wrong> {
    Ok(read(path)?.lines().next().unwrap_or_default().to_owned())
}

/// A password, from where no list of processes shows it.
pub(super) fn password(file: Option<&Path>) -> Result<String, Wrong> {
    match file {
        Some(path) => first_line(path),
        None => std::env::var(PASSWORD).map_err(|_| Wrong::NoPassword),
    }
}
