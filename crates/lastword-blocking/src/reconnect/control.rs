//! Looking at a [`Reconnect`](super::Reconnect) from elsewhere, and stopping it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::State;
use lastword_proto::{CloseCode, CloseFrame};
use parking_lot::{Condvar, Mutex};

use crate::cancel::Cancel;
use crate::shared::Shared;
use crate::socket::now;

/// A handle on a [`Reconnect`](crate::Reconnect), for other threads: stops it, and tells what it is doing.
/// Clones control the same one.
#[derive(Clone)]
pub struct Control {
    board: Arc<Board>,
    /// How many states this handle has seen, or passed over.
    seen: u64,
}

/// What a `Reconnect` and its controls share.
#[derive(Default)]
pub(super) struct Board {
    /// That it is to stop: ends an attempt, too.
    pub(super) stop: Cancel,
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    state: State,
    /// How many states there were.
    count: u64,
    /// The connection that was handed out last.
    current: Option<Arc<Shared>>,
    /// Whether the `Reconnect` was dropped.
    gone: bool,
}

impl Board {
    pub(super) fn publish(&self, state: State) {
        let mut told = self.told.lock();
        told.state = state;
        told.count = told.count.wrapping_add(1);
        self.changed.notify_all();
    }

    pub(super) fn hold(&self, shared: Arc<Shared>) {
        self.told.lock().current = Some(shared);
    }

    pub(super) fn leave(&self) {
        self.told.lock().gone = true;
        self.changed.notify_all();
    }

    /// Waits until then (`true`), or until it is to stop.
    pub(super) fn sleep(&self, until: Instant) -> bool {
        let mut told = self.told.lock();
        while !self.stop.is_cancelled() {
            if now() >= until {
                return true;
            }
            self.changed.wait_until(&mut told, until);
        }
        false
    }

    fn current(&self) -> Option<Arc<Shared>> {
        self.told.lock().current.clone()
    }
}

impl Control {
    pub(super) fn new(board: Arc<Board>) -> Self {
        let seen = board.told.lock().count;
        Self { board, seen }
    }

    /// No further connection is made: a wait or an attempt ends at once, and `next` returns `None`. A
    /// connection that was handed out goes on.
    pub fn stop(&self) {
        self.board.stop.cancel();
        // Under the lock: whoever has looked before it was said waits by now.
        drop(self.board.told.lock());
        self.board.changed.notify_all();
        if let Some(shared) = self.board.current() {
            shared.look_again();
        }
    }

    /// As [`stop`](Self::stop), and begins to close the connection that was handed out, without waiting.
    /// A reason of more than 123 bytes is cut.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        self.stop();
        let frame = CloseFrame::truncated(code, reason.into());
        if let Some(shared) = self.board.current() {
            shared.request(|inner| inner.connection.close(Some(frame), now()));
        }
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.board.told.lock().state.clone()
    }

    /// Waits until this handle has not seen what it is doing: the newest state, past those that were
    /// over in the meantime. `None` when the `Reconnect` was dropped.
    pub fn changed(&mut self) -> Option<State> {
        let mut told = self.board.told.lock();
        loop {
            if self.seen != told.count {
                self.seen = told.count;
                return Some(told.state.clone());
            }
            if told.gone {
                return None;
            }
            self.board.changed.wait(&mut told);
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&self.state()).finish()
    }
}
