//! Pings and pongs of the application's own: what is refused, what answers what, and what a driver
//! hears of it (RFC 6455 sections 5.5.2, 5.5.3).

mod support;

use std::time::Duration;

use lastword_proto::{ControlRefused, PingId, Role};
use support::{Driven, frame};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn answered(driven: &Driven, asked: &[PingId]) -> Vec<Option<u64>> {
    let seconds = |id: &PingId| driven.connection.answered(*id).map(|took| took.as_secs());
    asked.iter().map(seconds).collect()
}

#[test]
fn what_does_not_fit_or_cannot_be_told_apart_is_refused() {
    for role in [Role::Client, Role::Server] {
        let mut driven = Driven::new(role);
        let connection = &mut driven.connection;
        let too_long = ControlRefused::TooLong { bytes: 126, limit: 125 };
        assert_eq!(connection.ping_with(&[0; 126]), Err(too_long));
        assert_eq!(connection.pong(&[0; 126]), Err(too_long));
        assert!(connection.is_silent(), "what is refused leaves nothing to write");
        connection.ping_with(&[0; 125]).unwrap();
        assert_eq!(connection.ping_with(&[0; 125]), Err(ControlRefused::Duplicate));
        driven.settle();
        // Written, and not answered: still the same.
        let again = driven.connection.ping_with(&[0; 125]);
        assert_eq!(again, Err(ControlRefused::Duplicate));
        driven.receive(&frame(role.peer(), PONG, &[0; 125]));
        driven.connection.ping_with(&[0; 125]).unwrap();
        driven.close(1000, "");
        assert_eq!(driven.connection.ping_with(b"x"), Err(ControlRefused::Closing));
        assert_eq!(driven.connection.pong(b"x"), Err(ControlRefused::Closing));
    }
}

#[test]
fn data_that_looks_like_a_ping_of_the_connections_own_is_refused_while_that_waits() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.ping().unwrap();
    // What it will be on the wire, before it is.
    assert_eq!(
        driven.connection.ping_with(&[0, 0, 0, 0, 0, 0, 0, 1]),
        Err(ControlRefused::Duplicate)
    );
    driven.settle();
    let (_, payload) = driven.written().pop().unwrap();
    assert_eq!(driven.connection.ping_with(&payload), Err(ControlRefused::Duplicate));
    driven.receive(&frame(Role::Client, PONG, &payload));
    driven.connection.ping_with(&payload).unwrap();
}

#[test]
fn a_peer_that_does_not_read_is_asked_only_so_often() {
    let mut driven = Driven::new(Role::Server);
    let (mut pings, mut pongs) = (0_u8, 0_u8);
    let crowded = ControlRefused::Crowded { limit: 8 };
    while driven.connection.ping_with(&[pings]).map_err(|why| assert_eq!(why, crowded)).is_ok() {
        pings += 1;
    }
    while driven.connection.pong(&[pongs]).map_err(|why| assert_eq!(why, crowded)).is_ok() {
        pongs += 1;
    }
    assert_eq!((pings, pongs), (8, 8));
    // It is answered all the same, with or without what nobody asked for.
    driven.connection.receive(&mut frame(Role::Client, PING, b"and I ask you"), driven.now);
    driven.settle();
    let written = driven.written();
    assert!(written.contains(&(PONG, b"and I ask you".to_vec())));
    assert_eq!(written.len(), 17);
    driven.connection.ping_with(b"room again").unwrap();
    driven.connection.pong(b"room again").unwrap();
}

#[test]
fn an_answer_to_data_of_ones_own_answers_what_was_asked_so_before_and_proves_nothing_else() {
    let mut driven = Driven::new(Role::Client);
    let first = driven.connection.ping_with(b"first").unwrap();
    driven.settle();
    driven.now += Duration::from_secs(1);
    let second = driven.connection.ping_with(b"second").unwrap();
    driven.settle();
    driven.now += Duration::from_secs(1);
    let third = driven.connection.ping_with(b"third").unwrap();
    driven.send("a message");
    let proof = driven.connection.confirm().unwrap();
    driven.settle();
    driven.now += Duration::from_secs(1);
    driven.receive(&frame(Role::Server, PONG, b"second"));
    let asked = [first, second, third, proof];
    assert_eq!(answered(&driven, &asked), [Some(2), Some(2), None, None]);
    assert_eq!(driven.connection.ledger().confirmed.messages, 0);
    driven.receive(&frame(Role::Server, PONG, &driven.written().pop().unwrap().1));
    assert_eq!(driven.connection.ledger().confirmed.messages, 1);
    // Behind that ping, all that went before is answered as well.
    assert_eq!(answered(&driven, &asked)[3], Some(1));
}

#[test]
fn a_peer_that_answers_the_newest_ping_only_is_asked_again_for_those_that_wait() {
    let mut driven = Driven::new(Role::Server);
    driven.send("a message");
    driven.connection.confirm().unwrap();
    driven.settle();
    driven.connection.ping_with(b"newest").unwrap();
    driven.settle();
    let before = driven.written().len();
    driven.receive(&frame(Role::Client, PONG, b"newest"));
    let [(PING, asked)] = &driven.written()[before..] else { panic!("another ping") };
    driven.receive(&frame(Role::Client, PONG, asked));
    assert_eq!(driven.connection.ledger().confirmed.messages, 1);
}

#[test]
fn in_the_middle_of_a_message_by_parts_it_is_asked_again_ahead_of_the_rest() {
    let mut driven = Driven::new(Role::Server);
    let waiting = driven.connection.ping().unwrap();
    driven.settle();
    driven.connection.ping_with(b"newest").unwrap();
    let part = |last| lastword_proto::Part { data: "part".into(), last };
    driven.connection.send_part(part(false), Default::default()).unwrap();
    driven.settle();
    let before = driven.written().len();
    driven.receive(&frame(Role::Client, PONG, b"newest"));
    let [(PING, asked)] = &driven.written()[before..] else { panic!("another ping") };
    driven.receive(&frame(Role::Client, PONG, asked));
    assert!(driven.connection.answered(waiting).is_some());
    driven.connection.send_part(part(true), Default::default()).unwrap();
}
