//! An HTTP server of somebody else, in ten lines.

use lastword::proto::Exchange;
use lastword::{Pending, Upgrades};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reads a request and answers it; what is left to do if it was accepted.
pub async fn answer<S>(upgrades: &Upgrades, stream: &mut S) -> Option<Pending>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let judged = upgrades.accept(&Exchange::new(&head, b"").request());
    let (response, pending) = match judged {
        Ok((response, pending)) => (response.map(|()| bytes::Bytes::new()), Some(pending)),
        Err(refusal) => (refusal.to_response(), None),
    };
    let mut answer = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if pending.is_none() {
        answer.extend(format!("content-length: {}\r\n", response.body().len()).into_bytes());
    }
    answer.extend(b"\r\n");
    answer.extend(response.body());
    stream.write_all(&answer).await.unwrap();
    pending
}

/// A request for a WebSocket, as an HTTP server has parsed it.
pub fn request() -> http::Request<()> {
    let request = http::Request::get("/")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.body(()).unwrap()
}
