//! The race that started this project: a peer resets the connection while several threads send, ping,
//! close and receive on it. Whatever comes first, everybody returns, with the same ending.
//!
//! `LASTWORD_RACES=10000 cargo test --release -p lastword --test founding_race` runs it for longer.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lastword::{CloseCode, Ended, Ending, Message, SendError, WebSocket};
use support::{masked, raw_client};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

fn races() -> u64 {
    let asked = std::env::var("LASTWORD_RACES").ok();
    asked.map_or(1000, |races| races.parse().expect("LASTWORD_RACES is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_send_ping_close_and_receive_while_the_peer_resets_all_get_one_ending() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for race in 0..races() {
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            lastword::accept(stream).await.unwrap()
        };
        let (ws, mut peer) = tokio::join!(accepting, raw_client(address));
        let resetting = tokio::spawn(async move {
            // A different moment each time, and in every third race a frame is cut by it.
            for _ in 0..race % 17 {
                if peer.write_all(&masked(0x82, b"hello")).await.is_err() {
                    break;
                }
                yield_now().await;
            }
            if race % 3 == 0 {
                drop(peer.write_all(&masked(0x82, b"cut")[..7]).await);
            }
            peer.set_zero_linger().unwrap();
        });
        let limit = Duration::from_secs(30);
        timeout(limit, everybody_returns(ws, race)).await.expect("somebody hangs");
        resetting.await.unwrap();
    }
}

async fn everybody_returns(ws: WebSocket, race: u64) {
    let (sender, mut receiver) = ws.split();
    let accepted = Arc::new(AtomicU64::new(0));
    let mut tasks: JoinSet<Option<Arc<Ending>>> = JoinSet::new();
    for thread in 0..2 {
        let (sender, accepted) = (sender.clone(), Arc::clone(&accepted));
        tasks.spawn(async move {
            loop {
                match sender.send(Message::binary(vec![thread; 3000])).await {
                    Ok(()) => accepted.fetch_add(1, Ordering::Relaxed),
                    Err(SendError::Ended(Ended(ending), _)) => return Some(ending),
                    Err(SendError::Closing(_)) => return None,
                    Err(other) => panic!("{other}"),
                };
            }
        });
    }
    let pinging = sender.clone();
    tasks.spawn(async move {
        loop {
            if let Err(Ended(ending)) = pinging.ping().await {
                return Some(ending);
            }
        }
    });
    tasks.spawn(async move {
        loop {
            match receiver.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(Ended(ending)) => return Some(ending),
            }
        }
    });
    // Two threads close at once, as the ones did that found the bug.
    for _ in 0..2 {
        let closing = sender.clone();
        tasks.spawn(async move {
            for _ in 0..race % 5 {
                yield_now().await;
            }
            closing.close(CloseCode::NORMAL, "enough");
            Some(closing.ended().await)
        });
    }
    let ending = sender.ended().await;
    while let Some(done) = tasks.join_next().await {
        if let Some(told) = done.expect("nothing panics") {
            assert!(Arc::ptr_eq(&told, &ending), "one ending for all");
        }
    }
    let ledger = ending.ledger;
    let sum = ledger.confirmed.messages + ledger.handed_over.messages + ledger.unsent.messages;
    assert_eq!(sum, accepted.load(Ordering::Relaxed), "every accepted message is accounted for");
    assert_eq!(sender.take_unsent().len() as u64, ledger.unsent.messages);
    assert!(!ending.to_string().is_empty());
}
