//! `wss://`, with certificates of our own.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use lastword::proto::PeerSide;
use lastword::rustls::{HandshakeKind, ServerConnection, StreamOwned};
use lastword::{Cause, Client, CloseCode, ConnectError, Loss, Message, Server, ServerTls};
use support::tls::configs;
use support::{Running, echo};

#[tokio::test]
async fn a_conversation_over_tls_ends_cleanly_under_load() {
    let (server, client) = configs();
    let mut server = Running::start(Server::new().tls(server), echo).await;
    let url = format!("wss://localhost:{}", server.address.port());
    for size in [10, 100_000, 2 << 20] {
        let mut ws = Client::new(&url).tls(client.clone()).connect().await.unwrap();
        let message = Message::binary(vec![9; size]);
        ws.send(message.clone()).await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(message.clone()));
        // More is on its way when the close is said.
        ws.send(message).await.unwrap();
        let ending = ws.close(CloseCode::NORMAL, "").await;
        assert!(ending.is_clean(), "{ending}");
        let theirs = server.ending().await;
        assert!(theirs.is_clean(), "{theirs}");
        // Both ends of TLS said goodbye as well.
        assert_eq!(theirs.transport.peer, PeerSide::Finished);
        assert_eq!(ending.transport.peer, PeerSide::Finished);
    }
}

/// A server that speaks TLS: reads a request, and does this with the stream.
fn tls_server<T: Send + 'static, const VISITS: usize>(
    does: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) -> T + Send + 'static,
) -> (String, std::thread::JoinHandle<[T; VISITS]>) {
    let (server_tls, _) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        [(); VISITS].map(|()| {
            let (socket, _) = listener.accept().unwrap();
            let session = ServerConnection::new(server_tls.clone()).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            does(&mut stream)
        })
    });
    (url, server)
}

#[tokio::test]
async fn tls_that_ends_without_a_word_inside_the_opening_is_told_in_our_own_words() {
    let (url, server) = tls_server(|_| ());
    let error = Client::new(url).danger_accept_invalid_certs().connect().await.unwrap_err();
    let [()] = server.join().unwrap();
    let ConnectError::Lost(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "the server ended TLS without close_notify");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_client_that_comes_again_takes_up_the_session_that_it_had() {
    let (url, server) = tls_server(|stream| {
        stream.write_all(b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n").unwrap();
        stream.conn.handshake_kind().unwrap()
    });
    let client = Client::new(&url).danger_accept_invalid_certs();
    client.clone().connect().await.unwrap_err();
    client.clone().connect().await.unwrap_err();
    // Who trusts others is another client.
    client.danger_accept_invalid_certs().connect().await.unwrap_err();
    let kinds = server.join().unwrap();
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Full]);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_an_error_that_says_so() {
    let (server, _) = configs();
    let server = Running::start(Server::new().tls(server), echo).await;
    let url = format!("wss://localhost:{}", server.address.port());
    let (_, other) = configs();
    let error = Client::new(&url).tls(other).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_stream_cut_without_close_notify_is_told_from_one_that_ended() {
    let (server, client) = configs();
    let mut server = Running::start(Server::new().tls(server), echo).await;
    // A proxy in between that passes the opening on, and then only ends TCP.
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", proxy.local_addr().unwrap().port());
    let address = server.address;
    let (cut, cut_now) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = cut_now => {}
        }
    });
    let mut ws = Client::new(&url).tls(client).connect().await.unwrap();
    ws.send("hello").await.unwrap();
    assert!(ws.recv().await.unwrap().is_some());
    cut.send(()).unwrap();
    let ending = ws.recv().await.unwrap_err().0;
    assert_eq!(ending.cause, Cause::Lost(Loss::Truncated), "{ending}");
    let theirs = server.ending().await;
    assert_eq!(theirs.cause, Cause::Lost(Loss::Truncated), "{theirs}");
}

#[tokio::test]
async fn a_certificate_is_replaced_for_those_who_come_and_nobody_has_to_leave() {
    let (first, trusts_first) = configs();
    let (renewed, trusts_renewed) = configs();
    let tls = ServerTls::from(first);
    let server = Running::start(Server::new().tls(tls.clone()), echo).await;
    let url = format!("wss://localhost:{}", server.address.port());
    let mut before = Client::new(&url).tls(trusts_first.clone()).connect().await.unwrap();

    tls.replace(renewed);
    // Nothing trusts both, so that each answer tells which certificate was shown.
    let error = Client::new(&url).tls(trusts_first).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    let mut after = Client::new(&url).tls(trusts_renewed).connect().await.unwrap();
    for ws in [&mut before, &mut after] {
        ws.send("still here").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("still here")));
    }
}

#[tokio::test]
async fn an_address_of_ipv6_is_a_name_to_tls() {
    let (server, client) = configs();
    let (near, far) = tokio::io::duplex(10_000);
    let accepting = tokio::spawn(Server::new().tls(server).accept(far));
    let ws = Client::new("wss://[::1]/").tls(client).connect_over(near).await.unwrap();
    let theirs = accepting.await.unwrap().unwrap();
    // An address is verified, and is no name to ask for (RFC 6066 section 3).
    assert_eq!(theirs.tls().unwrap().server_name, None);
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}
