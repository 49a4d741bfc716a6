//! What is lent, taken in any portions, and accounted for.

mod support;

use std::sync::Arc;

use lastword_proto::{
    Agreement, Compression, Config, Connection, Message, Role, SendRefused, Transmit, Unconfirmed,
};
use proptest::prelude::*;
use support::{Driven, close_frame, frame};

#[test]
fn a_flood_of_pings_from_a_peer_that_never_reads_costs_nothing() {
    let mut driven = Driven::new(Role::Server);
    let ping = frame(Role::Client, 0x89, &[b'p'; 125]);
    for _ in 0..100_000 {
        driven.connection.receive(&mut ping.clone(), driven.now);
    }
    driven.receive(&frame(Role::Client, 0x89, b"newest"));
    let pongs = driven.written();
    assert!(pongs.len() <= 16);
    assert_eq!(pongs.last().unwrap(), &(0x8a, b"newest".to_vec()));
}

#[test]
fn a_pong_confirms_what_stood_before_its_ping_and_nothing_behind_it() {
    let mut driven = Driven::new(Role::Client);
    driven.send("before");
    driven.connection.confirm().unwrap();
    driven.send("behind");
    driven.settle();
    let ping = driven.written().into_iter().find(|(first, _)| *first == 0x89).unwrap();
    assert_eq!(driven.connection.ledger().confirmed.messages, 0);
    driven.receive(&frame(Role::Server, 0x8a, &ping.1));
    let ledger = driven.connection.ledger();
    assert_eq!((ledger.confirmed.messages, ledger.confirmed.bytes), (1, 6));
    assert_eq!(ledger.handed_over.messages, 1);
}

#[test]
fn a_ping_that_overtakes_queued_data_does_not_confirm_it() {
    let mut driven = Driven::new(Role::Server);
    driven.send("queued");
    driven.connection.ping().unwrap();
    // One write takes both: the ping stands first on the wire.
    driven.settle();
    let written = driven.written();
    assert_eq!(written[0].0, 0x89);
    driven.receive(&frame(Role::Client, 0x8a, &written[0].1));
    assert_eq!(driven.connection.ledger().confirmed.messages, 0);
    assert_eq!(driven.connection.ledger().handed_over.messages, 1);
}

#[test]
fn a_pong_that_nobody_asked_for_answers_nothing() {
    let mut driven = Driven::new(Role::Server);
    driven.send("x");
    driven.settle();
    driven.receive(&frame(Role::Client, 0x8a, &1_u64.to_be_bytes()));
    assert_eq!(driven.connection.latency(), None);
    assert_eq!(driven.connection.ledger().confirmed.messages, 0);
}

#[test]
fn unconfirmed_messages_are_kept_when_asked_for() {
    let mut config = Config::default();
    config.unconfirmed = Unconfirmed::Kept;
    let mut driven = Driven::with(Role::Client, config);
    driven.send("one");
    driven.connection.confirm().unwrap();
    driven.settle();
    driven.send("two");
    driven.settle();
    let ping = driven.written().into_iter().find(|(first, _)| *first == 0x89).unwrap();
    driven.receive(&frame(Role::Server, 0x8a, &ping.1));
    driven.eof();
    assert_eq!(driven.connection.take_unconfirmed(), ["two".into()]);
}

#[test]
fn kept_messages_are_confirmed_before_they_fill_the_send_buffer() {
    let mut config = Config::default();
    (config.unconfirmed, config.send_buffer) = (Unconfirmed::Kept, 1000);
    let mut driven = Driven::with(Role::Server, config);
    for _ in 0..10 {
        driven.send(vec![0; 100]);
        driven.settle();
    }
    assert!(!driven.connection.has_room());
    let pings: Vec<_> = driven.written().into_iter().filter(|(first, _)| *first == 0x89).collect();
    assert_eq!(pings.len(), 1);
    driven.receive(&frame(Role::Client, 0x8a, &pings[0].1));
    assert!(driven.connection.has_room());
}

#[test]
fn nothing_is_accepted_behind_a_close_and_the_message_comes_back() {
    let mut driven = Driven::new(Role::Client);
    driven.send("before");
    driven.connection.close(Some(close_frame(1000, "")), driven.now);
    let refused = driven.connection.send("after".into(), Compression::Auto);
    assert_eq!(refused, Err(SendRefused::Closing("after".into())));
    driven.settle();
    let firsts: Vec<u8> = driven.written().into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x81, 0x88]);
}

proptest! {
    /// Two connections, any portions: what one sends the other gets, and the ledger adds up.
    #[test]
    fn whatever_the_portions_the_ledger_adds_up(
        sizes in proptest::collection::vec(0_usize..5000, 1..20),
        portions in proptest::collection::vec(1_usize..3000, 1..60),
    ) {
        let now = std::time::Instant::now();
        let config = Arc::new(Config::default());
        let new = |role| Connection::new(&Agreement::plain(role), config.clone(), [3; 32], now);
        let (mut client, mut server) = (new(Role::Client), new(Role::Server));
        let messages: Vec<Message> =
            sizes.iter().map(|&size| Message::binary(vec![size as u8; size])).collect();
        for message in &messages {
            client.send(message.clone(), Compression::Auto).unwrap();
        }
        for portion in portions {
            let Transmit::Bytes(lent) = client.poll_transmit() else { break };
            let mut bytes = lent.to_vec();
            bytes.truncate(portion);
            client.wrote(bytes.len(), now);
            server.receive(&mut bytes, now);
        }
        let ledger = client.ledger();
        let total: u64 = sizes.iter().map(|&size| size as u64).sum();
        prop_assert_eq!(ledger.handed_over.messages + ledger.unsent.messages, sizes.len() as u64);
        prop_assert_eq!(ledger.handed_over.bytes + ledger.unsent.bytes, total);
        prop_assert_eq!(server.ledger().delivered, ledger.handed_over);
        client.abort(now);
        let got: Vec<Message> = std::iter::from_fn(|| server.poll_event())
            .filter_map(|event| match event {
                lastword_proto::Event::Message(message) => Some(message),
                _ => None,
            })
            .collect();
        let unsent = client.take_unsent();
        prop_assert_eq!([got, unsent].concat(), messages);
    }
}
