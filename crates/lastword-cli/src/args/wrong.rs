//! What is wrong with arguments that only their meaning shows, and with the files that they name.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use lastword::dial::{InvalidUri, without_user};
use lastword::proto::handshake::client::InvalidRequest;
use lastword::rustls;
use lastword::rustls::pki_types::pem;

/// What is wrong with the arguments, or with the files that they name.
#[derive(Debug)]
pub(crate) enum Wrong {
    Url { url: String, why: InvalidUri },
    File { path: PathBuf, source: io::Error },
    Line { path: PathBuf, line: usize, why: String },
    Pem { path: PathBuf, what: &'static str, why: pem::Error },
    Passphrase(PathBuf),
    Certificate { path: PathBuf, why: rustls::Error },
    Pair { cert: PathBuf, key: PathBuf },
    Request(InvalidRequest),
    ServerName(String),
    NoPassword,
    Secret,
    Making(String),
}

impl Wrong {
    pub(super) fn pem(path: &Path, what: &'static str, why: pem::Error) -> Self {
        let path = path.to_owned();
        match why {
            pem::Error::Io(source) => Self::File { path, source },
            why => Self::Pem { path, what, why },
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, why } => {
                writeln!(f, "invalid URL {:?}: {why}", without_user(url))?;
                match meant(url, *why) {
                    Some(meant) => write!(f, "Try {meant}"),
                    None => f.write_str("Expected ws://HOST[:PORT]/PATH, or wss:// for TLS."),
                }
            }
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Line { path, line, why } => write!(f, "{}, line {line}: {why}", path.display()),
            Self::Pem { path, what, why: pem::Error::NoItemsFound } => {
                write!(f, "there is no {what} in {}{PEM}", path.display())
            }
            Self::Pem { path, what, why } => {
                write!(f, "the {what} in {} is broken: {why}{PEM}", path.display())
            }
            Self::Certificate { path, why: rustls::Error::InvalidCertificate(why) } => {
                write!(f, "what {} has is no certificate: {why}", path.display())
            }
            Self::Pair { cert, key } => {
                let (cert, key) = (cert.display(), key.display());
                write!(f, "the key in {key} is not that of the certificate in {cert}\nExpected the two that belong together (--cert, --key).")
            }
            Self::Request(why) => write!(f, "{why}\nTry without it, or with another value."),
            Self::Passphrase(path) => {
                let path = path.display();
                write!(f, "the key in {path} has a passphrase\nTake it off: openssl pkey -in {path} -out NEW-FILE")
            }
            Self::Certificate { path, why } => write!(f, "cannot use {}: {why}", path.display()),
            Self::ServerName(name) => write!(f, "{name:?} is neither a name of a host nor an address (--server-name)"),
            Self::NoPassword => f.write_str(
                "--user needs a password\nPut it into a file (--password-file FILE), or into LASTWORD_PASSWORD.",
            ),
            Self::Making(why) => write!(f, "cannot make a certificate: {why}"),
            Self::Secret => f.write_str("a password, token or cookie has characters that a header cannot hold"),
        }
    }
}

const PEM: &str = "\nExpected a file in PEM form, with -----BEGIN lines.";

/// What was meant instead, if that can be guessed.
fn meant(url: &str, why: InvalidUri) -> Option<String> {
    if let Some((scheme @ ("ws" | "wss"), rest)) = url.split_once(":/")
        && !rest.starts_with('/')
    {
        return Some(format!("{scheme}://{rest}"));
    }
    let (scheme, rest) = url.split_once("://")?;
    let rest = without_user(rest);
    match why {
        InvalidUri::Http => Some(format!("ws://{rest}")),
        InvalidUri::Https => Some(format!("wss://{rest}")),
        InvalidUri::Character(' ') if rest.contains('/') && rest.find('/') < rest.find(' ') => {
            Some(format!("{scheme}://{}", rest.replace(' ', "%20")))
        }
        InvalidUri::Fragment => Some(format!("{scheme}://{}", rest.replace('#', "%23"))),
        _ => None,
    }
}
