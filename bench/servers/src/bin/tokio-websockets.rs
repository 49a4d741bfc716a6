//! tokio-websockets, as its documentation shows it.

use futures_util::{SinkExt, StreamExt};
use lastword_peers::{LARGEST, Mode};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_websockets::{Limits, Message, ServerBuilder, WebSocketStream};

fn main() {
    let (port, mode) = lastword_peers::arguments();
    let (everybody, _) = broadcast::channel(1024);
    lastword_peers::run(lastword_peers::serve(port, |stream| {
        let everybody = everybody.clone();
        async move {
            let limits = Limits::default().max_payload_len(Some(LARGEST));
            let Ok((_request, ws)) = ServerBuilder::new().limits(limits).accept(stream).await
            else {
                return;
            };
            match mode {
                Mode::Broadcast => publish(ws, everybody).await,
                _ => echo(ws).await,
            }
        }
    }));
}

async fn echo(mut ws: WebSocketStream<TcpStream>) {
    while let Some(Ok(message)) = ws.next().await {
        if (message.is_text() || message.is_binary()) && ws.send(message).await.is_err() {
            return;
        }
    }
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
