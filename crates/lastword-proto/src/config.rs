//! Every limit, timeout and switch of a connection, with its default. Values only.
//!
//! Each queue, buffer and wait of the house is bounded by a field here; an error that reports a
//! reached limit names the field.

use std::time::Duration;

use crate::budget::Budget;
use crate::extension::Extensions;
use crate::rate::Rate;

/// The settings of a connection. All have defaults; all waits and buffers are bounded by default.
///
/// ```
/// use lastword_proto::Config;
/// let mut config = Config::default();
/// config.max_message_size = 1 << 20;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Largest message accepted, in bytes after decompression; 16 MiB. Beyond it: close 1009.
    pub max_message_size: usize,
    /// Largest frame accepted, in bytes on the wire; 16 MiB. Judged by the header alone.
    pub max_frame_size: usize,
    /// Most fragments that one message may come in. `None` (the default) allows one for every
    /// 16 bytes of `max_message_size`, and never less than 1,024: honest small fragments pass, a
    /// flood of empty ones does not. Beyond it: close 1009.
    pub max_fragments: Option<usize>,
    /// Whether messages are handed out whole or part by part. For drivers of the core: `lastword`
    /// hands out whole messages and sets it so.
    pub delivery: Delivery,
    /// Bytes of received messages, with their overhead, that may wait for the application; 64 KiB.
    /// Above it reading pauses (backpressure). One read, or one message, may overshoot it.
    pub receive_buffer: usize,
    /// Bytes that may wait to be sent, with their overhead; 64 KiB. Above it `send` waits. One message may overshoot it.
    pub send_buffer: usize,
    /// What the messages of many connections may take up together in memory; none by default, since
    /// only the application knows its machine. Give all connections of a server (they share their
    /// `Config`), or of a process, the same.
    ///
    /// While it is exhausted, each connection has a `receive_buffer` and a `send_buffer` of at most
    /// [`Budget::STEP`], so that reading pauses and `send` waits; small messages pass. Nobody waits for
    /// another: whoever needs more for an unfinished message than is left is closed with 1013, and
    /// gives back what it held.
    pub memory_budget: Option<Budget>,
    /// How many messages a peer may send; off. Beyond it: close 1008. Judged read by read: what came in
    /// the read that was too much is delivered before. What gathers while reading pauses, since the
    /// application is behind, is not held against the peer. Give it a burst for what gathers while
    /// your process is busy.
    pub message_rate: Option<Rate>,
    /// How many bytes a peer may send, as they come over the wire, all frames included; off. Beyond it:
    /// close 1008; judged as `message_rate` is. A burst below the largest message would make that
    /// impossible to send.
    pub byte_rate: Option<Rate>,
    /// Messages larger than this are sent in fragments of this size, so that pongs and pings pass
    /// between them; 1 MiB.
    pub fragment_size: usize,
    /// Whether messages that were handed to the operating system but not confirmed by the peer are
    /// kept, so that [`Ledger`](crate::Ledger) can give them back; off.
    pub unconfirmed: Unconfirmed,
    /// How long the opening may take, as a whole; 10 s.
    pub open_timeout: Duration,
    /// How long the closing may take, as a whole: flush, the peer's answer, the transport's end;
    /// 10 s.
    pub close_timeout: Duration,
    /// How long a connection whose last handle was dropped may take to say goodbye; 1 s.
    pub linger: Duration,
    /// How often we ask whether the peer is there; 20 s. `None`: never. Less than a millisecond is taken for
    /// one: else there would be time for nothing else.
    pub ping_interval: Option<Duration>,
    /// How long after a ping the peer may stay wholly silent; 20 s. Any byte of it is a sign of
    /// life. `None`: for ever (pings then only measure).
    pub ping_timeout: Option<Duration>,
    /// How long written bytes may make no progress at all while the peer does not read; 30 s.
    pub write_timeout: Option<Duration>,
    /// How long a connection may go without a message, or a part of one that is sent or taken by
    /// parts, in either direction; off.
    pub idle_timeout: Option<Duration>,
    /// Bytes that are read and thrown away after a violation, while we wait for the peer to end;
    /// 16 MiB. Beyond it the transport is aborted.
    pub max_discard: usize,
    /// permessage-deflate; on, since [`DeflateConfig::default`] is lazy and small messages stay
    /// uncompressed. `None`: neither offered nor accepted.
    pub deflate: Option<DeflateConfig>,
    /// Extensions of the application's own, which a client offers and a server accepts; none.
    pub extensions: Extensions,
    /// Limits of the opening handshake.
    pub opening: OpeningLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_size: 16 << 20,
            max_frame_size: 16 << 20,
            max_fragments: None,
            delivery: Delivery::Whole,
            receive_buffer: 64 << 10,
            send_buffer: 64 << 10,
            memory_budget: None,
            message_rate: None,
            byte_rate: None,
            fragment_size: 1 << 20,
            unconfirmed: Unconfirmed::Dropped,
            open_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Some(Duration::from_secs(20)),
            write_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
            max_discard: 16 << 20,
            deflate: Some(DeflateConfig::default()),
            extensions: Extensions::default(),
            opening: OpeningLimits::default(),
        }
    }
}

impl Config {
    /// The number of fragments that one message may come in.
    pub fn fragments_limit(&self) -> usize {
        self.max_fragments.unwrap_or((self.max_message_size / 16).max(1024))
    }

    /// How many bytes of memory one connection takes up at most, whatever its peer does, if its driver
    /// keeps to [`Connection::read_limit`](crate::Connection::read_limit): `receive_buffer` and
    /// `send_buffer`, a message of `max_message_size` that overshoots the one, another that is
    /// unfinished, what a read of the smallest messages takes up beside their bytes; and with
    /// `deflate` the codecs, room for the unfinished message to double, and a read of messages that
    /// inflate as far as deflate can, which is one more message of `max_message_size`.
    ///
    /// Not in it: a message of the application that overshoots `send_buffer`, what the transport holds,
    /// and what `extensions` hold beside the message that they decode. Few connections come near it; [`memory_budget`](Self::memory_budget) bounds what all of
    /// them take up together.
    pub fn memory_bound(&self) -> usize {
        let messages = self.max_message_size.saturating_mul(2);
        let plain = self.receive_buffer.saturating_add(self.send_buffer).saturating_add(messages);
        let inflated = if self.deflate.is_some() {
            let read = self.inflating_read().saturating_mul(INFLATION);
            self.max_message_size.saturating_add(CODECS).saturating_add(read)
        } else {
            0
        };
        // A message as it came, while what it is decoded to grows.
        let decoded = if self.extensions.is_empty() { 0 } else { self.max_message_size };
        plain.saturating_add(READ * BESIDE).saturating_add(inflated).saturating_add(decoded)
    }

    /// How much is to be read at once where it may have to be inflated: no more than can become one
    /// largest message, if that is not too little to be worth a read.
    pub(crate) fn inflating_read(&self) -> usize {
        (self.max_message_size / INFLATION).clamp(LEAST_READ, READ)
    }
}

/// What a driver reads at once, at most, and what is worth a read.
pub(crate) const READ: usize = 128 << 10;
const LEAST_READ: usize = 4 << 10;

/// What the smallest messages take up, for each byte of theirs on the wire, beside it.
const BESIDE: usize = 16;

/// What a byte of deflate inflates to at most.
const INFLATION: usize = 1032;

/// The codecs of both ways with their windows.
const CODECS: usize = 384 << 10;

/// How received messages are handed out.
#[expect(clippy::exhaustive_enums, reason = "whole, or by parts")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each message as one value, when it is complete.
    #[default]
    Whole,
    /// Each message as the parts that came, as soon as they came; text is cut between characters.
    Parts,
}

/// What is done with messages between "handed to the operating system" and "confirmed".
#[expect(clippy::exhaustive_enums, reason = "kept or dropped")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unconfirmed {
    /// They are counted only.
    #[default]
    Dropped,
    /// They are kept until a pong confirms them; bounded by `send_buffer` (`send` then waits for
    /// confirmations, too).
    Kept,
}

/// Whether a message may be compressed, where permessage-deflate was agreed on.
#[expect(clippy::exhaustive_enums, reason = "by size, always, or never")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// From `DeflateConfig::threshold` up.
    #[default]
    Auto,
    /// Whatever its size.
    Always,
    /// Not this one: it would not shrink, or a secret stands beside what an attacker chose.
    Never,
}

/// Settings of permessage-deflate (RFC 7692).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// zlib's level, 1 (fast) to 9 (small); 1.
    pub level: u8,
    /// Messages below this many bytes are sent uncompressed; 128. Without context takeover small
    /// messages gain nothing, there it is at least 512.
    pub threshold: usize,
    /// Largest window that our own compressor uses, 9 to 15 bits; 12 (4 KiB): a third of the memory
    /// of 15 for a few per cent of the ratio.
    pub own_window_bits: u8,
    /// Largest window that we ask the peer to use, 8 to 15 bits; 15 asks for nothing.
    pub peer_window_bits: u8,
    /// Whether our compressor keeps its window between messages, if the peer allows it.
    pub own_takeover: crate::agreement::ContextTakeover,
    /// Whether we let the peer keep its window between messages.
    pub peer_takeover: crate::agreement::ContextTakeover,
    /// zlib's memory level of our compressor, 1 to 9; 5.
    pub memory_level: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 1,
            threshold: 128,
            own_window_bits: 12,
            peer_window_bits: 15,
            own_takeover: crate::agreement::ContextTakeover::Kept,
            peer_takeover: crate::agreement::ContextTakeover::Kept,
            memory_level: 5,
        }
    }
}

/// Limits of the opening handshake; each is named in the error that reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpeningLimits {
    /// Longest request line or status line, in bytes; 8,192. A server answers 414 beyond it.
    pub max_start_line: usize,
    /// Longest header section, in bytes, start line excluded; 32 KiB. A server answers 431.
    pub max_header_bytes: usize,
    /// Most header fields; 128, and never more than 24,576. A server answers 431.
    pub max_headers: usize,
    /// How much of the body of a refusal a client keeps for the error; 64 KiB.
    pub max_refusal_body: usize,
}

impl Default for OpeningLimits {
    fn default() -> Self {
        Self {
            max_start_line: 8192,
            max_header_bytes: 32 << 10,
            max_headers: 128,
            max_refusal_body: 64 << 10,
        }
    }
}
