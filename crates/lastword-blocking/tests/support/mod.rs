//! Connections over sockets, for the tests.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use lastword_blocking::rustls::crypto::aws_lc_rs::default_provider;
use lastword_blocking::rustls::pki_types::PrivatePkcs8KeyDer;
use lastword_blocking::rustls::{ClientConfig, RootCertStore, ServerConfig};
use lastword_blocking::{Client, Config, Server, WebSocket};

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
    let (one, mut other) = sockets();
    let server = setup(Server::new());
    other
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
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

/// A server's certificate for localhost, and a client that trusts no other.
pub(crate) fn certificates() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let certificate = made.cert.der().clone();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
