//! The end of a server: everybody is told, nobody is waited for without a limit.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{Cause, Client, Config, Server, Shutdown};
use support::{Running, assert_status, echo, request};

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
    for departure in &report.endings {
        let ending = &departure.ending;
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
    assert_eq!(report.endings[0].ending.code(), 1001);
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

#[test]
fn goodbyes_are_spread_and_whoever_waits_for_his_is_served() {
    let mut shutdown = Shutdown::restart();
    shutdown.spread = Duration::from_millis(200);
    let running = Running::start(Server::new().shutdown(shutdown), echo);
    let mut clients: Vec<_> =
        (0..10).map(|_| Client::new(running.url()).connect().unwrap()).collect();
    // All of them have come in.
    for ws in &mut clients {
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("hello".into()));
    }
    let begun = Instant::now();
    let last = thread::spawn(move || {
        let mut served = 0;
        for mut ws in clients {
            while ws.send("still there?").is_ok() && matches!(ws.recv(), Ok(Some(_))) {
                served += 1;
            }
            let ending = ws.ended();
            assert_eq!((ending.code(), ending.reason()), (1012, "server is restarting"));
        }
        (served, begun.elapsed())
    });
    let report = running.stop();
    assert_eq!((report.endings.len(), report.stuck), (10, 0));
    let (served, took) = last.join().unwrap();
    assert!(served > 0);
    assert!(took >= Duration::from_millis(180), "{took:?}");
}

#[test]
fn nobody_waits_for_the_turn_of_those_who_have_left() {
    let mut shutdown = Shutdown::new();
    shutdown.spread = Duration::from_secs(3600);
    let running = Running::start(Server::new().shutdown(shutdown), echo);
    let clients = [(); 2].map(|()| Client::new(running.url()).connect().unwrap());
    clients.iter().for_each(|ws| ws.send_confirmed("here").unwrap());
    let leaving = thread::spawn(move || drop(clients));
    let report = running.stop();
    assert_eq!((report.endings.len(), report.stuck), (2, 0));
    leaving.join().unwrap();
}

#[test]
fn whoever_has_not_left_by_the_deadline_is_aborted_and_told_of() {
    let mut shutdown = Shutdown::restart();
    shutdown.deadline = Some(Duration::from_millis(200));
    let running = Running::start(Server::new().shutdown(shutdown), echo);
    // A peer that never says anything but its request.
    let mut deaf = TcpStream::connect(running.address).unwrap();
    deaf.write_all(request("/", &[]).as_bytes()).unwrap();
    deaf.read_exact(&mut [0; 12]).unwrap();
    let begun = Instant::now();
    let report = running.stop();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!((report.endings.len(), report.stuck), (1, 0));
    let ending = &report.endings[0].ending;
    assert_eq!((&ending.cause, ending.also.first()), (&Cause::Shutdown, Some(&Cause::Aborted)));
}

#[test]
fn who_is_in_the_middle_of_opening_is_told_when_to_come_again() {
    let mut shutdown = Shutdown::new();
    shutdown.retry_after = Some(Duration::from_secs(30));
    let server = Server::new().shutdown(shutdown);
    let monitor = server.monitor();
    let running = Running::start(server, echo);
    let mut opening = TcpStream::connect(running.address).unwrap();
    opening.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    while monitor.counts().opening() == 0 {
        thread::yield_now();
    }
    running.stop();
    let mut answer = String::new();
    opening.read_to_string(&mut answer).unwrap();
    assert_status(&answer, "503 Service Unavailable");
    assert!(answer.to_lowercase().contains("retry-after: 30\r\n"), "{answer}");
    assert_eq!(monitor.counts().turned_away.shutting_down, 1);
}
