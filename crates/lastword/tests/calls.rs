//! What can be asked of a connection beside `send` and `recv`: with a limit of time, with a say about
//! compression, pings and pongs with data, and what is known of it.

mod support;

use std::time::Duration;

use lastword::proto::{DeflateConfig, Transmit};
use lastword::rustls::ProtocolVersion;
use lastword::{
    Client, CloseCode, Compression, Config, ControlRefused, Message, PingError, ReceiveError,
    SendError, Server, WebSocket,
};
use support::pipes::{beside_raw, frame, pair};
use support::tls::configs;
use support::{Running, echo};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Small buffers, without keepalive and compression.
fn small() -> Config {
    let mut config = Config::default();
    (config.ping_interval, config.write_timeout, config.deflate) = (None, None, None);
    (config.send_buffer, config.receive_buffer) = (100, 100);
    config
}

#[tokio::test(start_paused = true)]
async fn a_receive_with_a_limit_ends_with_it_and_loses_nothing() {
    let (mut ws, peer) = pair(1000, small()).await;
    let before = Instant::now();
    let error = ws.recv_timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, ReceiveError::TimedOut { limit } if limit == SECOND), "{error}");
    assert_eq!(before.elapsed(), SECOND);

    let later = tokio::spawn(async move {
        tokio::time::sleep(SECOND / 2).await;
        peer.send("in time").await.unwrap();
        peer.send("at once").await.unwrap();
        peer
    });
    assert_eq!(ws.recv_timeout(SECOND).await.unwrap(), Some("in time".into()));
    let peer = later.await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(ws.recv_timeout(Duration::ZERO).await.unwrap(), Some("at once".into()));
    assert!(ws.recv_timeout(Duration::ZERO).await.is_err());

    peer.sender().close(CloseCode::NORMAL, "");
    assert!(ws.recv_timeout(SECOND).await.unwrap().is_none());
    let (mut ws, peer) = pair(1000, small()).await;
    peer.abort();
    let error = ws.recv_timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, ReceiveError::Ended(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_limit_gives_its_message_back_when_there_was_no_room() {
    let (ws, mut peer) = pair(64, small()).await;
    let mut sent = 0;
    // Until the buffers of both sides are full, and the pipe.
    while ws.send_timeout(Message::binary(vec![7; 60]), SECOND).await.is_ok() {
        sent += 1;
        assert!(sent < 100);
    }
    for limit in [Duration::ZERO, SECOND] {
        let before = Instant::now();
        match ws.send_timeout("kept", limit).await.unwrap_err() {
            SendError::TimedOut { limit: told, message } => {
                assert_eq!((told, message), (limit, "kept".into()));
            }
            other => panic!("{other}"),
        }
        assert_eq!(before.elapsed(), limit);
    }
    let (sending, _) = tokio::join!(ws.send_timeout("sent", SECOND), async {
        for _ in 0..sent {
            assert_eq!(peer.recv().await.unwrap().unwrap().len(), 60);
        }
        assert_eq!(peer.recv().await.unwrap(), Some("sent".into()), "and none of the others");
    });
    sending.unwrap();
    ws.sender().close(CloseCode::NORMAL, "");
    let error = ws.send_timeout("late", SECOND).await.unwrap_err();
    assert!(matches!(error, SendError::Closing(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_message_is_compressed_as_it_is_told() {
    let mut config = Config::default();
    config.deflate = Some(DeflateConfig::default());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (ws, mut raw) = beside_raw(100_000, config.clone(), offer).await;
    let (small, large) = ("aaaaaaaaaaaaaaaaaaaa", "a".repeat(2000));
    let marked = 0x80 | 0x40 | 1;
    for (message, compression, first_byte) in [
        (small, Compression::Auto, 0x81),
        (small, Compression::Always, marked),
        (&large, Compression::Auto, marked),
        (&large, Compression::Never, 0x81),
    ] {
        ws.send_with(message, compression).await.unwrap();
        let (first, payload) = frame(&mut raw).await;
        assert_eq!(first, first_byte, "{compression:?} of {} bytes", message.len());
        assert_eq!(payload.len() < message.len(), first == marked);
    }
    // Where it was not agreed on, it is not done.
    let (ws, mut raw) = beside_raw(100_000, config, "").await;
    ws.send_with(large, Compression::Always).await.unwrap();
    assert_eq!(frame(&mut raw).await.0, 0x81);
}

#[tokio::test(start_paused = true)]
async fn a_ping_with_data_is_answered_by_its_own_pong_or_a_later_one() {
    let (ws, mut raw) = beside_raw(100_000, Config::default(), "").await;
    let sender = ws.sender();
    let asking = |data: &'static [u8]| {
        let sender = sender.clone();
        tokio::spawn(async move { sender.ping_with(data).await })
    };
    let (first, second) = (asking(b"first"), asking(b"second"));
    assert_eq!(frame(&mut raw).await, (0x89, b"first".to_vec()));
    assert_eq!(frame(&mut raw).await, (0x89, b"second".to_vec()));
    let error = ws.ping_with("second").await.unwrap_err();
    assert!(matches!(error, PingError::Refused(ControlRefused::Duplicate)), "{error}");
    // Nobody asked for this one.
    raw.write_all(&support::masked(0x8a, b"third")).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(!first.is_finished() && !second.is_finished());
    raw.write_all(&support::masked(0x8a, b"second")).await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), SECOND);
    assert_eq!(first.await.unwrap().unwrap(), SECOND);
    assert_eq!(ws.latency(), Some(SECOND));
    // Answered, it may be asked again.
    let again = asking(b"second");
    assert_eq!(frame(&mut raw).await, (0x89, b"second".to_vec()));
    drop(raw);
    let error = again.await.unwrap().unwrap_err();
    assert!(matches!(error, PingError::Ended(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_control_frame_cannot_hold_is_refused() {
    let (ws, mut raw) = beside_raw(100_000, Config::default(), "").await;
    let refused = ControlRefused::TooLong { bytes: 126, limit: 125 };
    assert_eq!(ws.pong([0; 126]).unwrap_err(), refused);
    let error = ws.ping_with([0; 126]).await.unwrap_err();
    assert!(matches!(error, PingError::Refused(why) if why == refused), "{error}");
    ws.pong([7; 125]).unwrap();
    assert_eq!(frame(&mut raw).await, (0x8a, vec![7; 125]));
    ws.pong([]).unwrap();
    assert_eq!(frame(&mut raw).await, (0x8a, vec![]));
    ws.sender().close(CloseCode::NORMAL, "");
    assert_eq!(ws.pong([]).unwrap_err(), ControlRefused::Closing);
}

#[tokio::test(start_paused = true)]
async fn pongs_that_a_peer_does_not_read_are_refused_before_they_pile_up() {
    let (ws, peer) = pair(16, small()).await;
    let refused = (0..10_000).find_map(|_| ws.pong([1; 125]).err());
    assert!(matches!(refused, Some(ControlRefused::Crowded { .. })), "{refused:?}");
    drop(peer);
}

#[test]
fn empty_messages_that_wait_take_up_the_send_buffer() {
    use lastword::proto::{Agreement, Connection};
    let mut config = Config::default();
    config.send_buffer = 1 << 20;
    let now = std::time::Instant::now();
    let agreement = Agreement::plain(lastword::Role::Server);
    let mut connection = Connection::new(&agreement, config.into(), [0; 32], now);
    let mut sent = 0;
    while connection.has_room() {
        connection.send(Message::binary(vec![]), Compression::Auto).unwrap();
        sent += 1;
        assert!(sent < 100_000, "there is an end to it");
    }
    assert!(matches!(connection.poll_transmit(), Transmit::Bytes(_)));
}

#[tokio::test]
async fn each_connection_has_a_name_of_its_own_and_knows_its_tls() {
    let (server, client) = configs();
    let (seen, mut details) = tokio::sync::mpsc::unbounded_channel();
    let server = Running::start(Server::new().tls(server), move |ws: WebSocket| {
        seen.send((ws.opening().id, ws.tls())).unwrap();
        echo(ws)
    })
    .await;
    let url = format!("wss://localhost:{}", server.address.port());
    let ws = Client::new(url).tls(client).connect().await.unwrap();
    let (id, theirs) = details.recv().await.unwrap();
    assert_ne!(ws.opening().id, id);
    let (ours, theirs) = (ws.tls().unwrap(), theirs.unwrap());
    assert_eq!(ours.version, Some(ProtocolVersion::TLSv1_3));
    assert_eq!(ours.version, theirs.version);
    assert!(ours.cipher_suite.is_some());
    assert_eq!(ours.cipher_suite, theirs.cipher_suite);
    assert_eq!(ours.peer_certificates.len(), 1);
    assert!(theirs.peer_certificates.is_empty(), "the client was not asked for one");
    assert_eq!(theirs.server_name.as_deref(), Some("localhost"));
    assert_eq!((ours.server_name, ours.alpn), (None, None));
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());

    let (near, _far) = pair(1000, small()).await;
    assert!(near.tls().is_none());
}
