//! The shared handle under a checker: threads come to its locks, atomics and wakers in thousands of
//! orders, drawn by shuttle. A lost wake-up shows as a deadlock.
//!
//! `crates/lastword/tests/model` runs it. The clock stands still: no deadline helps anybody out. What
//! tokio's own `Notify` does is taken as one step, since tokio checks it with loom.
#![cfg(lastword_model)]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use lastword::proto::{Agreement, Role};
use lastword::{CloseCode, Config, Ended, Ending, Message, SendError, WebSocket};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One direction of a pipe.
#[derive(Default)]
struct Half {
    bytes: VecDeque<u8>,
    finished: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Half {
    fn wake(half: &Mutex<Self>) {
        // Outside the lock: a waker is somebody else's code.
        let mut locked = half.lock().unwrap();
        let wakers = [locked.reader.take(), locked.writer.take()];
        drop(locked);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// One end of a pipe that holds few bytes.
struct End {
    incoming: Arc<Mutex<Half>>,
    outgoing: Arc<Mutex<Half>>,
}

const ROOM: usize = 24;

fn pipe() -> (End, End) {
    let (one, other) = (Arc::<Mutex<Half>>::default(), Arc::<Mutex<Half>>::default());
    let near = End { incoming: Arc::clone(&one), outgoing: Arc::clone(&other) };
    (near, End { incoming: other, outgoing: one })
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut half = self.incoming.lock().unwrap();
        if half.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if half.bytes.is_empty() && !half.finished {
            half.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.remaining().min(half.bytes.len());
        buffer.put_slice(&half.bytes.drain(..count).collect::<Vec<_>>());
        drop(half);
        Half::wake(&self.incoming);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut half = self.outgoing.lock().unwrap();
        if half.reset || half.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(ROOM - half.bytes.len());
        if count == 0 {
            half.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        half.bytes.extend(&bytes[..count]);
        drop(half);
        Half::wake(&self.outgoing);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.lock().unwrap().finished = true;
        Half::wake(&self.outgoing);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.lock().unwrap().finished = true;
        // Nobody will read what comes.
        self.incoming.lock().unwrap().reset = true;
        Half::wake(&self.outgoing);
        Half::wake(&self.incoming);
    }
}

/// A handle, and its pump, which runs in a thread of its own and is to be waited for: it ends with
/// the connection, whatever became of the handles.
fn websocket(end: End, role: Role) -> (WebSocket, JoinHandle<Arc<Ending>>) {
    let mut config = Config::default();
    (config.send_buffer, config.receive_buffer) = (60, 60);
    let (websocket, pump) = lastword::model(end, Agreement::plain(role), config);
    (websocket, spawn(pump))
}

fn in_many_orders(times: usize, world: impl Fn() + Send + Sync + Clone + 'static) {
    // For timers to exist; nobody drives them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let scale = std::env::var("LASTWORD_ORDERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    shuttle::check_random(world.clone(), times * scale);
    shuttle::check_pct(world, times * scale, 3);
}

#[test]
fn messages_both_ways_from_two_threads_arrive_and_the_close_is_clean() {
    in_many_orders(10_000, || {
        block_on(async {
            let (near, far) = pipe();
            let (ws, pump) = websocket(near, Role::Client);
            let (peer, peers_pump) = websocket(far, Role::Server);
            let (sender, mut receiver) = ws.split();
            let threads = [1, 2].map(|thread| {
                let sender = sender.clone();
                spawn(async move {
                    for _ in 0..3 {
                        sender.send(Message::binary(vec![thread; 20])).await.unwrap();
                    }
                })
            });
            let echo = spawn(async move {
                let mut peer = peer;
                while let Ok(Some(message)) = peer.recv().await {
                    peer.send(message).await.unwrap();
                }
                peer.ended().await
            });
            let mut came = [0; 3];
            for _ in 0..6 {
                let message = receiver.recv().await.unwrap().unwrap();
                came[usize::from(message.payload()[0])] += 1;
            }
            assert_eq!(came, [0, 3, 3]);
            for thread in threads {
                thread.await.unwrap();
            }
            sender.close(CloseCode::NORMAL, "");
            assert!(receiver.recv().await.unwrap().is_none());
            assert!(sender.ended().await.is_clean());
            assert!(echo.await.unwrap().is_clean());
            assert!(pump.await.unwrap().is_clean() && peers_pump.await.unwrap().is_clean());
        });
    });
}

#[test]
fn send_ping_close_and_receive_all_return_when_the_peer_goes_away() {
    in_many_orders(10_000, || {
        block_on(async {
            let (near, far) = pipe();
            let (ws, pump) = websocket(near, Role::Server);
            let (sender, mut receiver) = ws.split();
            let going = spawn(async move {
                yield_now().await;
                // Reads nothing, and goes: what we write meets a reset.
                drop(far);
            });
            let sending = sender.clone();
            let sending = spawn(async move {
                loop {
                    match sending.send(Message::binary(vec![1; 30])).await {
                        Ok(()) => {}
                        Err(SendError::Ended(Ended(ending), _)) => return Some(ending),
                        Err(_) => return None,
                    }
                }
            });
            let pinging = sender.clone();
            let pinging = spawn(async move { pinging.ping().await.unwrap_err().0 });
            let flushing = sender.clone();
            let flushing = spawn(async move { flushing.flush().await });
            let closing = sender.clone();
            let closing = spawn(async move {
                closing.close(CloseCode::NORMAL, "");
                closing.ended().await
            });
            let receiving = spawn(async move { receiver.recv().await.unwrap_err().0 });
            let ending = sender.ended().await;
            assert!(!ending.is_clean());
            assert!(Arc::ptr_eq(&receiving.await.unwrap(), &ending));
            assert!(Arc::ptr_eq(&pinging.await.unwrap(), &ending));
            assert!(Arc::ptr_eq(&closing.await.unwrap(), &ending));
            if let Some(told) = sending.await.unwrap() {
                assert!(Arc::ptr_eq(&told, &ending));
            }
            drop(flushing.await.unwrap());
            going.await.unwrap();
            assert!(Arc::ptr_eq(&pump.await.unwrap(), &ending));
        });
    });
}

#[test]
fn the_last_handle_may_go_anywhere_and_the_peer_is_told() {
    in_many_orders(10_000, || {
        block_on(async {
            let (near, far) = pipe();
            let (ws, pump) = websocket(near, Role::Client);
            let (mut peer, peers_pump) = websocket(far, Role::Server);
            let (sender, receiver) = ws.split();
            let first = spawn(async move {
                sender.send("one").await.unwrap();
            });
            let second = spawn(async move { drop(receiver) });
            assert_eq!(peer.recv().await.unwrap(), Some("one".into()));
            assert!(peer.recv().await.unwrap().is_none());
            assert_eq!(peer.ended().await.code(), 1001);
            first.await.unwrap();
            second.await.unwrap();
            assert!(pump.await.unwrap().is_clean() && peers_pump.await.unwrap().is_clean());
        });
    });
}

#[test]
fn a_send_that_waits_for_room_is_woken_whoever_makes_it() {
    in_many_orders(10_000, || {
        block_on(async {
            let (near, far) = pipe();
            let (ws, pump) = websocket(near, Role::Client);
            let (mut peer, peers_pump) = websocket(far, Role::Server);
            let sender = ws.sender();
            let waiting = spawn(async move {
                for number in 0..4 {
                    sender.send(Message::binary(vec![number; 50])).await.unwrap();
                }
                sender.flush().await.unwrap();
            });
            // One that gives up waiting takes nobody's wake-up along.
            let other = ws.sender();
            let fickle = spawn(async move {
                let mut sending = Box::pin(other.send(Message::binary(vec![9; 50])));
                std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_ready())).await
            });
            let reading = spawn(async move {
                let mut came = Vec::new();
                while let Ok(Some(message)) = peer.recv().await {
                    came.push(message.payload()[0]);
                }
                came
            });
            waiting.await.unwrap();
            let taken = fickle.await.unwrap();
            drop(ws);
            let came = reading.await.unwrap();
            let steady: Vec<_> = came.iter().copied().filter(|&number| number != 9).collect();
            assert_eq!(steady, [0, 1, 2, 3]);
            assert!(!taken || came.contains(&9), "what was accepted arrives");
            pump.await.unwrap();
            peers_pump.await.unwrap();
        });
    });
}
