//! A client that knows what became of its messages: `cargo run -p lastword --example client ws://127.0.0.1:8765`.

use lastword::CloseCode;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:8765".to_owned());
    let mut ws = lastword::connect(url).await?;

    // Resolves when the peer's endpoint has provably read the message.
    ws.send_confirmed("hello").await?;
    println!("confirmed; the last ping took {:?}", ws.latency());

    ws.send("how are you?").await?;
    for _ in 0..2 {
        match ws.recv().await? {
            Some(message) => println!("received {message:?}"),
            None => break,
        }
    }

    // Waits for the peer's goodbye, never longer than `Config::close_timeout`.
    let ending = ws.close(CloseCode::NORMAL, "done").await;
    println!("{ending}");
    let ledger = ending.ledger;
    println!(
        "{} messages confirmed, {} not sent",
        ledger.confirmed.messages, ledger.unsent.messages
    );
    Ok(())
}
