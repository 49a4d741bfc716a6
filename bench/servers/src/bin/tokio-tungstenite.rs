//! tokio-tungstenite, as its example echo-server shows it.

use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use lastword_peers::{LARGEST, Mode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

fn main() {
    let (port, mode) = lastword_peers::arguments();
    let (everybody, _) = broadcast::channel(1024);
    match mode {
        Mode::Broadcast => lastword_peers::run(lastword_peers::serve(port, |stream| {
            publish(stream, everybody.clone())
        })),
        Mode::Tls => lastword_peers::run(lastword_peers::serve_tls(port, echo)),
        _ => lastword_peers::run(lastword_peers::serve(port, echo)),
    }
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST))
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let Ok(ws) = accept_async_with_config(stream, Some(limits())).await else { return };
    let (write, read) = ws.split();
    let data = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
    let _ = data.forward(write).await;
}

async fn publish(stream: TcpStream, everybody: broadcast::Sender<Message>) {
    let Ok(mut ws) = accept_async_with_config(stream, Some(limits())).await else { return };
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
