//! What was counted, in an amount of memory that grows neither with messages nor with connections: a
//! few shards that connections share, each written to once for many messages.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use lastword::{ConnectError, Ending};

use super::schedule::{Schedule, nanos};
use crate::exit::Outcome;
use crate::print;

/// Latencies in nanoseconds: three digits of each, up to an hour.
pub(super) type Times = Histogram<u64>;

const DIGITS: u8 = 3;
const LONGEST: u64 = 3_600_000_000_000;

/// No times yet.
pub(super) fn no_times() -> Times {
    Histogram::new_with_bounds(1, LONGEST, DIGITS)
        .unwrap_or_else(|_| unreachable!("these bounds are possible"))
}

/// All that is counted of a load.
#[derive(Debug)]
pub(super) struct Books {
    shards: Vec<Mutex<Shard>>,
    connections: Mutex<Connections>,
}

/// What some of the connections carried.
#[derive(Debug)]
pub(super) struct Shard {
    /// From when a message was due, or sent, to its answer.
    pub(super) latency: Times,
    pub(super) counts: Counts,
    /// The first answer that was another than it should be.
    pub(super) difference: Option<String>,
}

impl Shard {
    fn new() -> Self {
        Self { latency: no_times(), counts: Counts::default(), difference: None }
    }
}

/// Numbers of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Sent, of those that count.
    pub(super) sent: u64,
    /// Due, and not sent in the time that there was.
    pub(super) not_sent: u64,
    /// Came in the time that was measured.
    pub(super) came: u64,
    /// Bytes of these.
    pub(super) bytes: u64,
    /// Answers to messages that count.
    pub(super) answered: u64,
    /// Answers that were not what was sent.
    pub(super) differ: u64,
    /// Came, and were no answers.
    pub(super) unasked: u64,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.not_sent += more.not_sent;
        self.came += more.came;
        self.bytes += more.bytes;
        self.answered += more.answered;
        self.differ += more.differ;
        self.unasked += more.unasked;
    }
}

/// How connections began and ended.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) opened: u64,
    pub(super) failed: u64,
    pub(super) opening: Times,
    /// Why connections could not be opened, and how many; at most [`MOST_KINDS`] kinds.
    pub(super) failures: BTreeMap<String, u64>,
    /// By kind of cause and close code.
    pub(super) endings: BTreeMap<(&'static str, u16), Endings>,
    pub(super) worst: Outcome,
}

impl Connections {
    fn new() -> Self {
        Self {
            opened: 0,
            failed: 0,
            opening: no_times(),
            failures: BTreeMap::new(),
            endings: BTreeMap::new(),
            worst: Outcome::Closed,
        }
    }
}

/// Endings of one kind and code.
#[derive(Clone, Debug)]
pub(super) struct Endings {
    pub(super) count: u64,
    /// Of these, before we closed.
    pub(super) early: u64,
    /// One of them, as a sentence.
    pub(super) example: String,
}

/// Errors beyond that many kinds are counted together.
const MOST_KINDS: usize = 16;

/// Who ended a connection, as far as the load knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before we closed.
    Early,
    /// After that.
    Due,
}

impl Books {
    pub(super) fn new(shards: usize) -> Self {
        let shards = std::iter::repeat_with(|| Mutex::new(Shard::new())).take(shards.max(1));
        Self { shards: shards.collect(), connections: Mutex::new(Connections::new()) }
    }

    /// A page for one connection.
    pub(super) fn page(&self, connection: usize) -> Page<'_> {
        let shard = &self.shards[connection % self.shards.len()];
        Page {
            shard,
            latencies: Vec::with_capacity(PAGE),
            counts: Counts::default(),
            difference: None,
            turned: None,
            last: None,
        }
    }

    pub(super) fn opened(&self, took: Duration) {
        let mut connections = lock(&self.connections);
        connections.opened += 1;
        connections.opening.saturating_record(nanos(took));
    }

    pub(super) fn failed(&self, error: &ConnectError) {
        let mut connections = lock(&self.connections);
        connections.failed += 1;
        let failures = &mut connections.failures;
        let mut why = print::chain(error);
        if failures.len() >= MOST_KINDS && !failures.contains_key(&why) {
            why = "other errors".to_owned();
        }
        *failures.entry(why).or_default() += 1;
    }

    pub(super) fn ended(&self, ending: &Ending, moment: Moment) {
        let mut connections = lock(&self.connections);
        let outcome = Outcome::from(ending);
        if outcome as u8 > connections.worst as u8 {
            connections.worst = outcome;
        }
        let key = (ending.cause.kind(), ending.code());
        let endings = connections.endings.entry(key).or_insert_with(|| Endings {
            count: 0,
            early: 0,
            example: print::escape(&ending.to_string()).into_owned(),
        });
        endings.count += 1;
        endings.early += u64::from(moment == Moment::Early);
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        self.shards.iter().fold(Counts::default(), |mut counts, shard| {
            counts.add(lock(shard).counts);
            counts
        })
    }

    /// All of it, when it is over.
    pub(super) fn close(&self) -> (Shard, Connections) {
        let mut all = Shard::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            // All have the same bounds.
            let _ = all.latency.add(&shard.latency);
            all.counts.add(shard.counts);
            all.difference = all.difference.or(shard.difference.take());
        }
        (all, std::mem::replace(&mut *lock(&self.connections), Connections::new()))
    }
}

/// What one connection counted since it last wrote into its shard.
#[derive(Debug)]
pub(super) struct Page<'a> {
    shard: &'a Mutex<Shard>,
    latencies: Vec<u64>,
    pub(super) counts: Counts,
    pub(super) difference: Option<String>,
    turned: Option<Instant>,
    last: Option<Instant>,
}

/// How many messages a page holds.
const PAGE: usize = 64;
/// How old it may become.
const PAGE_AGE: Duration = Duration::from_millis(50);

impl Page<'_> {
    /// An answer to a message that counts.
    pub(super) fn answered(&mut self, latency: Duration, now: Instant) {
        self.latencies.push(nanos(latency));
        self.counts.answered += 1;
        self.last = Some(now);
    }

    /// Something came that counts, and is no answer.
    pub(super) const fn came(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Writes into the shard, if there is enough or it is time.
    pub(super) fn turn(&mut self, schedule: &Schedule, now: Instant) {
        let old = self.turned.is_none_or(|turned| now.saturating_duration_since(turned) > PAGE_AGE);
        if old || self.latencies.len() >= PAGE {
            self.turned = Some(now);
            self.write(schedule);
        }
    }

    /// Writes into the shard.
    pub(super) fn write(&mut self, schedule: &Schedule) {
        if let Some(last) = self.last.take() {
            schedule.came(last);
        }
        let mut shard = lock(self.shard);
        for latency in self.latencies.drain(..) {
            shard.latency.saturating_record(latency);
        }
        shard.counts.add(std::mem::take(&mut self.counts));
        if shard.difference.is_none() {
            shard.difference = self.difference.take();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
