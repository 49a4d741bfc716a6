//! An echo server that says how each connection ended: `cargo run -p lastword --example echo_server [ADDRESS]`.
//! Try it with `cargo run -- connect ws://127.0.0.1:8765`; Ctrl-C says goodbye to everybody.

use lastword::{HandlerError, Server, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let server = Server::new().observe(|outcome| println!("{outcome}"));
    let bound = server.bind(address).await?;
    println!("echoing on ws://{}", bound.local_addr()?);
    let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let report = bound.serve_until(echo, ctrl_c).await;
    println!("{} connections were open at the end", report.endings.len());
    Ok(())
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    // `None` is a clean end; anything else is an error that tells what happened.
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
