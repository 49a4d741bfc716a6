//! A client that knows what became of its messages, without `async`:
//! `cargo run -p lastword-blocking --example client_without_async ws://127.0.0.1:8765`.

use std::time::Duration;

use lastword_blocking::{Client, CloseCode, Config};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:8765".to_owned());
    let mut config = Config::default();
    // For names, proxies, redirects, TLS and the handshake together.
    config.open_timeout = Duration::from_secs(5);
    let mut ws = Client::new(url).config(config).connect()?;

    // Comes back when the peer's endpoint has provably read the message.
    ws.send_confirmed("hello")?;
    println!("confirmed; the last ping took {:?}", ws.latency());

    ws.send("how are you?")?;
    for _ in 0..2 {
        match ws.recv_timeout(Duration::from_secs(5))? {
            Some(message) => println!("received {message:?}"),
            None => break,
        }
    }

    // Waits for the peer's goodbye, never longer than `Config::close_timeout`.
    let ending = ws.close(CloseCode::NORMAL, "done");
    println!("{ending}");
    let ledger = ending.ledger;
    println!(
        "{} messages confirmed, {} not sent",
        ledger.confirmed.messages, ledger.unsent.messages
    );
    Ok(())
}
