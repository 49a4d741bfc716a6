//! A look at a connection that does not hold it: for counters, lists of who is here, and the peer's
//! heartbeats.

use std::sync::Arc;
use std::time::Duration;

use lastword_kit::Opening;
use lastword_proto::{Ending, Heartbeat, Ledger};

use crate::shared::{Inner, Shared};
use crate::websocket::{Sender, WebSocket};

/// Looks on at a connection. Unlike a [`Sender`] it is no handle of it: a connection whose handles are
/// all gone is closed, whoever watches. Its memory stays as long as it is watched.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let (near, far) = tokio::io::duplex(1024);
/// # let ours = tokio::spawn(lastword::accept(far));
/// # let theirs = lastword::Client::new("ws://in.memory/").connect_over(near).await.unwrap();
/// # let ws = ours.await.unwrap().unwrap();
/// let watch = ws.watch();
/// drop(ws);
/// assert_eq!(watch.ended().await.cause, lastword::Cause::Dropped);
/// # });
/// ```
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
        self.0.look().connection.ledger()
    }

    /// The last round-trip time of a ping, the keepalive's included.
    pub fn latency(&self) -> Option<Duration> {
        self.0.look().connection.latency()
    }

    /// How many pings were answered.
    pub fn pongs(&self) -> u64 {
        self.0.look().connection.answers()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.0.opening
    }

    /// Waits for the end: how it ended. Can be asked again and again.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ended(&self) -> Arc<Ending> {
        self.0.wait(|inner| inner.connection.ending().map(Arc::clone)).await
    }
}

impl Watch {
    /// The pings and pongs of the peer, from now on, as they come; whoever calls or does not call for
    /// messages, and beside the answers that pings get in any case. At least the newest `capacity` are
    /// kept for who is slow to look; 0 counts as 1.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let (near, far) = tokio::io::duplex(1024);
    /// # let ours = tokio::spawn(lastword::accept(far));
    /// # let peer = lastword::Client::new("ws://in.memory/").connect_over(near).await.unwrap();
    /// # let ws = ours.await.unwrap().unwrap();
    /// use lastword::Heartbeat;
    ///
    /// let mut heartbeats = ws.watch().heartbeats(16);
    /// # peer.pong("alive").unwrap();
    /// // A peer that only says that it is there, with pongs that nobody asked for:
    /// match heartbeats.next().await {
    ///     Some(Heartbeat::Pong { data, round_trip: None, .. }) => assert_eq!(data, "alive"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # });
    /// ```
    pub fn heartbeats(&self, capacity: usize) -> Heartbeats {
        let mut inner = self.0.look();
        inner.connection.keep_heartbeats(capacity.max(1));
        let next = inner.connection.heartbeats();
        drop(inner);
        Heartbeats { shared: Arc::clone(&self.0), next, lost: 0 }
    }
}

/// The pings and pongs of the peer: see [`Watch::heartbeats`]. No handle: it does not keep the
/// connection open.
pub struct Heartbeats {
    shared: Arc<Shared>,
    next: u64,
    lost: u64,
}

impl Heartbeats {
    /// The next one; `None` when the connection is over.
    ///
    /// # Cancel safety
    /// Nothing is lost: one is taken only in the moment in which it is returned.
    pub async fn next(&mut self) -> Option<Heartbeat> {
        let Self { shared, next, lost } = self;
        let look = |inner: &mut Inner| {
            let found = inner.connection.heartbeat_from(*next);
            let found = found.map(|(number, heartbeat)| (number, heartbeat.clone()));
            if found.is_some() || inner.connection.ending().is_some() { Some(found) } else { None }
        };
        let (number, heartbeat) = shared.wait(look).await?;
        *lost += number - *next;
        *next = number + 1;
        Some(heartbeat)
    }

    /// How many came and went before they were looked at.
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

impl std::fmt::Debug for Heartbeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeats").field("next", &self.next).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.look().connection.fmt(f)
    }
}
