//! A look at a connection that does not hold it: for counters, and lists of who is here.

use std::sync::Arc;
use std::time::Duration;

use lastword_kit::Opening;
use lastword_proto::{Ending, Ledger};

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

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().connection.fmt(f)
    }
}
