//! A chat: everybody hears everybody. `cargo run -p lastword --example chat`, and connect with several clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lastword::{HandlerError, SendError, Sender, WebSocket};

/// Who is here. A sender is cheap to clone, and may outlive the receiving half.
type Room = Arc<Mutex<HashMap<u64, Sender>>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let room = Room::default();
    println!("chatting on ws://127.0.0.1:8765");
    lastword::serve("127.0.0.1:8765", move |ws| chat(ws, room.clone())).await
}

async fn chat(ws: WebSocket, room: Room) -> Result<(), HandlerError> {
    let (sender, mut receiver) = ws.split();
    let name = sender.opening().peer_addr.map_or(0, |peer| u64::from(peer.port()));
    with(&room, |room| room.insert(name, sender));
    tell_all(&room, &format!("{name} is here"));
    let ended = loop {
        match receiver.recv().await {
            Ok(Some(message)) => {
                tell_all(&room, &format!("{name}: {}", message.as_text().unwrap_or("(binary)")));
            }
            Ok(None) => break Ok(()),
            Err(ended) => break Err(ended),
        }
    };
    with(&room, |room| room.remove(&name));
    tell_all(&room, &format!("{name} has left"));
    Ok(ended?)
}

fn tell_all(room: &Room, text: &str) {
    with(room, |room| {
        room.retain(|name, sender| match sender.try_send(text) {
            // Whoever cannot keep up misses messages, and does not slow the others down.
            Ok(()) | Err(SendError::Full(_)) => true,
            Err(error) => {
                println!("{name} does not hear it: {error}");
                false
            }
        });
    });
}

fn with<T>(room: &Room, act: impl FnOnce(&mut HashMap<u64, Sender>) -> T) -> T {
    act(&mut room.lock().unwrap_or_else(PoisonError::into_inner))
}
