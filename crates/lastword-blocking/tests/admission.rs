//! Who is one too many is told so at once, and comes in when another has left.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use lastword_blocking::{AcceptError, Client, CloseCode, ConnectError, Limits, Server, WebSocket};
use support::{Running, echo};

fn limited(set: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    set(&mut limits);
    Running::start(Server::new().limits(limits), echo)
}

fn connect(server: &Running) -> Result<WebSocket, ConnectError> {
    Client::new(server.url()).connect()
}

/// Two come in; the third is refused with this status, until one of them has left.
fn check_two(server: Running, status: u16, limit: &str) {
    let first = connect(&server).unwrap();
    let _second = connect(&server).unwrap();
    let mut third = TcpStream::connect(server.address).unwrap();
    let mut answer = String::new();
    // Nothing was asked, and it is answered.
    third.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("Retry-After: 5\r\n") && answer.contains(limit), "{answer}");
    drop(third);
    let refused = server.outcomes.recv().unwrap().result.unwrap_err();
    assert!(matches!(refused, AcceptError::Refused(_)), "{refused}");
    assert!(connect(&server).unwrap_err().to_string().contains(&status.to_string()));
    server.outcomes.recv().unwrap().result.unwrap_err();

    first.close(CloseCode::NORMAL, "");
    server.ending();
    // The place is free when the thread of the connection is done, a moment behind its ending.
    while connect(&server).is_err() {
        thread::yield_now();
    }
}

#[test]
fn no_more_are_here_than_may_be() {
    check_two(limited(|limits| limits.connections = Some(2)), 503, "(connections)");
}

#[test]
fn no_more_are_here_from_one_address_than_may_be() {
    let server = limited(|limits| limits.connections_per_address = Some(2));
    check_two(server, 429, "(connections_per_address)");
}

#[test]
fn no_more_are_opening_than_may_be_and_those_who_have_opened_do_not_count() {
    let server = limited(|limits| limits.openings = Some(1));
    let mut guests = Vec::new();
    for _ in 0..2 {
        let mut ws = connect(&server).unwrap();
        // Whoever is served has opened.
        ws.send("hello").unwrap();
        ws.recv().unwrap();
        guests.push(ws);
    }
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(b"GET / HTTP").unwrap();
    let mut other = TcpStream::connect(server.address).unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("(openings)"), "{answer}");
}
