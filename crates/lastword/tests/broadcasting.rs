//! One message to many: who gets it, who does not, and what is said about it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use lastword::{
    Client, CloseCode, Config, Counters, Message, Reach, Server, Subscription, Topic, TopicConfig,
    WebSocket, WhenFull, broadcast,
};
use support::{Running, pipes, raw_client};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// A server's end that a topic publishes to, and a client's end in memory: what is not read stays in
/// a pipe of so many bytes.
async fn pair(pipe: usize, config: Config) -> (WebSocket, WebSocket) {
    let (client, server) = pipes::pair(pipe, config).await;
    (server, client)
}

/// A server's end whose peer has opened, and reads nothing until it is asked to.
async fn deaf(pipe: usize, config: Config) -> (WebSocket, DuplexStream) {
    pipes::beside_raw(pipe, config, "").await
}

/// Small buffers, and no deadline that would end a connection whose peer does not read.
fn patient() -> Config {
    let mut config = Config::default();
    (config.send_buffer, config.receive_buffer, config.deflate) = (4096, 2048, None);
    (config.write_timeout, config.ping_interval) = (None, None);
    config
}

fn topic(when_full: WhenFull, queue_messages: usize) -> Topic {
    let mut config = TopicConfig::default();
    (config.when_full, config.queue_messages) = (when_full, queue_messages);
    Topic::with(config)
}

const SIZE: usize = 1000;

/// A message with a number in it.
fn numbered(number: u32) -> Message {
    Message::text(format!("{number:0SIZE$}"))
}

fn number(message: &Message) -> u32 {
    message.as_text().unwrap().parse().unwrap()
}

/// Publishes until the queue of a receiver that does not read is full; how many messages that took.
async fn fill(topic: &Topic, queue: u64) -> u32 {
    let mut published = 0;
    while topic.counters().waiting < queue {
        let reach = topic.publish(numbered(published)).await;
        assert_eq!((reach.missed, reach.displaced, reach.gone, reach.disconnected), (0, 0, 0, 0));
        published += 1;
        // The turn ends, and what was published in it is written.
        tokio::task::yield_now().await;
    }
    published
}

/// All that comes until nothing more does.
async fn all_that_comes(ws: &mut WebSocket) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Ok(Ok(Some(message))) = timeout(Duration::from_secs(5), ws.recv()).await {
        numbers.push(number(&message));
    }
    numbers
}

/// Each pair of a message and a receiver is in one column of the counters.
#[track_caller]
fn assert_sums(topic: &Topic, reached: &[Reach]) {
    let Counters { published, accepted, waiting, discarded, missed, disconnected, gone, .. } =
        topic.counters();
    assert_eq!(published, reached.len() as u64);
    let pairs: usize = reached.iter().map(Reach::receivers).sum();
    assert_eq!(accepted + waiting + discarded + missed + disconnected + gone, pairs as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_gets_everything_in_the_same_order_whatever_was_agreed_on() {
    let topic = topic(WhenFull::Wait { limit: Duration::from_secs(60) }, 8);
    let shared = topic.clone();
    let server = Running::start(Server::new(), move |mut ws| {
        let topic = shared.clone();
        async move {
            let _subscription = topic.subscribe(&ws.sender());
            while let Some(message) = ws.recv().await? {
                topic.publish(message).await;
            }
            Ok(())
        }
    })
    .await;
    let mut clients = Vec::new();
    for bits in [None, Some(9), Some(12), Some(15)] {
        for takeover in
            [lastword::proto::ContextTakeover::Kept, lastword::proto::ContextTakeover::None]
        {
            let mut config = Config::default();
            config.deflate = bits.map(|bits| {
                let mut deflate = lastword::proto::DeflateConfig::default();
                (deflate.peer_window_bits, deflate.peer_takeover) = (bits, takeover);
                deflate
            });
            clients.push(Client::new(server.url()).config(config).connect().await.unwrap());
        }
    }
    while topic.receivers() < clients.len() {
        tokio::task::yield_now().await;
    }
    let (each, publishers) = (30, clients.len());
    let listening: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(who, client)| {
            tokio::spawn(async move {
                let (sender, mut receiver) = client.split();
                let talking = async {
                    for count in 0..each {
                        let size = [0, 10, 300, 700, 3000, 70_000][count % 6];
                        let text = format!("{who} {count} {}", "na ".repeat(size / 3));
                        sender.send(text).await.unwrap();
                    }
                };
                let hearing = async {
                    let mut heard = Vec::new();
                    while heard.len() < each * publishers {
                        heard.push(receiver.recv().await.unwrap().unwrap());
                    }
                    heard
                };
                tokio::join!(talking, hearing).1
            })
        })
        .collect();
    let mut heard = Vec::new();
    for task in listening {
        heard.push(task.await.unwrap());
    }
    assert!(heard.iter().all(|one| *one == heard[0]), "all in the same order");
    for who in 0..publishers {
        let mine: Vec<usize> = heard[0]
            .iter()
            .map(|message| message.as_text().unwrap().split(' ').map(str::to_owned).collect())
            .filter(|words: &Vec<String>| words[0] == who.to_string())
            .map(|words| words[1].parse().unwrap())
            .collect();
        assert_eq!(mine, (0..each).collect::<Vec<_>>(), "in the order of their publisher");
    }
    assert_eq!(topic.counters().missed + topic.counters().discarded, 0);
}

#[tokio::test]
async fn what_is_published_in_one_turn_leaves_in_one_write() {
    let topic = Topic::new();
    let shared = topic.clone();
    let server = Running::start(Server::new(), move |mut ws| {
        let topic = shared.clone();
        async move {
            let _subscription = topic.subscribe(&ws.sender());
            while ws.recv().await?.is_some() {}
            Ok(())
        }
    })
    .await;
    let mut raw = raw_client(server.address).await;
    while topic.receivers() == 0 {
        tokio::task::yield_now().await;
    }
    for text in ["one", "two", "three"] {
        assert_eq!(topic.publish(text).await.accepted, 1);
    }
    let mut buffer = [0; 1000];
    let count = raw.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"\x81\x03one\x81\x03two\x81\x05three", "in one piece");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_loses_the_oldest_and_nobody_else_loses_anything() {
    let topic = topic(WhenFull::DropOldest, 3);
    let (slow, mut late) = pair(2048, patient()).await;
    let (quick, mut prompt) = pair(2048, patient()).await;
    let [slow, quick] = [slow, quick].map(|ws| (topic.subscribe(&ws.sender()), ws));
    let mut reached = Vec::new();
    for count in 0..40 {
        reached.push(topic.publish(numbered(count)).await);
        assert_eq!(number(&prompt.recv().await.unwrap().unwrap()), count);
    }
    let last = reached[39];
    assert_eq!((last.accepted, last.queued, last.displaced), (1, 1, 1));
    let displaced: usize = reached.iter().map(|reach| reach.displaced).sum();
    assert_eq!((slow.0.missed(), quick.0.missed()), (displaced as u64, 0));
    assert_eq!(topic.counters().discarded, displaced as u64);
    assert_eq!(topic.counters().waiting, 3);
    let got = all_that_comes(&mut late).await;
    assert_eq!(got.len(), 40 - displaced);
    assert_eq!(got[got.len() - 3..], [37, 38, 39]);
    assert!(got.is_sorted());
    assert_sums(&topic, &reached);
    assert_eq!(topic.counters().waiting, 0);
    // It is as good as any other again.
    assert_eq!(topic.publish(numbered(40)).await.accepted, 2);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_finds_the_newest() {
    let topic = topic(WhenFull::KeepLatest, 1000);
    let (slow, mut late) = pair(2048, patient()).await;
    let subscription = topic.subscribe(&slow.sender());
    let mut reached = Vec::new();
    for count in 0..40 {
        reached.push(topic.publish(numbered(count)).await);
        tokio::task::yield_now().await;
        assert!(topic.counters().waiting <= 1);
    }
    let got = all_that_comes(&mut late).await;
    assert_eq!(got.last(), Some(&39));
    assert_eq!(subscription.missed(), 40 - got.len() as u64);
    assert_sums(&topic, &reached);
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_make_a_quick_receiver_look_slow() {
    for when_full in [WhenFull::KeepLatest, WhenFull::DropOldest, WhenFull::Disconnect] {
        let topic = topic(when_full, 1);
        // The pipe takes all of it: nobody is behind, though nothing is read in this turn.
        let (ws, mut client) = pair(1 << 20, patient()).await;
        let _subscription = topic.subscribe(&ws.sender());
        for count in 0..100 {
            let reach = topic.try_publish(numbered(count));
            assert_eq!((reach.accepted, reach.receivers()), (1, 1), "{when_full:?} {count}");
        }
        assert_eq!(all_that_comes(&mut client).await, (0..100).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn more_receivers_than_a_task_may_touch_in_one_turn_are_all_in_time() {
    let topic = topic(WhenFull::KeepLatest, 1);
    let mut all = Vec::new();
    for _ in 0..300 {
        let (server, client) = pair(1 << 14, patient()).await;
        all.push((topic.subscribe(&server.sender()), server, client));
    }
    for round in 0..8 {
        let reach = topic.publish(numbered(round)).await;
        assert_eq!((reach.accepted, reach.receivers()), (300, 300));
    }
    let senders: Vec<_> = all.iter().map(|(_, server, _)| server.sender()).collect();
    let reach = broadcast(&senders, numbered(8));
    assert_eq!((reach.accepted, reach.receivers()), (300, 300));
    for (_, _, client) in &mut all {
        for round in 0..9 {
            assert_eq!(number(&client.recv().await.unwrap().unwrap()), round);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_told_so_and_the_others_go_on() {
    let topic = topic(WhenFull::Disconnect, 4);
    let (slow, mut late) = pair(2048, patient()).await;
    let (quick, mut prompt) = pair(2048, patient()).await;
    let [slow, quick] = [slow, quick].map(|ws| (topic.subscribe(&ws.sender()), ws));
    let mut reached = Vec::new();
    while topic.receivers() == 2 {
        reached.push(topic.publish(numbered(reached.len() as u32)).await);
        assert!(prompt.recv().await.unwrap().is_some());
    }
    let last = *reached.last().unwrap();
    assert_eq!((last.accepted, last.disconnected, last.receivers()), (1, 1, 2));
    assert_eq!(slow.0.missed(), 5, "the four that waited, and the last straw");
    assert!(!slow.0.is_active() && quick.0.is_active());
    assert_sums(&topic, &reached);
    // What was accepted before comes, and then the word.
    let got = all_that_comes(&mut late).await;
    assert_eq!(got, (0..reached.len() as u32 - 5).collect::<Vec<_>>());
    let ending = slow.1.ended().await;
    assert_eq!((ending.code(), late.ended().await.code()), (1013, 1013));
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.ledger.unsent.messages, 0);
    assert_eq!(topic.publish(numbered(0)).await.receivers(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_wait_nothing_is_lost_and_the_publisher_goes_as_slowly_as_the_slowest() {
    let topic = topic(WhenFull::Wait { limit: Duration::from_secs(3600) }, 2);
    let mut receivers = Vec::new();
    for slowness in [0, 10, 100] {
        let (server, mut client) = pair(2048, patient()).await;
        let subscription = topic.subscribe(&server.sender());
        let reading = tokio::spawn(async move {
            let mut got = Vec::new();
            while got.len() < 200 {
                tokio::time::sleep(Duration::from_millis(slowness)).await;
                got.push(number(&client.recv().await.unwrap().unwrap()));
            }
            got
        });
        receivers.push((subscription, server, reading));
    }
    let publishing: Vec<_> = [0, 1]
        .map(|parity| {
            let topic = topic.clone();
            tokio::spawn(async move {
                let mut reached = Vec::new();
                for count in 0..100 {
                    reached.push(topic.publish(numbered(2 * count + parity)).await);
                }
                reached
            })
        })
        .into();
    let start = Instant::now();
    let mut reached = Vec::new();
    for task in publishing {
        reached.extend(task.await.unwrap());
    }
    assert!(start.elapsed() > Duration::from_secs(10), "it waited");
    let mut got = Vec::new();
    for (_, _, reading) in &mut receivers {
        got.push(reading.await.unwrap());
    }
    assert!(got.iter().all(|one| *one == got[0]), "all in the same order");
    for parity in [0, 1] {
        let mine = got[0].iter().copied().filter(|number| number % 2 == parity);
        assert!(mine.eq((0..100).map(|count| 2 * count + parity)));
    }
    assert!(reached.iter().all(|reach| reach.accepted + reach.queued == 3));
    assert_sums(&topic, &reached);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_reads_is_waited_for_once() {
    let limit = Duration::from_secs(7);
    let topic = topic(WhenFull::Wait { limit }, 2);
    let (server, mut peer) = deaf(2048, patient()).await;
    let subscription = topic.subscribe(&server.sender());
    let mut published = fill(&topic, 2).await;
    // Who will not wait finds it full, and has not used up anybody's patience.
    assert_eq!(topic.try_publish(numbered(0)).missed, 1);
    for waited in [limit, Duration::ZERO, Duration::ZERO] {
        let start = Instant::now();
        assert_eq!(topic.publish(numbered(0)).await.missed, 1);
        assert_eq!(start.elapsed(), waited);
    }
    assert_eq!(subscription.missed(), 4);
    // It reads some, and is waited for again.
    let mut buffer = vec![0; 50_000];
    let mut read = 0;
    while topic.counters().waiting > 0 {
        read += peer.read(&mut buffer).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read > 0);
    published += fill(&topic, 2).await;
    let start = Instant::now();
    assert_eq!(topic.publish(numbered(published)).await.missed, 1);
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_dropped_while_it_waits_is_published_to_nobody() {
    let topic = topic(WhenFull::Wait { limit: Duration::from_secs(3600) }, 2);
    let (server, mut late) = pair(2048, patient()).await;
    let (other, mut prompt) = pair(1 << 20, patient()).await;
    let _subscriptions = [&server, &other].map(|ws| topic.subscribe(&ws.sender()));
    let published = fill(&topic, 2).await;
    for _ in 0..3 {
        let dropped = timeout(Duration::from_secs(1), topic.publish(numbered(u32::MAX))).await;
        assert!(dropped.is_err());
    }
    assert_eq!(topic.counters().published, u64::from(published));
    // Who waited in its place goes on as soon as there is room.
    let (got, reach) = tokio::join!(all_that_comes(&mut late), topic.publish(numbered(published)));
    assert_eq!(reach.accepted + reach.queued, 2);
    let expected: Vec<u32> = (0..=published).collect();
    assert_eq!(got, expected);
    assert_eq!(all_that_comes(&mut prompt).await, expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_that_unsubscribes_or_ends() {
    for ends in [false, true] {
        let topic = topic(WhenFull::Wait { limit: Duration::from_secs(3600) }, 2);
        let (server, _peer) = deaf(2048, patient()).await;
        let mut subscription = Some(topic.subscribe(&server.sender()));
        fill(&topic, 2).await;
        let start = Instant::now();
        let leaving = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if ends {
                server.sender().abort();
            } else {
                subscription = None;
            }
        };
        let (reach, ()) = tokio::join!(topic.publish("after"), leaving);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!((reach.receivers(), reach.gone), (usize::from(ends), usize::from(ends)));
        assert_eq!((topic.receivers(), topic.counters().discarded), (0, 2));
        assert_eq!(topic.counters().waiting, 0);
        drop(subscription);
    }
}

#[tokio::test]
async fn a_receiver_that_resets_in_the_middle_is_let_go_of() {
    let topic = Topic::new();
    let (subscribed, mut news) = mpsc::unbounded_channel::<Arc<Subscription>>();
    let shared = topic.clone();
    let mut server = Running::start(Server::new(), move |mut ws| {
        let (topic, subscribed) = (shared.clone(), subscribed.clone());
        async move {
            let subscription = Arc::new(topic.subscribe(&ws.sender()));
            drop(subscribed.send(subscription));
            while ws.recv().await?.is_some() {}
            Ok(())
        }
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(lastword::connect(server.url()).await.unwrap());
    }
    let raw = raw_client(server.address).await;
    let mut kept = Vec::new();
    while kept.len() < 4 {
        kept.push(news.recv().await.unwrap());
    }
    assert_eq!(topic.publish("before").await.accepted, 4);
    raw.set_zero_linger().unwrap();
    drop(raw);
    assert!(!server.ending().await.is_clean());
    let reach = topic.publish("after").await;
    assert_eq!((reach.accepted, reach.gone), (3, 1));
    assert_eq!(topic.receivers(), 3);
    assert_eq!(kept.iter().filter(|subscription| subscription.is_active()).count(), 3);
    for client in &mut clients {
        assert_eq!(client.recv().await.unwrap().unwrap().as_text(), Some("before"));
        assert_eq!(client.recv().await.unwrap().unwrap().as_text(), Some("after"));
    }
    // Unsubscribing hits the right one, wherever it has been moved to.
    kept.remove(0);
    let reach = topic.publish("last").await;
    assert_eq!(reach.receivers(), topic.receivers());
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_receiver_that_never_reads_is_bounded_in_bytes() {
    let mut config = TopicConfig::default();
    (config.when_full, config.queue_bytes) = (WhenFull::DropOldest, 10_000);
    let topic = Topic::with(config);
    let (server, _peer) = deaf(2048, patient()).await;
    let _subscription = topic.subscribe(&server.sender());
    for count in 0..10_000 {
        topic.publish(numbered(count)).await;
        assert!(topic.counters().waiting * SIZE as u64 <= 10_000 + SIZE as u64);
        let unsent = server.ledger().unsent;
        assert!(unsent.bytes <= 2048 + 2 * SIZE as u64, "{unsent:?}");
        if count % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(topic.counters().discarded > 9900);
    // There is still room for what is sent to it directly.
    server.try_send("to you alone").unwrap();
}

#[tokio::test(start_paused = true)]
async fn topics_of_one_connection_keep_their_own_limits_and_their_order() {
    let (newest, all) = (topic(WhenFull::KeepLatest, 1), topic(WhenFull::DropOldest, 1000));
    let (server, mut late) = pair(2048, patient()).await;
    let _kept = [newest.subscribe(&server.sender()), all.subscribe(&server.sender())];
    for count in 0..60 {
        let topic = if count % 2 == 0 { &newest } else { &all };
        topic.publish(numbered(count)).await;
        tokio::task::yield_now().await;
    }
    let got = all_that_comes(&mut late).await;
    assert!(got.is_sorted());
    assert!(got.iter().copied().filter(|n| n % 2 == 1).eq((0..30).map(|n| 2 * n + 1)));
    assert!(got.contains(&58) && got.len() < 60);
}

#[tokio::test(start_paused = true)]
async fn broadcasting_to_a_list_tells_who_has_room_and_who_is_gone() {
    let (full, _peer) = deaf(2048, patient()).await;
    while full.try_send(numbered(0)).is_ok() {}
    let (over, _other) = pair(2048, patient()).await;
    over.sender().abort();
    let (fine, mut client) = pair(2048, patient()).await;
    let mut senders = vec![full.sender(), over.sender(), fine.sender()];
    let reach = broadcast(&senders, numbered(1));
    assert_eq!((reach.accepted, reach.missed, reach.gone, reach.receivers()), (1, 1, 1, 3));
    assert_eq!(number(&client.recv().await.unwrap().unwrap()), 1);
    senders.retain(lastword::Sender::is_open);
    assert_eq!(broadcast(&senders, numbered(2)).receivers(), 2);
    // What is held back on purpose is not written before its time.
    let batch = senders[1].batch();
    broadcast(&senders[1..], numbered(3));
    assert_eq!(fine.ledger().unsent.messages, 1);
    batch.flush().await.unwrap();
    assert_eq!(fine.ledger().unsent.messages, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_a_receiver_unsubscribes_is_written() {
    let topic = Topic::new();
    let (server, mut client) = pair(2048, patient()).await;
    let subscription = topic.subscribe(&server.sender());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(topic.publish("before").await.accepted, 1);
    drop(subscription);
    let heard = timeout(Duration::from_secs(1), client.recv()).await;
    assert_eq!(heard.unwrap().unwrap().unwrap().as_text(), Some("before"));
}

#[test]
fn receivers_of_another_runtime_get_what_is_published_in_one_that_shuts_down() {
    let new = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (here, there) = (new(), new());
    let topic = Topic::new();
    let (server, mut client) = here.block_on(pair(1 << 16, patient()));
    let _subscription = topic.subscribe(&server.sender());
    // The turn ends, and with it the runtime.
    there.block_on(async { assert_eq!(topic.try_publish("last word").accepted, 1) });
    drop(there);
    let heard = here.block_on(async { timeout(Duration::from_secs(5), client.recv()).await });
    assert_eq!(heard.unwrap().unwrap().unwrap().as_text(), Some("last word"));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_does_not_keep_a_connection_open() {
    let topic = Topic::new();
    let (server, mut client) = pair(2048, patient()).await;
    let _subscription = topic.subscribe(&server.sender());
    drop(server);
    assert!(client.recv().await.unwrap().is_none());
    assert_eq!(client.ended().await.code(), CloseCode::GOING_AWAY.get());
    assert_eq!(topic.publish("nobody").await.gone, 1);
}

#[test]
fn a_topic_outlives_its_runtime_and_needs_none_to_publish() {
    let topic = Topic::new();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (server, mut client) = runtime.block_on(pair(1 << 16, patient()));
        let subscription = topic.subscribe(&server.sender());
        // No runtime is entered here: it is written at once.
        assert_eq!(topic.try_publish("from outside").accepted, 1);
        let got = runtime.block_on(client.recv()).unwrap().unwrap();
        assert_eq!(got.as_text(), Some("from outside"));
        // What was to be written behind a turn that never ends is lost with the runtime, but the
        // next one writes again.
        runtime.block_on(async { topic.publish("unwritten").await });
        drop(subscription);
        drop(runtime);
    }
}
