//! How fast a peer may send: what each read brought comes in, and whether it was too much goes out.
//!
//! Judged read by read. What a peer sent while we did not read, since the application was behind, is not
//! held against it: it may have come at any time since.

use std::time::Instant;

use crate::config::Config;
use crate::rate::{Bucket, Rate, TooFast};
use crate::violation::Violation;

/// What is left for the peer of `Config::message_rate` and `Config::byte_rate`.
#[derive(Debug)]
pub(crate) struct Pace {
    messages: Option<Counted>,
    bytes: Option<Counted>,
    /// How many messages were judged.
    judged: u64,
    reading: Reading,
}

#[derive(Debug)]
struct Counted {
    limit: Rate,
    bucket: Bucket,
}

/// Whether we have read all the time since the last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Steady,
    Paused,
}

impl Pace {
    /// `None` if nothing is limited.
    pub(crate) fn of(config: &Config, now: Instant) -> Option<Box<Self>> {
        let counted = |limit: Option<Rate>| {
            limit.map(|limit| Counted { limit, bucket: Bucket::new(limit, now) })
        };
        let (messages, bytes) = (counted(config.message_rate), counted(config.byte_rate));
        let limits = messages.is_some() || bytes.is_some();
        limits.then(|| Box::new(Self { messages, bytes, judged: 0, reading: Reading::Steady }))
    }

    /// A read brought so many `bytes`; with it, so many `messages` have come in all. `then` is whether
    /// the next read follows on it.
    pub(crate) fn judge(
        &mut self,
        messages: u64,
        bytes: usize,
        then: Reading,
        now: Instant,
    ) -> Result<(), Violation> {
        let new = messages.saturating_sub(self.judged);
        self.judged = messages;
        let before = std::mem::replace(&mut self.reading, then);
        if let Some(Counted { limit, bucket }) = &mut self.messages {
            let limit = *limit;
            before.take(bucket, new, now).map_err(|_| Violation::TooManyMessages { limit })?;
        }
        if let Some(Counted { limit, bucket }) = &mut self.bytes {
            let limit = *limit;
            let taken = before.take(bucket, bytes as u64, now);
            taken.map_err(|_| Violation::TooManyBytes { limit })?;
        }
        Ok(())
    }
}

impl Reading {
    fn take(self, bucket: &mut Bucket, amount: u64, now: Instant) -> Result<(), TooFast> {
        match self {
            Self::Steady => bucket.take(amount, now),
            Self::Paused => bucket.take_gathered(amount, now),
        }
    }
}
