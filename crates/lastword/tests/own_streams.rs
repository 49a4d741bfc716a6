//! Streams that the caller connected: TLS over them, how they are given up, what they had brought.

mod support;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use lastword::{
    AcceptError, Cause, Client, CloseCode, ConnectError, HandlerError, Loss, Phase, Server,
    WebSocket, accept,
};
use support::tls::configs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn tls_is_spoken_over_any_stream() {
    let (server, client) = configs();
    let (near, far) = duplex(1000);
    let accepting = tokio::spawn(Server::new().tls(server).accept(far));
    let opening = Client::new("wss://localhost/").tls(client).connect_over(near);
    let ws = opening.await.unwrap();
    let theirs = accepting.await.unwrap().unwrap();
    ws.send("hello").await.unwrap();
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
    let ending = theirs.ended().await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.ledger.delivered.messages, 1);
}

#[tokio::test(start_paused = true)]
async fn tls_that_is_never_established_is_given_up_by_both_sides() {
    let (server, client) = configs();
    let limit = Duration::from_secs(10);
    let (near, _far) = duplex(10_000);
    let error = Server::new().tls(server).accept(near).await.unwrap_err();
    assert!(
        matches!(error, AcceptError::TimedOut { limit: l, phase: Phase::Tls } if l == limit),
        "{error}"
    );
    let (near, _far) = duplex(10_000);
    let error = Client::new("wss://localhost/").tls(client).connect_over(near).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::TimedOut { limit: l, phase: Phase::Tls } if l == limit),
        "{error}"
    );
}

#[tokio::test]
async fn an_abort_resets_a_socket_that_the_caller_connected_too() {
    for tls in [false, true] {
        let (server, client) = configs();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (accept, connect) = if tls {
            (Server::new().tls(server), Client::new("wss://localhost/").tls(client))
        } else {
            (Server::new(), Client::new("ws://localhost/"))
        };
        let accepting = tokio::spawn(accept.accept(far));
        let ws = connect.connect_over(near).await.unwrap();
        let theirs = accepting.await.unwrap().unwrap();
        assert_eq!(ws.abort().cause, Cause::Aborted);
        let ending = theirs.ended().await;
        assert!(matches!(ending.cause, Cause::Lost(Loss::Reset(_))), "{tls}: {ending}");
    }
}

#[tokio::test]
async fn a_message_in_front_of_a_broken_record_is_delivered_though_both_came_in_one_read() {
    let (server, client) = configs();
    let ((near, mut wire), (mut far_wire, far)) = (duplex(100_000), duplex(100_000));
    let server = Server::new().tls(server);
    let client = Client::new("wss://localhost/").tls(client);
    let (ws, mut theirs) = tokio::select! {
        // Passes the opening on, and nothing after it.
        _ = tokio::io::copy_bidirectional(&mut wire, &mut far_wire) => unreachable!("both stay"),
        (ws, theirs) = async { tokio::join!(client.connect_over(near), server.accept(far)) } => {
            (ws.unwrap(), theirs.unwrap())
        }
    };
    ws.send("whole").await.unwrap();
    ws.send("broken").await.unwrap();
    let mut records = vec![0; 1000];
    let size = wire.read(&mut records).await.unwrap();
    records[size - 1] ^= 1;
    far_wire.write_all(&records[..size]).await.unwrap();
    assert_eq!(theirs.recv().await.unwrap(), Some("whole".into()));
    let ending = theirs.recv().await.unwrap_err().0;
    assert!(matches!(ending.cause, Cause::Lost(Loss::Io(_))), "{ending}");
    assert_eq!(ending.ledger.delivered.messages, 1);
}

/// A stream of bytes through the messages of another WebSocket connection.
struct Tunnel {
    outer: WebSocket,
    came: Bytes,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.came.is_empty() {
            let next = pin!(self.outer.recv()).poll(cx);
            match ready!(next).map_err(io::Error::other)? {
                Some(message) => self.came = message.into_payload(),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.came.len().min(buffer.remaining());
        buffer.put_slice(&self.came.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = self.outer.try_send(bytes).map_err(io::Error::other);
        Poll::Ready(sent.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outer.sender().close(CloseCode::NORMAL, "");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_connection_may_run_through_another_one() {
    let (near, far) = duplex(1000);
    let tunnel = |outer| Tunnel { outer, came: Bytes::new() };
    let accepting = tokio::spawn(async move {
        let mut inner = accept(tunnel(accept(far).await?)).await?;
        while let Some(message) = inner.recv().await? {
            inner.send(message).await?;
        }
        Ok::<_, HandlerError>(())
    });
    let outer = Client::new("ws://outer/").connect_over(near).await.unwrap();
    let mut inner = Client::new("ws://inner/").connect_over(tunnel(outer)).await.unwrap();
    for text in ["one", "two", "three"] {
        inner.send(text).await.unwrap();
        assert_eq!(inner.recv().await.unwrap().unwrap().as_text(), Some(text));
    }
    let ending = inner.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
    accepting.await.unwrap().unwrap();
}
