//! Waiting, on a clock that the tests turn.

mod support;

use std::time::Duration;

use lastword::{AcceptError, Cause, CloseCode, ConnectError, Phase, TimeOut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

#[tokio::test(start_paused = true)]
async fn an_opening_that_never_comes_is_given_up_by_both_sides() {
    let (ours, _theirs) = duplex(100);
    let error = lastword::accept(ours).await.unwrap_err();
    let limit = Duration::from_secs(10);
    assert!(
        matches!(error, AcceptError::TimedOut { limit: l, phase: Phase::Handshake } if l == limit)
    );

    let (ours, mut theirs) = duplex(10_000);
    let dripping = tokio::spawn(async move {
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if theirs.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let error = lastword::Client::new("ws://a").connect_over(ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Handshake, .. }), "{error}");
    dripping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_whether_or_not_somebody_receives() {
    for receiving in [true, false] {
        let (ours, mut theirs) = duplex(100_000);
        let opening = tokio::spawn(lastword::accept(ours));
        let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        theirs.write_all(request.as_bytes()).await.unwrap();
        let mut ws = opening.await.unwrap().unwrap();
        let ending = if receiving { ws.recv().await.unwrap_err().0 } else { ws.ended().await };
        assert!(matches!(ending.cause, Cause::TimedOut(TimeOut::Pong { .. })), "{ending}");
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        let end = [&[3, 243][..], b"keepalive ping timeout"].concat();
        assert!(said.ends_with(&end), "{said:x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_never_waits_longer_than_it_may() {
    let (ours, mut theirs) = duplex(100_000);
    let opening = tokio::spawn(lastword::accept(ours));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    theirs.write_all(request.as_bytes()).await.unwrap();
    let ws = opening.await.unwrap().unwrap();
    // The peer talks on and never answers.
    let chatter = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if theirs.write_all(&support::masked(0x81, b"blah")).await.is_err() {
                return;
            }
        }
    });
    let before = tokio::time::Instant::now();
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert_eq!(before.elapsed().as_secs(), 10);
    assert!(matches!(ending.cause, Cause::TimedOut(TimeOut::Closing { .. })), "{ending}");
    chatter.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_stuck_handler() {
    let mut config = lastword::Config::default();
    config.close_timeout = Duration::from_millis(50);
    config.linger = Duration::from_millis(50);
    let server = lastword::Server::new().config(config);
    let server = support::Running::start(server, async |mut ws| {
        drop(ws.recv().await);
        std::future::pending().await
    })
    .await;
    let mut ws = lastword::connect(server.url()).await.unwrap();
    ws.send("hello").await.unwrap();
    let report = tokio::time::timeout(Duration::from_secs(30), server.stop()).await.unwrap();
    assert_eq!((report.endings.len(), report.stuck), (1, 1));
    // It was told all the same.
    assert!(ws.recv().await.unwrap().is_none());
    assert_eq!(ws.ended().await.code(), 1001);
}
