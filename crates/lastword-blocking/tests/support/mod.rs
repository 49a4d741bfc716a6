//! Connections over sockets, for the tests.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod log;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use lastword_blocking::{
    Client, Config, Ending, HandlerError, Outcome, Report, Routes, Server, Stop, WebSocket,
};
pub(crate) use lastword_fakes::certificates;

/// What two peers talk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Tls,
}

impl Over {
    pub(crate) const ALL: [Self; 2] = [Self::Tcp, Self::Tls];
}

/// Two sockets that are connected with each other.
pub(crate) fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// Two connected peers.
pub(crate) fn pair(over: Over, config: Config) -> (WebSocket, WebSocket) {
    let (one, other) = sockets();
    let mut server = Server::new().config(config.clone());
    let mut client = Client::new("ws://localhost/").config(config.clone());
    if over == Over::Tls {
        let (ours, theirs) = certificates();
        server = server.tls(ours);
        client = Client::new("wss://localhost/").config(config).tls(theirs);
    }
    let accepting = thread::spawn(move || server.accept(one).unwrap());
    let client = client.connect_over(other).unwrap();
    (client, accepting.join().unwrap())
}

/// A server's connection, and the bare socket of its client.
pub(crate) fn raw_pair(setup: impl FnOnce(Server) -> Server) -> (WebSocket, TcpStream) {
    raw_pair_with(setup, &[])
}

/// The same with more headers in the request.
pub(crate) fn raw_pair_with(
    setup: impl FnOnce(Server) -> Server,
    headers: &[&str],
) -> (WebSocket, TcpStream) {
    let (one, mut other) = sockets();
    let server = setup(Server::new());
    other.write_all(request("/", headers).as_bytes()).unwrap();
    let ws = server.accept(one).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        other.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    (ws, other)
}

/// A frame of a client, masked with zeros.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![first, 0x80 | len, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}

/// A server on a port of its own that sends back what comes.
pub(crate) fn echo_server(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let server = server.clone();
            thread::spawn(move || server.accept(stream).map(echo));
        }
    });
    address
}

/// A server in a thread of its own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
    pub(crate) stop: Stop,
    thread: JoinHandle<std::io::Result<Report>>,
}

impl Running {
    pub(crate) fn start<F>(server: Server, handler: F) -> Self
    where
        F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        Self::of(server, |bound| bound.serve(handler))
    }

    pub(crate) fn routes(server: Server, routes: Routes) -> Self {
        Self::of(server, |bound| bound.serve_routes(routes))
    }

    fn of<F>(server: Server, serve: F) -> Self
    where
        F: FnOnce(lastword_blocking::Bound) -> std::io::Result<Report> + Send + 'static,
    {
        let (sender, outcomes) = mpsc::channel();
        let server = server.observe(move |outcome| sender.send(outcome).unwrap_or(()));
        let bound = server.bind("127.0.0.1:0").unwrap();
        let (address, stop) = (bound.local_addr().unwrap(), bound.stop_handle());
        Self { address, outcomes, stop, thread: thread::spawn(|| serve(bound)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// How the next connection ended.
    pub(crate) fn ending(&self) -> Arc<Ending> {
        self.outcomes.recv().unwrap().result.unwrap()
    }

    pub(crate) fn stop(self) -> Report {
        self.stop.stop();
        self.thread.join().unwrap().unwrap()
    }
}

pub(crate) fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

/// A request for a WebSocket.
pub(crate) fn request(path: &str, headers: &[&str]) -> String {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

#[track_caller]
pub(crate) fn assert_status(answer: &str, status: &str) {
    let line = answer.lines().next();
    assert_eq!(line, Some(format!("HTTP/1.1 {status}").as_str()), "{answer}");
}

/// The next frame of a server: its first byte, and its payload.
pub(crate) fn frame(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len).unwrap();
            u16::from_be_bytes(len).into()
        }
        127 => {
            let mut len = [0; 8];
            stream.read_exact(&mut len).unwrap();
            u64::from_be_bytes(len).try_into().unwrap()
        }
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}
