//! Pings and pongs of the peer, for applications that want to see them (RFC 6455 sections 5.5.2, 5.5.3).
//!
//! The newest are kept, in the order in which they came, each with its number; who reads remembers how
//! far it has come, so that many can. Answers no ping and judges no pong: that is done, whether or not
//! somebody looks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// A ping or a pong of the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heartbeat {
    /// A ping. It is answered without the application's doing.
    #[non_exhaustive]
    Ping {
        /// What it carried, at most 125 bytes.
        data: Bytes,
        /// When it came.
        at: Instant,
    },
    /// A pong.
    #[non_exhaustive]
    Pong {
        /// What it carried, at most 125 bytes.
        data: Bytes,
        /// When it came.
        at: Instant,
        /// How long ago the ping left that it answers; `None` if it answers none, as a heartbeat in
        /// one direction does (section 5.5.3).
        round_trip: Option<Duration>,
    },
}

impl Heartbeat {
    /// What it carried.
    pub const fn data(&self) -> &Bytes {
        match self {
            Self::Ping { data, .. } | Self::Pong { data, .. } => data,
        }
    }

    /// When it came.
    pub const fn at(&self) -> Instant {
        match self {
            Self::Ping { at, .. } | Self::Pong { at, .. } => *at,
        }
    }
}

/// The newest heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    kept: VecDeque<Heartbeat>,
    capacity: usize,
    /// How many came while somebody listened.
    count: u64,
}

impl Heard {
    pub(crate) const fn nothing() -> Self {
        Self { kept: VecDeque::new(), capacity: 0, count: 0 }
    }

    /// Keeps at least so many, from now on.
    pub(crate) fn listen(&mut self, capacity: usize) {
        self.capacity = self.capacity.max(capacity);
    }

    pub(crate) const fn listens(&self) -> bool {
        self.capacity > 0
    }

    /// How many came: the number of the next one.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn push(&mut self, heartbeat: Heartbeat) {
        if self.kept.len() >= self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(heartbeat);
        self.count = self.count.saturating_add(1);
    }

    /// The oldest that is kept and has at least this number, with its number.
    pub(crate) fn from(&self, number: u64) -> Option<(u64, &Heartbeat)> {
        let oldest = self.count.saturating_sub(self.kept.len() as u64);
        let number = number.max(oldest);
        let index = usize::try_from(number.saturating_sub(oldest)).ok()?;
        Some((number, self.kept.get(index)?))
    }
}
