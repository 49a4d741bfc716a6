//! sockudo-ws, as its examples simple_echo and pubsub_echo show it.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use lastword_peers::{LARGEST, Mode};
use sockudo_ws::deflate::negotiate_server_deflate;
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{
    CompressedWebSocketStream, Config, DeflateConfig, Error, Message, PubSub, Result,
    WebSocketStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

fn main() {
    let (port, mode) = lastword_peers::arguments();
    let everybody = Arc::new(PubSub::new());
    lastword_peers::run(lastword_peers::serve(port, |stream| {
        let everybody = Arc::clone(&everybody);
        async move {
            let _ = welcome(stream, mode, everybody).await;
        }
    }));
}

async fn welcome(mut stream: TcpStream, mode: Mode, everybody: Arc<PubSub>) -> Result<()> {
    let config = Config::builder().max_payload_length(LARGEST).build();
    let policy = (mode == Mode::Deflate).then(DeflateConfig::default);
    let agreed = open(&mut stream, policy).await?;
    match (mode, agreed) {
        (Mode::Broadcast, _) => publish(WebSocketStream::server(stream, config), &everybody).await,
        (_, Some(agreed)) => echo(CompressedWebSocketStream::server(stream, config, agreed)).await,
        (_, None) => echo(WebSocketStream::server(stream, config)).await,
    }
}

async fn open(
    stream: &mut TcpStream,
    policy: Option<DeflateConfig>,
) -> Result<Option<DeflateConfig>> {
    let mut request = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((parsed, _)) = parse_request(&request)? {
            let agreed = parsed
                .extensions
                .zip(policy)
                .and_then(|(offers, policy)| negotiate_server_deflate(offers, &policy));
            let header = agreed.as_ref().map(|agreed| agreed.to_response_header());
            let response =
                build_response(&generate_accept_key(parsed.key), None, header.as_deref());
            stream.write_all(&response).await?;
            return Ok(agreed.map(|agreed| agreed.config));
        }
    }
}

async fn echo<W>(mut ws: W) -> Result<()>
where
    W: Stream<Item = Result<Message>> + Sink<Message, Error = Error> + Unpin,
{
    while let Some(message) = ws.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => ws.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

async fn publish(ws: WebSocketStream<TcpStream>, everybody: &PubSub) -> Result<()> {
    let (mut read, mut write) = ws.split();
    let (sender, mut heard) = mpsc::unbounded_channel();
    let subscriber = everybody.create_subscriber(sender);
    everybody.subscribe(subscriber, "all");
    tokio::spawn(async move {
        while let Some(message) = heard.recv().await {
            if write.send(message).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = read.next().await {
        if message.is_binary() {
            everybody.publish("all", message);
        }
    }
    everybody.remove_subscriber(subscriber);
    Ok(())
}
