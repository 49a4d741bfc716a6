//! What a client that comes back is doing.

use std::fmt;
use std::time::Instant;

use lastword_retry::Limit;

use crate::verdict::Because;

/// What a `Reconnect` is doing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum State {
    /// Nobody has asked it for a connection yet.
    #[default]
    New,
    /// It tries to connect.
    Connecting {
        /// Which attempt it is since the last healthy connection, from 1.
        attempt: u32,
    },
    /// A connection was handed out. That it has ended is noticed when the next one is asked for.
    Connected,
    /// It waits before the next attempt.
    Waiting {
        /// When that begins.
        until: Instant,
        /// Why there is no connection.
        because: Because,
    },
    /// There will be no further connection.
    Stopped(Stopped),
}

/// Why a `Reconnect` makes no further connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stopped {
    /// Somebody asked for it.
    Asked,
    /// It gave up.
    GaveUp {
        /// Which limit was reached, or that it was not worth a retry.
        limit: Limit,
        /// What happened last.
        because: Because,
    },
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("reconnecting was stopped"),
            Self::GaveUp { limit, because } => {
                write!(f, "reconnecting was given up, {limit}: {because}")
            }
        }
    }
}

impl std::error::Error for Stopped {}
