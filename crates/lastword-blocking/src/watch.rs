//! A look at a connection that does not hold it: for counters, lists of who is here, and those who want to
//! see heartbeats.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_kit::Opening;
use lastword_proto::{Ending, Heartbeat, Ledger};

use crate::shared::Shared;
use crate::socket::now;
use crate::websocket::{Sender, WebSocket};

/// Looks on at a connection. Unlike a [`Sender`] it is no handle of it: a connection whose handles are
/// all gone is closed, whoever watches. Its memory stays as long as it is watched.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

impl WebSocket {
    /// Looks on without holding the connection open.
    pub fn watch(&self) -> Watch {
        self.sender.watch()
    }
}

impl Sender {
    /// Looks on without holding the connection open.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(self.shared()))
    }
}

impl Watch {
    /// What became of the messages so far.
    pub fn ledger(&self) -> Ledger {
        self.0.lock().connection.ledger()
    }

    /// The last round-trip time of a ping, the keepalive's included.
    pub fn latency(&self) -> Option<Duration> {
        self.0.lock().connection.latency()
    }

    /// How many pings were answered.
    pub fn pongs(&self) -> u64 {
        self.0.lock().connection.answers()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.0.opening
    }

    /// Waits for the end: how it ended. Can be asked again and again.
    pub fn ended(&self) -> Arc<Ending> {
        self.0.ended()
    }

    /// How it ended; `None` if it has not, within `limit`.
    pub fn ended_timeout(&self, limit: Duration) -> Option<Arc<Ending>> {
        self.0.ended_by(now().checked_add(limit))
    }
}

impl Watch {
    /// The pings and pongs of the peer, from now on, as they come; whoever calls or does not call for
    /// messages, and beside the answers that pings get in any case. At least the newest `capacity` are
    /// kept for who is slow to look; 0 counts as 1.
    pub fn heartbeats(&self, capacity: usize) -> Heartbeats {
        let mut inner = self.0.lock();
        inner.connection.keep_heartbeats(capacity.max(1));
        let next = inner.connection.heartbeats();
        drop(inner);
        Heartbeats { shared: Arc::clone(&self.0), next, lost: 0 }
    }
}

/// The pings and pongs of the peer, an iterator that waits for the next one and is over with the
/// connection: see [`Watch::heartbeats`]. No handle: it does not keep the connection open.
pub struct Heartbeats {
    shared: Arc<Shared>,
    next: u64,
    lost: u64,
}

impl Heartbeats {
    /// The next one, if it comes within `limit`; `None` also when the connection is over.
    pub fn next_timeout(&mut self, limit: Duration) -> Option<Heartbeat> {
        self.next_by(now().checked_add(limit))
    }

    /// How many came and went before they were looked at.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Option<Heartbeat> {
        let Self { shared, next, lost } = self;
        let found = shared.wait(deadline, |inner| {
            let found = inner.connection.heartbeat_from(*next);
            let found = found.map(|(number, heartbeat)| (number, heartbeat.clone()));
            (found.is_some() || inner.connection.ending().is_some()).then_some(found)
        });
        let (number, heartbeat) = found.flatten()?;
        *lost = lost.saturating_add(number.saturating_sub(*next));
        *next = number.saturating_add(1);
        Some(heartbeat)
    }
}

impl Iterator for Heartbeats {
    type Item = Heartbeat;

    fn next(&mut self) -> Option<Heartbeat> {
        self.next_by(None)
    }
}

impl std::fmt::Debug for Heartbeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeats").field("next", &self.next).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().connection.fmt(f)
    }
}
