//! A client behind a proxy, that knows what to do when it does not get through:
//! `cargo run -p lastword --example through_proxy ws://server.example socks5h://user:secret@proxy.example`.
//!
//! Proxies are `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`; with an `h` or an `a`, and with
//! HTTP, the proxy resolves the name of the server, and our own resolver never hears of it. Without a second
//! argument it is the proxy that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` ask for, as with curl.

use std::error::Error;
use std::process::ExitCode;

use lastword::dial::ProxyError;
use lastword::proto::handshake::client;
use lastword::{Client, CloseCode, ConnectError, Proxy};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: through_proxy URL [PROXY | direct]")?;
    let mut client = Client::new(url);
    client = match arguments.next().as_deref() {
        // A program that must not leak where it goes says so, and does not ask the environment.
        Some("direct") => client.no_proxy(),
        Some(proxy) => client.proxy(Proxy::parse(proxy)?),
        None => client,
    };

    // One deadline (`Config::open_timeout`) covers it all: names, the proxy, TLS, the handshake.
    let mut ws = match client.connect().await {
        Ok(ws) => ws,
        Err(error) => return Ok(explain(&error)),
    };
    println!("connected by way of {:?}", ws.opening().peer_addr);
    ws.send("hello through the proxy").await?;
    println!("received {:?}", ws.recv().await?);
    println!("{}", ws.close(CloseCode::NORMAL, "done").await);
    Ok(ExitCode::SUCCESS)
}

/// What went wrong, whose fault it was, and what to do.
fn explain(error: &ConnectError) -> ExitCode {
    println!("{error}");
    // The error says what could not be done, its sources why.
    let mut source = error.source();
    while let Some(why) = source {
        println!("  because: {why}");
        source = why.source();
    }
    let headers = match error {
        // The proxy said no: 407 asks for credentials, 403 forbids the server.
        ConnectError::Proxy { source: ProxyError::Refused { headers, .. }, .. } => Some(&**headers),
        // The proxy let us through, and the server said no.
        ConnectError::Handshake(client::Error::Refused(answer)) => {
            println!("  it said: {}", answer.body().escape_ascii());
            Some(answer.headers())
        }
        _ => None,
    };
    for name in ["proxy-authenticate", "www-authenticate", "retry-after", "location", "upgrade"] {
        if let Some(value) = headers.and_then(|headers| headers.get(name)) {
            println!("  {name}: {}", value.as_bytes().escape_ascii());
        }
    }
    // The same question that `connect_forever` asks before it tries again.
    println!("worth another try: {}", if error.is_transient() { "yes" } else { "no" });
    ExitCode::FAILURE
}
