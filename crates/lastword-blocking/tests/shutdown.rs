//! The end of a server: everybody is told, nobody is waited for without a limit.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{Client, Config, Server};
use support::{Running, assert_status, echo};

#[test]
fn all_are_told_and_those_who_are_still_opening_are_answered() {
    let running = Running::start(Server::new(), echo);
    let address = running.address;
    let guests: Vec<_> = (0..5).map(|_| Client::new(running.url()).connect().unwrap()).collect();
    let mut opening = TcpStream::connect(address).unwrap();
    opening.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // It is at the door when a later one has been served.
    let last = Client::new(running.url()).connect().unwrap();
    let report = running.stop();
    assert_eq!((report.endings.len(), report.stuck), (6, 0));
    for ws in guests.into_iter().chain([last]) {
        let ending = ws.ended();
        assert!(ending.code() == 1001 && ending.is_clean(), "{ending:#?}");
    }
    for (_, ending) in &report.endings {
        assert!(ending.code() == 1001 && ending.is_clean(), "{ending:#?}");
    }
    let mut answer = String::new();
    opening.read_to_string(&mut answer).unwrap();
    assert_status(&answer, "503 Service Unavailable");
    let later = TcpStream::connect(address).unwrap_err();
    assert_eq!(later.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_handler_that_stays_is_reported_and_its_connection_is_over() {
    let mut config = Config::default();
    config.close_timeout = Duration::from_millis(100);
    config.linger = Duration::from_millis(100);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let handler = Arc::new(move |ws| {
        let _ = released.lock().unwrap().recv();
        drop::<lastword_blocking::WebSocket>(ws);
        Ok(())
    });
    let running = Running::start(Server::new().config(config), move |ws| handler(ws));
    let ws = Client::new(running.url()).connect().unwrap();
    let began = Instant::now();
    let report = running.stop();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((report.endings.len(), report.stuck), (1, 1));
    assert_eq!(report.endings[0].1.code(), 1001);
    assert_eq!(ws.ended().code(), 1001);
    drop(release);
}

#[test]
fn a_server_that_is_stopped_before_it_serves_serves_nobody() {
    let bound = Server::new().bind("127.0.0.1:0").unwrap();
    let stop = bound.stop_handle();
    stop.stop();
    stop.stop();
    let report = thread::spawn(|| bound.serve(echo)).join().unwrap().unwrap();
    assert_eq!((report.endings.len(), report.stuck), (0, 0));
}
