//! Every public future, dropped at its n-th poll, for all n until it is done: nothing is lost, no
//! frame is torn, nothing is left behind. In memory, on a pipe so narrow that everything takes many
//! polls, on a clock that stands still.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use lastword::{Client, CloseCode, Compression, Config, Message, Server, WebSocket, accept};
use support::pipes::{self, dropped_after};
use tokio::io::duplex;

/// How many bytes a pipe holds.
const NARROW: usize = 32;

fn small() -> Config {
    let mut config = Config::default();
    (config.send_buffer, config.receive_buffer, config.deflate) = (100, 100, None);
    config
}

/// Both sides of a connection over a narrow pipe.
async fn pair() -> (WebSocket, WebSocket) {
    pipes::pair(NARROW, small()).await
}

fn numbered(number: u32) -> Message {
    Message::binary(number.to_be_bytes().repeat(20))
}

type Attempt<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Something a client does with its connection, as a future to be dropped.
struct Deed {
    name: &'static str,
    begin: for<'a> fn(&'a mut WebSocket, Message) -> Attempt<'a>,
}

const DEEDS: [Deed; 13] = [
    Deed { name: "send", begin: |ws, m| Box::pin(async { drop(ws.send(m).await) }) },
    Deed { name: "sender", begin: |ws, m| Box::pin(async { drop(ws.sender().send(m).await) }) },
    Deed {
        name: "send_confirmed",
        begin: |ws, m| Box::pin(async { drop(ws.send_confirmed(m).await) }),
    },
    Deed {
        name: "batch",
        begin: |ws, m| {
            Box::pin(async {
                let batch = ws.batch();
                drop(batch.send(m).await);
                drop(batch.flush().await);
            })
        },
    },
    Deed {
        name: "send_with",
        begin: |ws, m| Box::pin(async { drop(ws.send_with(m, Compression::Always).await) }),
    },
    Deed {
        name: "send_timeout",
        begin: |ws, m| Box::pin(async { drop(ws.send_timeout(m, Duration::MAX).await) }),
    },
    Deed {
        name: "send_parts",
        begin: |ws, m| Box::pin(async { drop(ws.send_parts(m.kind()).finish_with(m).await) }),
    },
    Deed { name: "ping_with", begin: |ws, _| Box::pin(async { drop(ws.ping_with("data").await) }) },
    Deed { name: "flush", begin: |ws, _| Box::pin(async { drop(ws.flush().await) }) },
    Deed { name: "ping", begin: |ws, _| Box::pin(async { drop(ws.ping().await) }) },
    Deed { name: "ended", begin: |ws, _| Box::pin(async { drop(ws.ended().await) }) },
    Deed {
        name: "sender ended",
        begin: |ws, _| Box::pin(async { drop(ws.sender().ended().await) }),
    },
    Deed {
        name: "sender flush",
        begin: |ws, _| Box::pin(async { drop(ws.sender().flush().await) }),
    },
];

fn accepted(ws: &WebSocket) -> u64 {
    let ledger = ws.ledger();
    ledger.confirmed.messages + ledger.handed_over.messages + ledger.unsent.messages
}

#[tokio::test(start_paused = true)]
async fn what_a_sending_side_does_can_be_dropped_at_every_poll() {
    for deed in &DEEDS {
        // Those that would wait for ever are dropped as often as the others.
        for times in 0..MOST {
            let (mut ws, mut peer) = pair().await;
            // The buffers are full, so that the deed has to wait; nothing is read meanwhile.
            let mut number = 0;
            while ws.try_send(numbered(number)).is_ok() {
                number += 1;
            }
            let before = accepted(&ws);
            assert_eq!(before, u64::from(number));
            let reading = tokio::spawn(async move {
                let mut came = Vec::new();
                while let Ok(Some(message)) = peer.recv().await {
                    came.push(message);
                }
                (came, peer.ended().await)
            });
            let attempt = (deed.begin)(&mut ws, numbered(number));
            let done = dropped_after(attempt, times).await.is_some();
            let taken = accepted(&ws) - before;
            assert!(taken <= 1, "{} at {times}: all or nothing", deed.name);
            let mut expected: Vec<_> = (0..number).map(numbered).collect();
            if taken == 1 {
                expected.push(numbered(number));
            }
            expected.push("the last".into());
            ws.send("the last").await.unwrap();
            let ending = ws.close(CloseCode::NORMAL, "").await;
            let (came, theirs) = reading.await.unwrap();
            assert!(ending.is_clean() && theirs.is_clean(), "{} at {times}: {ending}", deed.name);
            assert_eq!(came, expected, "{} at {times}", deed.name);
            if done {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_receive_can_be_dropped_at_every_poll() {
    for times in 1..MOST {
        let (mut ws, peer) = pair().await;
        let sending = tokio::spawn(async move {
            for number in 0..8 {
                peer.send(numbered(number)).await.unwrap();
            }
            peer.close(CloseCode::NORMAL, "").await
        });
        let mut came = Vec::new();
        loop {
            match dropped_after(ws.recv(), times).await {
                Some(Ok(Some(message))) => came.push(message),
                Some(end) => break assert_eq!(end.unwrap(), None),
                None => {}
            }
        }
        assert_eq!(came, (0..8).map(numbered).collect::<Vec<_>>(), "at {times}");
        assert!(sending.await.unwrap().is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_can_be_dropped_at_every_poll_and_goes_on() {
    for times in 0..MOST {
        let (ws, mut peer) = pair().await;
        ws.send(numbered(1)).await.unwrap();
        let reading = tokio::spawn(async move {
            assert_eq!(peer.recv().await.unwrap(), Some(numbered(1)), "at {times}");
            assert_eq!(peer.recv().await.unwrap(), None, "at {times}");
            peer.ended().await
        });
        let done = dropped_after(ws.close(CloseCode::NORMAL, "later"), times).await.is_some();
        let ending = reading.await.unwrap();
        // A close that was never begun is the drop of the last handle.
        let code = if times == 0 { 1001 } else { 1000 };
        assert!(ending.is_clean() && ending.code() == code, "at {times}: {ending}");
        if done {
            return;
        }
    }
    panic!("a close is never done");
}

#[tokio::test(start_paused = true)]
async fn an_opening_can_be_dropped_at_every_poll_on_either_side() {
    for times in 0..MOST {
        let (near, far) = duplex(NARROW);
        let server = tokio::spawn(accept(far));
        let client = Client::new("ws://in.memory/").connect_over(near);
        let connected = dropped_after(client, times).await;
        let done = connected.is_some();
        drop(connected);
        // The server learns of it at once, before or after the opening was complete.
        match server.await.unwrap() {
            Err(error) => assert!(!error.to_string().contains("open_timeout"), "{error}"),
            Ok(mut ws) => drop(ws.recv().await),
        }
        if done {
            assert!(times > 3, "a narrow pipe takes many polls");
            break;
        }
    }
    for times in 0..MOST {
        let (near, far) = duplex(NARROW);
        let client = tokio::spawn(Client::new("ws://in.memory/").connect_over(near));
        let accepted = dropped_after(accept(far), times).await;
        let done = accepted.is_some();
        drop(accepted);
        match client.await.unwrap() {
            Err(error) => assert!(!error.to_string().contains("open_timeout"), "{error}"),
            Ok(mut ws) => drop(ws.recv().await),
        }
        if done {
            assert!(times > 3, "a narrow pipe takes many polls");
            break;
        }
    }
}

#[tokio::test]
async fn a_connect_or_a_server_can_be_dropped_at_every_poll_and_leaves_no_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let one_run = async |times: usize| {
        let bound = Server::new().bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", bound.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let handler = async |mut ws: WebSocket| {
            drop(ws.recv().await);
            Ok(())
        };
        let server = bound.serve_until(handler, async { drop(stopped.await) });
        let mut server = pin!(server);
        let connected = {
            let connecting = dropped_after(Client::new(&url).connect(), times);
            tokio::select! {
                connected = connecting => connected,
                _ = &mut server => unreachable!("nobody stopped it"),
            }
        };
        let done = connected.is_some();
        drop(connected);
        // The server is stopped half the time, and dropped in the middle of that as well.
        if times.is_multiple_of(2) {
            drop(stop);
            dropped_after(server, times / 2).await;
        }
        done
    };
    // What the runtime opens for itself, it opens in the first run.
    one_run(MOST).await;
    settle().await;
    let before = descriptors();
    for times in 0..40 {
        one_run(times).await;
    }
    for _ in 0..1000 {
        if descriptors() <= before {
            return;
        }
        settle().await;
    }
    assert!(descriptors() <= before, "{} descriptors, {before} before", descriptors());
}

/// Lets those who were left alone finish; the clock only gives the kernel its turn.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// More polls than anything here takes.
const MOST: usize = 60;
