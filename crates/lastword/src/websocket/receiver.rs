//! The receiving half: messages from the core, those of one read without asking it again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lastword_kit::{Ended, Opening, ReceiveError};
use lastword_proto::{Burst, Message};

use super::Alive;
#[cfg(doc)]
use super::WebSocket;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

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

    /// The next message; see [`WebSocket::recv`].
    ///
    /// # Errors
    /// As [`WebSocket::recv`].
    ///
    /// # Cancel safety
    /// Nothing is lost: a message is taken only in the moment in which it is returned.
    #[inline]
    pub fn recv(
        &mut self,
    ) -> impl Future<Output = Result<Option<Message>, Ended>> + Send + use<'_> {
        Receiving(self)
    }

    /// The next message, if it comes within `limit`; see [`WebSocket::recv_timeout`].
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] when none came: the connection goes on.
    /// [`ReceiveError::Ended`] when it has ended otherwise than cleanly.
    ///
    /// # Cancel safety
    /// Nothing is lost: a message is taken only in the moment in which it is returned.
    pub async fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Message>, ReceiveError> {
        match tokio::time::timeout(limit, self.recv()).await {
            Ok(received) => Ok(received?),
            Err(_) => Err(ReceiveError::TimedOut { limit }),
        }
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.alive.0.opening
    }

    /// The next message, or the end, which is told once.
    pub(crate) fn poll_item(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Ended>>> {
        if self.alive.0.told.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.poll_message(cx));
        if !matches!(next, Ok(Some(_))) {
            self.alive.0.told.store(true, Ordering::Relaxed);
        }
        Poll::Ready(next.transpose())
    }

    #[inline(always)]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Ended>> {
        match self.next_in_hand() {
            Some(message) => Poll::Ready(Ok(Some(message))),
            None => self.alive.0.poll_message(&mut self.burst, cx),
        }
    }

    /// A message that was fetched already.
    #[inline(always)]
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

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut inner = self.alive.0.lock();
        self.alive.0.holding.store(false, Ordering::Relaxed);
        inner.connection.discard_burst(&self.burst);
        inner.connection.stop_delivery();
        // Reading may have been paused for a reader that is gone now.
        self.alive.0.resume(&mut inner);
    }
}

/// The next message on its way to the application.
struct Receiving<'a>(&'a mut Receiver);

impl Future for Receiving<'_> {
    type Output = Result<Option<Message>, Ended>;

    // Into the handler: a call would cost as much as what it does.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_message(cx)
    }
}
