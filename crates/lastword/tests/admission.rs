//! Who is one too many is told so at once, and comes in when another has left.

mod support;

use lastword::{AcceptError, Client, CloseCode, ConnectError, Limits, Server, WebSocket};
use support::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn limited(set: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    set(&mut limits);
    Running::start(Server::new().limits(limits), support::echo).await
}

async fn connect(server: &Running) -> Result<WebSocket, ConnectError> {
    Client::new(server.url()).connect().await
}

/// Two come in; the third is refused with this status, until one of them has left.
async fn check_two(mut server: Running, status: u16, limit: &str) {
    let first = connect(&server).await.unwrap();
    let _second = connect(&server).await.unwrap();
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    // Nothing was asked, and it is answered.
    third.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("Retry-After: 5\r\n") && answer.contains(limit), "{answer}");
    drop(third);
    let refused = server.outcomes.recv().await.unwrap().result.unwrap_err();
    assert!(matches!(refused, AcceptError::Refused(_)), "{refused}");
    assert!(connect(&server).await.unwrap_err().to_string().contains(&status.to_string()));
    server.outcomes.recv().await.unwrap().result.unwrap_err();

    first.close(CloseCode::NORMAL, "").await;
    server.ending().await;
    // The place is free when the task of the connection is over, a moment behind its ending.
    let mut came = connect(&server).await;
    while came.is_err() {
        came = connect(&server).await;
    }
}

#[tokio::test]
async fn no_more_are_here_than_may_be() {
    let server = limited(|limits| limits.connections = Some(2)).await;
    check_two(server, 503, "(connections)").await;
}

#[tokio::test]
async fn no_more_are_here_from_one_address_than_may_be() {
    let server = limited(|limits| limits.connections_per_address = Some(2)).await;
    check_two(server, 429, "(connections_per_address)").await;
}

#[tokio::test]
async fn no_more_are_opening_than_may_be_and_those_who_have_opened_do_not_count() {
    let server = limited(|limits| limits.openings = Some(1)).await;
    let _first = connect(&server).await.unwrap();
    let _second = connect(&server).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP").await.unwrap();
    let mut other = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("(openings)"), "{answer}");
}
