//! One WebSocket connection, from the agreement to the ending (RFC 6455 sections 5 to 7).
//!
//! Joins the rooms and decides their order, nothing else: what a frame is, the decoder knows; what
//! a message is, the assembler; what waits to be written, the output; how it ends, `closing`.
//! Refuses to know sockets, clocks and tasks: bytes and instants are arguments, and what is to be
//! written is lent. No call fails or panics because of what a peer did.
//!
//! `incoming` leads bytes to messages, `outgoing` messages to bytes and `streaming` messages by parts,
//! `leaving` does what `closing` decides, and `heartbeats` has what both sides say of being there.
//!
//! A driver loops over: read → [`Connection::receive`], [`Connection::poll_transmit`] → write →
//! [`Connection::wrote`], [`Connection::poll_event`], and sleeps until
//! [`Connection::poll_timeout`] → [`Connection::handle_timeout`]. It reads and writes what it can
//! before it reports a timeout.

mod anatomy;
mod heartbeats;
mod incoming;
mod leaving;
mod outgoing;
mod streaming;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agreement::Agreement;
use crate::assembler::Assembler;
use crate::budget::{Budget, Growth, Share};
use crate::burst::Burst;
use crate::closing::{Closing, Ending, State};
use crate::config::{Config, Delivery, Unconfirmed};
use crate::decoder::Decoder;
use crate::deflate::Deflate;
use crate::encoder::{AHEAD, DIRECT, Encoder};
use crate::event::Event;
use crate::header::Rules;
use crate::inbox::Inbox;
use crate::keepalive::{Keepalive, PingId};
use crate::ledger::{Account, Ledger};
use crate::masks::Masks;
use crate::message::Message;
use crate::output::{Lent, Output};
use crate::pace::Pace;
use crate::rare::{Blank, Rare};
use crate::record::{Entry, Record};
use crate::timers::{Timer, Timers};
use crate::transforms::{Extended, Transforms};
use crate::violation::Violation;
use crate::wire::{CloseFrame, ReservedBits, Role};

use self::streaming::Streaming;

/// A WebSocket connection without I/O.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use lastword_proto::{Agreement, Compression, Config, Connection, Event, Message, Role, Transmit};
///
/// let (config, now) = (Arc::new(Config::default()), Instant::now());
/// let mut server =
///     Connection::new(&Agreement::plain(Role::Server), config.clone(), [0; 32], now);
/// let mut client = Connection::new(&Agreement::plain(Role::Client), config, [1; 32], now);
///
/// client.send("hello".into(), Compression::Auto).unwrap();
/// let Transmit::Bytes(lent) = client.poll_transmit() else { panic!("there is a message to send") };
/// let mut wire = lent.to_vec();
/// client.wrote(wire.len(), now);
///
/// server.receive(&mut wire, now);
/// let Some(Event::Message(message)) = server.poll_event() else { panic!("it came") };
/// assert_eq!(message, Message::from("hello"));
/// ```
pub struct Connection {
    role: Role,
    config: Arc<Config>,
    decoder: Decoder,
    assembler: Assembler,
    deflate: Option<Box<Deflate>>,
    extended: Extended,
    masks: Masks,
    encoder: Encoder,
    output: Output,
    /// The message that the application sends by parts, if it is in the middle of one.
    streaming: Option<Box<Streaming>>,
    keepalive: Keepalive,
    account: Account,
    timers: Timers,
    closing: Closing,
    inbox: Inbox,
    reader: Reader,
    last_received: Option<Instant>,
    last_sent: Option<Instant>,
    last_message: Instant,
    /// The largest message that may be taken on the short way; `None` if none may.
    whole_limit: Option<usize>,
    /// Messages smaller than this are sent as they are, and are not needed again once they are in
    /// wire form.
    small_below: usize,
    /// While fewer bytes than this wait to be written, such messages are accepted.
    small_room: u64,
    remains: Rare<Remains>,
    record: Option<Box<Record>>,
    /// What it uses of the memory budget, if it is so much that it counts.
    share: Option<Box<Share>>,
    /// How fast the peer may still send, if that is limited.
    pace: Option<Box<Pace>>,
    ending: Option<Arc<Ending>>,
}

/// What gathers when it comes to an end.
#[derive(Debug)]
struct Remains {
    /// A violation that came behind messages which the application has not fetched yet.
    verdict: Option<Violation>,
    /// Bytes that were thrown away.
    discarded: u64,
    unsent: Vec<Message>,
    /// Bytes that waited to be written when we gave up writing them.
    retired: usize,
}

impl Blank for Remains {
    const BLANK: &'static Self = &NOTHING;

    fn blank() -> Self {
        NOTHING
    }
}

const NOTHING: Remains = Remains { verdict: None, discarded: 0, unsent: Vec::new(), retired: 0 };

/// Whether the application still wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Listening,
    /// It left more waiting, in a closing, than the receive buffer holds: what came then, and what
    /// comes, is counted and thrown away.
    Overrun,
    Gone,
}

/// What a driver is to do with its transport.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "write, finish, or wait")]
#[expect(clippy::large_enum_variant, reason = "lives for one write; a box would cost more")]
pub enum Transmit<'a> {
    /// Write these bytes, then report how many were taken with [`Connection::wrote`].
    Bytes(Lent<'a>),
    /// All is written: end our half of the stream, then report [`Connection::finished`].
    Finish,
    /// Nothing, for now.
    Idle,
}

/// Why a message was not accepted for sending; it comes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRefused {
    /// The connection is closing or over: no data may follow a close frame (section 5.5.1).
    #[error("not sent: the connection is closing")]
    Closing(Message),
    /// A message that is sent by parts is not finished; its parts cannot be interrupted
    /// (section 5.4).
    #[error("not sent: another message is being sent by parts")]
    Streaming(Message),
    /// The part is of another kind than the message that it continues.
    #[error("not sent: the part is of another kind than its message")]
    KindChanged(Message),
    /// With an extension agreed on, a message by parts is put together before it is sent; with this
    /// part it would be too large for that.
    #[error(
        "not sent: a message by parts is put together for an extension, up to {limit} bytes \
         (max_message_size)"
    )]
    TooBig {
        /// The data of the part.
        part: Message,
        /// `Config::max_message_size`.
        limit: usize,
    },
}

impl SendRefused {
    /// The message, or the data of the part, that was not accepted.
    pub fn into_message(self) -> Message {
        match self {
            Self::Closing(message)
            | Self::Streaming(message)
            | Self::KindChanged(message)
            | Self::TooBig { part: message, .. } => message,
        }
    }
}

/// Why a ping or a pong of the application's own was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlRefused {
    /// The connection is closing or over.
    #[error("not sent: the connection is closing")]
    Closing,
    /// The data is longer than a control frame may be (section 5.5).
    #[error("not sent: {bytes} bytes of data, where a control frame holds at most {limit}")]
    TooLong {
        /// What was given.
        bytes: usize,
        /// What the RFC allows.
        limit: usize,
    },
    /// A ping with the same data waits for its answer, which could not be told from that of this one.
    #[error("not sent: a ping with the same data waits for its answer")]
    Duplicate,
    /// So many wait to be written already, since the peer does not read.
    #[error("not sent: {limit} such frames wait to be written already")]
    Crowded {
        /// How many may wait.
        limit: usize,
    },
}

/// Why our side leaves, other than by a close of the application's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the ways in which an application goes away")]
pub enum Leave {
    /// The server shuts down, saying this.
    Shutdown(CloseFrame),
    /// The last handle was dropped: 1001, within [`Config::linger`].
    Dropped,
    /// The last handle was dropped by a panic: 1011, within [`Config::linger`].
    Panicked,
}

/// Where it begins, and what there is to see.
impl Connection {
    /// A connection whose opening ended in `agreement`; its leftover bytes are received first.
    ///
    /// `seed` comes from a strong generator: the masking keys of a client are made of it
    /// (section 10.3).
    pub fn new(agreement: &Agreement, config: Arc<Config>, seed: [u8; 32], now: Instant) -> Self {
        let role = agreement.role;
        let extended = Transforms::begin(role, &agreement.extensions);
        let mut reserved = extended.as_ref().map_or(ReservedBits::NONE, |all| all.reserved());
        if agreement.deflate.is_some() {
            reserved = reserved | ReservedBits::RSV1;
        }
        let rules = Rules { sender: role.peer(), reserved };
        let deflate = agreement.deflate.map(|agreed| {
            Box::new(Deflate::new(role, agreed, &config.deflate.clone().unwrap_or_default()))
        });
        let small_below = match config.unconfirmed {
            _ if extended.is_some() => 0,
            Unconfirmed::Kept => 0,
            Unconfirmed::Dropped => deflate
                .as_ref()
                .map_or(usize::MAX, |deflate| deflate.threshold())
                .min(config.fragment_size.min(DIRECT).saturating_add(1)),
        };
        let whole_limit = (config.delivery == Delivery::Whole && extended.is_none())
            .then(|| config.max_frame_size.min(config.max_message_size));
        let mut timers = Timers::new(now);
        let jitter = f64::from(seed.first().copied().unwrap_or_default()) / 512.0;
        // The first ping comes at half to a whole interval, so that those of a crowd spread out.
        timers.set(
            Timer::Ping,
            config
                .ping_interval
                .and_then(|i| now.checked_add(i.max(heartbeats::QUICKEST).mul_f64(0.5 + jitter))),
        );
        timers.set(Timer::Idle, config.idle_timeout.and_then(|limit| now.checked_add(limit)));
        let mut connection = Self {
            role,
            decoder: Decoder::new(rules, config.max_frame_size),
            assembler: Assembler::default(),
            deflate,
            extended,
            masks: Masks::new(role, seed),
            encoder: Encoder::default(),
            output: Output::default(),
            streaming: None,
            keepalive: Keepalive::default(),
            account: Account::default(),
            timers,
            closing: Closing::new(role, now),
            inbox: Inbox::default(),
            reader: Reader::Listening,
            last_received: None,
            last_sent: None,
            last_message: now,
            whole_limit,
            small_below,
            small_room: AHEAD.min(config.send_buffer as u64),
            remains: Rare::blank(),
            record: None,
            share: None,
            pace: Pace::of(&config, now),
            ending: None,
            config,
        };
        if !agreement.leftover.is_empty() {
            connection.receive(&mut agreement.leftover.to_vec(), now);
        }
        connection
    }

    /// The next thing that happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.inbox.pop();
        if event.is_none() {
            self.hasten_verdict();
        }
        if self.share.is_some() {
            self.recount();
        }
        event
    }

    /// The next messages, if several came side by side: a way past [`Self::poll_event`] for a driver
    /// that hands them out one by one without asking again. `None` says nothing about single ones.
    ///
    /// They count as waiting ([`Config::receive_buffer`]) until the driver asks for more, by
    /// whichever way. What the application does not want of them goes back by
    /// [`Self::discard_burst`].
    #[inline]
    pub fn poll_burst(&mut self) -> Option<Burst> {
        let burst = self.inbox.pop_burst();
        if self.share.is_some() {
            self.recount();
        }
        burst
    }

    /// Counts what is left of a burst as thrown away.
    pub fn discard_burst(&mut self, burst: &Burst) {
        if self.ending.is_none() {
            self.account.discard_delivered(burst.tally());
        }
    }

    /// The application asks for more, and so has answered all that it wanted to: a verdict that
    /// waited for it is due.
    #[inline]
    fn hasten_verdict(&mut self) {
        if self.remains.verdict.is_some()
            && let Some(at) = self.last_received
        {
            self.timers.set(Timer::Verdict, Some(at));
        }
    }

    /// Whether events wait to be fetched.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Tells the memory budget what is held now.
    #[inline(never)]
    fn recount(&mut self) -> Growth {
        let Some(budget) = &self.config.memory_budget else { return Growth::None };
        let held = self.inbox.cost().saturating_add(self.waiting());
        let held = held.saturating_add(self.assembler.held());
        let gathered = self.streaming.as_ref().map_or(0, |message| message.gathered());
        let held = held.saturating_add(gathered);
        if self.share.is_none() && held < Budget::STEP {
            return Growth::None;
        }
        let share = self.share.get_or_insert_with(|| Box::new(Share::of(budget.clone())));
        let growth = share.count(held);
        self.share.take_if(|share| share.is_empty());
        growth
    }

    /// What there is of a buffer of this size: no more than a step while the budget is exhausted.
    #[inline]
    fn granted(&self, buffer: usize) -> usize {
        match &self.share {
            Some(share) if share.budget().is_exhausted() => buffer.min(Budget::STEP),
            _ => buffer,
        }
    }

    /// Which side we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether messages are accepted for sending.
    pub fn is_open(&self) -> bool {
        self.closing.state() == State::Open
    }

    /// What became of the messages so far.
    pub const fn ledger(&self) -> Ledger {
        self.account.ledger()
    }

    /// Whether the peer answered `ping`: the round-trip time of it, or of a later one.
    pub fn answered(&self, ping: PingId) -> Option<Duration> {
        self.keepalive.answered(ping)
    }

    /// How many answers to pings came so far: when this has grown, [`Self::answered`] may say more.
    pub fn answers(&self) -> u64 {
        self.keepalive.answers()
    }

    /// The last round-trip time of a ping; `None` if none was answered.
    pub fn latency(&self) -> Option<Duration> {
        self.keepalive.latency()
    }

    /// Begins to record what crosses the wire, keeping the last `capacity` entries.
    pub fn record(&mut self, capacity: usize) {
        self.record = Some(Box::new(Record::new(capacity)));
        // The record wants to see each frame.
        self.whole_limit = None;
        self.small_below = 0;
        self.output.unfold();
    }

    /// The oldest recorded entry that was not taken yet.
    pub fn take_record(&mut self) -> Option<Entry> {
        self.record.as_mut()?.take()
    }

    /// How many entries were pushed out of the record before they were taken.
    pub fn lost_records(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.lost())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.closing.state())
            .field("ledger", &self.ledger())
            .finish_non_exhaustive()
    }
}
