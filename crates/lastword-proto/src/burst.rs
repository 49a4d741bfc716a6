//! Messages that came in one read, side by side, until somebody asks for them one by one.
//!
//! They share one block of memory, so that a burst costs few allocations; the block is small, so that
//! a message that is kept holds on to little. The block is a piece of what was read: payloads stand
//! where they stood, unmasked, and the first two bytes of each header say where the payload lies.

use bytes::{Buf, Bytes};

use crate::ledger::Tally;
use crate::message::{Kind, Message};

/// Received messages side by side, oldest first. What is not taken out of it is thrown away with it.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use lastword_proto::{Agreement, Config, Connection, Message, Role};
///
/// let (config, now) = (Arc::new(Config::default()), Instant::now());
/// let mut client = Connection::new(&Agreement::plain(Role::Client), config, [0; 32], now);
/// client.receive(&mut b"\x81\x02hi\x81\x05there".to_vec(), now);
///
/// let mut burst = client.poll_burst().expect("two messages in one read");
/// assert_eq!(burst.next(), Some(Message::from("hi")));
/// assert!(!burst.is_empty());
/// assert_eq!(burst.next(), Some(Message::from("there")));
/// assert!(burst.is_empty());
/// ```
// Invariant: runs of [label, rest of a header, payload], text proven.
#[derive(Clone, Debug, Default)]
pub struct Burst(Bytes);

impl Burst {
    /// How much memory the messages of a burst share at most, in bytes.
    pub(crate) const BLOCK: usize = 4096;

    /// A copy of `frames`: whole, unmasked, proven, and each with its [`label`].
    #[inline]
    pub(crate) fn of(frames: &[u8]) -> Self {
        // Room for one byte more tells `Bytes` that it will be shared: it does so from the start,
        // and need not find out at each message.
        let mut block = Vec::with_capacity(frames.len().wrapping_add(1));
        block.extend_from_slice(frames);
        Self(block.into())
    }

    /// Whether all messages are taken.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.clone().for_each(|message| tally.add(message.len()));
        tally
    }
}

impl Iterator for Burst {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        let label = u16::from_le_bytes(*self.0.first_chunk()?);
        self.0.advance(usize::from(label >> 14).wrapping_add(1).wrapping_mul(2));
        let len = usize::from(label & LEN);
        let payload =
            if self.0.len() == len { std::mem::take(&mut self.0) } else { self.0.split_to(len) };
        let kind = if label & BINARY == 0 { Kind::Text } else { Kind::Binary };
        Some(Message::proven(kind, payload))
    }
}

/// What stands in place of the first two bytes of a header of `header` bytes (2, 4, 6 or 8): its own
/// length, the kind of the message, and the length of the payload, at most [`Burst::BLOCK`].
#[inline(always)]
pub(crate) fn label(kind: Kind, header: usize, payload: usize) -> [u8; 2] {
    let binary = if kind == Kind::Binary { BINARY } else { 0 };
    // Both are far below 2^16.
    let header = (header.wrapping_sub(2) << 13) as u16;
    (header | binary | payload as u16 & LEN).to_le_bytes()
}

const BINARY: u16 = 1 << 13;
const LEN: u16 = BINARY - 1;
