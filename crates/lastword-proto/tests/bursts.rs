//! Messages that come side by side: however they are fetched, they are the messages that were sent,
//! and what nobody fetched is counted.

mod support;

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{Agreement, Config, Connection, Event, Message, Role};
use proptest::prelude::*;
use support::frame;

fn wire(sender: Role, messages: &[Message]) -> Vec<u8> {
    let one = |message: &Message| {
        let first = if message.as_text().is_some() { 0x81 } else { 0x82 };
        frame(sender, first, message.payload())
    };
    messages.iter().flat_map(one).collect()
}

fn connection(role: Role, config: Config, now: Instant) -> Connection {
    Connection::new(&Agreement::plain(role), Arc::new(config), [7; 32], now)
}

/// All that waits, by bursts where there are any, or one by one.
fn fetch(connection: &mut Connection, by_bursts: impl Fn(usize) -> bool) -> Vec<Message> {
    let mut messages = Vec::new();
    loop {
        if by_bursts(messages.len())
            && let Some(burst) = connection.poll_burst()
        {
            assert!(!burst.is_empty(), "a burst has messages");
            messages.extend(burst);
            continue;
        }
        match connection.poll_event() {
            Some(Event::Message(message)) => messages.push(message),
            Some(other) => panic!("no message: {other:?}"),
            None => return messages,
        }
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let size = prop_oneof![0..20_usize, 100..140_usize, 2000..2100_usize, 0..9000_usize];
    (size, any::<bool>()).prop_map(|(size, text)| {
        if text { "ü".repeat(size / 2).into() } else { vec![size as u8; size].into() }
    })
}

proptest! {
    #[test]
    fn whatever_is_said_in_whatever_reads_is_fetched_as_it_was_said(
        messages in prop::collection::vec(any_message(), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        client: bool,
        way in 1_usize..5,
    ) {
        let (role, now) = (if client { Role::Client } else { Role::Server }, Instant::now());
        let bytes = wire(role.peer(), &messages);
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let mut connection = connection(role, Config::default(), now);
        let mut came = Vec::new();
        for read in places.windows(2) {
            connection.receive(&mut bytes[read[0]..read[1]].to_vec(), now);
            came.extend(fetch(&mut connection, |count| count % way == 0));
        }
        prop_assert_eq!(&came, &messages);
        let delivered = connection.ledger().delivered;
        prop_assert_eq!(delivered.messages as usize, messages.len());
        prop_assert_eq!(delivered.bytes as usize, messages.iter().map(Message::len).sum::<usize>());
        prop_assert!(connection.wants_read(), "all of it is worked off");
    }
}

#[test]
fn every_small_size_is_told_apart_in_a_burst() {
    let now = Instant::now();
    for role in [Role::Client, Role::Server] {
        for size in 0..=2050 {
            let text = Message::from("a".repeat(size));
            let messages = [vec![1; size].into(), text, Message::from("end")];
            let mut connection = connection(role, Config::default(), now);
            connection.receive(&mut wire(role.peer(), &messages), now);
            assert_eq!(fetch(&mut connection, |_| true), messages, "{size} bytes to a {role:?}");
        }
    }
}

#[test]
fn a_burst_counts_as_waiting_until_more_is_asked_for() {
    let now = Instant::now();
    let mut config = Config::default();
    config.receive_buffer = 100;
    let mut connection = connection(Role::Client, config, now);
    connection.receive(&mut wire(Role::Server, &["one".into(), "two".into()]), now);
    assert!(!connection.wants_read());
    let burst = connection.poll_burst().expect("two messages");
    assert_eq!(burst.count(), 2);
    assert!(!connection.wants_read(), "the application may still be at work on them");
    assert!(connection.poll_burst().is_none());
    assert!(connection.wants_read());
}

#[test]
fn what_is_left_of_a_burst_is_counted_when_nobody_wants_it() {
    let now = Instant::now();
    let mut connection = connection(Role::Client, Config::default(), now);
    let messages = ["one", "two", "three", "four"].map(Message::from);
    connection.receive(&mut wire(Role::Server, &messages), now);
    connection.receive(&mut wire(Role::Server, &messages), now);
    let mut burst = connection.poll_burst().expect("four messages");
    assert_eq!(burst.next(), Some("one".into()));
    connection.discard_burst(&burst);
    connection.stop_delivery();
    let ledger = connection.ledger();
    assert_eq!((ledger.delivered.messages, ledger.delivered.bytes), (1, 3));
    assert_eq!((ledger.discarded.messages, ledger.discarded.bytes), (7, 27));
}

#[test]
fn a_bad_byte_in_the_middle_of_a_burst_stops_it_there() {
    let now = Instant::now();
    for bad in 0..3 {
        let mut connection = connection(Role::Server, Config::default(), now);
        let payload = |at: usize| if at == bad { &b"caf\xc3"[..] } else { b"fine" };
        let mut bytes: Vec<u8> =
            (0..3).flat_map(|at| frame(Role::Client, 0x81, payload(at))).collect();
        connection.receive(&mut bytes, now);
        let mut came = 0;
        while let Some(Event::Message(message)) = connection.poll_event() {
            assert_eq!(message.as_text(), Some("fine"));
            came += 1;
        }
        assert_eq!(came, bad);
        // The application has asked for more: the verdict is due.
        connection.handle_timeout(now);
        assert!(!connection.is_open());
    }
}
