//! How a server takes leave: spread over a while, with a word of its own, and never later than it said.

mod support;

use std::time::Duration;

use lastword::rustls::ServerConfig;
use lastword::{Cause, Client, Config, HandlerError, Server, Shutdown, Upgrades, WebSocket};
use support::http::answer;
use support::pipes::frame;
use support::{Running, echo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Served with `handler`.
async fn served<T>(upgrades: &Upgrades, handler: fn(WebSocket) -> T) -> WebSocket
where
    T: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let (near, mut far) = duplex(4096);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let server = async {
        let pending = answer(upgrades, &mut far).await.unwrap();
        pending.serve(async { Ok(far) }, handler);
    };
    tokio::join!(client, server).0.unwrap()
}

/// A peer that never says anything but its request.
async fn deaf(upgrades: &Upgrades) -> DuplexStream {
    let (mut near, mut far) = duplex(4096);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    near.write_all(request.as_bytes()).await.unwrap();
    let pending = answer(upgrades, &mut far).await.unwrap();
    pending.serve(async { Ok(far) }, echo);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.unwrap());
    }
    near
}

fn shutdown(set: impl FnOnce(&mut Shutdown)) -> Upgrades {
    let mut shutdown = Shutdown::restart();
    set(&mut shutdown);
    Server::new().shutdown(shutdown).upgrades()
}

#[tokio::test(start_paused = true)]
async fn goodbyes_are_spread_and_whoever_waits_for_his_is_served() {
    let upgrades = shutdown(|shutdown| shutdown.spread = Duration::from_secs(10));
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut ws = served(&upgrades, echo).await;
        clients.push(tokio::spawn(async move {
            let begun = Instant::now();
            // Still served, until it is told to leave.
            while ws.send("hello").await.is_ok() && matches!(ws.recv().await, Ok(Some(_))) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let ending = ws.ended().await;
            assert!(ending.is_clean(), "{ending}");
            assert_eq!((ending.code(), ending.reason()), (1012, "server is restarting"));
            begun.elapsed()
        }));
    }
    let begun = Instant::now();
    let report = upgrades.shut_down().await;
    assert_eq!((report.endings.len(), report.stuck), (20, 0));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(9500) && took < Duration::from_secs(10), "{took:?}");
    let mut moments = Vec::new();
    for client in clients {
        moments.push(client.await.unwrap().as_millis() / 250);
    }
    assert!(!moments.is_sorted(), "in the order in which they came: {moments:?}");
    moments.sort_unstable();
    // One each half second.
    assert_eq!(moments, (0..20).map(|number| 2 * number).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_turn_of_those_who_have_left() {
    let upgrades = shutdown(|shutdown| shutdown.spread = Duration::from_secs(3600));
    let clients = [served(&upgrades, echo).await, served(&upgrades, echo).await];
    let leave = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(clients);
    };
    let begun = Instant::now();
    let (report, ()) = tokio::join!(upgrades.shut_down(), leave);
    assert_eq!(report.endings.len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_has_not_left_by_the_deadline_is_aborted_and_told_of() {
    let upgrades = shutdown(|shutdown| shutdown.deadline = Some(Duration::from_secs(2)));
    let mut peer = deaf(&upgrades).await;
    let begun = Instant::now();
    let report = upgrades.shut_down().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(2100), "{took:?}");
    assert_eq!((report.endings.len(), report.stuck), (1, 0));
    let ending = &report.endings[0].ending;
    assert_eq!((&ending.cause, ending.also.first()), (&Cause::Shutdown, Some(&Cause::Aborted)));
    let (first, payload) = frame(&mut peer).await;
    assert_eq!((first, &payload[..2]), (0x88, &1012_u16.to_be_bytes()[..]));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stuck_is_counted_at_the_deadline_and_its_ending_told() {
    let upgrades = shutdown(|shutdown| shutdown.deadline = Some(Duration::from_secs(2)));
    let client = served(&upgrades, |ws| async move {
        std::future::pending::<()>().await;
        drop(ws);
        Ok(())
    });
    let client = client.await;
    let begun = Instant::now();
    let report = upgrades.shut_down().await;
    assert_eq!((report.endings.len(), report.stuck), (1, 1));
    assert!(report.endings[0].ending.is_clean());
    assert!(begun.elapsed() < Duration::from_millis(2100), "{:?}", begun.elapsed());
    assert_eq!(client.ended().await.code(), 1012);
}

#[tokio::test]
async fn who_is_in_the_middle_of_opening_is_told_when_to_come_again() {
    let mut shutdown = Shutdown::new();
    shutdown.retry_after = Some(Duration::from_secs(30));
    let server = Server::new().shutdown(shutdown);
    let monitor = server.monitor();
    let server = Running::start(server, echo).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    while monitor.counts().opening() == 0 {
        tokio::task::yield_now().await;
    }
    let asked = async {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (report, answer) = tokio::join!(server.stop(), asked);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 30\r\n"), "{answer}");
    assert_eq!((report.endings.len(), report.stuck), (0, 0));
    assert_eq!(monitor.counts().turned_away.shutting_down, 1);
}

#[tokio::test]
async fn who_is_in_the_middle_of_tls_holds_up_no_shutdown() {
    let mut config = Config::default();
    config.open_timeout = Duration::from_secs(3600);
    let (tls, _): (std::sync::Arc<ServerConfig>, _) = support::tls::configs();
    let server = Server::new().config(config).tls(tls);
    let monitor = server.monitor();
    let server = Running::start(server, echo).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    while monitor.counts().opening() == 0 {
        tokio::task::yield_now().await;
    }
    let report = server.stop().await;
    assert_eq!((report.endings.len(), report.stuck), (0, 0));
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
}
