//! Pings that we asked and their answers: who is alive, and how far away (RFC 6455 section 5.5.2).
//!
//! Decides nothing about when to ask, and nothing about endings; remembers what was asked, when it
//! left, and how far the account of sent messages stood behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ledger::Tally;

/// Names one ping of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub(crate) u64);

impl PingId {
    /// What stands in the ping's payload.
    pub(crate) const fn payload(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Keepalive {
    last_id: u64,
    /// Written and not answered, oldest first.
    asked: VecDeque<Asked>,
    answered: Option<(PingId, Duration)>,
}

#[derive(Debug)]
struct Asked {
    id: PingId,
    at: Instant,
    position: Tally,
}

impl Keepalive {
    /// A name for the next ping.
    pub(crate) const fn next_id(&mut self) -> PingId {
        self.last_id = self.last_id.wrapping_add(1);
        PingId(self.last_id)
    }

    /// The ping left: behind it stand all messages up to `position`.
    pub(crate) fn wrote(&mut self, id: PingId, position: Tally, now: Instant) {
        if self.asked.len() >= MAX_ASKED {
            // The newest is worth more: its answer says all that the older ones' would.
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { id, at: now, position });
    }

    /// A pong came. It answers the ping with its payload, and all before that one; a pong that
    /// nobody asked for answers nothing (section 5.5.3). Gives how far the account of sent messages
    /// stood behind the answered ping.
    pub(crate) fn answer(&mut self, payload: &[u8], now: Instant) -> Option<Tally> {
        let index = self.asked.iter().position(|asked| asked.id.payload() == *payload)?;
        let asked = self.asked.drain(..=index).next_back()?;
        let round_trip = now.saturating_duration_since(asked.at);
        self.answered = Some((asked.id, round_trip));
        Some(asked.position)
    }

    /// Whether a written ping waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The newest ping that was answered, and how long that took.
    pub(crate) const fn answered(&self) -> Option<(PingId, Duration)> {
        self.answered
    }

    /// The last round-trip time.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.answered.map(|(_, round_trip)| round_trip)
    }
}

/// How many unanswered pings are remembered; what an application asks beyond that pushes out the
/// oldest, whose answer is then not recognised. Bounds memory, not liveness.
const MAX_ASKED: usize = 256;
