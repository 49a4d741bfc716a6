//! Signs of life: keepalive that is changed while a connection is open, and the peer's pings and pongs
//! for those who want to see them.

mod support;

use std::io::Write;
use std::thread;
use std::time::Duration;

use lastword_blocking::{Cause, Config, Heartbeat, TimeOut};
use support::{Over, masked, pair, raw_pair};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

fn quiet() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

fn is_pong(heard: Option<Heartbeat>, said: &str) -> bool {
    matches!(heard, Some(Heartbeat::Pong { data, round_trip: None, .. }) if data == said)
}

#[test]
fn a_peer_that_has_fallen_silent_is_found_out_by_the_keepalive_of_the_moment() {
    let (mut ws, _raw) = raw_pair(|server| server.config(quiet()));
    let limit = Duration::from_millis(40);
    ws.set_keepalive(Some(Duration::from_millis(20)), Some(limit));
    let ending = ws.recv().unwrap_err().0;
    let Cause::TimedOut(TimeOut::Pong { limit: told, .. }) = ending.cause else {
        panic!("{ending}")
    };
    assert_eq!(told, limit);
}

#[test]
fn heartbeats_are_seen_while_nobody_receives_and_by_all_who_look() {
    let (ws, peer) = pair(Over::Tcp, quiet());
    let (mut one, mut other) = (ws.watch().heartbeats(4), ws.watch().heartbeats(0));
    assert!(one.next_timeout(Duration::ZERO).is_none());
    let waiting = thread::spawn(move || (one.next(), one));
    peer.pong("a heartbeat").unwrap();
    let (first, mut one) = waiting.join().unwrap();
    assert!(is_pong(first, "a heartbeat"));
    assert!(is_pong(other.next_timeout(LIMIT), "a heartbeat"));
    peer.ping_with("are you there", LIMIT).unwrap();
    let asked = one.next();
    assert!(matches!(&asked, Some(Heartbeat::Ping { data, .. }) if data == "are you there"));
    // Answers to pings of ours are told as such.
    ws.ping(LIMIT).unwrap();
    let answered = one.next();
    assert!(matches!(answered, Some(Heartbeat::Pong { round_trip: Some(_), .. })), "{answered:?}");
    assert_eq!(one.lost(), 0);
    // Who listens does not keep the connection open.
    drop(ws);
    assert_eq!(one.next(), None);
}

#[test]
fn who_is_slow_to_look_hears_of_the_newest_and_of_how_many_were_missed() {
    let (ws, mut raw) = raw_pair(|server| server.config(quiet()));
    let mut heartbeats = ws.watch().heartbeats(2);
    for number in 0..50 {
        raw.write_all(&masked(0x8a, format!("{number}").as_bytes())).unwrap();
    }
    // What is answered came behind them.
    raw.write_all(&masked(0x89, b"done")).unwrap();
    while support::frame(&mut raw) != (0x8a, b"done".to_vec()) {}
    assert!(is_pong(heartbeats.next(), "49"));
    assert!(matches!(heartbeats.next(), Some(Heartbeat::Ping { .. })));
    assert_eq!(heartbeats.lost(), 49);
}
