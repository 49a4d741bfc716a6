//! What `serve` can be told, and what it means.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use lastword::rustls::crypto::CryptoProvider;
use lastword::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use lastword::rustls::server::WebPkiClientVerifier;
use lastword::rustls::server::danger::ClientCertVerifier;
use lastword::rustls::{self, ServerConfig};
use lastword::{Config, Origins, Server, ServerTls, Subprotocols};

use super::files::{identity, password, signers};
use super::limits::{LIMITS, LimitArgs};
use super::values::{Wait, count, host, origin, wait_or_off};
use super::wrong::Wrong;
use super::{Content, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address or name to listen on; 0.0.0.0 and :: are all of this machine.
    #[arg(long, default_value = "127.0.0.1", value_parser = host, help_heading = WHERE)]
    pub(crate) host: String,
    /// Port to listen on; 0 takes any free one.
    #[arg(short, long, default_value_t = 8765, help_heading = WHERE)]
    pub(crate) port: u16,
    /// Listen on this Unix socket instead.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port", "tls", "cert"], help_heading = WHERE)]
    pub(crate) unix: Option<PathBuf>,
    /// Threads that serve, each with the connections that it accepted; by default all cores share
    /// all connections.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>, help_heading = WHERE)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Speak TLS with a certificate that is made for the purpose, and that nobody trusts yet.
    #[arg(long, group = "secured", help_heading = WHERE)]
    pub(crate) tls: bool,
    /// Speak TLS with this certificate (PEM, with its chain).
    #[arg(long, value_name = "FILE", requires = "key", group = "secured", help_heading = WHERE)]
    cert: Option<PathBuf>,
    /// The key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = WHERE)]
    key: Option<PathBuf>,

    /// Run this command in a shell for each connection: messages are lines of its standard input,
    /// lines of its standard output are messages.
    #[arg(short, long, value_name = "COMMAND", groups = ["handler", "process"], help_heading = WHAT)]
    pub(crate) exec: Option<String>,
    /// Run this command in a shell, once for all who connect: everybody hears its lines, and it hears
    /// everybody's. It is started for the first who comes, and anew for the next when it has ended.
    #[arg(long, value_name = "COMMAND", groups = ["handler", "process"], help_heading = WHAT)]
    pub(crate) exec_shared: Option<String>,
    /// With --exec and --exec-shared: pass bytes as they come, as binary messages, instead of lines.
    #[arg(short, long, requires = "process", help_heading = WHAT)]
    binary: bool,
    /// Send each message to everybody who is connected, the sender too.
    #[arg(long, group = "handler", help_heading = WHAT)]
    pub(crate) broadcast: bool,
    /// The same among those who came to the same path.
    #[arg(long, group = "handler", help_heading = WHAT)]
    pub(crate) topics: bool,
    /// Serve the files of this directory to browsers, beside the WebSocket.
    #[arg(short, long, value_name = "DIRECTORY", help_heading = WHAT)]
    pub(crate) dir: Option<PathBuf>,

    /// Ask for this user; the password is in --password-file or LASTWORD_PASSWORD.
    #[arg(short, long, value_name = "NAME", help_heading = WHOM)]
    pub(crate) user: Option<String>,
    /// Read the password from this file.
    #[arg(long, value_name = "FILE", requires = "user", help_heading = WHOM)]
    password_file: Option<PathBuf>,
    /// Admit only those who show a certificate over TLS that one of this file (PEM) vouches for.
    #[arg(long, value_name = "FILE", requires = "secured", help_heading = WHOM)]
    client_ca: Option<PathBuf>,
    /// Serve pages of this origin only, as in https://example.com; * stands for a part of a name,
    /// "any" for all. By default any, and with --exec and --exec-shared only the server's own.
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = origin, help_heading = WHOM)]
    origins: Vec<String>,
    /// Speak this subprotocol with those who offer it.
    #[arg(short, long = "subprotocol", value_name = "NAME", help_heading = WHOM)]
    subprotocols: Vec<String>,
    /// Admit at most so many connections at once.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>, help_heading = WHOM)]
    max_connections: Option<NonZeroUsize>,

    #[command(flatten)]
    limits: LimitArgs,
    /// End connections over which no message came for so long, or "off".
    #[arg(long, value_name = "SECONDS", value_parser = wait_or_off, allow_negative_numbers = true, help_heading = LIMITS)]
    idle_timeout: Option<Wait>,

    /// Print events in this form on standard output.
    #[arg(long)]
    pub(crate) report: Option<Report>,
}

const WHERE: &str = "Where";
const WHAT: &str = "What";
const WHOM: &str = "Whom";

impl ServeArgs {
    /// The server that was asked for, but for what it does.
    pub(crate) fn server(&self, config: Config) -> Result<Server, Wrong> {
        let mut server = Server::new().config(config);
        if let Some(threads) = self.threads.filter(|threads| threads.get() > 1) {
            server = server.threads(threads);
        }
        if !self.subprotocols.is_empty() {
            server = server.subprotocols(Subprotocols::Optional(self.subprotocols.clone()));
        }
        if !self.origins.is_empty() && !self.serves_any_origin() {
            server = server.origins(Origins::Only(self.origins.clone()));
        }
        if let Some(limit) = self.max_connections {
            let mut limits = lastword::Limits::default();
            limits.connections = Some(limit.get());
            server = server.limits(limits);
        }
        if let Some(tls) = self.given_certificate()? {
            server = server.tls(tls);
        }
        Ok(server)
    }

    /// Host and port, if it is to listen on a network.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = self.limits.config();
        if let Some(wait) = self.idle_timeout {
            config.idle_timeout = wait.into();
        }
        config
    }

    /// Whether pages from elsewhere may not connect, unless they are named: they could run commands.
    pub(crate) fn is_guarded(&self) -> bool {
        (self.exec.is_some() || self.exec_shared.is_some()) && self.origins.is_empty()
    }

    fn serves_any_origin(&self) -> bool {
        self.origins.iter().any(|origin| origin == "any")
    }

    pub(crate) const fn content(&self) -> Content {
        if self.binary { Content::Binary } else { Content::Text }
    }

    /// Whom to ask for, and what proves it.
    pub(crate) fn credentials(&self) -> Result<Option<(String, String)>, Wrong> {
        let Some(user) = &self.user else { return Ok(None) };
        let password = password(self.password_file.as_deref())?;
        Ok(Some((user.clone(), password)))
    }

    pub(crate) const fn asks_for_certificates(&self) -> bool {
        self.client_ca.is_some()
    }

    pub(crate) const fn speaks_tls(&self) -> bool {
        self.tls || self.cert.is_some()
    }

    /// Who asks clients for a certificate, if they are asked.
    pub(crate) fn vouching(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, Wrong> {
        let Some(path) = &self.client_ca else { return Ok(None) };
        let roots = Arc::new(signers(path)?);
        let built = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        built.map(Some).map_err(|why| {
            let why = rustls::Error::General(why.to_string());
            Wrong::Certificate { path: path.clone(), why }
        })
    }

    fn given_certificate(&self) -> Result<Option<ServerTls>, Wrong> {
        let Some(cert) = &self.cert else { return Ok(None) };
        let Some((chain, key)) = identity(Some(cert), self.key.as_deref())? else {
            return Ok(None);
        };
        let tls = server_tls(chain, key, self.vouching()?);
        tls.map(Some).map_err(|why| Wrong::Certificate { path: cert.clone(), why })
    }
}

/// TLS that shows this certificate, and asks for one if somebody is there to judge it.
pub(crate) fn server_tls(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    vouching: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerTls, rustls::Error> {
    let config =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let config = match vouching {
        Some(verifier) => config.with_client_cert_verifier(verifier),
        None => config.with_no_client_auth(),
    };
    Ok(Arc::new(config.with_single_cert(chain, key)?).into())
}

/// It is named, so that nothing process-wide is asked for.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword serve                           echo on ws://127.0.0.1:8765
  lastword serve --exec 'tail -f log'      a process for each connection
  lastword serve --exec-shared 'vmstat 1'  one process, which all hear
  lastword serve --topics --dir public     files, and a room for each path
  lastword serve --tls --host 0.0.0.0      TLS, with a certificate for the purpose
  lastword serve --port 0 --report json    a free port, and one JSON object per event

Ctrl-C, SIGTERM and SIGHUP close all connections with 1001 and say how each of them ended.

Exit codes:
  0  it served until it was stopped
  1  it could not listen there
  2  wrong usage";
