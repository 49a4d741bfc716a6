//! axum, as its examples websockets and chat show it.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use axum::serve::ListenerExt;
use lastword_peers::{LARGEST, Mode};
use tokio::sync::broadcast;

fn main() -> std::io::Result<()> {
    let (port, mode) = lastword_peers::arguments();
    let (everybody, _) = broadcast::channel(1024);
    let upgrade = async move |upgrade: WebSocketUpgrade| {
        let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
        upgrade.on_upgrade(async move |ws| match mode {
            Mode::Broadcast => publish(ws, everybody).await,
            _ => echo(ws).await,
        })
    };
    lastword_peers::run(async {
        let listener = lastword_peers::listen(port).tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(
            listener,
            Router::new().route("/", any(upgrade.clone())).route("/chat", any(upgrade)),
        )
        .await
    })
}

async fn echo(mut ws: WebSocket) {
    while let Some(Ok(message)) = ws.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && ws.send(message).await.is_err()
        {
            return;
        }
    }
}

async fn publish(mut ws: WebSocket, everybody: broadcast::Sender<Message>) {
    let mut heard = everybody.subscribe();
    loop {
        tokio::select! {
            said = ws.recv() => match said {
                Some(Ok(message @ Message::Binary(_))) => drop(everybody.send(message)),
                Some(Ok(_)) => {}
                _ => return,
            },
            Ok(message) = heard.recv() => if ws.send(message).await.is_err() { return },
        }
    }
}
