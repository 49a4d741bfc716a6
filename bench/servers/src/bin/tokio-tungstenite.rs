//! tokio-tungstenite, as its example echo-server shows it.

use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use lastword_peers::{LARGEST, Mode};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

fn main() {
    let (port, mode) = lastword_peers::arguments();
    let (everybody, _) = broadcast::channel(1024);
    lastword_peers::run(lastword_peers::serve(port, |stream| {
        let everybody = everybody.clone();
        async move {
            let limits = WebSocketConfig::default()
                .max_message_size(Some(LARGEST))
                .max_frame_size(Some(LARGEST));
            let Ok(ws) = accept_async_with_config(stream, Some(limits)).await else { return };
            match mode {
                Mode::Broadcast => publish(ws, everybody).await,
                _ => echo(ws).await,
            }
        }
    }));
}

async fn echo(ws: WebSocketStream<TcpStream>) {
    let (write, read) = ws.split();
    let data = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
    let _ = data.forward(write).await;
}

async fn publish(mut ws: WebSocketStream<TcpStream>, everybody: broadcast::Sender<Message>) {
    let mut heard = everybody.subscribe();
    loop {
        tokio::select! {
            said = ws.next() => match said {
                Some(Ok(message)) if message.is_binary() => drop(everybody.send(message)),
                Some(Ok(_)) => {}
                _ => return,
            },
            Ok(message) = heard.recv() => if ws.send(message).await.is_err() { return },
        }
    }
}
