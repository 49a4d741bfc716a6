//! What connections of [`lastword`] do, as counters and histograms of the
//! [`metrics`](https://docs.rs/metrics) facade: for Prometheus, or whatever recorder an application has
//! installed.
//!
//! A connection that is [watched](watch) is counted when it opens, while it lives, and when it ends;
//! [`outcome`] counts those that a server refused, [`connect`] those that a client did not get.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! lastword_metrics::describe();
//! let server = lastword::Server::new().observe(|outcome| lastword_metrics::outcome(&outcome));
//! let bound = server.bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}", bound.local_addr()?);
//! tokio::spawn(bound.serve(async |mut ws| {
//!     lastword_metrics::watch(&ws);
//!     while let Some(message) = ws.recv().await? {
//!         ws.send(message).await?;
//!     }
//!     Ok(())
//! }));
//!
//! let ws = lastword_metrics::connect(lastword::Client::new(url)).await?;
//! ws.send("counted").await?;
//! # Ok::<_, lastword::HandlerError>(()) }).unwrap();
//! ```
//!
//! | Name | Kind | Unit | Labels | What |
//! |---|---|---|---|---|
//! | `lastword_connections_opened_total` | counter | | `role` | connections that were opened |
//! | `lastword_connections_open` | gauge | | `role` | connections that are open |
//! | `lastword_connections_ended_total` | counter | | `role`, `cause`, `code` | connections that ended; see below |
//! | `lastword_connections_refused_total` | counter | | `role`, `why` | openings that came to nothing; see below |
//! | `lastword_messages_total` | counter | | `role`, `direction` | messages: `received`, or `sent` (the operating system took the last byte) |
//! | `lastword_message_bytes_total` | counter | bytes | `role`, `direction` | their payloads, uncompressed |
//! | `lastword_messages_unsent_total` | counter | | `role` | messages that were accepted and had not left when the connection ended |
//! | `lastword_handshake_seconds` | histogram | seconds | `role` = `client` | from the start of connecting to an open connection |
//! | `lastword_connection_seconds` | histogram | seconds | `role` | how long a connection was open |
//! | `lastword_ping_seconds` | histogram | seconds | `role` | round trips of pings; of those between two looks, the last |
//!
//! `role` is ours: `server` or `client`. `cause` is `closed`, `lost`, `violation`, `timed_out`,
//! `aborted`, `dropped` or `shutdown`, as [`Cause::kind`](lastword::Cause::kind) says; `code` is that of [`Ending::code`], and
//! `other` for codes that applications define (3000 and above), of which a peer could send a thousand.
//! `why` is, of a server, what [`AcceptErrorKind::name`](lastword::AcceptErrorKind::name) says: the limit of
//! [`Limits`](lastword::Limits) that was reached, `shutting_down`, `request`, `origin`, `host`, `application`,
//! `eof`, `lost`, `tls` or `timed_out`; of a client, `request`, `proxy`, `resolve`, `connect`, `tls`,
//! `lost`, `handshake`, `timed_out` or `other`.
//! So no label has more than some twenty values, whatever peers do.
//!
//! Counts of a living connection are brought up to date every five seconds; those of one that ended, at
//! once.

use std::time::Duration;

use lastword::{Client, ConnectError, Ending, Ledger, Outcome, Role, Tally, Watch, WebSocket};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const OPENED: &str = "lastword_connections_opened_total";
const OPEN: &str = "lastword_connections_open";
const ENDED: &str = "lastword_connections_ended_total";
const REFUSED: &str = "lastword_connections_refused_total";
const MESSAGES: &str = "lastword_messages_total";
const BYTES: &str = "lastword_message_bytes_total";
const UNSENT: &str = "lastword_messages_unsent_total";
const HANDSHAKE: &str = "lastword_handshake_seconds";
const DURATION: &str = "lastword_connection_seconds";
const PING: &str = "lastword_ping_seconds";

/// How often a living connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Tells the recorder the units and meanings of all names. To be called once, when it is installed.
pub fn describe() {
    describe_counter!(OPENED, Unit::Count, "WebSocket connections that were opened");
    describe_gauge!(OPEN, Unit::Count, "WebSocket connections that are open");
    describe_counter!(ENDED, Unit::Count, "WebSocket connections that ended, by cause and code");
    describe_counter!(REFUSED, Unit::Count, "openings of WebSockets that came to nothing");
    describe_counter!(MESSAGES, Unit::Count, "WebSocket messages received and sent");
    describe_counter!(BYTES, Unit::Bytes, "payloads of WebSocket messages, uncompressed");
    describe_counter!(UNSENT, Unit::Count, "WebSocket messages that never left");
    describe_histogram!(HANDSHAKE, Unit::Seconds, "time from connecting to an open WebSocket");
    describe_histogram!(DURATION, Unit::Seconds, "how long WebSocket connections were open");
    describe_histogram!(PING, Unit::Seconds, "round-trip times of WebSocket pings");
}

/// Counts a connection from now on, in a task of its own, until it ends. Does not hold it open.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn watch(ws: &WebSocket) {
    let mut meter = Meter::new(ws.watch());
    tokio::spawn(async move {
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ending = loop {
            tokio::select! {
                ending = meter.watch.ended() => break ending,
                _ = looks.tick() => meter.look(),
            }
        };
        meter.conclude(&ending);
    });
}

/// Connects, counts how that went and how long it took, and [watches](watch) the connection.
///
/// # Errors
/// As [`Client::connect`].
///
/// # Cancel safety
/// As [`Client::connect`]: dropping the future closes the socket, and nothing is counted.
pub async fn connect(client: Client) -> Result<WebSocket, ConnectError> {
    let before = Instant::now();
    let result = client.connect().await;
    match &result {
        Ok(ws) => {
            histogram!(HANDSHAKE, "role" => "client").record(before.elapsed().as_secs_f64());
            watch(ws);
        }
        Err(error) => {
            let why = why_not_connected(error);
            counter!(REFUSED, "role" => "client", "why" => why).increment(1);
        }
    }
    result
}

/// Counts an opening that a server refused or lost: for [`Server::observe`](lastword::Server::observe).
/// Ends of connections are counted by whoever [watches](watch) them.
pub fn outcome(outcome: &Outcome) {
    if let Err(error) = &outcome.result {
        let why = error.kind().name();
        counter!(REFUSED, "role" => "server", "why" => why).increment(1);
    }
}

/// What was told of a connection.
struct Meter {
    watch: Watch,
    role: &'static str,
    told: Told,
}

#[derive(Default)]
struct Told {
    received: Tally,
    sent: Tally,
    pongs: u64,
}

impl Meter {
    fn new(watch: Watch) -> Self {
        let role = match watch.opening().role {
            Role::Server => "server",
            Role::Client => "client",
        };
        counter!(OPENED, "role" => role).increment(1);
        gauge!(OPEN, "role" => role).increment(1);
        Self { watch, role, told: Told::default() }
    }

    fn look(&mut self) {
        let ledger = self.watch.ledger();
        self.count(&ledger);
        let (pongs, latency) = (self.watch.pongs(), self.watch.latency());
        self.time(pongs, latency);
    }

    fn conclude(&mut self, ending: &Ending) {
        let role = self.role;
        self.count(&ending.ledger);
        self.time(self.watch.pongs(), ending.latency);
        gauge!(OPEN, "role" => role).decrement(1);
        let code = code(ending.code());
        counter!(ENDED, "role" => role, "cause" => ending.cause.kind(), "code" => code)
            .increment(1);
        let open = ending.ended_at.saturating_duration_since(ending.opened_at);
        histogram!(DURATION, "role" => role).record(open.as_secs_f64());
        let unsent = ending.ledger.unsent.messages;
        if unsent > 0 {
            counter!(UNSENT, "role" => role).increment(unsent);
        }
    }

    /// Tells what has come since it was told before.
    fn count(&mut self, ledger: &Ledger) {
        let received = ledger.delivered.plus(ledger.discarded);
        let sent = ledger.confirmed.plus(ledger.handed_over);
        let Told { received: received_before, sent: sent_before, .. } = &mut self.told;
        for (direction, now, before) in
            [("received", received, received_before), ("sent", sent, sent_before)]
        {
            if now != *before {
                let messages = now.messages.saturating_sub(before.messages);
                let bytes = now.bytes.saturating_sub(before.bytes);
                let role = self.role;
                counter!(MESSAGES, "role" => role, "direction" => direction).increment(messages);
                counter!(BYTES, "role" => role, "direction" => direction).increment(bytes);
                *before = now;
            }
        }
    }

    fn time(&mut self, pongs: u64, latency: Option<Duration>) {
        if let Some(latency) = latency
            && pongs != self.told.pongs
        {
            self.told.pongs = pongs;
            histogram!(PING, "role" => self.role).record(latency.as_secs_f64());
        }
    }
}

/// A code as a label: the registered ones, since there are few of them.
fn code(code: u16) -> String {
    if code < FIRST_OF_APPLICATIONS { code.to_string() } else { "other".into() }
}

/// Codes from here on are not those of the protocol (RFC 6455 section 7.4.2).
const FIRST_OF_APPLICATIONS: u16 = 3000;

const fn why_not_connected(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Url { .. } | ConnectError::Request(_) => "request",
        ConnectError::Resolve { .. } => "resolve",
        ConnectError::Connect { .. } => "connect",
        ConnectError::Tls { .. } => "tls",
        ConnectError::Lost(_) => "lost",
        ConnectError::Handshake(_) => "handshake",
        ConnectError::TimedOut { .. } => "timed_out",
        ConnectError::Proxy { .. }
        | ConnectError::ProxyLost { .. }
        | ConnectError::ProxyUnreachable { .. } => "proxy",
        _ => "other",
    }
}
