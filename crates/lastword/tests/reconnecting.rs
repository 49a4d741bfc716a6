//! Clients that come back: when, how often, with what, and when not.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lastword::{
    Backoff, Because, Client, CloseCode, ConnectError, Limit, Message, Reconnect, Resend, Server,
    State, Stopped, Verdict, WebSocket, accept, connect_forever,
};
use proptest::prelude::*;
use support::{Running, echo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Attempts in memory; `serve` has the other end of each, and its number over all, from 1.
fn attempts<T>(serve: impl Fn(u32, DuplexStream) -> T + Send + 'static) -> Reconnect
where
    T: Future<Output = ()> + Send + 'static,
{
    with_client(Client::new("ws://in.memory/"), 1 << 16, serve)
}

fn with_client<T>(
    client: Client,
    buffer: usize,
    serve: impl Fn(u32, DuplexStream) -> T + Send + 'static,
) -> Reconnect
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut number = 0;
    Reconnect::new(move |_| {
        let (near, far) = duplex(buffer);
        number += 1;
        tokio::spawn(serve(number, far));
        client.clone().connect_over(near)
    })
}

async fn accepted(stream: DuplexStream) -> WebSocket {
    accept(stream).await.unwrap()
}

/// Reads a request, and answers with exactly this.
async fn answer(mut stream: DuplexStream, text: impl AsRef<str>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(text.as_ref().as_bytes()).await.unwrap();
}

/// All states that a feed has told, in short.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<State>>>);

impl Diary {
    fn note(&self) -> impl FnMut(&State) + Send + 'static {
        let states = Arc::clone(&self.0);
        move |state| states.lock().unwrap().push(state.clone())
    }

    fn words(&self) -> Vec<String> {
        let word = |state: &State| match state {
            State::Connecting { attempt } => format!("connecting {attempt}"),
            State::Connected => "connected".to_owned(),
            State::Waiting { because, .. } => format!("waiting: {because}"),
            State::Stopped(stopped) => format!("stopped: {stopped}"),
            other => panic!("{other:?} is not told"),
        };
        self.0.lock().unwrap().iter().map(word).collect()
    }
}

fn quick() -> Backoff {
    let mut backoff = Backoff::default();
    (backoff.delay_min, backoff.delay_first) = (Duration::from_millis(1), Duration::from_millis(2));
    backoff
}

#[tokio::test]
async fn a_server_that_accepts_and_closes_at_once_is_not_spun_at() {
    // The four are busy in the same three seconds of a real clock.
    let visits = async |close: Option<u16>| {
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        let server = Running::start(Server::new(), move |ws: WebSocket| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                match close {
                    Some(code) => drop(ws.close(code.try_into().unwrap(), "").await),
                    None => drop(ws.abort()),
                }
                Ok(())
            }
        })
        .await;
        let mut feed = connect_forever(server.url());
        let visits = async {
            while let Some(mut ws) = feed.next().await {
                drop(ws.recv().await);
            }
        };
        assert!(timeout(Duration::from_secs(3), visits).await.is_err());
        let accepted = accepted.load(Ordering::Relaxed);
        assert!((1..10).contains(&accepted), "{accepted} attempts in 3 s, {close:?}");
    };
    tokio::join!(visits(Some(1000)), visits(Some(1001)), visits(Some(1012)), visits(None));
}

#[tokio::test(start_paused = true)]
async fn nor_is_one_that_does_so_for_an_hour() {
    let begun = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let mut feed = attempts(move |_, stream| {
        noted.lock().unwrap().push(begun.elapsed());
        async { drop(accepted(stream).await.close(CloseCode::GOING_AWAY, "").await) }
    });
    let visits = async { while feed.next().await.is_some() {} };
    assert!(timeout(Duration::from_hours(1), visits).await.is_err());
    let times = times.lock().unwrap();
    let early = times.iter().filter(|time| time.as_secs() < 3).count();
    assert!((2..10).contains(&early), "{early} attempts in 3 s");
    // 15 s on average, between any two of them at most 30 s and what a closing takes.
    assert!((180..320).contains(&times.len()), "{} attempts in an hour", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < Duration::from_secs(32)));
}

#[tokio::test]
async fn a_server_that_comes_back_finds_its_clients_again() {
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut feed = Client::new(format!("ws://{place}")).reconnecting().backoff(quick());
    let mut control = feed.control();
    let client = tokio::spawn(async move {
        let mut ws = feed.next().await.unwrap();
        ws.send("hello").await.unwrap();
        ws.recv().await.unwrap().unwrap()
    });
    // Nobody is there at first.
    loop {
        if let State::Waiting { because: Because::Failed(error), .. } =
            control.changed().await.unwrap()
        {
            assert!(matches!(*error, ConnectError::Connect { .. }), "{error}");
            break;
        }
    }
    let bound = Server::new().bind(place).await.unwrap();
    tokio::spawn(bound.serve_until(echo, std::future::pending()));
    assert_eq!(client.await.unwrap().as_text(), Some("hello"));
}

#[tokio::test(start_paused = true)]
async fn states_are_told_in_order_each_with_its_reason() {
    let diary = Diary::default();
    let mut feed = attempts(async |number, stream| match number {
        1 => drop(stream),
        2 => answer(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await,
        3 => drop(accepted(stream).await.close(CloseCode::GOING_AWAY, "").await),
        _ => answer(stream, "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n").await,
    })
    .on_state(diary.note());
    let mut ws = feed.next().await.unwrap();
    assert!(ws.recv().await.unwrap().is_none());
    assert!(feed.next().await.is_none());
    let expected = [
        "connecting 1",
        "waiting: stream ended inside the server's answer (0 bytes had come)",
        "connecting 2",
        "waiting: server refused the connection with 503 Service Unavailable",
        "connecting 3",
        "connected",
        "waiting: closed by the peer: 1001 (going away)",
        "connecting 4",
        "stopped: reconnecting was given up, not worth a retry: \
         server refused the connection with 404 Not Found",
    ];
    assert_eq!(diary.words(), expected);
    assert!(matches!(
        feed.stopped(),
        Some(Stopped::GaveUp { limit: Limit::Fatal, because: Because::Failed(_) })
    ));
    // That is the last word.
    assert!(feed.next().await.is_none());
    assert_eq!(diary.words().len(), expected.len());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_visited_then() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT";
    // What it says, and how many seconds we stay away at least.
    for (said, seconds) in [("Retry-After: 20", 20), (date, 60), ("Retry-After: 999999", 300)] {
        let mut feed = attempts(move |number, stream| async move {
            match number {
                1 => {
                    answer(
                        stream,
                        format!("HTTP/1.1 429 No\r\n{said}\r\nContent-Length: 0\r\n\r\n"),
                    )
                    .await
                }
                _ => drop(accepted(stream).await.ended().await),
            }
        });
        let begun = Instant::now();
        feed.next().await.unwrap();
        let waited = begun.elapsed().as_secs_f64() - f64::from(seconds);
        assert!((0.35..1.1).contains(&waited), "{said}: {waited} s more");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_begin_anew_only_after_a_healthy_connection() {
    let diary = Diary::default();
    let mut feed = attempts(async |number, stream| {
        let ws = accepted(stream).await;
        if number == 8 {
            sleep(Duration::from_secs(10)).await;
        }
        drop(ws.close(CloseCode::GOING_AWAY, "").await);
    })
    .on_state(diary.note());
    let mut pauses = Vec::new();
    for _ in 1..=9 {
        let mut ws = feed.next().await.unwrap();
        assert!(ws.recv().await.unwrap().is_none());
        let ended = Instant::now();
        let next = timeout(Duration::from_millis(1), feed.next()).await;
        assert!(next.is_err());
        let State::Waiting { until, .. } = feed.control().state() else { panic!("no pause") };
        pauses.push(Instant::from_std(until) - ended);
    }
    let healthy = pauses[7];
    assert!(healthy <= Duration::from_secs(1), "{healthy:?}");
    assert!(pauses[8] <= Duration::from_secs(2), "{pauses:?}");
    let attempts = diary.words().into_iter().filter(|word| word.starts_with("connecting"));
    let last = ["connecting 8", "connecting 1"];
    assert_eq!(attempts.skip(7).collect::<Vec<_>>(), last);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_pause_and_an_attempt_at_once() {
    // The first refuses, the second is silent.
    let refusing = attempts(async |_, stream| drop(stream));
    let silent = attempts(async |_, stream| {
        sleep(Duration::from_hours(1)).await;
        drop(stream);
    });
    for mut feed in [refusing, silent] {
        let control = feed.control();
        let begun = Instant::now();
        let stopping = async {
            sleep(Duration::from_millis(100)).await;
            control.stop();
        };
        let (next, ()) = tokio::join!(feed.next(), stopping);
        assert!(next.is_none());
        assert_eq!(begun.elapsed().as_millis(), 100);
        assert!(matches!(feed.stopped(), Some(Stopped::Asked)));
        assert!(matches!(control.state(), State::Stopped(Stopped::Asked)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_a_connection_alone_and_a_close_says_goodbye_to_it() {
    let mut feed = attempts(async |_, stream| drop(echo(accepted(stream).await).await));
    let (mut ws, control) = (feed.next().await.unwrap(), feed.control());
    control.stop();
    assert!(feed.next().await.is_none());
    ws.send("still here").await.unwrap();
    assert!(ws.recv().await.unwrap().is_some());
    control.close(CloseCode::GOING_AWAY, "enough");
    assert!(ws.recv().await.unwrap().is_none());
    assert_eq!(ws.ended().await.to_string(), r#"closed by us: 1001 (going away) "enough""#);
}

#[tokio::test(start_paused = true)]
async fn a_control_waits_for_changes_and_for_the_end() {
    let mut feed = attempts(async |_, stream| drop(accepted(stream).await.ended().await));
    let mut control = feed.control();
    assert!(matches!(control.state(), State::New));
    let ws = feed.next().await.unwrap();
    // What is over is passed over.
    assert!(matches!(control.changed().await, Some(State::Connected)));
    drop((feed, ws));
    assert!(control.changed().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_is_learned_how_a_connection_ended_wherever_its_handles_are() {
    let diary = Diary::default();
    let mut feed = attempts(async |number, stream| {
        let mut ws = accepted(stream).await;
        match number {
            // The first ends by itself, the second when it is left.
            1 => drop(ws.close(CloseCode::SERVICE_RESTART, "soon").await),
            _ => while let Ok(Some(_)) = ws.recv().await {},
        }
    })
    .on_state(diary.note());
    let (sender, mut receiver) = feed.next().await.unwrap().split();
    let (keep, kept) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        drop(kept.await);
        drop(sender);
    });
    tokio::spawn(async move { receiver.recv().await });
    drop(feed.next().await.unwrap());
    feed.next().await.unwrap();
    let words = diary.words();
    assert_eq!(words[2], r#"waiting: closed by the peer: 1012 (service restart) "soon""#);
    let dropped = "waiting: closed when the last handle was dropped: we said 1001 (going away), \
        the peer 1001 (going away)";
    assert_eq!(words[5], dropped);
    drop(keep);
}

#[tokio::test(start_paused = true)]
async fn a_next_that_is_dropped_again_and_again_gets_there_all_the_same() {
    let visits = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&visits);
    let mut feed = attempts(move |number, stream| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            if number > 2 {
                // An opening that takes its time.
                sleep(Duration::from_secs(2)).await;
                drop(accepted(stream).await.ended().await);
            }
        }
    });
    let mut ticks = 0;
    let ws = loop {
        tokio::select! {
            ws = feed.next() => break ws,
            () = sleep(Duration::from_millis(10)) => ticks += 1,
        }
    };
    assert!(ws.is_some() && ticks > 200, "{ticks} ticks");
    assert_eq!(visits.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_time_have_limits_and_the_last_word_names_them() {
    let mut backoff = Backoff::default();
    backoff.max_attempts = Some(4);
    let diary = Diary::default();
    let mut feed = attempts(async |_, stream| drop(stream)).backoff(backoff).on_state(diary.note());
    assert!(feed.next().await.is_none());
    let attempts_made = diary.words().iter().filter(|word| word.starts_with("connecting")).count();
    assert_eq!(attempts_made, 4);
    assert_eq!(
        feed.stopped().unwrap().to_string(),
        "reconnecting was given up, no healthy connection in 4 attempts (max_attempts): \
         stream ended inside the server's answer (0 bytes had come)"
    );

    let mut backoff = Backoff::default();
    backoff.max_elapsed = Some(Duration::from_secs(90));
    let begun = Instant::now();
    let mut feed = attempts(async |_, stream| drop(stream)).backoff(backoff);
    assert!(feed.next().await.is_none());
    // It does not sit out a pause that leads nowhere.
    assert!((60..=90).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let limit = Limit::Elapsed(Duration::from_secs(90));
    assert!(matches!(feed.stopped(), Some(Stopped::GaveUp { limit: l, .. }) if *l == limit));
}

#[tokio::test]
async fn what_cannot_get_better_is_tried_once() {
    let once = async |mut feed: Reconnect, what: &str| {
        let next = timeout(Duration::from_secs(20), feed.next()).await;
        assert!(next.expect(what).is_none(), "{what}");
        let Some(Stopped::GaveUp { limit: Limit::Fatal, .. }) = feed.stopped() else {
            panic!("{what}: {:?}", feed.stopped());
        };
    };
    once(connect_forever("http://example.com"), "a bad URL").await;
    // A certificate that is not trusted, and a name that it is not for.
    let (theirs, ours) = support::tls::configs();
    let server = Running::start(Server::new().tls(theirs), echo).await;
    let port = server.address.port();
    let (_, others) = support::tls::configs();
    let untrusted = Client::new(format!("wss://localhost:{port}")).tls(others);
    once(untrusted.reconnecting(), "an untrusted certificate").await;
    let misnamed = Client::new(format!("wss://127.0.0.1:{port}")).tls(ours.clone());
    once(misnamed.reconnecting(), "a certificate for another name").await;

    // No TLS at all where TLS is expected.
    let plain = Running::start(Server::new(), echo).await;
    let reserved =
        Client::new(plain.url()).header(http::header::UPGRADE, http::HeaderValue::from_static("x"));
    once(reserved.reconnecting(), "a header that is the handshake's own").await;
    let port = plain.address.port();
    let mistaken = Client::new(format!("wss://localhost:{port}")).tls(ours);
    once(mistaken.reconnecting(), "a server without TLS").await;
}

#[tokio::test(start_paused = true)]
async fn tls_that_breaks_off_is_tried_again() {
    let (_, tls) = support::tls::configs();
    let client = Client::new("wss://localhost/").tls(tls);
    let diary = Diary::default();
    let mut backoff = Backoff::default();
    backoff.max_attempts = Some(2);
    let mut feed = with_client(client, 1 << 16, async |_, mut stream| drop(stream.read_u8().await))
        .backoff(backoff)
        .on_state(diary.note());
    assert!(feed.next().await.is_none());
    assert!(
        diary.words()[1].starts_with("waiting: TLS with \"localhost\" failed"),
        "{:?}",
        diary.words()
    );
}

#[tokio::test(start_paused = true)]
async fn the_caller_knows_better_if_it_says_so() {
    let mut feed = attempts(async |number, stream| {
        let code = if number == 1 { 4000 } else { 1001 };
        drop(accepted(stream).await.close(code.try_into().unwrap(), "").await);
    })
    .classify(|because| match because {
        Because::Ended(ending) if ending.code() == 4000 => {
            Verdict::RetryAfter(Duration::from_secs(9))
        }
        Because::Ended(ending) if ending.code() == 1001 => Verdict::Fatal,
        because => because.verdict(),
    });
    let begun = Instant::now();
    drop(feed.next().await.unwrap().ended().await);
    drop(feed.next().await.unwrap().ended().await);
    assert!((9.35..10.1).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    assert!(feed.next().await.is_none());
}

/// So that the sizes of messages are what they seem.
fn uncompressed() -> lastword::Config {
    let mut config = lastword::Config::default();
    config.deflate = None;
    config
}

/// What a connection of this test sends, in sizes that a small buffer cuts anywhere.
fn message(number: usize) -> Message {
    Message::text(format!("{number} {}", "x".repeat(number * 7 % 50)))
}

fn number_of(message: &Message) -> usize {
    message.as_text().unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Passes on what comes in both ways; of what comes from `near`, so many bytes: then all is gone, with
/// what was under way.
async fn relay(near: DuplexStream, far: DuplexStream, limit: Option<usize>) {
    let (near, mut to_near) = tokio::io::split(near);
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let mut near = near.take(limit.map_or(u64::MAX, |limit| limit as u64));
    let there = async {
        drop(tokio::io::copy(&mut near, &mut to_far).await);
        if limit.is_none() {
            drop(to_far.shutdown().await);
            std::future::pending().await
        }
    };
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut from_far, &mut to_near) => {}
    }
}

/// Sends `count` messages over connections that break behind the given numbers of bytes, and then one that
/// does not; returns what came over each, and how many messages each that broke had handed over without
/// a confirmation.
async fn send_all(
    resend: Resend,
    count: usize,
    breaks: Vec<usize>,
    buffer: usize,
) -> (Vec<Vec<usize>>, Vec<u64>) {
    let (came, mut coming) = mpsc::unbounded_channel();
    let mut config = uncompressed();
    if resend == Resend::Unconfirmed {
        config.unconfirmed = lastword::proto::Unconfirmed::Kept;
    }
    let client = Client::new("ws://in.memory/").config(config);
    let connections = breaks.len() + 1;
    let mut feed = with_client(client, buffer, move |attempt, near| {
        let (came, limit) = (came.clone(), breaks.get(attempt as usize - 1).copied());
        async move {
            let (passed, far) = duplex(1 << 16);
            tokio::spawn(relay(near, passed, limit));
            let Ok(mut ws) = accept(far).await else { return };
            while let Ok(Some(message)) = ws.recv().await {
                came.send((attempt, number_of(&message))).unwrap();
            }
        }
    })
    .resend(resend)
    .classify(|_| Verdict::Retry);
    let (mut next, mut unconfirmed) = (0, Vec::new());
    while let Some(ws) = feed.next().await {
        while next < count && ws.send(message(next)).await.is_ok() {
            next += 1;
        }
        let ending = ws.close(CloseCode::NORMAL, "").await;
        if ending.is_clean() {
            break;
        }
        unconfirmed.push(ending.ledger.handed_over.messages);
    }
    drop(feed);
    let mut all = vec![Vec::new(); connections];
    while let Some((attempt, number)) = coming.recv().await {
        all[attempt as usize - 1].push(number);
    }
    (all, unconfirmed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_again_keeps_its_order_and_comes_twice_only_if_asked(
        count in 1usize..200,
        breaks in prop::collection::vec(100usize..5000, 0..4),
        buffer in 40usize..2000,
    ) {
        let run = |resend, breaks| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(send_all(resend, count, breaks, buffer))
        };
        let (came, handed_over) = run(Resend::Unsent, breaks.clone());
        let all = came.concat();
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "twice, or out of order: {came:?}");
        // What is missing was handed over, and what the last connection took arrived.
        let lost = (count - all.len()) as u64;
        prop_assert!(lost <= handed_over.iter().sum(), "{lost} lost of {handed_over:?}");

        let (came, handed_over) = run(Resend::Unconfirmed, breaks);
        for one in &came {
            prop_assert!(one.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {came:?}");
        }
        let mut all = came.concat();
        let doubled = all.len();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(&all, &(0..count).collect::<Vec<_>>(), "lost");
        let doubled = (doubled - all.len()) as u64;
        prop_assert!(doubled <= handed_over.iter().sum(), "{doubled} twice of {handed_over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_ping_has_confirmed_is_not_sent_again() {
    for pings in [true, false] {
        let (came, mut coming) = mpsc::unbounded_channel();
        let mut config = uncompressed();
        config.unconfirmed = lastword::proto::Unconfirmed::Kept;
        let client = Client::new("ws://in.memory/").config(config);
        let mut feed = with_client(client, 1 << 16, move |number, stream| {
            let came = came.clone();
            async move {
                let mut ws = accepted(stream).await;
                while let Ok(Some(message)) = ws.recv().await {
                    came.send((number, number_of(&message))).unwrap();
                }
            }
        })
        .resend(Resend::Unconfirmed);
        let ws = feed.next().await.unwrap();
        for number in 0..3 {
            ws.send(message(number)).await.unwrap();
        }
        if pings {
            ws.ping().await.unwrap();
        }
        assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
        assert!(feed.next().await.unwrap().close(CloseCode::NORMAL, "").await.is_clean());
        drop(feed);
        let mut all = Vec::new();
        while let Some(one) = coming.recv().await {
            all.push(one);
        }
        let again = if pings { vec![] } else { vec![(2, 0), (2, 1), (2, 2)] };
        assert_eq!(all, [vec![(1, 0), (1, 1), (1, 2)], again].concat());
    }
}

#[tokio::test]
async fn a_client_that_sends_again_what_was_not_confirmed_keeps_it_by_itself() {
    let (came, mut coming) = mpsc::unbounded_channel();
    let server = Running::start(Server::new(), move |mut ws: WebSocket| {
        let came = came.clone();
        async move {
            while let Some(message) = ws.recv().await? {
                came.send(number_of(&message))?;
            }
            Ok(())
        }
    })
    .await;
    let client = Client::new(server.url()).config(uncompressed());
    let mut feed = client.reconnecting().backoff(quick()).resend(Resend::Unconfirmed);
    let ws = feed.next().await.unwrap();
    ws.send(message(7)).await.unwrap();
    assert_eq!(coming.recv().await, Some(7));
    ws.abort();
    let ws = feed.next().await.unwrap();
    assert_eq!(coming.recv().await, Some(7));
    ws.send_confirmed(message(8)).await.unwrap();
    assert_eq!(coming.recv().await, Some(8));
    ws.abort();
    drop(feed.next().await.unwrap());
    server.stop().await;
    assert_eq!(coming.recv().await, None);
}

/// A hundred messages, of which a peer that does not fetch any takes about two thirds.
async fn send_hundred(ws: &WebSocket) {
    send_hundred_of(ws, "x").await;
}

async fn send_hundred_of(ws: &WebSocket, letter: &str) {
    for number in 0..100 {
        ws.send(format!("{number} {}", letter.repeat(1000))).await.unwrap();
    }
}

/// A connection that is reset while its application fetches nothing.
async fn break_after_a_while(ws: WebSocket) {
    sleep(Duration::from_secs(1)).await;
    ws.abort();
}

#[track_caller]
fn assert_are_the_last(messages: &[Message]) {
    let numbers: Vec<_> = messages.iter().map(number_of).collect();
    let first = 100 - numbers.len();
    assert!((10..90).contains(&first), "{numbers:?}");
    assert_eq!(numbers, (first..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn without_resending_what_did_not_leave_is_the_callers() {
    let mut feed = with_client(
        Client::new("ws://in.memory/").config(uncompressed()),
        512,
        async |_, stream| {
            break_after_a_while(accepted(stream).await).await;
        },
    );
    let ws = feed.next().await.unwrap();
    send_hundred(&ws).await;
    assert_eq!(feed.unsent(), [], "it is not over");
    ws.ended().await;
    drop(ws);
    // In the body of the next connection; its own are not among them.
    let ws = feed.next().await.unwrap();
    assert_are_the_last(&feed.unsent());
    assert_eq!(feed.unsent(), []);
    // Or as soon as it is over.
    send_hundred(&ws).await;
    ws.ended().await;
    assert_are_the_last(&feed.unsent());
    assert_eq!(ws.take_unsent(), [], "given out once");
    // Of two connections, if nobody asked in between: the older one's first.
    let ws = feed.next().await.unwrap();
    send_hundred_of(&ws, "o").await;
    let ws = feed.next().await.unwrap();
    send_hundred_of(&ws, "n").await;
    ws.ended().await;
    let both = feed.unsent();
    let is_older = |message: &Message| message.as_text().unwrap().ends_with('o');
    let (older, newer) = both.split_at(both.partition_point(is_older));
    assert_are_the_last(older);
    assert_are_the_last(newer);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_leave_goes_first_on_the_next_connection_or_is_taken() {
    // Whether the application takes what waits before the next connection is there.
    for takes in [true, false] {
        let (came, mut coming) = mpsc::unbounded_channel();
        let mut feed = with_client(
            Client::new("ws://in.memory/").config(uncompressed()),
            512,
            move |number, stream| {
                let came = came.clone();
                async move {
                    let mut ws = accepted(stream).await;
                    if number == 1 {
                        return break_after_a_while(ws).await;
                    }
                    while let Ok(Some(message)) = ws.recv().await {
                        came.send(message).unwrap();
                    }
                }
            },
        )
        .resend(Resend::Unsent);
        let ws = feed.next().await.unwrap();
        send_hundred(&ws).await;
        ws.ended().await;
        if takes {
            assert_are_the_last(&feed.unsent());
        }
        let ws = feed.next().await.unwrap();
        ws.send("100").await.unwrap();
        assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
        drop(feed);
        let mut all = Vec::new();
        while let Some(message) = coming.recv().await {
            all.push(message);
        }
        assert_eq!(all.pop().unwrap().as_text(), Some("100"));
        match takes {
            true => assert_eq!(all, []),
            false => assert_are_the_last(&all),
        }
    }
}
