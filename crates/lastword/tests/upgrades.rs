//! Connections that come through an HTTP server of somebody else, here one of ten lines.

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lastword::{
    AcceptError, Client, CloseCode, ConnectError, HandlerError, Message, Outcome, Server,
    Subprotocols, Upgrades, WebSocket,
};
use support::http::answer;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

/// A client, and the handle of its connection.
async fn pair(upgrades: &Upgrades) -> (WebSocket, WebSocket) {
    let (near, mut far) = duplex(4096);
    let client = Client::new("ws://in.memory/chat").subprotocol("b").connect_over(near);
    let server = async { answer(upgrades, &mut far).await.unwrap().upgrade(far) };
    let (client, server) = tokio::join!(client, server);
    (client.unwrap(), server)
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_agreed_on_is_known_to_both_sides() {
    let names = ["a", "b"].map(String::from).to_vec();
    let upgrades = Server::new().subprotocols(Subprotocols::Optional(names)).upgrades();
    let (client, server) = pair(&upgrades).await;
    for opening in [client.opening(), server.opening()] {
        assert_eq!(opening.subprotocol.as_deref(), Some("b"));
        assert!(opening.deflate.is_some());
        assert_eq!(opening.request().uri(), "/chat");
        assert_eq!(opening.response().status(), 101);
    }
    client.send("a".repeat(10_000)).await.unwrap();
    let mut server = server;
    assert_eq!(server.recv().await.unwrap().unwrap().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_a_close_is_completed_while_nobody_looks() {
    let upgrades = Upgrades::default();
    let (client, server) = pair(&upgrades).await;
    client.ping().await.unwrap();
    let ending = client.close(CloseCode::NORMAL, "bye").await;
    assert!(ending.is_clean(), "{ending}");
    let ending = server.ended().await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_comes_first() {
    let (near, mut far) = duplex(4096);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let upgrades = Upgrades::default();
    let server = async { (answer(&upgrades, &mut far).await.unwrap(), far) };
    let (client, (pending, mut far)) = tokio::join!(client, server);
    let client = client.unwrap();
    client.send("read by the HTTP server").await.unwrap();
    client.flush().await.unwrap();
    let mut read = [0; 1000];
    let count = far.read(&mut read).await.unwrap();
    let carrier = lastword::Carrier::from(far);
    let mut ws = pending.upgrade(carrier.read_ahead(read[..count].to_vec().into()));
    client.send("read by us").await.unwrap();
    for text in ["read by the HTTP server", "read by us"] {
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(text));
    }
}

#[tokio::test]
async fn a_socket_keeps_its_addresses_and_is_reset_by_an_abort() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (local, peer) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
    let client = Client::new("ws://localhost/").connect_over(stream);
    let upgrades = Upgrades::default();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&upgrades, &mut stream).await.unwrap().upgrade(stream)
    };
    let (client, server) = tokio::join!(client, server);
    assert_eq!(server.opening().local_addr, Some(local));
    assert_eq!(server.opening().peer_addr, Some(peer));
    server.abort();
    let ending = client.unwrap().ended().await;
    assert!(ending.to_string().contains("reset"), "{ending}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_closes_by_how_it_returns() {
    type Handler = fn(WebSocket) -> Result<(), HandlerError>;
    let cases: [(Handler, u16); 3] =
        [(|_| Ok(()), 1000), (|_| Err("no".into()), 1011), (|_| panic!("on purpose"), 1011)];
    for (handler, code) in cases {
        let upgrades = Upgrades::default();
        let (near, mut far) = duplex(4096);
        let client = Client::new("ws://in.memory/").connect_over(near);
        let server = async {
            let pending = answer(&upgrades, &mut far).await.unwrap();
            pending.serve(async { Ok(far) }, async move |ws| handler(ws));
        };
        let (client, ()) = tokio::join!(client, server);
        assert_eq!(client.unwrap().ended().await.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_to_leave_and_later_ones_are_refused() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let told = move |outcome: Outcome| note.lock().unwrap().push(outcome.result);
    let upgrades = Server::new().observe(told).upgrades();
    let (mut client, server) = pair(&upgrades).await;
    let serving = tokio::spawn(echo(server));
    client.send("hello").await.unwrap();
    client.recv().await.unwrap();
    assert_eq!(upgrades.count(), 1);

    let farewells = upgrades.shut_down().await;
    assert_eq!((farewells.endings.len(), farewells.stuck), (1, 0));
    let ending = &farewells.endings[0].ending;
    assert_eq!(ending.code(), 1001);
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(client.ended().await.code(), 1001);
    serving.await.unwrap().unwrap();
    assert_eq!(upgrades.count(), 0);

    let (near, mut far) = duplex(4096);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let (client, pending) = tokio::join!(client, answer(&upgrades, &mut far));
    let error = client.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(_)), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert!(pending.is_none());
    let seen = seen.lock().unwrap();
    let [Ok(ending), Err(AcceptError::Refused(refusal))] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((ending.code(), refusal.status().as_u16()), (1001, 503));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_return_is_dropped_when_time_is_over() {
    let upgrades = Upgrades::default();
    let (near, mut far) = duplex(4096);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let server = async {
        let pending = answer(&upgrades, &mut far).await.unwrap();
        pending.serve(async { Ok(far) }, async |_ws| std::future::pending().await);
    };
    let (client, ()) = tokio::join!(client, server);
    let (first, second) = tokio::join!(upgrades.shut_down(), upgrades.shut_down());
    assert_eq!(first.stuck.max(second.stuck), 1);
    assert_eq!(first.endings.len() + second.endings.len(), 1);
    assert_eq!(client.unwrap().ended().await.code(), 1001);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_comes_is_not_waited_for_longer_than_open_timeout() {
    for lost in [true, false] {
        let (told, tells) = tokio::sync::oneshot::channel();
        let told = Mutex::new(Some(told));
        let server = Server::new().observe(move |outcome| {
            told.lock().unwrap().take().unwrap().send(outcome.result).unwrap();
        });
        let upgrades = server.upgrades();
        let (_, pending) = upgrades.accept(&support::http::request()).unwrap();
        let before = tokio::time::Instant::now();
        pending.serve(stream(lost), echo);
        let error = tells.await.unwrap().unwrap_err();
        match error {
            AcceptError::Lost(_) => assert!(lost),
            AcceptError::TimedOut { limit, .. } => assert!(!lost && before.elapsed() >= limit),
            error => panic!("{error}"),
        }
    }
}

/// Fails, or never comes.
async fn stream(lost: bool) -> io::Result<DuplexStream> {
    if lost { Err(io::ErrorKind::BrokenPipe.into()) } else { std::future::pending().await }
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_on_when_the_last_of_its_upgrades_is_dropped() {
    let upgrades = Upgrades::default();
    let (mut client, mut server) = pair(&upgrades).await;
    drop(upgrades);
    tokio::time::sleep(Duration::from_secs(100)).await;
    client.send("still here").await.unwrap();
    let message: Message = server.recv().await.unwrap().unwrap();
    server.send(message).await.unwrap();
    assert_eq!(client.recv().await.unwrap().unwrap().as_text(), Some("still here"));
}
