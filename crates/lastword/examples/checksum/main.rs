//! An extension of one's own: `cargo run -p lastword --example checksum` serves an echo whose messages
//! carry checksums, `cargo run -p lastword --example checksum ws://127.0.0.1:…` talks to it.

mod extension;

use extension::{Checksum, Covers};
use lastword::{Client, CloseCode, Config, HandlerError, Server, WebSocket};

#[tokio::main]
async fn main() -> Result<(), HandlerError> {
    let mut config = Config::default();
    config.extensions.add(Checksum { covers: Covers::NumberAndPayload })?;
    match std::env::args().nth(1) {
        Some(url) => talk(Client::new(url).config(config)).await,
        None => serve(Server::new().config(config)).await,
    }
}

async fn serve(server: Server) -> Result<(), HandlerError> {
    let server = server.observe(|outcome| match outcome.result {
        Ok(ending) => println!("{ending}"),
        Err(error) => println!("no connection: {error}"),
    });
    let bound = server.bind("127.0.0.1:0").await?;
    println!("ws://{}", bound.local_addr()?);
    bound.serve(echo).await;
    Ok(())
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    println!("agreed on {}", names(&ws));
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn talk(client: Client) -> Result<(), HandlerError> {
    let mut ws = client.connect().await?;
    println!("agreed on {}", names(&ws));
    for text in ["hello", "grüezi", "", &"as long as it shrinks, ".repeat(1000)] {
        ws.send(text).await?;
        let came = ws.recv().await?;
        let same = came.is_some_and(|came| came.as_text() == Some(text));
        println!(
            "{} bytes came back {}",
            text.len(),
            if same { "as they went" } else { "changed" }
        );
    }
    println!("{}", ws.close(CloseCode::NORMAL, "done").await);
    Ok(())
}

fn names(ws: &WebSocket) -> String {
    let all = ws.opening().extensions();
    all.iter()
        .map(|(name, parameters)| format!("{name}{parameters}"))
        .collect::<Vec<_>>()
        .join(", ")
}
