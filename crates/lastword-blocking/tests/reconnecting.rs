//! Clients that come back: when, how often, with what, and when not.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::proto::Unconfirmed;
use lastword_blocking::{
    Backoff, Because, Client, CloseCode, Config, ConnectError, Limit, Message, Reconnect, Resend,
    Server, State, Stopped, Verdict, WebSocket, accept, connect_forever,
};
use lastword_fakes::{Place, certificates, nowhere};
use proptest::prelude::*;
use socket2::SockRef;
use support::{echo, echo_server};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A server that sees to each visitor by its number over all, from 1.
fn serving(serve: impl Fn(u32, TcpStream) + Send + Sync + 'static) -> Place {
    let count = AtomicU32::new(0);
    Place::new(move |stream, _| serve(count.fetch_add(1, Ordering::SeqCst) + 1, stream))
}

fn feed(place: &Place) -> Reconnect {
    Client::new(place.url()).reconnecting().backoff(quick())
}

fn accepted(stream: TcpStream) -> WebSocket {
    accept(stream).unwrap()
}

/// Reads a request, and answers with exactly this.
fn answer(mut stream: TcpStream, text: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    stream.write_all(text.as_bytes()).unwrap();
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

/// With pauses of a millisecond or two.
fn quick() -> Backoff {
    let mut backoff = Backoff::default();
    backoff.delay_min = Duration::from_millis(1);
    (backoff.delay_first, backoff.delay_max) = (backoff.delay_min * 2, backoff.delay_min * 2);
    backoff
}

#[test]
fn a_server_that_accepts_and_closes_at_once_is_not_spun_at() {
    let visits = |close: Option<u16>| {
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        let place = Place::new(move |stream, _| {
            let ws = accept(stream).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            match close {
                Some(code) => drop(ws.close(code.try_into().unwrap(), "")),
                None => drop(ws.abort()),
            }
        });
        let mut feed = connect_forever(place.url());
        let control = feed.control();
        let visiting = thread::spawn(move || {
            for mut ws in &mut feed {
                drop(ws.recv());
            }
        });
        thread::sleep(Duration::from_secs(3));
        control.stop();
        visiting.join().unwrap();
        let accepted = accepted.load(Ordering::SeqCst);
        assert!((1..10).contains(&accepted), "{accepted} attempts in 3 s, {close:?}");
    };
    // The four are busy in the same three seconds.
    thread::scope(|scope| {
        for close in [Some(1000), Some(1001), Some(1012), None] {
            scope.spawn(move || visits(close));
        }
    });
}

#[test]
fn a_server_that_comes_back_finds_its_clients_again() {
    let place = nowhere();
    let mut feed = Client::new(format!("ws://{place}")).reconnecting().backoff(quick());
    let mut control = feed.control();
    let client = thread::spawn(move || {
        let mut ws = feed.next().unwrap();
        ws.send("hello").unwrap();
        ws.recv().unwrap().unwrap()
    });
    // Nobody is there at first.
    loop {
        if let State::Waiting { because: Because::Failed(error), .. } = control.changed().unwrap() {
            assert!(matches!(*error, ConnectError::Connect { .. }), "{error}");
            break;
        }
    }
    let listener = TcpListener::bind(place).unwrap();
    thread::spawn(move || drop(echo(accept(listener.accept().unwrap().0).unwrap())));
    assert_eq!(client.join().unwrap().as_text(), Some("hello"));
}

#[test]
fn states_are_told_in_order_each_with_its_reason() {
    let diary = Diary::default();
    let place = serving(|number, stream| match number {
        1 => answer(stream, ""),
        2 => answer(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        3 => drop(accepted(stream).close(CloseCode::GOING_AWAY, "")),
        _ => answer(stream, "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"),
    });
    let mut feed = feed(&place).on_state(diary.note());
    let mut ws = feed.next().unwrap();
    assert!(ws.recv().unwrap().is_none());
    assert!(feed.next().is_none());
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
    assert!(feed.next().is_none());
    assert_eq!(diary.words().len(), expected.len());
}

#[test]
fn a_server_that_says_when_is_visited_then() {
    let mut backoff = quick();
    backoff.max_retry_after = Duration::from_millis(300);
    let place = serving(|number, stream| match number {
        1 => answer(stream, "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
        _ => drop(accepted(stream).ended()),
    });
    let mut feed = feed(&place).backoff(backoff);
    let begun = Instant::now();
    feed.next().unwrap();
    let waited = begun.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(7)).contains(&waited), "{waited:?}");
}

#[test]
fn attempts_are_counted_anew_only_after_a_healthy_connection() {
    let mut backoff = quick();
    backoff.healthy_after = Duration::from_millis(300);
    let diary = Diary::default();
    let place = serving(|number, stream| {
        let ws = accepted(stream);
        if number == 4 {
            thread::sleep(Duration::from_millis(400));
        }
        drop(ws.close(CloseCode::GOING_AWAY, ""));
    });
    let mut feed = feed(&place).backoff(backoff).on_state(diary.note());
    for _ in 1..=5 {
        assert!(feed.next().unwrap().recv().unwrap().is_none());
    }
    let attempts: Vec<_> =
        diary.words().into_iter().filter(|word| word.starts_with("connecting")).collect();
    let expected = ["connecting 1", "connecting 2", "connecting 3", "connecting 4", "connecting 1"];
    assert_eq!(attempts, expected);
}

#[test]
fn a_stop_ends_a_pause_an_attempt_and_a_wait_for_the_end_at_once() {
    let hour = Duration::from_hours(1);
    let mut patient = Backoff::default();
    (patient.delay_min, patient.delay_first, patient.delay_max) = (hour, hour, hour);
    let silent = Place::silent();
    let open = serving(|_, stream| drop(echo(accepted(stream))));
    let address = silent.address();
    let feeds = [
        Client::new(format!("ws://{}", nowhere())).reconnecting().backoff(patient),
        Client::new(silent.url()).reconnecting(),
        Reconnect::new(move |_, cancel| {
            let stream = TcpStream::connect(address).unwrap();
            Client::new("ws://here/").cancelled_by(cancel).connect_over(stream)
        }),
        Client::new(open.url()).reconnecting(),
    ];
    for (number, mut feed) in feeds.into_iter().enumerate() {
        let control = feed.control();
        let held = (number == 3).then(|| feed.next().unwrap());
        let waiting = thread::spawn(move || {
            assert!(feed.next().is_none());
            assert!(matches!(feed.stopped(), Some(Stopped::Asked)));
        });
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        control.stop();
        waiting.join().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{number}: {:?}", begun.elapsed());
        assert!(matches!(control.state(), State::Stopped(Stopped::Asked)));
        if let Some(mut ws) = held {
            ws.send("still here").unwrap();
            assert!(ws.recv().unwrap().is_some());
        }
    }
}

#[test]
fn a_stop_leaves_a_connection_alone_and_a_close_says_goodbye_to_it() {
    let place = serving(|_, stream| drop(echo(accepted(stream))));
    let mut feed = feed(&place);
    let (mut ws, control) = (feed.next().unwrap(), feed.control());
    control.stop();
    assert!(feed.next().is_none());
    ws.send("still here").unwrap();
    assert!(ws.recv().unwrap().is_some());
    control.close(CloseCode::GOING_AWAY, "enough");
    assert!(ws.recv().unwrap().is_none());
    assert_eq!(ws.ended().to_string(), r#"closed by us: 1001 (going away) "enough""#);
}

#[test]
fn a_control_waits_for_changes_and_for_the_end() {
    let place = serving(|_, stream| drop(accepted(stream).ended()));
    let mut feed = feed(&place);
    let mut control = feed.control();
    assert!(matches!(control.state(), State::New));
    let ws = feed.next().unwrap();
    // What is over is passed over.
    assert!(matches!(control.changed(), Some(State::Connected)));
    let watching = thread::spawn(move || control.changed().is_none());
    drop((feed, ws));
    assert!(watching.join().unwrap());
}

#[test]
fn it_is_learned_how_a_connection_ended_wherever_its_handles_are() {
    let diary = Diary::default();
    let place = serving(|number, stream| {
        let mut ws = accepted(stream);
        match number {
            // The first ends by itself, the second when it is left.
            1 => drop(ws.close(CloseCode::SERVICE_RESTART, "soon")),
            _ => while let Ok(Some(_)) = ws.recv() {},
        }
    });
    let mut backoff = quick();
    backoff.delay_restart = backoff.delay_min..=backoff.delay_max;
    let mut feed = feed(&place).backoff(backoff).on_state(diary.note());
    let (sender, mut receiver) = feed.next().unwrap().split();
    let (keep, kept) = mpsc::channel::<()>();
    thread::spawn(move || {
        let _ = kept.recv();
        drop(sender);
    });
    thread::spawn(move || receiver.recv());
    drop(feed.next().unwrap());
    feed.next().unwrap();
    let words = diary.words();
    assert_eq!(words[2], r#"waiting: closed by the peer: 1012 (service restart) "soon""#);
    let dropped = "waiting: closed when the last handle was dropped: we said 1001 (going away), \
        the peer 1001 (going away)";
    assert_eq!(words[5], dropped);
    drop(keep);
}

#[test]
fn attempts_and_time_have_limits_and_the_last_word_names_them() {
    let place = serving(|_, stream| answer(stream, ""));
    let mut backoff = quick();
    backoff.max_attempts = Some(4);
    let diary = Diary::default();
    let mut limited = feed(&place).backoff(backoff).on_state(diary.note());
    assert!(limited.next().is_none());
    let attempts_made = diary.words().iter().filter(|word| word.starts_with("connecting")).count();
    assert_eq!(attempts_made, 4);
    assert_eq!(
        limited.stopped().unwrap().to_string(),
        "reconnecting was given up, no healthy connection in 4 attempts (max_attempts): \
         stream ended inside the server's answer (0 bytes had come)"
    );

    let mut backoff = quick();
    let limit = Duration::from_millis(200);
    backoff.max_elapsed = Some(limit);
    let begun = Instant::now();
    let mut limited = feed(&place).backoff(backoff);
    assert!(limited.next().is_none());
    assert!((limit / 2..LIMIT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let limit = Limit::Elapsed(limit);
    assert!(matches!(limited.stopped(), Some(Stopped::GaveUp { limit: l, .. }) if *l == limit));
}

#[test]
fn what_cannot_get_better_is_tried_once() {
    let once = |mut feed: Reconnect, what: &str| {
        assert!(feed.next().is_none(), "{what}");
        let Some(Stopped::GaveUp { limit: Limit::Fatal, .. }) = feed.stopped() else {
            panic!("{what}: {:?}", feed.stopped());
        };
    };
    once(connect_forever("http://example.com"), "a bad URL");
    // A certificate that is not trusted, and a name that it is not for.
    let (theirs, ours) = certificates();
    let (_, others) = certificates();
    let port = echo_server(Server::new().tls(theirs)).port();
    let untrusted = Client::new(format!("wss://localhost:{port}")).tls(others);
    once(untrusted.reconnecting(), "an untrusted certificate");
    let misnamed = Client::new(format!("wss://127.0.0.1:{port}")).tls(ours.clone());
    once(misnamed.reconnecting(), "a certificate for another name");

    // No TLS at all where TLS is expected.
    let plain = echo_server(Server::new());
    let reserved = Client::new(format!("ws://{plain}"))
        .header(http::header::UPGRADE, http::HeaderValue::from_static("x"));
    once(reserved.reconnecting(), "a header that is the handshake's own");
    let mistaken = Client::new(format!("wss://localhost:{}", plain.port())).tls(ours);
    once(mistaken.reconnecting(), "a server without TLS");
}

#[test]
fn tls_that_breaks_off_is_tried_again() {
    let (_, tls) = certificates();
    let place = serving(|_, mut stream| drop(stream.read(&mut [0])));
    let client = Client::new(format!("wss://localhost:{}/", place.address().port())).tls(tls);
    let diary = Diary::default();
    let mut backoff = quick();
    backoff.max_attempts = Some(2);
    let mut feed = client.reconnecting().backoff(backoff).on_state(diary.note());
    assert!(feed.next().is_none());
    let words = diary.words();
    assert!(words[1].starts_with("waiting: TLS with \"localhost\" failed"), "{words:?}");
}

#[test]
fn the_caller_knows_better_if_it_says_so() {
    let place = serving(|number, stream| {
        let code = if number == 1 { 4000 } else { 1001 };
        drop(accepted(stream).close(code.try_into().unwrap(), ""));
    });
    let asked = Duration::from_millis(200);
    let mut feed = feed(&place).classify(move |because| match because {
        Because::Ended(ending) if ending.code() == 4000 => Verdict::RetryAfter(asked),
        Because::Ended(ending) if ending.code() == 1001 => Verdict::Fatal,
        because => because.verdict(),
    });
    drop(feed.next().unwrap().ended());
    let begun = Instant::now();
    drop(feed.next().unwrap().ended());
    assert!(begun.elapsed() >= asked / 2, "{:?}", begun.elapsed());
    assert!(feed.next().is_none());
}

/// So that the sizes of messages are what they seem.
fn uncompressed() -> Config {
    let mut config = Config::default();
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

/// Attempts over sockets whose kernel takes little; `serve` has the other end of each, and its number over
/// all, from 1.
fn attempts(config: Config, serve: impl Fn(u32, UnixStream) + Send + Sync + 'static) -> Reconnect {
    let (client, serve) = (Client::new("ws://here/").config(config), Arc::new(serve));
    let mut number = 0;
    let feed = Reconnect::new(move |_, cancel| {
        let (near, far) = UnixStream::pair().unwrap();
        SockRef::from(&near).set_send_buffer_size(1).unwrap();
        number += 1;
        let (serve, number) = (Arc::clone(&serve), number);
        thread::spawn(move || serve(number, far));
        client.clone().cancelled_by(cancel).connect_over(near)
    });
    feed.backoff(quick())
}

/// Passes on what comes in both ways; of what comes from `near`, so many bytes: then all is gone, with
/// what was under way.
fn relay(near: UnixStream, far: UnixStream, limit: Option<usize>) {
    let (mut from_far, mut to_near) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let back = thread::spawn(move || {
        drop(std::io::copy(&mut from_far, &mut to_near));
        drop(to_near.shutdown(Shutdown::Both));
    });
    let mut coming = (&near).take(limit.map_or(u64::MAX, |limit| limit as u64));
    drop(std::io::copy(&mut coming, &mut &far));
    drop(far.shutdown(if limit.is_none() { Shutdown::Write } else { Shutdown::Both }));
    back.join().unwrap();
}

/// Sends `count` messages over connections that break behind the given numbers of bytes, and then one that
/// does not; returns what came over each, and how many messages each that broke had handed over without
/// a confirmation.
fn send_all(resend: Resend, count: usize, breaks: Vec<usize>) -> (Vec<Vec<usize>>, Vec<u64>) {
    let (came, coming) = mpsc::channel();
    let mut config = uncompressed();
    if resend == Resend::Unconfirmed {
        config.unconfirmed = Unconfirmed::Kept;
    }
    let connections = breaks.len() + 1;
    let mut feed = attempts(config, move |attempt, near| {
        let (came, limit) = (came.clone(), breaks.get(attempt as usize - 1).copied());
        let (passed, far) = UnixStream::pair().unwrap();
        let relaying = thread::spawn(move || relay(near, passed, limit));
        if let Ok(mut ws) = accept(far) {
            while let Ok(Some(message)) = ws.recv() {
                came.send((attempt, number_of(&message))).unwrap();
            }
        }
        relaying.join().unwrap();
    })
    .resend(resend)
    .classify(|_| Verdict::Retry);
    let (mut next, mut unconfirmed) = (0, Vec::new());
    for ws in &mut feed {
        while next < count && ws.send(message(next)).is_ok() {
            next += 1;
        }
        let ending = ws.close(CloseCode::NORMAL, "");
        if ending.is_clean() {
            break;
        }
        unconfirmed.push(ending.ledger.handed_over.messages);
    }
    drop(feed);
    let mut all = vec![Vec::new(); connections];
    for (attempt, number) in coming {
        all[attempt as usize - 1].push(number);
    }
    (all, unconfirmed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_again_keeps_its_order_and_comes_twice_only_if_asked(
        count in 1usize..400,
        breaks in prop::collection::vec(200usize..9000, 0..4),
    ) {
        let (came, handed_over) = send_all(Resend::Unsent, count, breaks.clone());
        let all = came.concat();
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "twice, or out of order: {came:?}");
        // What is missing was handed over, and what the last connection took arrived.
        let lost = (count - all.len()) as u64;
        prop_assert!(lost <= handed_over.iter().sum(), "{lost} lost of {handed_over:?}");

        let (came, handed_over) = send_all(Resend::Unconfirmed, count, breaks);
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

#[test]
fn what_a_ping_has_confirmed_is_not_sent_again() {
    for pings in [true, false] {
        let (came, coming) = mpsc::channel();
        let mut config = uncompressed();
        config.unconfirmed = Unconfirmed::Kept;
        let mut feed = attempts(config, move |number, stream| {
            let mut ws = accept(stream).unwrap();
            while let Ok(Some(message)) = ws.recv() {
                came.send((number, number_of(&message))).unwrap();
            }
        })
        .resend(Resend::Unconfirmed);
        let ws = feed.next().unwrap();
        for number in 0..3 {
            ws.send(message(number)).unwrap();
        }
        if pings {
            ws.ping(LIMIT).unwrap();
        }
        assert!(ws.close(CloseCode::NORMAL, "").is_clean());
        assert!(feed.next().unwrap().close(CloseCode::NORMAL, "").is_clean());
        drop(feed);
        let all: Vec<_> = coming.into_iter().collect();
        let again = if pings { vec![] } else { vec![(2, 0), (2, 1), (2, 2)] };
        assert_eq!(all, [vec![(1, 0), (1, 1), (1, 2)], again].concat());
    }
}

#[test]
fn a_client_that_sends_again_what_was_not_confirmed_keeps_it_by_itself() {
    let (came, coming) = mpsc::channel();
    let place = serving(move |_, stream| {
        let mut ws = accepted(stream);
        while let Ok(Some(message)) = ws.recv() {
            came.send(number_of(&message)).unwrap();
        }
    });
    let client = Client::new(place.url()).config(uncompressed());
    let mut feed = client.reconnecting().backoff(quick()).resend(Resend::Unconfirmed);
    let ws = feed.next().unwrap();
    ws.send(message(7)).unwrap();
    assert_eq!(coming.recv_timeout(LIMIT), Ok(7));
    ws.abort();
    let ws = feed.next().unwrap();
    assert_eq!(coming.recv_timeout(LIMIT), Ok(7));
    ws.send_confirmed(message(8)).unwrap();
    assert_eq!(coming.recv_timeout(LIMIT), Ok(8));
    ws.abort();
    assert!(feed.next().unwrap().close(CloseCode::NORMAL, "").is_clean());
    assert_eq!(coming.try_recv().ok(), None);
}

/// A hundred messages, of which a peer that does not fetch any takes about two thirds.
fn send_hundred(ws: &WebSocket, letter: &str) {
    for number in 0..100 {
        ws.send(format!("{number} {}", letter.repeat(1000))).unwrap();
    }
}

/// A connection that is reset when its application has fetched nothing for a while.
fn break_after_a_while(ws: WebSocket) {
    thread::sleep(Duration::from_millis(300));
    ws.abort();
}

#[track_caller]
fn assert_are_the_last(messages: &[Message]) {
    let numbers: Vec<_> = messages.iter().map(number_of).collect();
    let first = 100 - numbers.len();
    assert!((10..95).contains(&first), "{numbers:?}");
    assert_eq!(numbers, (first..100).collect::<Vec<_>>());
}

#[test]
fn without_resending_what_did_not_leave_is_the_callers() {
    let mut feed =
        attempts(uncompressed(), |_, stream| break_after_a_while(accept(stream).unwrap()));
    let ws = feed.next().unwrap();
    send_hundred(&ws, "x");
    assert_eq!(feed.unsent(), [], "it is not over");
    ws.ended();
    drop(ws);
    // In the body of the next connection; its own are not among them.
    let ws = feed.next().unwrap();
    assert_are_the_last(&feed.unsent());
    assert_eq!(feed.unsent(), []);
    // Or as soon as it is over.
    send_hundred(&ws, "x");
    ws.ended();
    assert_are_the_last(&feed.unsent());
    assert_eq!(ws.take_unsent(), [], "given out once");
    // Of two connections, if nobody asked in between: the older one's first.
    let ws = feed.next().unwrap();
    send_hundred(&ws, "o");
    let ws = feed.next().unwrap();
    send_hundred(&ws, "n");
    ws.ended();
    let both = feed.unsent();
    let is_older = |message: &Message| message.as_text().unwrap().ends_with('o');
    let (older, newer) = both.split_at(both.partition_point(is_older));
    assert_are_the_last(older);
    assert_are_the_last(newer);
}

#[test]
fn what_did_not_leave_goes_first_on_the_next_connection_or_is_taken() {
    // Whether the application takes what waits before the next connection is there.
    for takes in [true, false] {
        let (came, coming) = mpsc::channel();
        let mut feed = attempts(uncompressed(), move |number, stream| {
            let mut ws = accept(stream).unwrap();
            if number == 1 {
                return break_after_a_while(ws);
            }
            while let Ok(Some(message)) = ws.recv() {
                came.send(message).unwrap();
            }
        })
        .resend(Resend::Unsent);
        let ws = feed.next().unwrap();
        send_hundred(&ws, "x");
        ws.ended();
        if takes {
            assert_are_the_last(&feed.unsent());
        }
        let ws = feed.next().unwrap();
        ws.send("100").unwrap();
        assert!(ws.close(CloseCode::NORMAL, "").is_clean());
        drop(feed);
        let mut all: Vec<_> = coming.into_iter().collect();
        assert_eq!(all.pop().unwrap().as_text(), Some("100"));
        match takes {
            true => assert_eq!(all, []),
            false => assert_are_the_last(&all),
        }
    }
}
