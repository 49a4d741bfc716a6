//! One message to many: in one order for all, and those who do not read cost the others nothing.

mod support;

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{
    Cause, CloseCode, Config, Farewell, Message, Reach, Subscription, Topic, TopicConfig,
    WebSocket, WhenFull, broadcast,
};
use support::{Over, frame, pair, raw_pair};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A moment that is let pass.
const MOMENT: Duration = Duration::from_millis(50);

/// Without keepalive, compression and a limit for those who do not read.
fn patient() -> Config {
    let mut config = Config::default();
    (config.ping_interval, config.write_timeout, config.deflate) = (None, None, None);
    config
}

fn topic(when_full: WhenFull, queue_messages: usize) -> Topic {
    let mut config = TopicConfig::default();
    (config.when_full, config.queue_messages) = (when_full, queue_messages);
    config.queue_bytes = usize::MAX;
    Topic::with(config)
}

/// Large enough that few of them fill the buffers of the kernel.
fn numbered(number: u32) -> Message {
    let mut bytes = vec![0; 100_000];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Message::binary(bytes)
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// Somebody who has subscribed and does not read.
fn deaf(topic: &Topic) -> (WebSocket, TcpStream, Subscription) {
    let (ws, raw) = raw_pair(|server| server.config(patient()));
    let subscription = topic.subscribe(&ws.sender());
    (ws, raw, subscription)
}

/// Publishes until so many wait for somebody; how many were published.
fn fill(topic: &Topic, queue: u64) -> u32 {
    let mut count = 0;
    while topic.counters().waiting < queue {
        topic.try_publish(numbered(count));
        count += 1;
        assert!(count < 1000, "the kernel takes it all");
    }
    count
}

fn assert_sums(topic: &Topic) {
    let counters = topic.counters();
    assert_eq!(counters.waiting, 0, "{counters:?}");
}

#[test]
fn everybody_gets_everything_in_the_same_order() {
    let topic = Topic::new();
    let guests: Vec<_> =
        [Over::Tcp, Over::Tls, Over::Tcp].map(|over| pair(over, Config::default())).into();
    let subscriptions: Vec<_> =
        guests.iter().map(|(_, server)| topic.subscribe(&server.sender())).collect();
    assert_eq!(topic.receivers(), 3);
    let publishing: Vec<_> = (0..4)
        .map(|publisher| {
            let topic = topic.clone();
            thread::spawn(move || {
                for number in 0..50 {
                    let reach = topic.publish(format!("{publisher} {number}"));
                    assert_eq!(reach.receivers(), 3);
                }
            })
        })
        .collect();
    let mut servers = Vec::new();
    let receiving: Vec<_> = guests
        .into_iter()
        .map(|(mut client, server)| {
            servers.push(server);
            thread::spawn(move || {
                let next = || client.recv().unwrap().unwrap().as_text().unwrap().to_owned();
                std::iter::repeat_with(next).take(200).collect::<Vec<_>>()
            })
        })
        .collect();
    publishing.into_iter().for_each(|thread| thread.join().unwrap());
    let received: Vec<_> = receiving.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(received.windows(2).all(|two| two[0] == two[1]));
    for publisher in 0..4 {
        let mine = received[0].iter().filter(|said| said.starts_with(&format!("{publisher} ")));
        assert!(
            mine.eq((0..50)
                .map(|number| format!("{publisher} {number}"))
                .collect::<Vec<_>>()
                .iter())
        );
    }
    let counters = topic.counters();
    assert_eq!((counters.published, counters.accepted, counters.gone), (200, 600, 0));
    drop(subscriptions);
    assert_eq!(topic.receivers(), 0);
}

/// What comes to somebody who reads at last, up to the last one that was published.
fn read_all(raw: &mut TcpStream, last: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let (first, payload) = frame(raw);
        assert_eq!(first, 0x82);
        numbers.push(number(&payload));
    }
    numbers
}

#[test]
fn who_does_not_read_loses_the_oldest_and_nobody_else_loses_anything() {
    for (when_full, queue) in [(WhenFull::DropOldest, 5), (WhenFull::KeepLatest, 1)] {
        let topic = topic(when_full, 5);
        let (mut quick, server) = pair(Over::Tcp, patient());
        let _quick = topic.subscribe(&server.sender());
        let reading = thread::spawn(move || {
            let mut numbers: Vec<u32> = Vec::new();
            while let Some(message) = quick.recv().unwrap() {
                numbers.push(number(message.payload()));
            }
            numbers
        });
        let (_ws, mut raw, subscription) = deaf(&topic);
        let filled = fill(&topic, queue);
        for number in filled..filled + 20 {
            assert_eq!(topic.publish(numbered(number)).receivers(), 2);
            // As quick as it is, it has to have the time to be.
            server.flush(LIMIT).unwrap();
        }
        let last = filled + 19;
        let numbers = read_all(&mut raw, last);
        let kept: Vec<u32> = (last + 1 - queue as u32..=last).collect();
        assert!(numbers.ends_with(&kept), "{numbers:?}");
        assert!(numbers.is_sorted());
        let missed = u64::from(last + 1) - numbers.len() as u64;
        assert!(missed >= 20 - queue, "{missed}");
        assert_eq!(subscription.missed(), missed);
        assert!(subscription.is_active());
        server.close(CloseCode::NORMAL, "");
        let all = reading.join().unwrap();
        let expected = topic.counters().published as usize;
        assert_eq!(all.len() + _quick.missed() as usize, expected);
        assert_sums(&topic);
    }
}

#[test]
fn who_is_too_slow_is_told_so_and_the_others_go_on() {
    let topic = topic(WhenFull::Disconnect, 5);
    let (mut ws, mut raw, subscription) = deaf(&topic);
    let filled = fill(&topic, 5);
    let (mut quick, server) = pair(Over::Tcp, patient());
    let _quick = topic.subscribe(&server.sender());
    let reach = topic.publish(numbered(filled));
    assert_eq!((reach.disconnected, reach.accepted), (1, 1));
    assert!(!subscription.is_active());
    assert_eq!(number(quick.recv().unwrap().unwrap().payload()), filled);
    // What was its own already still comes, and then the word.
    let told = loop {
        let (first, payload) = frame(&mut raw);
        if first == 0x88 {
            break u16::from_be_bytes(payload[..2].try_into().unwrap());
        }
    };
    assert_eq!(told, 1013);
    drop(raw);
    while let Ok(Some(_)) = ws.recv() {}
    let sent = &ws.ended().sent;
    assert!(
        matches!(sent, Farewell::Said(frame) if frame.code() == CloseCode::TRY_AGAIN_LATER),
        "{sent:?}"
    );
    assert_eq!(topic.counters().disconnected, 1);
    assert_sums(&topic);
}

#[test]
fn with_wait_nothing_is_lost_and_the_publisher_goes_as_slowly_as_the_slowest() {
    let topic = topic(WhenFull::Wait { limit: LIMIT }, 3);
    let (_ws, mut raw, subscription) = deaf(&topic);
    let filled = fill(&topic, 3);
    let waiting = {
        let topic = topic.clone();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            for number in filled..filled + 50 {
                topic.publish(numbered(number));
            }
            done.send(()).unwrap();
        });
        is_done
    };
    assert!(waiting.recv_timeout(MOMENT).is_err(), "it waits");
    let numbers = read_all(&mut raw, filled + 49);
    waiting.recv_timeout(LIMIT).unwrap();
    assert_eq!(numbers, (0..filled + 50).collect::<Vec<_>>());
    assert_eq!(subscription.missed(), 0);
    assert_sums(&topic);
}

#[test]
fn a_receiver_that_never_reads_is_waited_for_once() {
    let topic = topic(WhenFull::Wait { limit: MOMENT }, 3);
    let (_ws, _raw, subscription) = deaf(&topic);
    let filled = fill(&topic, 3);
    let before = Instant::now();
    for number in 0..10 {
        let reach = topic.publish(numbered(filled + number));
        assert_eq!(reach.missed, 1);
    }
    let waited = before.elapsed();
    assert!(waited >= MOMENT && waited < MOMENT * 9, "{waited:?}");
    assert_eq!(subscription.missed(), 10);
}

#[test]
fn nobody_waits_for_one_that_unsubscribes_or_ends() {
    for ends in [false, true] {
        let topic = topic(WhenFull::Wait { limit: LIMIT }, 3);
        let (ws, _raw, subscription) = deaf(&topic);
        let filled = fill(&topic, 3);
        let (done, is_done) = mpsc::channel();
        let publishing = topic.clone();
        thread::spawn(move || done.send(publishing.publish(numbered(filled))).unwrap());
        assert!(is_done.recv_timeout(MOMENT).is_err(), "it waits");
        if ends {
            ws.abort();
        } else {
            drop(subscription);
        }
        let reach = is_done.recv_timeout(LIMIT).unwrap();
        assert_eq!(reach.accepted + reach.queued + reach.missed, 0, "{reach:?}");
        assert_eq!(topic.receivers(), 0);
        assert_sums(&topic);
    }
}

#[test]
fn broadcasting_to_a_list_tells_who_has_room_and_who_is_gone() {
    let topic = Topic::new();
    let (mut client, server) = pair(Over::Tcp, patient());
    let (deaf, _raw, _) = deaf(&topic);
    while deaf.try_send(vec![0; 100_000]).is_ok() {}
    let (_, gone) = pair(Over::Tcp, patient());
    let gone_sender = gone.sender();
    gone.abort();
    let mut senders = vec![server.sender(), deaf.sender(), gone_sender];
    let Reach { accepted, missed, gone, .. } = broadcast(&senders, "to all");
    assert_eq!((accepted, missed, gone), (1, 1, 1));
    assert_eq!(client.recv().unwrap(), Some("to all".into()));
    senders.retain(lastword_blocking::Sender::is_open);
    assert_eq!(senders.len(), 2);
}

#[test]
fn a_subscription_does_not_keep_a_connection_open() {
    let topic = Topic::new();
    let (mut client, server) = pair(Over::Tcp, patient());
    let subscription = topic.subscribe(&server.sender());
    let watch = server.watch();
    topic.publish("before");
    drop(server);
    assert_eq!(watch.ended().cause, Cause::Dropped);
    assert_eq!(client.recv().unwrap(), Some("before".into()));
    assert!(client.recv().unwrap().is_none());
    assert_eq!(topic.publish("after").gone, 1);
    assert!(!subscription.is_active());
}
