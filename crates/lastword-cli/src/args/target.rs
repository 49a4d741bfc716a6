//! Where to connect, as whom and how: what all subcommands that connect can be told, and what it means.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use lastword::dial::{InvalidUri, WebSocketUri, without_user};
use lastword::proto::handshake::client::{InvalidRequest, Opening};
use lastword::rustls::crypto::aws_lc_rs;
use lastword::rustls::pki_types::pem::{self, PemObject};
use lastword::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use lastword::rustls::sign::CertifiedKey;
use lastword::rustls::{self, RootCertStore};
use lastword::rustls::{ClientConfig, InconsistentKeys};
use lastword::{
    Client, Config, ConnectError, HostAddresses, InvalidHostAddresses, InvalidProxy, Proxy,
    Reconnect, WebSocket,
};

use super::limits::{LIMITS, LimitArgs};
use super::values::{
    Wait, at_least_a_byte, cookie, header, header_value, ip, number, wait, wait_or_off,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// URL of the server, ws:// or wss://; without either it is ws://, and :8765 is a port of this machine.
    #[arg(value_parser = with_scheme)]
    pub(crate) url: String,

    /// Add a header to the request, as in "X-Key: 1".
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header, help_heading = REQUEST)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Add the headers of this file, one a line.
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    header_file: Option<PathBuf>,
    /// Send a cookie.
    #[arg(long = "cookie", value_name = "NAME=VALUE", value_parser = cookie, help_heading = REQUEST)]
    cookies: Vec<String>,
    /// Send an Origin, as a browser would.
    #[arg(long, value_name = "ORIGIN", value_parser = header_value, help_heading = REQUEST)]
    origin: Option<HeaderValue>,
    /// Offer a subprotocol; the first is the preferred.
    #[arg(short, long = "subprotocol", value_name = "NAME", help_heading = REQUEST)]
    subprotocols: Vec<String>,
    /// Basic credentials of this user; the password is in --password-file or LASTWORD_PASSWORD.
    #[arg(short, long, value_name = "NAME", value_parser = user, help_heading = REQUEST)]
    user: Option<String>,
    /// Read the password from this file.
    #[arg(long, value_name = "FILE", requires = "user", help_heading = REQUEST)]
    password_file: Option<PathBuf>,
    /// Send the token in this file as Bearer credentials; LASTWORD_BEARER does so without a file.
    #[arg(long, value_name = "FILE", conflicts_with = "user", help_heading = REQUEST)]
    bearer_file: Option<PathBuf>,
    /// Follow at most so many redirects.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number::<usize>, help_heading = REQUEST)]
    max_redirects: usize,

    /// Trust the certificates of this file (PEM) instead of the platform's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TLS)]
    ca: Option<PathBuf>,
    /// Show this certificate (PEM) to servers that ask for one.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = TLS)]
    cert: Option<PathBuf>,
    /// The key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TLS)]
    key: Option<PathBuf>,
    /// Verify that the certificate is for this name, instead of the URL's host.
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    server_name: Option<String>,
    /// Accept any certificate, from anybody who is on the way.
    #[arg(short = 'k', long, help_heading = TLS)]
    insecure: bool,

    /// Go through this proxy: http://, https://, socks4://, socks4a://, socks5://, socks5h://.
    #[arg(short = 'x', long, value_name = "URL", value_parser = proxy, help_heading = NETWORK)]
    proxy: Option<Proxy>,
    /// Go through no proxy, whatever the environment says.
    #[arg(long, conflicts_with = "proxy", help_heading = NETWORK)]
    no_proxy: bool,
    /// Connect to this Unix socket; the URL gives host and path.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["proxy", "local_address"], help_heading = NETWORK)]
    unix: Option<PathBuf>,
    /// Connect to these addresses of a host instead of looking it up; * is each host.
    #[arg(long = "resolve", value_name = "HOST:PORT:ADDRESS[,ADDRESS...]", value_parser = host_addresses, conflicts_with = "unix", help_heading = NETWORK)]
    resolve: Vec<HostAddresses>,
    /// Connect from this address of ours.
    #[arg(long, value_name = "ADDRESS", value_parser = ip, help_heading = NETWORK)]
    local_address: Option<IpAddr>,

    /// Neither offer nor accept compression.
    #[arg(long, help_heading = LIMITS)]
    pub(super) no_compression: bool,
    /// Refuse larger messages; 16M without it.
    #[arg(long, value_name = "SIZE", value_parser = at_least_a_byte, help_heading = LIMITS)]
    max_message_size: Option<usize>,
    /// How long connecting may take, with all that belongs to it; 10 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = LIMITS)]
    open_timeout: Option<Duration>,
    /// How long the closing handshake may take; 10 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = LIMITS)]
    close_timeout: Option<Duration>,
    /// Send a ping after so long, or "off"; 20 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait_or_off, allow_negative_numbers = true, help_heading = LIMITS)]
    ping_interval: Option<Wait>,
    /// Give the peer up when a ping is not answered for so long, or "off"; 20 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait_or_off, allow_negative_numbers = true, help_heading = LIMITS)]
    ping_timeout: Option<Wait>,
}

/// Where a password and a token may be in the environment.
const PASSWORD: &str = "LASTWORD_PASSWORD";
const BEARER: &str = "LASTWORD_BEARER";

/// What of our environment is no business of a process that we start.
pub(crate) const SECRETS: [&str; 2] = [PASSWORD, BEARER];

const REQUEST: &str = "Request";
const TLS: &str = "TLS";
const NETWORK: &str = "Network";

/// Where to connect, and how: what [`TargetArgs`] mean.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) client: Client,
    pub(super) config: Config,
    pub(super) unix: Option<PathBuf>,
}

impl Target {
    /// Connects.
    pub(crate) async fn connect(self) -> Result<WebSocket, ConnectError> {
        #[cfg(unix)]
        if let Some(path) = self.unix {
            return self.client.connect_unix(path).await;
        }
        self.client.connect().await
    }

    /// Connects again and again.
    pub(crate) fn reconnecting(self) -> Reconnect {
        Reconnect::new(move |_| self.clone().connect())
    }
}

impl TargetArgs {
    /// What was asked for, with the files that it names.
    pub(crate) fn target(&self) -> Result<Target, Wrong> {
        WebSocketUri::parse(&self.url).map_err(|why| Wrong::Url { url: self.url.clone(), why })?;
        let mut client =
            Client::new(&self.url).config(self.config()).max_redirects(self.max_redirects);
        for name in &self.subprotocols {
            client = client.subprotocol(name);
        }
        if let Some(origin) = &self.origin {
            client = client.origin(origin.clone());
        }
        for (name, value) in self.all_headers()? {
            client = client.header(name, value);
        }
        client = self.trust(client)?;
        if let Some(proxy) = &self.proxy {
            client = client.proxy(proxy.clone());
        } else if self.no_proxy {
            client = client.no_proxy();
        }
        for addresses in &self.resolve {
            client = client.resolve(addresses.clone());
        }
        if let Some(address) = self.local_address {
            client = client.local_address(address);
        }
        // What cannot be asked for is found before anybody is asked.
        if let Ok(options) = client.options() {
            Opening::new(options, &self.config(), [0; 16]).map_err(Wrong::Request)?;
        }
        Ok(Target { client, config: self.config(), unix: self.unix.clone() })
    }

    fn config(&self) -> Config {
        // Not flattened into these: clap takes arguments within arguments for absent where the outer ones
        // are optional, as they are of `check` and `replay`.
        let limits = LimitArgs {
            no_compression: self.no_compression,
            max_message_size: self.max_message_size,
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
        };
        let mut config = limits.config();
        if let Some(limit) = self.open_timeout {
            config.open_timeout = limit;
        }
        if let Some(limit) = self.close_timeout {
            config.close_timeout = limit;
        }
        config
    }

    fn all_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Wrong> {
        let mut headers = self.headers.clone();
        if let Some(path) = &self.header_file {
            for (at, line) in
                read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
            {
                let one = header(line).map_err(|why| Wrong::Line {
                    path: path.clone(),
                    line: at + 1,
                    why,
                })?;
                headers.push(one);
            }
        }
        if !self.cookies.is_empty() {
            headers.push((COOKIE, secret(&self.cookies.join("; "))?));
        }
        if let Some(credentials) = self.credentials()? {
            headers.push((AUTHORIZATION, secret(&credentials)?));
        }
        Ok(headers)
    }

    /// What proves who we are; a password or token is read from where no list of processes shows it.
    fn credentials(&self) -> Result<Option<String>, Wrong> {
        if let Some(user) = &self.user {
            let password = password(self.password_file.as_deref())?;
            let pair = format!("{user}:{password}");
            return Ok(Some(format!("Basic {}", BASE64.encode(pair.as_bytes()))));
        }
        let token = match &self.bearer_file {
            Some(path) => Some(first_line(path)?),
            None => std::env::var(BEARER).ok(),
        };
        Ok(token.map(|token| format!("Bearer {token}")))
    }

    fn trust(&self, mut client: Client) -> Result<Client, Wrong> {
        let identity = identity(self.cert.as_deref(), self.key.as_deref())?;
        if self.insecure {
            client = client.danger_accept_invalid_certs();
        }
        if let Some(name) = &self.server_name {
            client = client.tls_server_name(server_name(name)?);
        }
        if let Some(path) = &self.ca {
            return Ok(client.tls(Arc::new(trusting(path, identity)?)));
        }
        Ok(match identity {
            Some((chain, key)) => client.tls_client_certificate(chain, key),
            None => client,
        })
    }
}

/// A URL as people say it: `localhost:8765`, or `:8765` for this machine.
pub(super) fn with_scheme(text: &str) -> Result<String, Infallible> {
    Ok(match text {
        _ if text.contains("://") => text.to_owned(),
        // A slash is missing, and no host is meant.
        _ if text.contains(":/") => text.to_owned(),
        _ if text.starts_with(':') => format!("ws://127.0.0.1{text}"),
        _ => format!("ws://{text}"),
    })
}

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

/// Whom a certificate has to be for.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, Wrong> {
    ServerName::try_from(name.to_owned()).map_err(|_| Wrong::ServerName(name.to_owned()))
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

fn first_line(path: &Path) -> Result<String, Wrong> {
    Ok(read(path)?.lines().next().unwrap_or_default().to_owned())
}

/// A password, from where no list of processes shows it.
pub(super) fn password(file: Option<&Path>) -> Result<String, Wrong> {
    match file {
        Some(path) => first_line(path),
        None => std::env::var(PASSWORD).map_err(|_| Wrong::NoPassword),
    }
}

/// A value that is not shown by whoever prints the request.
fn secret(text: &str) -> Result<HeaderValue, Wrong> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Wrong::Secret)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn host_addresses(text: &str) -> Result<HostAddresses, InvalidHostAddresses> {
    HostAddresses::parse(text)
}

/// A name, and nothing else.
pub(super) fn user(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some(_) => Err("a name has no colon (RFC 7617), and a password stands in --password-file or LASTWORD_PASSWORD".to_owned()),
        None => Ok(text.to_owned()),
    }
}

fn proxy(text: &str) -> Result<Proxy, InvalidProxy> {
    Proxy::parse(text)
}

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
    fn pem(path: &Path, what: &'static str, why: pem::Error) -> Self {
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
