//! A server with threads of its own: each serves, all are told to leave, and the port is one.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use lastword::{Bound, HandlerError, Server, WebSocket, connect};
use tokio::sync::oneshot;

const THREADS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

async fn bound() -> (Bound, SocketAddr) {
    let bound = Server::new().threads(THREADS).bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    (bound, address)
}

async fn clients(address: SocketAddr, count: usize) -> Vec<WebSocket> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(connect(format!("ws://{address}")).await.unwrap());
    }
    clients
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn connections_are_spread_over_the_threads_and_all_are_told_to_leave() {
    let observed = Arc::new(Mutex::new(Vec::new()));
    let (note, seen) = (Arc::clone(&observed), Arc::new(Mutex::new(HashSet::<ThreadId>::new())));
    let server = Server::new()
        .threads(THREADS)
        .observe(move |outcome| note.lock().unwrap().push(outcome.peer));
    let bound = server.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let threads = Arc::clone(&seen);
    let handler = move |ws| {
        threads.lock().unwrap().insert(thread::current().id());
        echo(ws)
    };
    let running = tokio::spawn(bound.serve_until(handler, async { drop(stopped.await) }));

    // The kernel spreads them by their ports: that none of four threads is left out of 200 is
    // all but certain, and that more than one serves is enough.
    let mut clients = clients(address, 200).await;
    for ws in &mut clients {
        assert_eq!(ws.opening().peer_addr, Some(address));
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("hello"));
    }
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() > 1, "all connections came to one thread");
    assert!(!seen.contains(&thread::current().id()), "served by the thread that only waits");

    stop.send(()).unwrap();
    for ws in clients {
        assert_eq!(ws.ended().await.code(), 1001);
    }
    let report = running.await.unwrap();
    assert_eq!((report.endings.len(), report.stuck), (200, 0));
    let ended: HashSet<_> = report.endings.iter().filter_map(|gone| gone.peer).collect();
    assert_eq!(ended, observed.lock().unwrap().iter().flatten().copied().collect());
    let later = std::net::TcpStream::connect(address);
    assert_eq!(later.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_shared_with_whoever_has_it() {
    let (_bound, address) = bound().await;
    let second = Server::new().threads(THREADS).bind(address).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AddrInUse);
    let alone = Server::new().bind(address).await;
    assert_eq!(alone.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn whoever_drops_the_server_drops_its_connections_on_all_threads() {
    let (bound, address) = bound().await;
    let running = tokio::spawn(bound.serve(echo));
    let clients = clients(address, 20).await;
    running.abort();
    for ws in clients {
        assert!(!ws.ended().await.is_clean());
    }
}

#[tokio::test]
async fn a_server_that_is_bound_and_never_serves_gives_its_port_back() {
    let (bound, address) = bound().await;
    drop(bound);
    // Its threads end by themselves; each closes its socket as it does.
    while Server::new().bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}
