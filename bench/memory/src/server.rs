//! The echo server that is measured: the ordinary way to serve, and an allocator that counts.

use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lastword::rustls::ServerConfig;
use lastword::rustls::crypto::aws_lc_rs::default_provider;
use lastword::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use lastword::{Server, WebSocket};

use crate::BOOKS;
use crate::workload::Windows;

#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// Windows of permessage-deflate.
    #[arg(long)]
    windows: String,
    /// Milliseconds between two pings.
    #[arg(long)]
    pings: Option<u64>,
    /// Speak TLS, with the certificate and the key in this folder.
    #[arg(long)]
    tls: Option<PathBuf>,
}

/// Says its port, then, for each line that comes in, how many bytes it holds: as they were asked for,
/// and as pages. Ends, with all it holds, at the end of its input.
pub(crate) fn run(args: &ServeArgs) -> ExitCode {
    std::thread::spawn(|| {
        for line in stdin().lock().lines() {
            if line.is_err() {
                break;
            }
            say(&format!("{} {}", BOOKS.current_usage(), private_pages()));
        }
        std::process::exit(0);
    });
    let mut config = Windows::parse(&args.windows).config();
    if let Some(milliseconds) = args.pings {
        config.ping_interval = Some(Duration::from_millis(milliseconds));
    }
    let mut server = Server::new().config(config);
    if let Some(folder) = &args.tls {
        server = server.tls(tls(folder));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let bound = server.bind("127.0.0.1:0").await.expect("a free port");
        say(&bound.local_addr().expect("an address").port().to_string());
        bound.serve(echo).await;
    });
    ExitCode::SUCCESS
}

async fn echo(mut ws: WebSocket) -> Result<(), lastword::HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// Bytes of pages that no other process shares.
fn private_pages() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kilobytes = rollup.lines().filter(|line| line.starts_with("Private_")).filter_map(|line| {
        line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok())
    });
    kilobytes.sum::<u64>() * 1024
}

fn tls(folder: &Path) -> Arc<ServerConfig> {
    let read = |name| fs::read(folder.join(name)).expect("a certificate and its key");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(read("key.der")));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(read("certificate.der"))], key);
    Arc::new(config.expect("the key is that of the certificate"))
}
