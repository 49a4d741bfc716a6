//! The race that started this project: a peer resets the connection while several threads send, ping,
//! close and receive on it. Whatever comes first, everybody returns, with the same ending.
//!
//! `LASTWORD_RACES=10000 cargo test --release -p lastword-blocking --test founding_race` runs it for
//! longer.

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lastword_blocking::{CloseCode, Ended, Ending, Message, PingError, SendError, WebSocket};
use support::{masked, raw_pair};

fn races() -> u64 {
    let asked = std::env::var("LASTWORD_RACES").ok();
    asked.map_or(300, |races| races.parse().expect("LASTWORD_RACES is a number"))
}

#[test]
fn threads_that_send_ping_close_and_receive_while_the_peer_resets_all_get_one_ending() {
    for race in 0..races() {
        let (ws, mut peer) = raw_pair(|server| server);
        thread::scope(|scope| {
            scope.spawn(move || {
                // A different moment each time, and in every third race a frame is cut by it.
                for _ in 0..race % 17 {
                    if peer.write_all(&masked(0x82, b"hello")).is_err() {
                        break;
                    }
                    thread::yield_now();
                }
                if race % 3 == 0 {
                    let _ = peer.write_all(&masked(0x82, b"cut")[..7]);
                }
                // What it has not read makes a reset of it.
                drop(peer);
            });
            everybody_returns(ws, race);
        });
    }
}

fn everybody_returns(ws: WebSocket, race: u64) {
    let (sender, mut receiver) = ws.split();
    let accepted = AtomicU64::new(0);
    let ending = thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..2 {
            let (sender, accepted) = (sender.clone(), &accepted);
            threads.push(scope.spawn(move || {
                loop {
                    match sender.send(Message::binary(vec![number; 3000])) {
                        Ok(()) => accepted.fetch_add(1, Ordering::Relaxed),
                        Err(SendError::Ended(Ended(ending), _)) => return Some(ending),
                        Err(SendError::Closing(_)) => return None,
                        Err(other) => panic!("{other}"),
                    };
                }
            }));
        }
        let pinging = sender.clone();
        threads.push(scope.spawn(move || {
            loop {
                match pinging.ping(Duration::from_secs(30)) {
                    Ok(_) => {}
                    Err(PingError::Ended(Ended(ending))) => return Some(ending),
                    Err(other) => panic!("{other}"),
                }
            }
        }));
        threads.push(scope.spawn(move || {
            loop {
                match receiver.recv() {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(Ended(ending)) => return Some(ending),
                }
            }
        }));
        // Two threads close at once, as the ones did that found the bug.
        for _ in 0..2 {
            let closing = sender.clone();
            threads.push(scope.spawn(move || {
                for _ in 0..race % 5 {
                    thread::yield_now();
                }
                closing.close(CloseCode::NORMAL, "enough");
                Some(closing.ended())
            }));
        }
        let ending = sender.ended_timeout(Duration::from_secs(30)).expect("somebody hangs");
        for thread in threads {
            if let Some(told) = thread.join().expect("nothing panics") {
                assert!(Arc::ptr_eq(&told, &ending), "one ending for all");
            }
        }
        ending
    });
    check_ledger(&ending, accepted.into_inner());
    assert_eq!(sender.take_unsent().len() as u64, ending.ledger.unsent.messages);
}

fn check_ledger(ending: &Ending, accepted: u64) {
    let ledger = ending.ledger;
    let sum = ledger.confirmed.messages + ledger.handed_over.messages + ledger.unsent.messages;
    assert_eq!(sum, accepted, "every accepted message is accounted for");
    assert!(!ending.to_string().is_empty());
}
