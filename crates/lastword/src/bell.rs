//! What those wait at who publish to a topic with a full receiver.

use lastword_kit::Bell;
use tokio::sync::Notify;

/// Wakes tasks.
#[derive(Debug, Default)]
pub(crate) struct Room(pub(crate) Notify);

impl Bell for Room {
    fn ring(&self) {
        self.0.notify_waiters();
    }
}
