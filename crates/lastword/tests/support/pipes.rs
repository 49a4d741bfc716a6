//! Connections in memory: over pipes that hold so many bytes, and no more.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use lastword::{Client, Config, Server, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::yield_now;

/// The client's side and the server's.
pub async fn pair(size: usize, config: Config) -> (WebSocket, WebSocket) {
    let (near, far) = duplex(size);
    let server = tokio::spawn(Server::new().config(config.clone()).accept(far));
    let client = Client::new("ws://in.memory/").config(config).connect_over(near).await;
    (client.unwrap(), server.await.unwrap().unwrap())
}

/// A server's side, and the raw other end, which has said its opening, with further lines of `headers`.
pub async fn beside_raw(size: usize, config: Config, headers: &str) -> (WebSocket, DuplexStream) {
    let (ours, mut theirs) = duplex(size);
    let opening = tokio::spawn(Server::new().config(config).accept(ours));
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    theirs.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(theirs.read_u8().await.unwrap());
    }
    (opening.await.unwrap().unwrap(), theirs)
}

/// The first byte and the payload of the next frame of a server, of less than 64 KiB.
pub async fn frame(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let len = match stream.read_u8().await.unwrap() {
        126 => usize::from(stream.read_u16().await.unwrap()),
        short => usize::from(short),
    };
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

/// Polls `future` up to `times` times, letting everybody else work in between, then drops it; what it
/// gave, if it was ready by then.
pub async fn dropped_after<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        for _ in 0..4 {
            yield_now().await;
        }
    }
    None
}
