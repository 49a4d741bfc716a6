//! Looking at a [`Reconnect`](super::Reconnect) from elsewhere, and stopping it.

use std::fmt;
use std::sync::Arc;

use lastword_kit::State;
use lastword_proto::{CloseCode, CloseFrame};
use tokio::sync::watch;

use crate::shared::{Shared, now};
use crate::sync::Mutex;

/// A handle on a [`Reconnect`](crate::Reconnect), for other tasks: stops it, and tells what it is doing.
/// Clones control the same one.
#[derive(Clone)]
pub struct Control {
    board: Arc<Board>,
    states: watch::Receiver<State>,
}

/// What a `Reconnect` and its controls share.
pub(super) struct Board {
    pub(super) stop: watch::Sender<bool>,
    /// The connection that was handed out last.
    pub(super) current: Mutex<Option<Arc<Shared>>>,
}

impl Control {
    pub(super) fn new(board: Arc<Board>, states: watch::Receiver<State>) -> Self {
        Self { board, states }
    }

    /// No further connection is made: a wait or an attempt ends at once, and
    /// [`next`](crate::Reconnect::next) returns `None`. A connection that was handed out goes on.
    pub fn stop(&self) {
        self.board.stop.send_replace(true);
    }

    /// As [`stop`](Self::stop), and begins to close the connection that was handed out, without waiting.
    /// A reason of more than 123 bytes is cut.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        self.stop();
        let frame = CloseFrame::truncated(code, reason.into());
        if let Some(shared) = &*self.board.current.lock() {
            shared.request(|inner| inner.connection.close(Some(frame), now()));
        }
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.states.borrow().clone()
    }

    /// Waits until this handle has not seen what it is doing: the newest state, past those that were
    /// over in the meantime. `None` when the `Reconnect` was dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn changed(&mut self) -> Option<State> {
        self.states.changed().await.ok()?;
        Some(self.states.borrow_and_update().clone())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&*self.states.borrow()).finish()
    }
}
