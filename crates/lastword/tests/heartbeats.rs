//! Signs of life: keepalive that is changed while a connection is open, and the peer's pings and pongs
//! for those who want to see them.

mod support;

use std::time::Duration;

use lastword::{Cause, CloseCode, Config, Heartbeat, TimeOut};
use support::masked;
use support::pipes::{beside_raw, pair};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Without keepalive.
fn quiet() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

fn pong(data: &'static str) -> impl Fn(Option<Heartbeat>) -> bool {
    move |heard| matches!(heard, Some(Heartbeat::Pong { data: came, round_trip: None, .. }) if came == data)
}

#[tokio::test(start_paused = true)]
async fn keepalive_is_turned_on_and_off_and_nobody_has_to_receive_for_it() {
    let (ws, _peer) = pair(1000, quiet()).await;
    let watch = ws.watch();
    sleep(SECOND * 100).await;
    assert_eq!(watch.pongs(), 0);
    ws.set_keepalive(Some(SECOND * 2), Some(SECOND));
    sleep(SECOND * 7).await;
    assert_eq!(watch.pongs(), 3);
    // A sender of the same connection can do it, too.
    ws.sender().set_keepalive(None, None);
    sleep(SECOND * 100).await;
    assert_eq!(watch.pongs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_fallen_silent_is_found_out_by_the_keepalive_of_the_moment() {
    let (mut ws, _raw) = beside_raw(1000, Config::default(), "").await;
    ws.set_keepalive(Some(SECOND), Some(SECOND * 3));
    let before = Instant::now();
    let ending = ws.recv().await.unwrap_err().0;
    assert_eq!(before.elapsed(), SECOND * 4);
    let Cause::TimedOut(TimeOut::Pong { limit, .. }) = ending.cause else { panic!("{ending}") };
    assert_eq!(limit, SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_seen_while_nobody_receives_and_by_all_who_look() {
    let (ws, peer) = pair(1000, quiet()).await;
    let (mut one, mut other) = (ws.watch().heartbeats(4), ws.watch().heartbeats(0));
    // A wait that is given up loses nothing.
    assert!(timeout(SECOND, one.next()).await.is_err());
    let waiting = tokio::spawn(async move {
        let first = one.next().await;
        (first, one)
    });
    peer.pong("a heartbeat").unwrap();
    let (first, mut one) = waiting.await.unwrap();
    assert!(pong("a heartbeat")(first));
    assert!(pong("a heartbeat")(other.next().await));

    let asked = tokio::spawn(async move { (peer.ping_with("are you there").await, peer) });
    let Some(Heartbeat::Ping { data, .. }) = one.next().await else { panic!("a ping") };
    assert_eq!(data, "are you there");
    let (answer, peer) = asked.await.unwrap();
    answer.unwrap();

    // Answers to pings of ours are told as such.
    ws.ping().await.unwrap();
    let answered = one.next().await;
    assert!(matches!(answered, Some(Heartbeat::Pong { round_trip: Some(_), .. })), "{answered:?}");
    assert_eq!(one.lost(), 0);

    let late = ws.watch().heartbeats(1);
    peer.close(CloseCode::NORMAL, "").await;
    assert_eq!(one.next().await, None);
    assert_eq!(one.next().await, None);
    // What nobody has looked at is still there.
    assert!(matches!(other.next().await, Some(Heartbeat::Ping { .. })));
    assert!(matches!(other.next().await, Some(Heartbeat::Pong { .. })));
    assert_eq!(other.next().await, None);
    drop(late);
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_to_look_hears_of_the_newest_and_of_how_many_were_missed() {
    let (ws, mut raw) = beside_raw(100_000, quiet(), "").await;
    let mut heartbeats = ws.watch().heartbeats(2);
    for number in 0..50 {
        raw.write_all(&masked(0x8a, number.to_string().as_bytes())).await.unwrap();
    }
    sleep(SECOND).await;
    assert!(pong("48")(heartbeats.next().await));
    assert!(pong("49")(heartbeats.next().await));
    assert_eq!(heartbeats.lost(), 48);
}

#[tokio::test(start_paused = true)]
async fn who_listens_for_heartbeats_does_not_keep_the_connection_open() {
    let (ws, _peer) = pair(1000, quiet()).await;
    let mut heartbeats = ws.watch().heartbeats(2);
    drop(ws);
    assert_eq!(heartbeats.next().await, None);
}
