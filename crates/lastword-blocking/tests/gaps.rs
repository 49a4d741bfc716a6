//! What Python's `websockets` 17.4 lacks with threads, by its number in docs/features.md, and that ours does
//! not. `elsewhere.rs` has G1 and G3: `a_sender_stuck_over_…_holds_up_nobody`.

mod support;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{CloseCode, Config, Message};
use support::{Over, masked, pair, raw_pair};

/// Longer than anything in here may take, on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(20);

fn config(keepalive: Option<Duration>, close_timeout: Duration) -> Config {
    let mut config = Config::default();
    config.ping_interval = keepalive;
    config.ping_timeout = keepalive;
    config.close_timeout = close_timeout;
    // What is alike would shrink to nothing.
    config.deflate = None;
    config
}

/// There, no clock runs when the peer has said goodbye and stays: `recv` waits for ever.
#[test]
fn g4_a_peer_that_says_goodbye_and_stays_is_left_after_close_timeout() {
    let config = config(None, Duration::from_millis(200));
    let (mut ws, mut stays) = raw_pair(|server| server.config(config));
    stays.write_all(&masked(0x88, &[3, 232])).unwrap();
    let began = Instant::now();
    assert_eq!(ws.recv().unwrap(), None);
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    assert!(ws.ended().is_clean());
}

/// There, a close with unread messages takes all of `close_timeout`, and ends in 1006.
#[test]
fn g5_a_close_with_unread_messages_is_quick_and_clean() {
    for over in Over::ALL {
        let mut config = config(None, 2 * LIMIT);
        config.receive_buffer = 1000;
        let (mut client, server) = pair(over, config);
        let (sender, (accepted, progress)) = (client.sender(), mpsc::channel());
        let sending = thread::spawn(move || {
            while sender.send(Message::binary(vec![7; 100_000])).is_ok() {
                accepted.send(()).unwrap_or(());
            }
        });
        // Until nothing more goes out: reading is paused there, and the kernel's buffers are full.
        while progress.recv_timeout(Duration::from_millis(500)).is_ok() {}
        let reading = thread::spawn(move || while let Ok(Some(_)) = client.recv() {});
        let began = Instant::now();
        let ending = server.close(CloseCode::NORMAL, "");
        assert!(began.elapsed() < LIMIT, "{over:?}: {:?}", began.elapsed());
        assert!(ending.is_clean(), "{over:?}: {ending}");
        sending.join().unwrap();
        reading.join().unwrap();
    }
}

/// There, a peer that is alive is killed with 1011 when its pong stands behind what we do not read.
#[track_caller]
fn g6_a_slow_consumer_does_not_kill_a_peer_that_is_alive(over: Over) {
    let mut config = config(Some(Duration::from_millis(200)), LIMIT);
    config.ping_timeout = Some(Duration::from_secs(1));
    config.receive_buffer = 1000;
    let (client, mut server) = pair(over, config);
    let sending = thread::spawn(move || {
        for number in 0..100_u8 {
            client.send(Message::binary(vec![number; 100_000])).unwrap();
        }
        client.close(CloseCode::NORMAL, "")
    });
    // Several times what a peer may be silent for, and none of our pings can be answered.
    thread::sleep(Duration::from_secs(3));
    for number in 0..100_u8 {
        assert_eq!(server.recv().unwrap(), Some(vec![number; 100_000].into()));
    }
    assert_eq!(server.recv().unwrap(), None);
    assert!(sending.join().unwrap().is_clean());
}

#[test]
fn g6_a_slow_consumer_over_tcp_does_not_kill_a_peer_that_is_alive() {
    g6_a_slow_consumer_does_not_kill_a_peer_that_is_alive(Over::Tcp);
}

#[test]
fn g6_a_slow_consumer_over_tls_does_not_kill_a_peer_that_is_alive() {
    g6_a_slow_consumer_does_not_kill_a_peer_that_is_alive(Over::Tls);
}
