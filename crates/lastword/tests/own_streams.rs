//! Streams that the caller connected: TLS over them, how they are given up, what they had brought.

mod support;

use std::time::Duration;

use lastword::{AcceptError, Cause, Client, CloseCode, ConnectError, Loss, Phase, Server};
use support::tls::configs;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
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
