//! The receiving half: messages from the core, those of one read without asking it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lastword_kit::{Ended, Opening, ReceiveError};
use lastword_proto::{Burst, Message};

#[cfg(doc)]
use super::WebSocket;
use super::{Alive, after};
use crate::shared::{Next, Shared, judged};

/// The receiving half of a connection. Dropping it does not close the connection: what comes is
/// then counted and thrown away.
#[derive(Debug)]
pub struct Receiver {
    alive: Arc<Alive>,
    /// Messages that are fetched already: they cost no lock each.
    burst: Burst,
}

impl Receiver {
    pub(super) fn new(alive: Arc<Alive>) -> Self {
        Self { alive, burst: Burst::default() }
    }

    /// Waits for the next message; see [`WebSocket::recv`].
    ///
    /// # Errors
    /// As [`WebSocket::recv`].
    #[inline]
    pub fn recv(&mut self) -> Result<Option<Message>, Ended> {
        match self.next(None) {
            Next::Taken(message) => Ok(Some(message)),
            Next::End(ending) => judged(ending).map(|()| None),
            Next::TimedOut => unreachable!("without a limit, the time is never over"),
        }
    }

    /// Waits for the next message, but not for long; see [`WebSocket::recv_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::recv_timeout`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Message>, ReceiveError> {
        match self.next(after(limit)) {
            Next::Taken(message) => Ok(Some(message)),
            Next::End(ending) => Ok(judged(ending).map(|()| None)?),
            Next::TimedOut => Err(ReceiveError::TimedOut { limit }),
        }
    }

    /// The messages to come; see [`WebSocket::messages`].
    pub fn messages(&mut self) -> Messages<'_> {
        Messages { receiver: self, over: false }
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.alive.0.opening
    }

    #[inline]
    fn next(&mut self, deadline: Option<Instant>) -> Next<Message> {
        match self.next_in_hand() {
            Some(message) => Next::Taken(message),
            None => self.alive.0.next_message(&mut self.burst, deadline),
        }
    }

    /// A message that was fetched already.
    #[inline]
    pub(crate) fn next_in_hand(&mut self) -> Option<Message> {
        let message = self.burst.next();
        if message.is_some() && self.burst.is_empty() {
            self.alive.0.holding.store(false, Ordering::Relaxed);
        }
        message
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.alive.0
    }
}

/// The messages of a connection, one after the other; see [`WebSocket::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    receiver: &'a mut Receiver,
    over: bool,
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, Ended>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.receiver.recv().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let shared = &self.alive.0;
        shared.holding.store(false, Ordering::Relaxed);
        shared.request(|inner| {
            inner.connection.discard_burst(&self.burst);
            inner.connection.stop_delivery();
            // Reading may have been paused for a reader that is gone now.
            shared.call_pump(inner);
        });
    }
}
