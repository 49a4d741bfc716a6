//! What can be asked of a connection beside `send` and `recv`: with a limit of time, with a say about
//! compression, together, pings and pongs with data, and what is known of it.

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::rustls::ProtocolVersion;
use lastword_blocking::{
    Cause, CloseCode, Compression, Config, ControlRefused, FlushError, Message, PingError,
    ReceiveError, SendError,
};
use support::{Over, frame, masked, pair, raw_pair};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A moment that is let pass.
const MOMENT: Duration = Duration::from_millis(30);

/// Without keepalive and compression, and with little room.
fn small() -> Config {
    let mut config = Config::default();
    (config.ping_interval, config.write_timeout, config.deflate) = (None, None, None);
    (config.send_buffer, config.receive_buffer) = (100, 100);
    config
}

#[test]
fn a_receive_with_a_limit_ends_with_it_and_loses_nothing() {
    let (mut ws, peer) = pair(Over::Tcp, small());
    let before = Instant::now();
    let error = ws.recv_timeout(MOMENT).unwrap_err();
    assert!(matches!(error, ReceiveError::TimedOut { limit } if limit == MOMENT), "{error}");
    assert!(before.elapsed() >= MOMENT);
    peer.send_confirmed("in time").unwrap();
    assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), Some("in time".into()));
    assert!(ws.recv_timeout(Duration::ZERO).is_err());
    peer.sender().close(CloseCode::NORMAL, "");
    assert!(ws.recv_timeout(LIMIT).unwrap().is_none());

    let (mut ws, peer) = pair(Over::Tcp, small());
    peer.abort();
    let error = ws.recv_timeout(LIMIT).unwrap_err();
    assert!(matches!(error, ReceiveError::Ended(_)), "{error}");
}

#[test]
fn what_a_peer_that_does_not_read_holds_up_comes_back_when_its_time_is_over() {
    let (ws, mut raw) = raw_pair(|server| server.config(small()));
    while ws.send_timeout(vec![7; 100_000], MOMENT).is_ok() {}
    for limit in [Duration::ZERO, MOMENT] {
        let before = Instant::now();
        match ws.send_timeout("kept", limit).unwrap_err() {
            SendError::TimedOut { limit: told, message } => {
                assert_eq!((told, message), (limit, "kept".into()));
            }
            other => panic!("{other}"),
        }
        assert!(before.elapsed() >= limit);
    }
    let error = ws.send_confirmed_timeout("kept", MOMENT).unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error}");
    let error = ws.flush(MOMENT).unwrap_err();
    assert!(matches!(error, FlushError::TimedOut { .. }), "{error}");
    let error = ws.ping(MOMENT).unwrap_err();
    assert!(matches!(error, PingError::TimedOut { .. }), "{error}");
    // It reads on: there is room again, and what came back was not sent.
    let reading = thread::spawn(move || {
        while frame(&mut raw) != (0x81, b"sent".to_vec()) {}
        raw
    });
    ws.send_timeout("sent", LIMIT).unwrap();
    ws.flush(LIMIT).unwrap();
    drop(reading.join().unwrap());
}

#[test]
fn a_message_that_is_not_confirmed_in_time_is_told_from_one_that_is() {
    let (ws, mut raw) = raw_pair(|server| server.config(small()));
    match ws.send_confirmed_timeout("hello", MOMENT).unwrap_err() {
        SendError::Unconfirmed { limit, message } => {
            assert_eq!((limit, message), (MOMENT, "hello".into()));
        }
        other => panic!("{other}"),
    }
    assert_eq!(frame(&mut raw), (0x81, b"hello".to_vec()));
    let (first, data) = frame(&mut raw);
    assert_eq!(first, 0x89);
    assert_eq!(ws.ledger().confirmed.messages, 0);
    // Late, but the ledger knows.
    raw.write_all(&masked(0x8a, &data)).unwrap();
    let confirming = thread::spawn(move || {
        while frame(&mut raw).0 != 0x89 {}
        raw
    });
    assert!(ws.send_confirmed_timeout("again", MOMENT).is_err());
    assert_eq!(ws.ledger().confirmed.messages, 1);
    drop(confirming.join().unwrap());

    let (near, _far) = pair(Over::Tcp, small());
    near.send_confirmed_timeout("hello", LIMIT).unwrap();
    assert_eq!(near.ledger().confirmed.messages, 1);
}

#[test]
fn each_message_is_compressed_as_it_is_told() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate";
    let (ws, mut raw) = support::raw_pair_with(|server| server, &[offer]);
    let (small, large) = ("aaaaaaaaaaaaaaaaaaaa", "a".repeat(2000));
    let marked = 0x80 | 0x40 | 1;
    for (message, compression, first_byte) in [
        (small, Compression::Auto, 0x81),
        (small, Compression::Always, marked),
        (&large, Compression::Auto, marked),
        (&large, Compression::Never, 0x81),
    ] {
        ws.send_with(message, compression).unwrap();
        let (first, payload) = frame(&mut raw);
        assert_eq!(first, first_byte, "{compression:?} of {} bytes", message.len());
        assert_eq!(payload.len() < message.len(), first == marked);
    }
}

#[test]
fn a_ping_with_data_is_answered_by_its_own_pong_or_a_later_one() {
    let (ws, mut raw) = raw_pair(|server| server);
    let asking = |data: &'static [u8]| {
        let sender = ws.sender();
        thread::spawn(move || sender.ping_with(data, LIMIT))
    };
    let first = asking(b"first");
    assert_eq!(frame(&mut raw), (0x89, b"first".to_vec()));
    let second = asking(b"second");
    assert_eq!(frame(&mut raw), (0x89, b"second".to_vec()));
    let error = ws.ping_with("second", LIMIT).unwrap_err();
    assert!(matches!(error, PingError::Refused(ControlRefused::Duplicate)), "{error}");
    let error = ws.ping_with([0; 126], LIMIT).unwrap_err();
    assert!(matches!(error, PingError::Refused(ControlRefused::TooLong { .. })), "{error}");
    raw.write_all(&masked(0x8a, b"second")).unwrap();
    assert!(second.join().unwrap().is_ok());
    assert!(first.join().unwrap().is_ok());
    assert_eq!(ws.watch().pongs(), 1);
    assert!(ws.latency().is_some());
    let again = asking(b"second");
    assert_eq!(frame(&mut raw), (0x89, b"second".to_vec()));
    drop(raw);
    let error = again.join().unwrap().unwrap_err();
    assert!(matches!(error, PingError::Ended(_)), "{error}");
}

#[test]
fn a_pong_nobody_asked_for_is_sent_or_refused() {
    let (ws, mut raw) = raw_pair(|server| server);
    ws.pong([7; 125]).unwrap();
    assert_eq!(frame(&mut raw), (0x8a, vec![7; 125]));
    let refused = ControlRefused::TooLong { bytes: 126, limit: 125 };
    assert_eq!(ws.pong([0; 126]).unwrap_err(), refused);
    ws.sender().close(CloseCode::NORMAL, "");
    assert_eq!(ws.pong([]).unwrap_err(), ControlRefused::Closing);
}

#[test]
fn a_batch_leaves_when_it_is_flushed_or_dropped_and_not_before() {
    let (ws, mut raw) = raw_pair(|server| server);
    raw.set_read_timeout(Some(MOMENT)).unwrap();
    let batch = ws.batch();
    batch.send("one").unwrap();
    ws.send("two").unwrap();
    let peeked = raw.peek(&mut [0]);
    assert_eq!(peeked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    raw.set_read_timeout(None).unwrap();
    batch.flush(LIMIT).unwrap();
    let dropped = ws.batch();
    dropped.send("three").unwrap();
    drop(dropped);
    for said in ["one", "two", "three"] {
        assert_eq!(frame(&mut raw), (0x81, said.into()));
    }
    // One that is too large for the send buffer does not wait for the guard.
    let batch = ws.batch();
    batch.send(vec![7; 200_000]).unwrap();
    assert_eq!(frame(&mut raw).1.len(), 200_000);
    drop(batch);
}

#[test]
fn who_watches_does_not_hold_a_connection_open() {
    let (ws, mut peer) = pair(Over::Tcp, small());
    let watch = ws.watch();
    ws.send_confirmed("hello").unwrap();
    assert_eq!((watch.ledger().confirmed.messages, watch.pongs()), (1, 1));
    assert!(watch.latency().is_some());
    assert_eq!(watch.opening().id, ws.opening().id);
    assert!(watch.ended_timeout(Duration::ZERO).is_none());
    drop(ws);
    assert_eq!(watch.ended().cause, Cause::Dropped);
    assert_eq!(peer.recv().unwrap(), Some(Message::text("hello")));
    assert!(peer.recv().unwrap().is_none());
}

#[test]
fn each_connection_has_a_name_of_its_own_and_knows_its_addresses_and_its_tls() {
    let (client, server) = pair(Over::Tls, small());
    assert_ne!(client.opening().id, server.opening().id);
    let (ours, theirs) = (client.tls().unwrap(), server.tls().unwrap());
    assert_eq!(ours.version, Some(ProtocolVersion::TLSv1_3));
    assert_eq!((ours.version, ours.cipher_suite), (theirs.version, theirs.cipher_suite));
    assert_eq!(ours.peer_certificates.len(), 1);
    assert!(theirs.peer_certificates.is_empty(), "the client was not asked for one");
    assert_eq!(theirs.server_name.as_deref(), Some("localhost"));
    assert_eq!((ours.server_name, ours.alpn), (None, None));
    client.abort();
    server.ended();
    assert!(server.tls().is_none(), "the socket is gone");
    assert!(pair(Over::Tcp, small()).0.tls().is_none());
}
