//! `lastword serve`: an echo server that says how each connection ended.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

use lastword::{Config, HandlerError, Outcome as StreamOutcome, Server, WebSocket};
use serde_json::json;

use crate::args::ServeArgs;
use crate::exit::Outcome;
use crate::{print, report};

pub(crate) fn run(args: &ServeArgs) -> Outcome {
    // A thread that is asked for has a runtime and a listener of its own: this one only waits then,
    // or is the one. Otherwise the connections are shared by all cores.
    let mut runtime = match args.threads {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    let served = runtime.enable_all().build().and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => Outcome::Closed,
        Err(error) => {
            let address = SocketAddr::new(args.host, args.port);
            eprintln!("cannot listen on {address}: {error}");
            if error.kind() == io::ErrorKind::AddrInUse {
                eprintln!("try another port, or --port 0 for any free one");
            }
            Outcome::NoConnection
        }
    }
}

async fn serve(args: &ServeArgs) -> io::Result<()> {
    let mut config = Config::default();
    if args.no_compression {
        config.deflate = None;
    }
    let json = args.report.is_some();
    let mut server = Server::new().config(config).observe(move |outcome| tell(json, outcome));
    if let Some(threads) = args.threads.filter(|threads| threads.get() > 1) {
        server = server.threads(threads);
    }
    let bound = server.bind((args.host, args.port)).await?;
    announce(json, bound.local_addr()?);
    let handler = move |ws: WebSocket| async move {
        if json { echo_and_tell(ws).await } else { echo(ws).await }
    };
    let report = bound.serve_until(handler, asked_to_stop()).await;
    if !json && report.stuck > 0 {
        println!("{} connections did not end in time", report.stuck);
    }
    Ok(())
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn echo_and_tell(mut ws: WebSocket) -> Result<(), HandlerError> {
    let peer = ws.opening().peer_addr.map(|peer| peer.port());
    report::event(
        &json!({ "ev": "open", "peer": peer, "compression": ws.opening().deflate.is_some() }),
    );
    while let Some(message) = ws.recv().await? {
        report::event(&report::message(peer, &message));
        ws.send(message).await?;
    }
    Ok(())
}

fn announce(json: bool, address: SocketAddr) {
    if json {
        let port = address.port();
        return report::event(
            &json!({ "ev": "listening", "addr": address.to_string(), "port": port }),
        );
    }
    println!("Echoing on ws://{address} (Ctrl-C to stop)");
    println!("Try: lastword connect ws://{address}");
    println!("or in a browser's console: new WebSocket(\"ws://{address}\")");
}

/// One line for each connection that ended; nothing for a health check that only knocked.
fn tell(json: bool, outcome: StreamOutcome) {
    let peer = outcome.peer;
    let port = peer.map(|peer| peer.port());
    // Over a Unix socket nobody has an address.
    let name = peer.map_or_else(|| "unix".into(), |peer| peer.to_string());
    match (json, outcome.result) {
        (true, Ok(ending)) => report::event(&report::ended(port, &ending)),
        (true, Err(error)) => {
            report::event(&report::not_opened(port, &print::chain(&error)));
        }
        (false, Ok(ending)) => {
            // One piece of text: what is printed in pieces is looked through piece by piece.
            let mut line = String::with_capacity(USUAL_LINE);
            let _ = write!(line, "{name}  {ending}");
            println!("{}", print::escape(&line));
        }
        (false, Err(lastword::AcceptError::Eof { bytes: 0 })) => {}
        (false, Err(error)) => println!("{name}  no connection: {}", print::chain(&error)),
    }
}

/// Room for what is printed of most connections.
const USUAL_LINE: usize = 128;

/// Ready at Ctrl-C, and at SIGTERM where there is one.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
