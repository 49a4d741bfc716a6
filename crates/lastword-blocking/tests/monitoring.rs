//! A server is looked on at from outside: numbers that add up at any time, and every ending.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use lastword_blocking::{
    Client, CloseCode, Config, Counts, Hosts, Limits, Monitor, Rate, Server, WebSocket,
};
use support::{Running, echo, request};

/// Waits for numbers that come true a moment behind what made them.
fn until(monitor: &Monitor, are: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = monitor.counts();
        let Counts { accepted, opened, turned_away, refused, failed, ended, .. } = counts;
        let nothing = turned_away.total() + refused.total() + failed.total();
        assert_eq!(accepted, counts.opening() + nothing + opened, "{counts:?}");
        assert_eq!(opened, counts.open() + ended.total(), "{counts:?}");
        if are(&counts) {
            return counts;
        }
        thread::yield_now();
    }
}

/// What is answered to this request.
fn ask(server: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(server: &Running) -> WebSocket {
    Client::new(format!("ws://ada:lovelace@{}", server.address)).connect().unwrap()
}

#[test]
fn whatever_becomes_of_a_stream_it_is_counted() {
    let mut config = Config::default();
    config.message_rate = Some(Rate::per_second(0));
    let server = Server::new()
        .config(config)
        .hosts(Hosts::Only(vec!["127.0.0.1".into()]))
        .basic_auth("", |given| given.are("ada", "lovelace"));
    let monitor = server.monitor();
    let server = Running::start(server, echo);

    let upgrade = request("/", &[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "426"),
        (&upgrade, "421"),
        (&upgrade.replace("Host: a", "Host: 127.0.0.1"), "401"),
    ] {
        let answer = ask(&server, request);
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
    let refused = until(&monitor, |counts| counts.refused.total() == 3).refused;
    assert_eq!((refused.request, refused.host, refused.application), (1, 1, 1));

    let slow = TcpStream::connect(server.address).unwrap();
    until(&monitor, |counts| counts.opening() == 1);
    drop(slow);
    until(&monitor, |counts| counts.failed.eof == 1);

    connect(&server).close(CloseCode::NORMAL, "");
    until(&monitor, |counts| counts.ended.closed == 1);
    let ws = connect(&server);
    ws.send("too much already").unwrap();
    assert_eq!(ws.ended().code(), 1008);
    until(&monitor, |counts| counts.ended.too_fast == 1);
    connect(&server).abort();
    until(&monitor, |counts| counts.ended.lost == 1);

    let _here = connect(&server);
    until(&monitor, |counts| counts.open() == 1);
    server.stop();
    let counts = until(&monitor, |counts| counts.ended.shutdown == 1);
    assert_eq!((counts.opening(), counts.open()), (0, 0));
    assert_eq!((counts.accepted, counts.opened), (8, 4));
}

#[test]
fn who_is_one_too_many_is_counted_under_the_limit_that_he_ran_into() {
    let mut limits = Limits::default();
    limits.opening_rate = Some(Rate::per_second(0));
    let server = Server::new().limits(limits);
    let monitor = server.monitor();
    let server = Running::start(server, echo);
    let answer = ask(&server, "");
    assert_eq!(answer.split(' ').nth(1), Some("503"), "{answer}");
    let counts = until(&monitor, |counts| counts.turned_away.opening_rate == 1);
    assert_eq!(counts.turned_away.total(), 1);
}

#[test]
fn every_ending_is_told_to_each_who_listens_and_who_is_behind_knows_what_he_missed() {
    let server = Server::new();
    let monitor = server.monitor();
    let ten = NonZeroUsize::new(10).unwrap();
    let (mut all, mut few) = (monitor.departures(ten), monitor.departures(NonZeroUsize::MIN));
    drop(monitor.departures(ten));
    let server = Running::start(server, echo);
    for code in 4000..4003 {
        Client::new(server.url()).connect().unwrap().close(CloseCode::try_from(code).unwrap(), "");
        assert_eq!(all.next_timeout(Duration::from_secs(20)).unwrap().ending.code(), code);
    }
    assert!(all.next_timeout(Duration::ZERO).is_none());
    // Who listens is told one after the other.
    while few.missed() < 2 {
        thread::yield_now();
    }
    assert_eq!(few.next().unwrap().ending.code(), 4000);
    assert_eq!((all.missed(), few.missed()), (0, 2));
    server.stop();
    // Nobody is left to tell of anything.
    assert!(all.next().is_none() && few.next().is_none());
    assert!(monitor.departures(ten).next().is_none());
}

#[test]
fn the_end_of_a_connection_is_told_while_its_handler_is_busy() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = Running::start(Server::new(), move |ws| {
        let _ = released.lock().unwrap().recv();
        drop(ws);
        Ok(())
    });
    let ws = Client::new(server.url()).connect().unwrap();
    ws.close(CloseCode::NORMAL, "done");
    assert_eq!(server.ending().code(), 1000);
    drop(release);
    assert_eq!(server.stop().stuck, 0);
}
