//! Pings and pongs of the peer, for those who want to see them.

mod support;

use std::time::Duration;

use lastword_proto::{Heartbeat, Role};
use support::{Driven, frame};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// One line for each that is kept from this number on: number, kind, data, round trip in seconds.
fn heard(driven: &Driven, mut from: u64) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some((number, heartbeat)) = driven.connection.heartbeat_from(from) {
        let data = std::str::from_utf8(heartbeat.data()).unwrap_or("(a number)");
        lines.push(match heartbeat {
            Heartbeat::Ping { .. } => format!("{number} ping {data}"),
            Heartbeat::Pong { round_trip, .. } => {
                let seconds = round_trip.map(|round_trip| round_trip.as_secs());
                format!("{number} pong {data} {seconds:?}")
            }
            _ => unreachable!("there are two kinds"),
        });
        from = number + 1;
    }
    lines
}

#[test]
fn each_is_kept_as_it_came_and_answered_as_ever() {
    for role in [Role::Client, Role::Server] {
        let peer = role.peer();
        let mut driven = Driven::new(role);
        driven.receive(&frame(peer, PING, b"before anybody listened"));
        driven.connection.keep_heartbeats(10);
        assert_eq!(driven.connection.heartbeats(), 0);
        let asked = driven.connection.ping_with(b"mine").unwrap();
        driven.settle();
        driven.now += Duration::from_secs(3);
        driven.receive(&frame(peer, PING, b""));
        driven.receive(&frame(peer, PONG, b"unasked"));
        driven.receive(&frame(peer, 0x81, b"a message"));
        driven.receive(&frame(peer, PONG, b"mine"));
        assert_eq!(heard(&driven, 0), ["0 ping ", "1 pong unasked None", "2 pong mine Some(3)"]);
        assert_eq!(heard(&driven, 2), ["2 pong mine Some(3)"]);
        assert_eq!(driven.connection.heartbeat_from(3), None);
        let at = driven.connection.heartbeat_from(0).map(|(_, first)| first.at());
        assert_eq!(at, Some(driven.now));
        // What is answered is no matter of who looks.
        assert_eq!(driven.connection.answered(asked), Some(Duration::from_secs(3)));
        assert_eq!((driven.connection.answers(), driven.connection.news()), (1, 4));
        let pongs = driven.written().into_iter().filter(|(first, _)| *first == PONG).count();
        assert_eq!(pongs, 2);
        assert_eq!(driven.messages.len(), 1);
    }
}

#[test]
fn of_a_flood_the_newest_are_kept_and_the_others_are_known_to_be_missing() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.keep_heartbeats(3);
    // Who wants fewer gets no fewer: somebody else may want more.
    driven.connection.keep_heartbeats(1);
    for number in 0..100 {
        driven.receive(&frame(Role::Client, PONG, number.to_string().as_bytes()));
    }
    assert_eq!(driven.connection.heartbeats(), 100);
    let last = ["97 pong 97 None", "98 pong 98 None", "99 pong 99 None"];
    assert_eq!(heard(&driven, 0), last);
    assert_eq!(heard(&driven, 98), last[1..]);
}

#[test]
fn a_pong_is_heard_in_however_many_pieces_it_comes() {
    let wire = frame(Role::Client, PING, &[b'x'; 125]);
    for cut in 0..wire.len() {
        let mut driven = Driven::new(Role::Server);
        driven.connection.keep_heartbeats(1);
        driven.receive(&wire[..cut]);
        assert_eq!(driven.connection.heartbeats(), 0);
        driven.receive(&wire[cut..]);
        assert_eq!(heard(&driven, 0), [format!("0 ping {}", "x".repeat(125))]);
    }
}

#[test]
fn without_anybody_who_looks_nothing_is_kept_and_an_answer_is_no_heartbeat() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.ping_with(b"x").unwrap();
    driven.settle();
    driven.receive(&frame(Role::Client, PONG, b"x"));
    driven.receive(&frame(Role::Client, PING, b"y"));
    assert_eq!(driven.connection.heartbeats(), 0);
    assert_eq!(driven.connection.heartbeat_from(0), None);
    assert_eq!((driven.connection.answers(), driven.connection.news()), (1, 1));
}

#[test]
fn what_was_heard_can_be_read_after_the_end() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.keep_heartbeats(1);
    driven.receive(&frame(Role::Client, PING, b"last"));
    driven.connection.abort(driven.now);
    driven.settle();
    driven.receive(&frame(Role::Client, PING, b"too late"));
    assert_eq!(heard(&driven, 0), ["0 ping last"]);
}
