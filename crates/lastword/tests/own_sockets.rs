//! A server from a socket of the caller's own.

use std::num::NonZeroUsize;

use lastword::{Client, Message, Server};

async fn converse_over_an_own_socket(server: Server) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let bound = server.listen_on(socket).await.unwrap();
    assert_eq!(bound.local_addr().unwrap(), address);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(bound.serve_until(
        async |mut ws| {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok(())
        },
        async { stopped.await.unwrap_or(()) },
    ));
    let mut guests = Vec::new();
    for _ in 0..GUESTS {
        let mut ws = Client::new(format!("ws://{address}")).connect().await.unwrap();
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
        guests.push(ws);
    }
    stop.send(()).unwrap();
    for ws in guests {
        assert_eq!(ws.ended().await.code(), 1001);
    }
    let report = running.await.unwrap();
    assert_eq!((report.endings.len(), report.stuck), (GUESTS, 0));
}

#[tokio::test]
async fn a_socket_of_the_callers_own_is_served_from() {
    converse_over_an_own_socket(Server::new()).await;
}

#[tokio::test]
async fn threads_accept_from_one_socket_of_the_callers_own() {
    let threads = NonZeroUsize::new(3).unwrap();
    converse_over_an_own_socket(Server::new().threads(threads)).await;
}

/// More than threads.
const GUESTS: usize = 8;
