//! Each kind of connection, message and end is counted under the names that the documentation has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lastword::{Client, CloseCode, Config, Server, WebSocket};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::io::duplex;

/// What was recorded, by name and labels.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

/// One line of it.
struct Line(Book, String);

impl Book {
    fn line(&self, key: &Key) -> Arc<Line> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            name += &format!(" {}={}", label.key(), label.value());
        }
        Arc::new(Line(self.clone(), name))
    }

    /// All that was recorded under this name.
    fn values(&self, name: &str) -> Vec<f64> {
        self.0.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

impl Line {
    fn add(&self, value: f64) {
        self.0.0.lock().unwrap().entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for Line {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, _: u64) {
        panic!("counters are only incremented");
    }
}

impl GaugeFn for Line {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, _: f64) {
        panic!("gauges only go up and down");
    }
}

impl HistogramFn for Line {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Book {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        let unit = unit.expect("has a unit").as_str();
        self.0.lock().unwrap().insert(format!("{} in {unit}", name.as_str()), Vec::new());
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe_counter(name, unit, text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe_counter(name, unit, text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.line(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.line(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.line(key))
    }
}

/// Two watched ends of a connection.
async fn pair(config: Config) -> (WebSocket, WebSocket) {
    let (near, far) = duplex(1 << 16);
    let client = Client::new("ws://in.memory/").config(config.clone()).connect_over(near);
    let (client, server) = tokio::join!(client, Server::new().config(config).accept(far));
    let (client, server) = (client.unwrap(), server.unwrap());
    lastword_metrics::watch(&client);
    lastword_metrics::watch(&server);
    (client, server)
}

/// Lets the watching tasks see an end.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_counted_while_a_connection_lives_and_once_only() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let (client, mut server) = pair(Config::default()).await;
    assert_eq!(book.sum("lastword_connections_open role=client"), 1.0);
    let sent = "lastword_messages_total role=client direction=sent";
    let received = "lastword_messages_total role=server direction=received";
    for round in 1..=3 {
        client.send("four").await.unwrap();
        assert_eq!(server.recv().await.unwrap().unwrap().as_text(), Some("four"));
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(book.values(sent), vec![1.0; round]);
        assert_eq!(book.values(received), vec![1.0; round]);
    }
    client.send("last").await.unwrap();
    client.close(CloseCode::NORMAL, "").await;
    server.ended().await;
    settle().await;
    assert_eq!((book.sum(sent), book.sum(received)), (4.0, 4.0));
    assert_eq!(book.sum("lastword_message_bytes_total role=client direction=sent"), 16.0);
    assert_eq!(book.sum("lastword_message_bytes_total role=server direction=received"), 16.0);
    for role in ["client", "server"] {
        let of = |name: &str, labels: &str| book.sum(&format!("{name} role={role}{labels}"));
        assert_eq!(of("lastword_connections_opened_total", ""), 1.0);
        assert_eq!(of("lastword_connections_open", ""), 0.0);
        assert_eq!(of("lastword_connections_ended_total", " cause=closed code=1000"), 1.0);
        let open = of("lastword_connection_seconds", "");
        assert!((18.0..19.0).contains(&open), "{open}");
    }
    assert!(book.names().iter().all(|name| !name.contains("unsent")), "{:?}", book.names());
}

#[tokio::test(start_paused = true)]
async fn each_ping_that_was_answered_is_timed_once() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let mut config = Config::default();
    config.ping_interval = None;
    let (client, _server) = pair(config).await;
    for pings in 1..=3 {
        client.ping().await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(book.values("lastword_ping_seconds role=client").len(), pings);
    }
    assert_eq!(book.values("lastword_ping_seconds role=server"), []);
}

#[tokio::test(start_paused = true)]
async fn a_loss_tells_what_never_left_and_codes_of_applications_are_one_label() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let mut config = Config::default();
    (config.send_buffer, config.deflate) = (1 << 20, None);
    let (client, server) = pair(config).await;
    // More than the stream takes, to a peer that does not read it all.
    for _ in 0..5 {
        client.try_send(vec![0; 100_000]).unwrap();
    }
    client.abort();
    drop(server);
    settle().await;
    let unsent = book.sum("lastword_messages_unsent_total role=client");
    assert!(unsent >= 1.0, "{unsent}");
    assert_eq!(
        book.sum("lastword_connections_ended_total role=client cause=aborted code=1006"),
        1.0
    );

    let (client, server) = pair(Config::default()).await;
    client.close(CloseCode::try_from(4321).unwrap(), "").await;
    server.ended().await;
    settle().await;
    let ended = "lastword_connections_ended_total role=server cause=closed code=other";
    assert_eq!(book.sum(ended), 1.0);
}

#[tokio::test]
async fn openings_are_timed_and_those_that_fail_are_counted_by_both_sides() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let server = Server::new()
        .subprotocols(lastword::Subprotocols::Required(vec!["x".into()]))
        .observe(|outcome| lastword_metrics::outcome(&outcome));
    let bound = server.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let url = format!("ws://{address}");
    let serving = tokio::spawn(bound.serve(async |ws| {
        lastword_metrics::watch(&ws);
        ws.ended().await;
        Ok(())
    }));
    lastword_metrics::connect(Client::new(&url)).await.unwrap_err();
    assert_eq!(book.sum("lastword_connections_refused_total role=client why=handshake"), 1.0);
    // The server sees to it first that its answer can be read.
    while book.sum("lastword_connections_refused_total role=server why=request") != 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(book.values("lastword_handshake_seconds role=client"), []);

    let ws = lastword_metrics::connect(Client::new(&url).subprotocol("x")).await.unwrap();
    assert_eq!(book.values("lastword_handshake_seconds role=client").len(), 1);
    ws.ping().await.unwrap();
    assert_eq!(book.sum("lastword_connections_opened_total role=server"), 1.0);
    lastword_metrics::connect(Client::new("no url")).await.unwrap_err();
    assert_eq!(book.sum("lastword_connections_refused_total role=client why=request"), 1.0);
    // A health check that only knocks.
    drop(tokio::net::TcpStream::connect(address).await.unwrap());
    while book.sum("lastword_connections_refused_total role=server why=eof") != 1.0 {
        tokio::task::yield_now().await;
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_watched_connection_is_closed_when_its_last_handle_goes() {
    let (client, server) = pair(Config::default()).await;
    drop(server);
    assert_eq!(client.ended().await.code(), 1001);
}

#[test]
fn every_name_has_a_unit_and_stands_in_the_documentation() {
    let book = Book::default();
    metrics::with_local_recorder(&book, lastword_metrics::describe);
    let documentation = include_str!("../src/lib.rs");
    assert_eq!(book.names().len(), 10);
    for name in book.names() {
        let (name, unit) = name.split_once(" in ").unwrap();
        let line = documentation.lines().find(|line| line.contains(&format!("| `{name}` |")));
        let line = line.unwrap_or_else(|| panic!("{name} is documented"));
        assert!(unit == "count" || line.contains(unit), "{unit}: {line}");
    }
}
