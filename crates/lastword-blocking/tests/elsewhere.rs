//! What goes on while threads are elsewhere: stuck in a call, away from the connection, or gone.

mod support;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{
    Cause, CloseCode, Config, Message, PingError, ReceiveError, SendError, TimeOut, accept,
};
use support::{Over, masked, pair, raw_pair};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

fn patient(close_timeout: Duration) -> Config {
    let mut config = Config::default();
    config.write_timeout = None;
    // What is alike would shrink to nothing.
    config.deflate = None;
    config.ping_interval = None;
    config.close_timeout = close_timeout;
    config
}

/// One thread is stuck in `send` to a peer that does not read, another in `recv`.
#[track_caller]
fn a_stuck_sender_holds_up_nobody(over: Over) {
    let (stuck, peer) = pair(over, patient(Duration::from_millis(300)));
    let (sender, mut receiver) = stuck.split();
    let (accepted, progress) = mpsc::channel();
    let sending = thread::spawn({
        let sender = sender.clone();
        move || {
            let mut count = 0_u64;
            loop {
                match sender.send(Message::binary(vec![7; 256 << 10])) {
                    Ok(()) => count += 1,
                    Err(error) => return (count, error),
                }
                accepted.send(()).unwrap();
            }
        }
    });
    // It is stuck when nothing was accepted for a while: the peer calls nothing, and reads no more
    // than its receive buffer holds.
    while progress.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let full = sender.send_timeout("no room", Duration::from_millis(20));
    assert!(matches!(full, Err(SendError::TimedOut { .. })), "{full:?}");
    assert!(matches!(sender.try_send("no room"), Err(SendError::Full(_))));

    // Another thread receives what the peer sends.
    peer.send("are you there?").unwrap();
    let heard = receiver.recv_timeout(LIMIT).unwrap();
    assert_eq!(heard, Some("are you there?".into()));
    // Nothing comes: it is back in time.
    let began = Instant::now();
    let nothing = receiver.recv_timeout(Duration::from_millis(50));
    assert!(matches!(nothing, Err(ReceiveError::TimedOut { .. })), "{nothing:?}");
    // A ping is not answered behind what nobody reads: it is back in time, too.
    let ping = sender.ping(Duration::from_millis(50));
    assert!(matches!(ping, Err(PingError::TimedOut { .. })), "{ping:?}");

    let receiving = thread::spawn(move || receiver.recv());
    sender.close(CloseCode::NORMAL, "enough");
    let ending = sender.ended_timeout(LIMIT).expect("a close ends in time");
    assert!(began.elapsed() < LIMIT / 2);
    assert!(matches!(ending.cause, Cause::TimedOut(TimeOut::Closing { .. })), "{ending}");
    let (count, error) = sending.join().unwrap();
    assert!(matches!(error, SendError::Closing(_) | SendError::Ended(..)), "{error}");
    assert!(receiving.join().unwrap().is_err());
    let ledger = ending.ledger;
    let sum = ledger.confirmed.messages + ledger.handed_over.messages + ledger.unsent.messages;
    assert_eq!(sum, count, "every accepted message is accounted for");
    assert_eq!(sender.take_unsent().len() as u64, ledger.unsent.messages);
}

#[test]
fn a_sender_stuck_over_tcp_holds_up_nobody() {
    a_stuck_sender_holds_up_nobody(Over::Tcp);
}

#[test]
fn a_sender_stuck_over_tls_holds_up_nobody() {
    a_stuck_sender_holds_up_nobody(Over::Tls);
}

#[test]
fn both_ways_are_used_at_once() {
    for over in Over::ALL {
        let (near, far) = pair(over, patient(LIMIT));
        let message = Message::binary(vec![1; 100_000]);
        let ends = [near, far].map(|ws| {
            let (sender, mut receiver) = ws.split();
            let message = message.clone();
            let sending = thread::spawn(move || {
                for _ in 0..100 {
                    sender.send(message.clone()).unwrap();
                }
                sender
            });
            let receiving = thread::spawn(move || {
                for _ in 0..100 {
                    assert_eq!(receiver.recv().unwrap().unwrap().len(), 100_000);
                }
            });
            (sending, receiving)
        });
        let senders = ends.map(|(sending, receiving)| {
            receiving.join().unwrap();
            sending.join().unwrap()
        });
        assert!(senders.iter().all(|sender| sender.is_open()));
    }
}

#[test]
fn pings_are_answered_while_the_application_is_elsewhere() {
    for over in Over::ALL {
        let (busy, asking) = pair(over, Config::default());
        // Nobody calls anything on the other side.
        asking.ping(LIMIT).unwrap();
        // Nor after it has once received something, and does not come back.
        let (sender, mut receiver) = busy.split();
        asking.send("something").unwrap();
        assert_eq!(receiver.recv().unwrap(), Some("something".into()));
        asking.ping(LIMIT).unwrap();
        asking.send_confirmed("more").unwrap();
        assert!(asking.close(CloseCode::NORMAL, "").is_clean());
        assert!(sender.ended().is_clean());
    }
}

#[test]
fn silence_is_found_out_by_a_thread_of_its_own() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::from_millis(20));
    config.ping_timeout = Some(Duration::from_millis(30));
    let (silent, mut stream) = raw_pair(|server| server.config(config));
    let mut receiver = silent;
    // A caller waits without a limit of its own.
    let ended = receiver.recv().unwrap_err();
    assert!(matches!(ended.0.cause, Cause::TimedOut(_)), "{ended}");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn the_last_handle_says_goodbye() {
    for over in Over::ALL {
        let (going, mut staying) = pair(over, Config::default());
        going.send("last").unwrap();
        drop(going);
        assert_eq!(staying.recv().unwrap(), Some("last".into()));
        assert!(staying.recv().unwrap().is_none());
        assert_eq!(staying.ended().code(), 1001);
    }
}

/// The pump may be on its way to rest just then.
#[test]
fn the_goodbye_of_handles_dropped_right_behind_a_message_is_not_late() {
    for round in 0..500 {
        let (mut client, mut server) = pair(Over::Tcp, Config::default());
        client.send("hello").unwrap();
        let heard = server.recv().unwrap().unwrap();
        server.send(heard).unwrap();
        assert_eq!(client.recv().unwrap(), Some("hello".into()));
        drop(client);
        // A pump that missed the call came a whole second late.
        let ending = server.ended_timeout(Duration::from_millis(900));
        assert!(ending.is_some(), "no goodbye in round {round}");
    }
}

#[test]
fn a_close_while_others_receive_and_send_ends_for_all_alike() {
    for over in Over::ALL {
        let (ours, mut theirs) = pair(over, Config::default());
        let reading = thread::spawn(move || {
            while let Ok(Some(_)) = theirs.recv() {}
            theirs.ended()
        });
        let (sender, mut receiver) = ours.split();
        let sending = thread::spawn({
            let sender = sender.clone();
            move || while sender.send(vec![0_u8; 1000]).is_ok() {}
        });
        let receiving = thread::spawn(move || receiver.recv());
        sender.close(CloseCode::NORMAL, "done");
        assert!(sender.ended().is_clean());
        sending.join().unwrap();
        assert_eq!(receiving.join().unwrap().unwrap(), None);
        assert!(reading.join().unwrap().is_clean());
    }
}

#[test]
fn an_abort_lets_a_receiver_go_and_resets() {
    let (ours, mut stream) = raw_pair(|server| server);
    let (sender, mut receiver) = ours.split();
    let receiving = thread::spawn(move || receiver.recv());
    stream.write_all(&masked(0x81, b"unread")).unwrap();
    sender.abort();
    let _ = receiving.join().unwrap();
    let mut buffer = [0; 64];
    let error = stream.read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn messages_come_one_after_the_other_until_the_end() {
    let (mut ours, theirs) = pair(Over::Tcp, Config::default());
    for number in 0..5 {
        theirs.send(format!("{number}")).unwrap();
    }
    let closing = thread::spawn(move || theirs.close(CloseCode::NORMAL, ""));
    let all: Result<Vec<_>, _> = ours.messages().collect();
    assert_eq!(all.unwrap().len(), 5);
    assert!(closing.join().unwrap().is_clean());
}

#[test]
fn an_opening_that_ends_early_is_told() {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    (&far).write_all(b"GET / HTTP/1.1\r\n").unwrap();
    drop(far);
    let error = accept(near).unwrap_err();
    assert_eq!(error.to_string(), "stream ended inside the request (16 bytes had come)");
}
