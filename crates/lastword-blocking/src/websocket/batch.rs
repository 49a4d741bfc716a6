//! Messages that are to leave together.

use std::time::Duration;

use lastword_kit::{FlushError, SendError};
use lastword_proto::Message;

use super::Sender;
#[cfg(doc)]
use super::WebSocket;

/// Holds back what is sent while it lives; see [`WebSocket::batch`].
#[derive(Debug)]
pub struct Batch<'a> {
    sender: &'a Sender,
}

impl<'a> Batch<'a> {
    pub(super) fn new(sender: &'a Sender) -> Self {
        let mut inner = sender.shared().lock();
        inner.batches = inner.batches.saturating_add(1);
        drop(inner);
        Self { sender }
    }

    /// Sends a message with the others of the batch; see [`WebSocket::send`].
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// Writes the batch and waits until it is handed to the operating system, but no longer than
    /// `limit`.
    ///
    /// # Errors
    /// As [`WebSocket::flush`].
    pub fn flush(self, limit: Duration) -> Result<(), FlushError> {
        let sender = self.sender;
        drop(self);
        sender.flush(limit)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let shared = self.sender.shared();
        let mut inner = shared.lock();
        inner.batches = inner.batches.saturating_sub(1);
        shared.after_send(&mut inner);
    }
}
