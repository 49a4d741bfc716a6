//! Who is one too many is told so at once, and comes in when another has left.

mod support;

use lastword::{AcceptError, Busy, Client, CloseCode, ConnectError, Limits, Server, WebSocket};
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

/// What an HTTP server hands over counts from the request until its handler is done.
#[tokio::test(start_paused = true)]
async fn connections_through_an_http_server_are_held_to_the_same_limits() {
    let mut limits = Limits::default();
    (limits.connections, limits.connections_per_address) = (Some(2), Some(1));
    let upgrades = Server::new().limits(limits).upgrades();
    let request = |peer: Option<&str>| {
        let mut request = support::http::request();
        // Where an HTTP server, or a layer in it, says whose request it is.
        let peer = peer.map(|peer| peer.parse::<std::net::SocketAddr>().unwrap());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        upgrades.accept(&request)
    };
    let (near, far) = tokio::io::duplex(1024);
    let (_, pending) = request(Some("10.0.0.1:1000")).unwrap();
    let first = pending.upgrade(far);
    assert_eq!(first.opening().peer_addr.unwrap().port(), 1000);
    let same = request(Some("10.0.0.1:1001")).unwrap_err();
    assert_eq!((same.status().as_u16(), same.reason()), (429, &Busy::ConnectionsPerAddress.into()));
    let (_, second) = request(None).unwrap();
    let third = request(Some("10.0.0.2:1000")).unwrap_err();
    assert_eq!((third.status().as_u16(), third.reason()), (503, &Busy::Connections.into()));
    // A stream that never comes has no place for ever.
    drop(second);
    let _fourth = request(Some("10.0.0.2:1000")).unwrap();
    drop(near);
    first.ended().await;
    while upgrades.count() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(request(Some("10.0.0.1:1002")).is_ok());
}
