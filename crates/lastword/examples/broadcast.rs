//! What a client sends goes to all: `cargo run --release -p lastword --example broadcast [ADDRESS]`.
//! On one thread, so that what it costs can be measured.

use lastword::Topic;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8765".into());
    let topic = Topic::new();
    println!("broadcasting on ws://{address}");
    lastword::serve(address, move |mut ws| {
        let topic = topic.clone();
        async move {
            let _subscription = topic.subscribe(&ws.sender());
            while let Some(message) = ws.recv().await? {
                topic.publish(message).await;
            }
            Ok(())
        }
    })
    .await
}
