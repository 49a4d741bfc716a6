//! What those wait at who publish to a topic with a full receiver.

use std::time::Instant;

use lastword_kit::Bell;
use parking_lot::{Condvar, Mutex};

/// Wakes threads.
#[derive(Debug, Default)]
pub(crate) struct Room {
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell for Room {
    fn ring(&self) {
        // Whoever has just looked is asleep before this passes, and is woken.
        drop(self.lock.lock());
        self.rung.notify_all();
    }
}

impl Room {
    /// Waits while `is_full`, but not beyond the deadline.
    pub(crate) fn wait_while(&self, is_full: impl Fn() -> bool, deadline: Option<Instant>) {
        let mut lock = self.lock.lock();
        while is_full() {
            match deadline {
                None => self.rung.wait(&mut lock),
                Some(deadline) if self.rung.wait_until(&mut lock, deadline).timed_out() => return,
                Some(_) => {}
            }
        }
    }
}
