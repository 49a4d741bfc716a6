//! A server behind nginx, which has the certificate: `cargo run -p lastword --example behind_nginx`, with
//! `behind_nginx.conf`, beside this file, among the sites of nginx. Then
//! `lastword connect wss://chat.example.com`, or whatever your name is.
//!
//! An address and the seconds between two pings may be given: `behind_nginx 127.0.0.1:9000 5`, or 0 for none.

use std::time::Duration;

use http::StatusCode;
use lastword::{Answer, Config, HandlerError, Hosts, Incoming, Server, WebSocket};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8765".to_owned());

    // nginx ends what is silent for `proxy_read_timeout`. Our pings keep a connection from being that:
    // they have to come more often, and do with the defaults of both (20 and 60 seconds).
    let mut config = Config::default();
    if let Some(seconds) = arguments.next() {
        let seconds = seconds.parse()?;
        config.ping_interval = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds));
    }

    let server = Server::new()
        .config(config)
        // Who asks nginx for another site's name has lost the way. `Host` is passed on.
        .hosts(Hosts::Only(vec!["chat.example.com".into(), "localhost".into()]))
        .on_request(decide)
        .observe(|outcome| println!("{outcome}"));
    let bound = server.bind(address).await?;
    println!("listening on {}", bound.local_addr()?);

    // An orderly end: 1001 to everybody, through nginx, and time to say goodbye.
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let report = bound.serve_until(greet, stop).await;
    println!("{} took leave", report.endings.len());
    Ok(())
}

/// Whatever watches over this machine asks for /health, through nginx or past it.
async fn decide(incoming: Incoming) -> Answer {
    match incoming.path() {
        "/health" => Answer::text(StatusCode::OK, "fine\n"),
        _ => Answer::accept(),
    }
}

async fn greet(mut ws: WebSocket) -> Result<(), HandlerError> {
    let who = {
        let opening = ws.opening();
        let header = |name| opening.request().headers().get(name)?.to_str().ok().map(str::to_owned);
        // To be believed, since we listen on this machine only: whoever comes past nginx is here anyway.
        let address = header("x-forwarded-for").unwrap_or("this machine".to_owned());
        let scheme = header("x-forwarded-proto").unwrap_or("http".to_owned());
        format!("{address} over {scheme}")
    };
    println!("open: {who}");
    ws.send(format!("hello, {who}")).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
