//! After many connections nothing is left of them: no thread, no descriptor. In a process of its own.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{Client, CloseCode, Config, Server};
use support::{Over, pair};

fn threads_and_descriptors() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|of| fs::read_dir(of).unwrap().count())
}

#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < limit, "{:?} are left", threads_and_descriptors());
        thread::yield_now();
    }
}

#[test]
fn nothing_is_left_of_many_connections_however_they_ended() {
    let bound = Server::new().bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", bound.local_addr().unwrap());
    let stop = bound.stop_handle();
    let running = thread::spawn(|| {
        bound.serve(|mut ws| {
            while let Some(message) = ws.recv()? {
                if message.as_text() == Some("panic") {
                    panic!("as asked");
                }
                ws.send(message)?;
            }
            Ok(())
        })
    });
    let [threads, _] = threads_and_descriptors();
    drop(pair(Over::Tls, Config::default()));
    // What the process opens once for TLS belongs to the baseline, the pair itself does not.
    until(|| threads_and_descriptors()[0] <= threads);
    let baseline = threads_and_descriptors();
    for round in 0..40 {
        let mut ws = Client::new(&url).connect().unwrap();
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("hello".into()));
        match round % 4 {
            0 => drop(ws.close(CloseCode::NORMAL, "")),
            1 => drop(ws.abort()),
            2 => drop(ws),
            _ => {
                ws.send("panic").unwrap();
                assert!(ws.recv().unwrap().is_none());
                assert_eq!(ws.ended().code(), 1011);
            }
        }
        drop(pair(Over::ALL[round % 2], Config::default()));
    }
    // What ends in the background ends within `linger`.
    until(|| threads_and_descriptors().iter().zip(baseline).all(|(now, before)| *now <= before));
    stop.stop();
    let report = running.join().unwrap().unwrap();
    assert_eq!((report.endings.len(), report.stuck), (0, 0));
}
