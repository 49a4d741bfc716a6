//! A server is looked on at from outside: numbers that add up at any time, and every ending.

mod support;

use std::num::NonZeroUsize;

use futures_util::StreamExt;
use lastword::{
    Client, CloseCode, Config, Counts, Hosts, Limits, Monitor, Origins, Rate, Server, WebSocket,
};
use support::{Running, echo, raw_client};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;

const TEN: NonZeroUsize = NonZeroUsize::new(10).unwrap();

async fn start(server: Server) -> (Running, Monitor) {
    let monitor = server.monitor();
    (Running::start(server, echo).await, monitor)
}

/// Waits for numbers that come true a moment behind what made them.
async fn until(monitor: &Monitor, are: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = monitor.counts();
        let Counts { accepted, opened, turned_away, refused, failed, ended, .. } = counts;
        let nothing = turned_away.total() + refused.total() + failed.total();
        assert_eq!(accepted, counts.opening() + nothing + opened, "{counts:?}");
        assert_eq!(opened, counts.open() + ended.total(), "{counts:?}");
        if are(&counts) {
            return counts;
        }
        tokio::task::yield_now().await;
    }
}

/// What is answered to this request.
async fn ask(server: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn upgrade(headers: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn whatever_becomes_of_a_stream_it_is_counted() {
    let mut config = Config::default();
    config.message_rate = Some(Rate::per_second(0));
    let server = Server::new()
        .config(config)
        .origins(Origins::Only(vec!["https://a".into()]))
        .hosts(Hosts::Only(vec!["127.0.0.1".into()]))
        .basic_auth("", async |given| given.are("ada", "lovelace"));
    let (server, monitor) = start(server).await;

    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "426"),
        (&upgrade("Host: b\r\n"), "421"),
        (&upgrade("Host: 127.0.0.1\r\nOrigin: https://b\r\n"), "403"),
        (&upgrade("Host: 127.0.0.1\r\nOrigin: https://a\r\n"), "401"),
    ] {
        let answer = ask(&server, request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
    let counts = until(&monitor, |counts| counts.refused.total() == 4).await;
    let refused = counts.refused;
    assert_eq!((refused.request, refused.host, refused.origin, refused.application), (1, 1, 1, 1));

    drop(TcpStream::connect(server.address).await.unwrap());
    until(&monitor, |counts| counts.failed.eof == 1).await;
    let slow = TcpStream::connect(server.address).await.unwrap();
    until(&monitor, |counts| counts.opening() == 1).await;
    drop(slow);
    until(&monitor, |counts| counts.failed.eof == 2).await;

    let url = format!("ws://ada:lovelace@{}", server.address);
    let ws = Client::new(&url).connect().await.unwrap();
    assert_eq!(monitor.counts().open(), 1);
    ws.close(CloseCode::NORMAL, "").await;
    until(&monitor, |counts| counts.ended.closed == 1).await;
    let ws = Client::new(&url).connect().await.unwrap();
    ws.send("too much already").await.unwrap();
    assert_eq!(ws.ended().await.code(), 1008);
    until(&monitor, |counts| counts.ended.too_fast == 1).await;
    Client::new(&url).connect().await.unwrap().abort();
    until(&monitor, |counts| counts.ended.lost == 1).await;

    let _here = Client::new(&url).connect().await.unwrap();
    server.stop().await;
    let counts = monitor.counts();
    assert_eq!((counts.opening(), counts.open(), counts.ended.shutdown), (0, 0, 1));
    assert_eq!((counts.accepted, counts.opened), (10, 4));
}

#[tokio::test]
async fn who_is_one_too_many_is_counted_under_the_limit_that_he_ran_into() {
    type Set = fn(&mut Limits);
    type Count = fn(&Counts) -> u64;
    let cases: [(Set, Count, &str); 5] = [
        (|limits| limits.connections = Some(0), |c| c.turned_away.connections, "503"),
        (
            |limits| limits.connections_per_address = Some(0),
            |c| c.turned_away.connections_per_address,
            "429",
        ),
        (|limits| limits.openings = Some(0), |c| c.turned_away.openings, "503"),
        (
            |limits| limits.opening_rate = Some(Rate::per_second(0)),
            |c| c.turned_away.opening_rate,
            "503",
        ),
        (
            |limits| limits.opening_rate_per_address = Some(Rate::per_second(0)),
            |c| c.turned_away.opening_rate_per_address,
            "429",
        ),
    ];
    for (set, count, status) in cases {
        let mut limits = Limits::default();
        set(&mut limits);
        let (server, monitor) = start(Server::new().limits(limits)).await;
        let answer = ask(&server, "").await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        assert!(answer.contains("retry-after: ") || answer.contains("Retry-After: "), "{answer}");
        let counts = until(&monitor, |counts| count(counts) == 1).await;
        assert_eq!(counts.turned_away.total(), 1);
    }
}

#[tokio::test]
async fn every_ending_is_told_to_each_who_listens_and_who_is_behind_knows_what_he_missed() {
    let server = Server::new();
    let monitor = server.monitor();
    let (mut all, mut few) = (monitor.departures(TEN), monitor.departures(NonZeroUsize::MIN));
    drop(monitor.departures(TEN));
    let (server, monitor) = start(server).await;
    for code in 4000..4003 {
        let ws = lastword::connect(server.url()).await.unwrap();
        ws.close(CloseCode::try_from(code).unwrap(), "").await;
    }
    until(&monitor, |counts| counts.ended.closed == 3).await;
    let mut ids = Vec::new();
    for code in 4000..4003 {
        let departure = all.next().await.unwrap();
        assert_eq!(departure.ending.code(), code);
        assert_eq!(departure.peer.unwrap().ip(), server.address.ip());
        ids.push(departure.id);
    }
    assert!(ids.is_sorted());
    assert_eq!(few.next().await.unwrap().ending.code(), 4000);
    assert_eq!((all.missed(), few.missed()), (0, 2));
    // As a stream it ends with the server, and then says so at once to whoever comes too late.
    server.stop().await;
    assert_eq!(few.collect::<Vec<_>>().await.len(), 0);
    assert!(all.next().await.is_none());
    assert!(monitor.departures(TEN).next().await.is_none());
}

/// The same for streams of the caller's own, and for those of an HTTP server.
#[tokio::test(start_paused = true)]
async fn connections_of_every_door_are_counted_and_told() {
    let server = Server::new();
    let monitor = server.monitor();
    let mut departures = monitor.departures(TEN);
    let (near, far) = duplex(1024);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let (client, ours) = tokio::join!(client, server.clone().accept(far));
    client.unwrap().close(CloseCode::NORMAL, "").await;
    assert_eq!(departures.next().await.unwrap().id, ours.unwrap().opening().id);
    server.clone().accept(tokio::io::empty()).await.unwrap_err();
    let (_silent, far) = duplex(1024);
    server.clone().accept(far).await.unwrap_err();
    let counts = monitor.counts();
    assert_eq!((counts.accepted, counts.ended.closed), (3, 1));
    assert_eq!((counts.failed.eof, counts.failed.timed_out), (1, 1));

    let upgrades = server.upgrades();
    let (_, pending) = upgrades.accept(&support::http::request()).unwrap();
    assert_eq!(monitor.counts().opening(), 1);
    let (near, far) = duplex(1024);
    let ws: WebSocket = pending.upgrade(far);
    assert_eq!(monitor.counts().open(), 1);
    drop(near);
    assert_eq!(departures.next().await.unwrap().id, ws.opening().id);
    upgrades.accept(&http::Request::new(())).unwrap_err();
    let counts = monitor.counts();
    assert_eq!((counts.accepted, counts.refused.request, counts.ended.lost), (5, 1, 1));
}

#[tokio::test]
async fn a_server_that_is_dropped_with_its_connections_leaves_none_behind() {
    let server = Server::new();
    let monitor = server.monitor();
    let bound = server.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let serving = tokio::spawn(bound.serve(echo));
    let _open = raw_client(address).await;
    let _opening = TcpStream::connect(address).await.unwrap();
    until(&monitor, |counts| (counts.open(), counts.opening()) == (1, 1)).await;
    serving.abort();
    let counts = until(&monitor, |counts| counts.open() + counts.opening() == 0).await;
    assert_eq!((counts.ended.torn_down, counts.failed.torn_down), (1, 1));
}
