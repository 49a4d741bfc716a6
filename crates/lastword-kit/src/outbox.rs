//! What topics keep for a connection that is behind: messages for which its core has no room yet.
//!
//! Lives beside the core, under the same lock; whoever has written refills the core from here. Each
//! subscription has a backlog with limits of its own, and they are worked off in the order in which
//! the messages came. What a backlog held when it is dropped is accounted for, whatever dropped it.
//! Knows no sockets, and nothing of who else receives; how a publisher waits for room, its driver knows,
//! which is the [`Bell`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lastword_proto::{Compression, Connection, Prepared, SendRefused};

/// What a topic does for receivers that read more slowly than it publishes.
///
/// A receiver is behind when its socket takes no more and half of its
/// [`Config::send_buffer`](lastword_proto::Config::send_buffer) is in use (the other half stays free for what
/// is sent to it directly). From then on messages wait for it in a queue of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// What happens when the queue of a receiver is full; [`WhenFull::Disconnect`].
    pub when_full: WhenFull,
    /// How many messages may wait for a receiver that is behind; 1,024. At least one may.
    pub queue_messages: usize,
    /// How many bytes of messages may wait for a receiver that is behind; 1 MiB. One message may
    /// overshoot it. Receivers share the messages, so that many of them that are behind cost little
    /// more than the one that is furthest behind.
    pub queue_bytes: usize,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self { when_full: WhenFull::Disconnect, queue_messages: 1024, queue_bytes: 1 << 20 }
    }
}

/// What is done about a receiver whose queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is disconnected with 1013 (try again later): whoever stays connected misses nothing.
    Disconnect,
    /// `Topic::publish` waits for room, for so long at most: nothing is
    /// lost, as long as everybody reads. Who has let that time pass misses messages, and is not
    /// waited for again until it has room.
    Wait {
        /// The longest that a message waits before it is published without the slow ones.
        limit: Duration,
    },
    /// The oldest messages in its queue make room for new ones.
    DropOldest,
    /// Only the newest message waits, in place of the one before: for values of which the last one
    /// counts. The queue is full when it holds one.
    KeepLatest,
}

/// What publishers wait at while a receiver is full.
pub trait Bell: Default {
    /// There is room: all who wait look again.
    fn ring(&self);
}

/// What all subscriptions of a topic have in common, and what it hears from their connections.
#[derive(Debug, Default)]
pub struct Board<B> {
    config: TopicConfig,
    /// How many receivers a publisher has to wait for.
    full: AtomicUsize,
    /// Rung when there are none any more.
    bell: B,
    /// Messages that left a queue: for their connection, or for nowhere.
    pub(crate) caught_up: AtomicU64,
    pub(crate) discarded: AtomicU64,
}

impl<B: Bell> Board<B> {
    /// For a topic with these settings.
    pub fn new(config: TopicConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// The settings of the topic.
    pub const fn config(&self) -> &TopicConfig {
        &self.config
    }

    /// Whether a publisher has to wait for a receiver. That grows only while the topic publishes.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire) > 0
    }

    /// What is rung when there is room.
    pub const fn bell(&self) -> &B {
        &self.bell
    }
}

/// One subscription, as its connection knows it.
#[derive(Debug)]
pub struct Listener<B> {
    pub(crate) board: Arc<Board<B>>,
    missed: AtomicU64,
    /// Where it stands among the receivers of its topic; only changed by the topic.
    pub(crate) place: AtomicUsize,
}

impl<B> Listener<B> {
    pub(crate) const fn new(board: Arc<Board<B>>, place: usize) -> Self {
        Self { board, missed: AtomicU64::new(0), place: AtomicUsize::new(place) }
    }

    /// Messages that it did not get, and will not.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// What became of a message that was offered to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a topic has to do something about each")]
pub enum Offered {
    /// The connection has it.
    Accepted,
    /// It waits, and so many older ones gave way to it.
    Queued {
        /// How many.
        displaced: usize,
    },
    /// There is no room for it.
    Missed,
    /// There is no room for it, and this is one time too many.
    TooSlow,
    /// The connection is closing or over.
    Gone,
}

/// The backlogs of a connection; `None` in a connection that is not behind.
pub type Slot<B> = Option<Box<Outbox<B>>>;

/// The messages that wait beside a connection, one backlog for each subscription.
#[derive(Debug)]
pub struct Outbox<B: Bell> {
    backlogs: Vec<Backlog<B>>,
    /// How many messages were ever put here.
    count: u64,
}

#[derive(Debug)]
struct Backlog<B: Bell> {
    listener: Arc<Listener<B>>,
    /// Each with its number among all that were put into the outbox.
    waiting: VecDeque<(u64, Prepared)>,
    bytes: usize,
    standing: Standing,
}

/// Whether publishers wait for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fine,
    /// They do: it is full.
    Full,
    /// They did, and will not until it has room.
    GivenUp,
}

impl<B: Bell> Default for Outbox<B> {
    fn default() -> Self {
        Self { backlogs: Vec::new(), count: 0 }
    }
}

impl<B: Bell> Outbox<B> {
    /// Offers a message to a connection that has written what it could.
    pub fn offer(
        slot: &mut Slot<B>,
        connection: &mut Connection,
        listener: &Arc<Listener<B>>,
        prepared: &Prepared,
    ) -> Offered {
        if !connection.is_open() {
            return Offered::Gone;
        }
        if slot.is_none() && connection.has_ample_room() {
            return match connection.send_prepared(prepared, Compression::Auto) {
                Ok(()) => Offered::Accepted,
                Err(SendRefused::Closing(_)) => Offered::Gone,
                Err(_) => slot.get_or_insert_default().put(listener, prepared),
            };
        }
        slot.get_or_insert_default().put(listener, prepared)
    }

    /// Hands the core what waits, in order, as long as it has room; whether that was anything.
    pub fn refill(slot: &mut Slot<B>, connection: &mut Connection) -> bool {
        let Some(outbox) = slot else { return false };
        let mut moved = false;
        while connection.has_ample_room()
            && let Some(backlog) = outbox.backlogs.iter_mut().min_by_key(|backlog| backlog.age())
            && let Some((_, prepared)) = backlog.waiting.front()
        {
            match connection.send_prepared(prepared, Compression::Auto) {
                Ok(()) => {
                    backlog.advance();
                    moved = true;
                }
                // Nothing that waits here will ever leave.
                Err(SendRefused::Closing(_)) => outbox.backlogs.clear(),
                Err(_) => return moved,
            }
            outbox.backlogs.retain(|backlog| !backlog.waiting.is_empty());
        }
        if outbox.backlogs.is_empty() || !connection.is_open() {
            *slot = None;
        }
        moved
    }

    /// Forgets what waits for a subscription.
    pub fn forget(slot: &mut Slot<B>, listener: &Arc<Listener<B>>) {
        let Some(outbox) = slot else { return };
        outbox.backlogs.retain(|backlog| !Arc::ptr_eq(&backlog.listener, listener));
        if outbox.backlogs.is_empty() {
            *slot = None;
        }
    }

    /// Publishers have waited for this subscription for long enough.
    pub fn give_up(slot: &mut Slot<B>, listener: &Arc<Listener<B>>) {
        let backlogs = slot.iter_mut().flat_map(|outbox| &mut outbox.backlogs);
        for backlog in backlogs.filter(|backlog| Arc::ptr_eq(&backlog.listener, listener)) {
            if backlog.standing == Standing::Full {
                backlog.stand(Standing::GivenUp);
            }
        }
    }

    fn put(&mut self, listener: &Arc<Listener<B>>, prepared: &Prepared) -> Offered {
        self.count = self.count.wrapping_add(1);
        let known = self.backlogs.iter().position(|b| Arc::ptr_eq(&b.listener, listener));
        let place = known.unwrap_or_else(|| {
            self.backlogs.push(Backlog::new(Arc::clone(listener)));
            self.backlogs.len() - 1
        });
        self.backlogs[place].put(self.count, prepared)
    }
}

impl<B: Bell> Backlog<B> {
    const fn new(listener: Arc<Listener<B>>) -> Self {
        Self { listener, waiting: VecDeque::new(), bytes: 0, standing: Standing::Fine }
    }

    fn put(&mut self, number: u64, prepared: &Prepared) -> Offered {
        let mut displaced = 0;
        match self.listener.board.config.when_full {
            _ if !self.is_full() => {}
            WhenFull::Disconnect => return self.turn_away(Offered::TooSlow),
            WhenFull::Wait { .. } => return self.turn_away(Offered::Missed),
            WhenFull::DropOldest | WhenFull::KeepLatest => {
                while self.is_full() && self.pop().is_some() {
                    displaced += 1;
                }
                self.discard(displaced);
            }
        }
        self.bytes = self.bytes.saturating_add(prepared.len());
        self.waiting.push_back((number, prepared.clone()));
        let waits = matches!(self.listener.board.config.when_full, WhenFull::Wait { .. });
        if waits && self.is_full() {
            self.stand(Standing::Full);
        }
        Offered::Queued { displaced }
    }

    fn turn_away(&self, why: Offered) -> Offered {
        self.listener.missed.fetch_add(1, Ordering::Relaxed);
        why
    }

    /// The oldest one has left for the connection.
    fn advance(&mut self) {
        self.pop();
        self.listener.board.caught_up.fetch_add(1, Ordering::Relaxed);
        if !self.is_full() {
            self.stand(Standing::Fine);
        }
    }

    fn pop(&mut self) -> Option<Prepared> {
        let (_, prepared) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(prepared.len());
        Some(prepared)
    }

    fn is_full(&self) -> bool {
        let config = &self.listener.board.config;
        let most = match config.when_full {
            WhenFull::KeepLatest => 1,
            _ => config.queue_messages,
        };
        !self.waiting.is_empty() && (self.waiting.len() >= most || self.bytes >= config.queue_bytes)
    }

    /// How long its oldest message has waited, as a number that grows with time.
    fn age(&self) -> u64 {
        self.waiting.front().map_or(u64::MAX, |(number, _)| *number)
    }

    fn discard(&self, messages: usize) {
        self.listener.board.discarded.fetch_add(messages as u64, Ordering::Relaxed);
        self.listener.missed.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Tells publishers when there is nobody left to wait for.
    fn stand(&mut self, standing: Standing) {
        let was = std::mem::replace(&mut self.standing, standing);
        let board = &self.listener.board;
        match (was == Standing::Full, standing == Standing::Full) {
            (false, true) => {
                board.full.fetch_add(1, Ordering::AcqRel);
            }
            (true, false) if board.full.fetch_sub(1, Ordering::AcqRel) == 1 => {
                board.bell.ring();
            }
            _ => {}
        }
    }
}

impl<B: Bell> Drop for Backlog<B> {
    fn drop(&mut self) {
        self.discard(self.waiting.len());
        self.stand(Standing::Fine);
    }
}
