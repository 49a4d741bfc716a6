//! What Python's `websockets` 17.4 lacks, by its number in docs/features.md, and that ours does not: through
//! the driver, on a clock that the tests turn. Those that are not here stand elsewhere; the table says where.

mod support;

use std::time::Duration;

use lastword::rustls::pki_types::ServerName;
use lastword::{Cause, Client, CloseCode, Config, SendError, Sender, Server, TimeOut, WebSocket};
use support::pipes::{beside_raw, frame, pair};
use support::tls::configs;
use support::{echo, masked};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const SECOND: Duration = Duration::from_secs(1);

/// Longer than anything in here may take; of a clock that only moves when nobody has anything to do.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

fn config(keepalive: Option<Duration>) -> Config {
    let mut config = Config::default();
    config.ping_interval = keepalive;
    config.ping_timeout = keepalive;
    config.close_timeout = SECOND;
    // What is alike would shrink to nothing.
    config.deflate = None;
    config
}

/// Sends until it is told why it may not, and is stuck for as long as the peer does not read.
fn send_on(sender: Sender) -> JoinHandle<SendError> {
    tokio::spawn(async move {
        loop {
            if let Err(error) = sender.send(vec![7; 100_000]).await {
                return error;
            }
        }
    })
}

/// There, `close` waits for what nobody reads without a limit: 15 s with a `close_timeout` of 1 s.
#[tokio::test(start_paused = true)]
async fn g1_a_close_behind_a_full_pipe_takes_no_longer_than_close_timeout() {
    let (ws, _deaf) = beside_raw(1000, config(None), "").await;
    let sending = send_on(ws.sender());
    sleep(SECOND).await;
    assert!(!sending.is_finished());
    let began = Instant::now();
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert_eq!(began.elapsed(), SECOND);
    assert!(matches!(ending.cause, Cause::TimedOut(TimeOut::Closing { .. })), "{ending}");
    // What was stuck comes back.
    assert_eq!(sending.await.unwrap().into_message().len(), 100_000);
}

/// There, the keepalive's own ping waits in line with what is stuck, and never finds out.
#[tokio::test(start_paused = true)]
async fn g2_the_keepalive_finds_out_about_a_peer_that_does_not_read() {
    let (ws, _deaf) = beside_raw(1000, config(Some(SECOND)), "").await;
    let began = Instant::now();
    let error = send_on(ws.sender()).await.unwrap();
    assert!(began.elapsed() <= 4 * SECOND, "{:?}", began.elapsed());
    let SendError::Ended(ended, message) = error else { panic!("{error}") };
    assert!(matches!(ended.0.cause, Cause::TimedOut(TimeOut::Pong { .. })), "{ended}");
    assert_eq!(message.len(), 100_000);
}

/// There, a thread in `send` holds the lock that close and keepalive need. Here it is tasks;
/// `lastword-blocking/tests/elsewhere.rs` has the threads.
#[tokio::test(start_paused = true)]
async fn g3_a_stuck_send_holds_up_no_other_call() {
    let (mut ws, mut deaf) = beside_raw(1000, config(None), "").await;
    let sending = send_on(ws.sender());
    sleep(SECOND).await;
    assert!(matches!(ws.try_send("no room"), Err(SendError::Full(_))));
    deaf.write_all(&masked(0x81, b"heard")).await.unwrap();
    assert_eq!(timeout(SECOND, ws.recv()).await.unwrap().unwrap(), Some("heard".into()));
    assert!(timeout(SECOND, ws.sender().ping()).await.is_err(), "nobody answers");
    let (closer, receiving) = (ws.sender(), tokio::spawn(async move { ws.recv().await }));
    sleep(SECOND).await;
    assert!(!sending.is_finished() && !receiving.is_finished());
    closer.close(CloseCode::NORMAL, "");
    let ended = timeout(2 * SECOND, receiving).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(ended.0.cause, Cause::TimedOut(TimeOut::Closing { .. })), "{ended}");
    assert_eq!(sending.await.unwrap().into_message().len(), 100_000);
}

/// There, no clock runs when the peer has said goodbye and stays: `recv` waits for ever.
#[tokio::test(start_paused = true)]
async fn g4_a_peer_that_says_goodbye_and_stays_is_left_after_close_timeout() {
    let (mut ws, mut stays) = beside_raw(1000, config(None), "").await;
    stays.write_all(&masked(0x88, &[3, 232])).await.unwrap();
    let began = Instant::now();
    assert_eq!(timeout(FOR_EVER, ws.recv()).await.unwrap().unwrap(), None);
    assert_eq!(began.elapsed(), SECOND);
    assert!(ws.ended().await.is_clean());
}

/// There, a close with unread messages takes all of `close_timeout`, and ends in 1006.
#[tokio::test(start_paused = true)]
async fn g5_a_close_with_unread_messages_is_quick_and_clean() {
    let mut config = config(None);
    config.receive_buffer = 1000;
    let (client, server) = pair(1000, config).await;
    let sending = send_on(client.sender());
    sleep(SECOND).await;
    assert!(!sending.is_finished(), "reading is paused");
    let talking = tokio::spawn(echo(client));
    let began = Instant::now();
    let ending = server.close(CloseCode::NORMAL, "").await;
    assert!(began.elapsed() < SECOND / 10, "{:?}", began.elapsed());
    assert!(ending.is_clean(), "{ending}");
    talking.await.unwrap().unwrap();
    sending.await.unwrap();
}

/// There, a peer that is alive is killed with 1011 when its pong stands behind what we do not read.
#[tokio::test(start_paused = true)]
async fn g6_a_slow_consumer_does_not_kill_a_peer_that_is_alive() {
    let mut config = config(Some(SECOND));
    config.receive_buffer = 1000;
    let (client, mut server) = pair(1000, config).await;
    let sending = tokio::spawn(async move {
        for number in 0..100_u8 {
            client.send(vec![number; 1000]).await.unwrap();
        }
        client.close(CloseCode::NORMAL, "").await
    });
    // Twenty pings are due, and none can be answered.
    sleep(20 * SECOND).await;
    assert!(!sending.is_finished());
    for number in 0..100_u8 {
        assert_eq!(server.recv().await.unwrap(), Some(vec![number; 1000].into()));
    }
    assert_eq!(server.recv().await.unwrap(), None);
    assert!(sending.await.unwrap().is_clean());
}

/// There, each ping of a flood is answered, and its answer kept: 60 MB of pings, 51 MB more memory.
#[tokio::test(start_paused = true)]
async fn g7_a_flood_of_pings_from_a_peer_that_never_reads_is_not_kept() {
    let (ws, mut flooder) = beside_raw(1000, config(None), "").await;
    for number in 0..10_000_u32 {
        let data = [&number.to_be_bytes()[..], &[0; 100]].concat();
        flooder.write_all(&masked(0x89, &data)).await.unwrap();
    }
    let (mut pongs, mut newest) = (0, Vec::new());
    while newest.get(..4) != Some(&9999_u32.to_be_bytes()) {
        let (first, data) = frame(&mut flooder).await;
        assert_eq!(first, 0x8a);
        (pongs, newest) = (pongs + 1, data);
    }
    // What was in the pipe, the few that the control lane holds, and the answer to the newest ping.
    assert!(pongs < 100, "{pongs} answers were kept of 10,000");
    drop(ws);
}

/// There, what TLS has deciphered already is not seen by whoever waits for the socket.
#[tokio::test(start_paused = true)]
async fn g9_what_waits_inside_tls_inside_tls_is_received() {
    let ((outer_server, outer_client), (inner_server, inner_client)) = (configs(), configs());
    let (near, far) = duplex(1 << 20);
    let serving = tokio::spawn(async move {
        let outer = TlsAcceptor::from(outer_server).accept(far).await.unwrap();
        let server = Server::new().config(config(None)).tls(inner_server);
        server.accept(outer).await.unwrap()
    });
    let name = ServerName::try_from("localhost").unwrap();
    let outer = TlsConnector::from(outer_client).connect(name, near).await.unwrap();
    let client = Client::new("wss://localhost/").config(config(None)).tls(inner_client);
    let mut ws: WebSocket = client.connect_over(outer).await.unwrap();
    let server = serving.await.unwrap();
    // Many in one record, one in many records, and nothing behind them that would wake anybody.
    for count in [1, 100, 1] {
        let batch = server.batch();
        for number in 0..count {
            server.try_send(vec![number; if count == 1 { 60_000 } else { 10 }]).unwrap();
        }
        drop(batch);
        for number in 0..count {
            let message = timeout(FOR_EVER, ws.recv()).await.unwrap().unwrap().unwrap();
            assert_eq!(message.into_payload()[0], number);
        }
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}
