//! A chat: everybody hears everybody. `cargo run -p lastword --example chat [ADDRESS]`, and connect with several
//! clients.

use lastword::{HandlerError, Topic, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let room = Topic::new();
    println!("chatting on ws://{address}");
    lastword::serve(address, move |ws| chat(ws, room.clone())).await
}

async fn chat(mut ws: WebSocket, room: Topic) -> Result<(), HandlerError> {
    let name = ws.opening().peer_addr.map_or(0, |peer| peer.port());
    // Whoever cannot keep up is told so and disconnected, and does not slow the others down.
    let subscription = room.subscribe(&ws.sender());
    room.publish(format!("{name} is here")).await;
    let ended = loop {
        match ws.recv().await {
            Ok(Some(message)) => {
                let text = message.as_text().unwrap_or("(binary)");
                room.publish(format!("{name}: {text}")).await;
            }
            Ok(None) => break Ok(()),
            Err(ended) => break Err(ended),
        }
    };
    drop(subscription);
    room.publish(format!("{name} has left")).await;
    Ok(ended?)
}
