//! tokio-websockets, as its documentation shows it.

use futures_util::{SinkExt, StreamExt};
use lastword_peers::{LARGEST, Mode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_websockets::{Limits, Message, ServerBuilder, WebSocketStream};

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

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<WebSocketStream<S>> {
    let limits = Limits::default().max_payload_len(Some(LARGEST));
    let (_request, ws) = ServerBuilder::new().limits(limits).accept(stream).await.ok()?;
    Some(ws)
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let Some(mut ws) = accept(stream).await else { return };
    while let Some(Ok(message)) = ws.next().await {
        if (message.is_text() || message.is_binary()) && ws.send(message).await.is_err() {
            return;
        }
    }
}

async fn publish(stream: TcpStream, everybody: broadcast::Sender<Message>) {
    let Some(mut ws) = accept(stream).await else { return };
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
