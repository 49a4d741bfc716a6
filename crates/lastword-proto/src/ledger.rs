//! What became of each message that we sent, and how many came in. Counts; claims nothing more.
//!
//! A message is *accepted*, then *handed over* (the operating system took its last byte), then
//! *confirmed* (a pong that answers a later ping proves that the peer's endpoint read past it).

use std::collections::VecDeque;

use crate::config::Unconfirmed;
use crate::message::Message;
use crate::rare::{Blank, Rare};

/// A number of messages, and of the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a count and a sum")]
pub struct Tally {
    /// How many messages.
    pub messages: u64,
    /// How many bytes of payload, uncompressed.
    pub bytes: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, bytes: usize) {
        // Nobody lives to see 2^64 bytes.
        self.messages = self.messages.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes as u64);
    }

    /// A part of a message: its bytes, and the message itself with its last part.
    pub(crate) const fn add_part(&mut self, bytes: usize, last: bool) {
        self.messages = self.messages.wrapping_add(last as u64);
        self.bytes = self.bytes.wrapping_add(bytes as u64);
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.wrapping_add(other.messages),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What became of the messages of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Sent, and provably read by the peer's endpoint: it answered a ping that stood behind them.
    pub confirmed: Tally,
    /// Taken by the operating system; nothing proves more.
    pub handed_over: Tally,
    /// Accepted by `send`, and not (or not wholly) taken by the operating system.
    pub unsent: Tally,
    /// Received, whole and valid, and ready for the application.
    pub delivered: Tally,
    /// Received, whole and valid, when the application no longer wanted them.
    pub discarded: Tally,
}

/// The running account of a connection.
#[derive(Debug, Default)]
pub(crate) struct Account {
    accepted: Tally,
    /// Cumulative: includes what was confirmed.
    handed_over: Tally,
    confirmed: Tally,
    pub(crate) delivered: Tally,
    pub(crate) discarded: Tally,
    kept: Rare<Kept>,
}

/// Messages between handed over and confirmed, if they are kept.
#[derive(Debug, Default)]
struct Kept {
    /// Each with its number among all that were handed over: those sent by parts are not kept.
    messages: VecDeque<(u64, Message)>,
    bytes: usize,
}

impl Blank for Kept {
    const BLANK: &'static Self = &Self { messages: VecDeque::new(), bytes: 0 };

    fn blank() -> Self {
        Self::default()
    }
}

impl Account {
    pub(crate) const fn accept(&mut self, bytes: usize) {
        self.accepted.add(bytes);
    }

    /// A further part of a message that was accepted before.
    pub(crate) const fn accept_part(&mut self, bytes: usize) {
        self.accepted.bytes = self.accepted.bytes.saturating_add(bytes as u64);
    }

    /// Of what was ready for the application, this is no longer wanted.
    pub(crate) const fn discard_delivered(&mut self, unwanted: Tally) {
        self.delivered = self.delivered.minus(unwanted);
        self.discarded = self.discarded.plus(unwanted);
    }

    /// The operating system took the last byte of `message`.
    #[inline]
    pub(crate) fn hand_over(&mut self, message: Message, unconfirmed: Unconfirmed) {
        self.hand_over_bytes(message.len());
        if unconfirmed == Unconfirmed::Kept {
            let number = self.handed_over.messages;
            let kept = self.kept.make();
            kept.bytes = kept.bytes.saturating_add(message.len());
            kept.messages.push_back((number, message));
        }
    }

    /// The same for a message that was sent by parts, which nobody holds as a whole.
    pub(crate) const fn hand_over_bytes(&mut self, bytes: usize) {
        self.handed_over.add(bytes);
    }

    /// The same for messages that nobody keeps.
    pub(crate) const fn hand_over_all(&mut self, messages: Tally) {
        self.handed_over = self.handed_over.plus(messages);
    }

    /// How far a ping that is written now stands in the account.
    pub(crate) const fn position(&self) -> Tally {
        self.handed_over
    }

    /// The peer answered a ping that stood at `position`.
    pub(crate) fn confirm(&mut self, position: Tally) {
        if let Some(Kept { messages, bytes }) = self.kept.touched() {
            while let Some((_, message)) = messages.pop_front_if(|kept| kept.0 <= position.messages)
            {
                *bytes = bytes.saturating_sub(message.len());
            }
            if messages.is_empty() {
                self.kept.take();
            }
        }
        if position.messages > self.confirmed.messages {
            self.confirmed = position;
        }
    }

    /// Bytes kept until they are confirmed.
    #[inline]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.bytes
    }

    pub(crate) fn take_kept(&mut self) -> Vec<Message> {
        self.kept.take().messages.into_iter().map(|(_, message)| message).collect()
    }

    pub(crate) const fn ledger(&self) -> Ledger {
        Ledger {
            confirmed: self.confirmed,
            handed_over: self.handed_over.minus(self.confirmed),
            unsent: self.accepted.minus(self.handed_over),
            delivered: self.delivered,
            discarded: self.discarded,
        }
    }
}
