//! A server on a port of its own, and a raw peer that says exactly what a test wants.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses what it needs")]

pub mod http;
pub mod pipes;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use lastword::{Config, Ending, HandlerError, Message, Outcome, Server, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub struct Running {
    pub address: SocketAddr,
    pub outcomes: mpsc::UnboundedReceiver<Outcome>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<lastword::Report>,
}

impl Running {
    pub async fn echo() -> Self {
        Self::start(Server::new(), echo).await
    }

    pub async fn with(config: Config) -> Self {
        Self::start(Server::new().config(config), echo).await
    }

    pub async fn start<F, T>(server: Server, handler: F) -> Self
    where
        F: Fn(WebSocket) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let server = server.observe(move |outcome| sender.send(outcome).unwrap_or(()));
        let bound = server.bind("127.0.0.1:0").await.unwrap();
        let address = bound.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(bound.serve_until(handler, async { stopped.await.unwrap_or(()) }));
        Self { address, outcomes, stop: Some(stop), task }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// How the next connection ended.
    pub async fn ending(&mut self) -> Arc<Ending> {
        self.outcomes.recv().await.unwrap().result.unwrap()
    }

    pub async fn stop(mut self) -> lastword::Report {
        drop(self.stop.take());
        self.task.await.unwrap()
    }
}

pub async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// A peer that speaks bytes, past its opening.
pub async fn raw_client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A text and a binary message of this size go to a server that echoes, and come back as they were.
pub async fn come_back(ws: &mut WebSocket, size: usize) {
    let text = "ü".repeat(size / 2);
    ws.send(text.as_str()).await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(text.as_str()));
    let bytes = Message::binary(vec![7; size]);
    ws.send(bytes.clone()).await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(bytes));
}

/// A client's frame with a mask of zeros.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut wire = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    wire.extend(payload);
    wire
}
