//! The other side: starts the server, opens connections, and asks what it holds.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use lastword::rustls::crypto::aws_lc_rs::default_provider;
use lastword::rustls::pki_types::CertificateDer;
use lastword::rustls::{ClientConfig, RootCertStore};
use lastword::{Client, CloseCode, WebSocket};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::workload::{Head, Workload};

/// The server's process.
pub(crate) struct Server {
    child: Child,
    asks: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// Starts it, under valgrind's DHAT if that has somewhere to write to.
    pub(crate) async fn start(workload: &Workload, dhat: Option<&Path>, cache: &Path) -> Self {
        let own = std::env::current_exe().expect("a program");
        let mut command = match dhat {
            None => Command::new(own),
            Some(out) => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["--quiet", "--tool=dhat", "--num-callers=40"]);
                valgrind.arg(format!("--dhat-out-file={}", out.display())).arg(own);
                valgrind
            }
        };
        command.args(["serve", "--windows", workload.windows.name()]);
        if let Some(milliseconds) = workload.pings {
            command.args(["--pings", &milliseconds.to_string()]);
        }
        let tls = workload.tls.then(|| certificate(cache));
        if tls.is_some() {
            command.arg("--tls").arg(cache);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a server that starts");
        let asks = child.stdin.take().expect("a pipe");
        let mut says = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = says.next_line().await.ok().flatten().expect("a server that says its port");
        Self { child, asks, says, port: port.parse().expect("a port"), tls }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id().expect("a server that runs")
    }

    /// How many bytes it holds: as they were asked for, and as pages.
    pub(crate) async fn books(&mut self) -> (u64, u64) {
        self.asks.write_all(b"books\n").await.expect("a server that runs");
        let line = self.says.next_line().await.ok().flatten().expect("a server that answers");
        let (bytes, pages) = line.split_once(' ').expect("two numbers");
        (bytes.parse().expect("a number"), pages.parse().expect("a number"))
    }

    /// Opens connections, a few at a time.
    pub(crate) async fn open(&self, workload: &Workload, count: usize) -> Vec<WebSocket> {
        let mut opening = JoinSet::new();
        let mut open = Vec::with_capacity(count);
        for _ in 0..count {
            if opening.len() == AT_A_TIME {
                open.extend(opening.join_next().await);
            }
            opening.spawn(self.client(workload).connect());
        }
        open.extend(opening.join_all().await.into_iter().map(Ok));
        open.into_iter().map(|ws| ws.expect("a task").expect("a connection")).collect()
    }

    /// Ends it with all that it holds.
    pub(crate) async fn end(mut self) {
        drop(self.asks);
        self.child.wait().await.expect("a server that ends");
    }

    fn client(&self, workload: &Workload) -> Client {
        let mut config = workload.windows.config();
        // The signs of life are the server's business.
        (config.ping_interval, config.ping_timeout) = (None, None);
        let scheme = if workload.tls { "wss" } else { "ws" };
        let host = if workload.tls { "localhost" } else { "127.0.0.1" };
        let mut client = Client::new(format!("{scheme}://{host}:{}", self.port)).config(config);
        if let Some(tls) = &self.tls {
            client = client.tls(Arc::clone(tls));
        }
        let fields = if workload.head == Head::Browser { BROWSER } else { &[] };
        fields.iter().fold(client, |client, &(name, value)| {
            client.header(HeaderName::from_static(name), HeaderValue::from_static(value))
        })
    }
}

/// Closes them all, and waits for it.
pub(crate) async fn close(connections: Vec<WebSocket>) {
    for ws in connections {
        ws.close(CloseCode::NORMAL, "").await;
    }
}

/// A fresh certificate for the server, in the cache, and a client that trusts no other.
fn certificate(cache: &Path) -> Arc<ClientConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a certificate can be made");
    let write = |name, bytes: &[u8]| fs::write(cache.join(name), bytes).expect("a cache");
    write("key.der", &made.signing_key.serialize_der());
    write("certificate.der", made.cert.der());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::clone(made.cert.der())).expect("it is a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// How many openings go on at once.
const AT_A_TIME: usize = 32;

/// What Firefox sends beside what every client must.
const BROWSER: &[(&str, &str)] = &[
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "*/*"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("origin", "http://localhost"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "websocket"),
    ("sec-fetch-site", "same-origin"),
    ("pragma", "no-cache"),
    ("cache-control", "no-cache"),
];
