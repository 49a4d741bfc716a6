//! Where to connect, as whom and how: what all subcommands that connect can be told, and what it means.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use lastword::dial::WebSocketUri;
use lastword::proto::handshake::client::{InvalidRequest, Opening};
use lastword::rustls::pki_types::ServerName;
use lastword::{
    Client, Config, ConnectError, HostAddresses, InvalidHostAddresses, InvalidProxy, Proxy,
    Reconnect, WebSocket,
};

use super::files::{BEARER, first_line, identity, password, read, trusting};
use super::limits::{LIMITS, LimitArgs};
use super::values::{
    Wait, at_least_a_byte, cookie, header, header_value, ip, number, wait, wait_or_off,
};
use super::wrong::Wrong;

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
    /// What would be said, with a key that is nobody's.
    pub(super) fn opening(&self) -> Option<Result<Opening, InvalidRequest>> {
        let options = self.client.options().ok()?;
        Some(Opening::new(options, &self.config, [0; 16]))
    }

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
        let config = self.config();
        let mut client =
            Client::new(&self.url).config(config.clone()).max_redirects(self.max_redirects);
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
        let target = Target { client, config, unix: self.unix.clone() };
        // What cannot be asked for is found before anybody is asked.
        target.opening().transpose().map_err(Wrong::Request)?;
        Ok(target)
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

/// Whom a certificate has to be for.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, Wrong> {
    ServerName::try_from(name.to_owned()).map_err(|_| Wrong::ServerName(name.to_owned()))
}
