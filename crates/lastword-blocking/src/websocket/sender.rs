//! The sending half: messages to the core, pings, and the wish to end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_kit::{Ended, FlushError, Opening, PingError, SendError, TlsDetails, not_sent};
use lastword_proto::{
    CloseCode, CloseFrame, Compression, ControlRefused, Ending, Ledger, Message, Part, PingId,
};

#[cfg(doc)]
use super::WebSocket;
use super::{Alive, Batch, FOREVER, after};
use crate::crank::Inner;
use crate::shared::Shared;
use crate::socket::now;

/// The sending half of a connection. Clones send on the same connection.
#[derive(Clone, Debug)]
pub struct Sender {
    alive: Arc<Alive>,
}

impl Sender {
    pub(super) const fn new(alive: Arc<Alive>) -> Self {
        Self { alive }
    }

    /// Whether no other handle of the connection is left.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.alive) == 1
    }

    /// Sends a message; see [`WebSocket::send`].
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    #[inline]
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let offered = {
            let mut inner = self.shared().lock();
            if inner.connection.send_small(&message) {
                self.shared().after_send(&mut inner);
                return Ok(());
            }
            self.offer(&mut inner, message, Compression::Auto)
        };
        match offered {
            Err(SendError::Full(message) | SendError::Streaming(message)) => {
                self.send_in_turn(message, Compression::Auto, FOREVER)
            }
            done => done,
        }
    }

    /// Sends a message, compressed or not; see [`WebSocket::send_with`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &self,
        message: impl Into<Message>,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.send_in_turn(message.into(), compression, FOREVER)
    }

    /// Sends a message, if room comes up for it; see [`WebSocket::send_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::send_timeout`].
    pub fn send_timeout(
        &self,
        message: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        self.send_in_turn(message.into(), Compression::Auto, limit)
    }

    /// Sends a message if there is room for it; see [`WebSocket::try_send`].
    ///
    /// # Errors
    /// As [`WebSocket::try_send`].
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.offer(&mut self.shared().lock(), message.into(), Compression::Auto)
    }

    /// Sends a message and waits for its confirmation; see [`WebSocket::send_confirmed`].
    ///
    /// # Errors
    /// As [`WebSocket::send_confirmed`].
    pub fn send_confirmed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.send_confirmed_timeout(message, FOREVER)
    }

    /// Sends a message and waits for its confirmation, but not for long; see
    /// [`WebSocket::send_confirmed_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::send_confirmed_timeout`].
    pub fn send_confirmed_timeout(
        &self,
        message: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        let message = message.into();
        let deadline = after(limit);
        let mut offered = Some(message.clone());
        // Accepted and asked in one breath: nobody begins a message by parts in between.
        let accepted = self.when_its_turn(deadline, |inner| {
            let accepted = self.accept(inner, offered.take()?, Compression::Auto);
            Some(accepted.map(|()| inner.connection.confirm()))
        });
        let Some(accepted) = accepted else { return Err(SendError::TimedOut { limit, message }) };
        match self.answered(accepted?, deadline) {
            Some(Ok(_)) => Ok(()),
            Some(Err(ended)) => Err(SendError::Ended(ended, message)),
            None => Err(SendError::Unconfirmed { limit, message }),
        }
    }

    /// Holds back what is sent; see [`WebSocket::batch`].
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Waits until all is handed to the operating system; see [`WebSocket::flush`].
    ///
    /// # Errors
    /// As [`WebSocket::flush`].
    pub fn flush(&self, limit: Duration) -> Result<(), FlushError> {
        let flushed = self.shared().wait(after(limit), |inner| {
            if let Some(ending) = inner.connection.ending() {
                let all_left = ending.ledger.unsent.messages == 0;
                let lost = || FlushError::Ended(Ended(Arc::clone(ending)));
                return Some(if all_left { Ok(()) } else { Err(lost()) });
            }
            inner.write();
            (inner.connection.waiting() == 0).then_some(Ok(()))
        });
        flushed.unwrap_or(Err(FlushError::TimedOut { limit }))
    }

    /// Pings the peer; see [`WebSocket::ping`].
    ///
    /// # Errors
    /// As [`WebSocket::ping`].
    pub fn ping(&self, limit: Duration) -> Result<Duration, PingError> {
        let ping = self.shared().request(|inner| inner.connection.ping());
        self.pinged(ping, limit)
    }

    /// Pings the peer with data of your own; see [`WebSocket::ping_with`].
    ///
    /// # Errors
    /// As [`WebSocket::ping_with`].
    pub fn ping_with(
        &self,
        data: impl AsRef<[u8]>,
        limit: Duration,
    ) -> Result<Duration, PingError> {
        let ping = self.shared().request(|inner| inner.connection.ping_with(data.as_ref()))?;
        self.pinged(Some(ping), limit)
    }

    /// Sends a pong that nobody asked for; see [`WebSocket::pong`].
    ///
    /// # Errors
    /// As [`WebSocket::pong`].
    pub fn pong(&self, data: impl AsRef<[u8]>) -> Result<(), ControlRefused> {
        self.shared().request(|inner| inner.connection.pong(data.as_ref()))
    }

    /// Changes keepalive from now on; see [`WebSocket::set_keepalive`].
    pub fn set_keepalive(&self, interval: Option<Duration>, timeout: Option<Duration>) {
        self.shared().request(|inner| inner.connection.set_keepalive(interval, timeout, now()));
    }

    /// The last round-trip time of a ping, the keepalive's included.
    pub fn latency(&self) -> Option<Duration> {
        self.shared().lock().connection.latency()
    }

    /// What became of the messages so far.
    pub fn ledger(&self) -> Ledger {
        self.shared().lock().connection.ledger()
    }

    /// Whether messages are accepted for sending: until the connection is closing.
    pub fn is_open(&self) -> bool {
        self.shared().lock().connection.is_open()
    }

    /// Begins to close, without waiting; [`ended`](Self::ended) waits. The first close stands.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let frame = CloseFrame::truncated(code, reason.into());
        self.shared().request(|inner| inner.connection.close(Some(frame), now()));
    }

    /// Ends the connection at once, without a word: the transport is reset.
    pub fn abort(&self) -> Arc<Ending> {
        self.shared()
            .request(|inner| {
                inner.connection.abort(now());
                inner.connection.ending().map(Arc::clone)
            })
            .unwrap_or_else(|| unreachable!("an abort ends a connection in every state"))
    }

    /// Waits for the end; see [`WebSocket::ended`].
    pub fn ended(&self) -> Arc<Ending> {
        self.shared().ended()
    }

    /// How it ended; see [`WebSocket::ended_timeout`].
    pub fn ended_timeout(&self, limit: Duration) -> Option<Arc<Ending>> {
        self.shared().ended_by(after(limit))
    }

    /// After the end: the messages that did not leave; see [`WebSocket::take_unsent`].
    pub fn take_unsent(&self) -> Vec<Message> {
        self.shared().lock().connection.take_unsent()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.shared().opening
    }

    /// What TLS came to; see [`WebSocket::tls`].
    pub fn tls(&self) -> Option<TlsDetails> {
        self.shared().lock().tls()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.alive.0
    }

    /// Sends a message at once, or when it is its turn.
    #[inline(never)]
    fn send_in_turn(
        &self,
        message: Message,
        compression: Compression,
        limit: Duration,
    ) -> Result<(), SendError> {
        let offered = self.offer(&mut self.shared().lock(), message, compression);
        let mut message = match offered {
            Err(SendError::Full(message) | SendError::Streaming(message)) => Some(message),
            done => return done,
        };
        let sent = self.when_its_turn(after(limit), |inner| {
            Some(self.accept(inner, message.take()?, compression))
        });
        match (sent, message) {
            (Some(done), _) => done,
            (None, Some(message)) => Err(SendError::TimedOut { limit, message }),
            (None, None) => unreachable!("what takes the message is done with it"),
        }
    }

    /// Waits until no message is being sent by parts, and there is room for another: or until there
    /// will never be.
    fn when_its_turn<T>(
        &self,
        deadline: Option<Instant>,
        mut act: impl FnMut(&mut Inner) -> Option<T>,
    ) -> Option<T> {
        self.shared().wait(deadline, |inner| match self.hindrance(inner) {
            None => act(inner),
            Some(_) => None,
        })
    }

    /// Offers a part to the core when there is room for it; the first waits for its turn.
    pub(crate) fn write_part(
        &self,
        place: Place,
        part: Part,
        compression: Compression,
        limit: Duration,
    ) -> Result<(), SendError> {
        let mut part = Some(part);
        let mut offer = |inner: &mut Inner| {
            let sent = inner.connection.send_part(part.take()?, compression);
            self.shared().after_send(inner);
            Some(sent.map_err(|refused| not_sent(refused, inner.connection.ending())))
        };
        let sent = match place {
            Place::First => self.when_its_turn(after(limit), offer),
            Place::Later => self.shared().wait(after(limit), |inner| {
                if inner.connection.is_open() && !self.shared().makes_room(inner) {
                    return None;
                }
                offer(inner)
            }),
        };
        match (sent, part) {
            (Some(done), _) => done,
            (None, Some(part)) => Err(SendError::TimedOut { limit, message: part.data }),
            (None, None) => unreachable!("what takes the part is done with it"),
        }
    }

    /// A message that was begun will not be finished.
    pub(crate) fn give_up_message(&self) {
        self.close(CloseCode::INTERNAL_ERROR, "error in fragmented message");
    }

    /// Offers a message once.
    fn offer(
        &self,
        inner: &mut Inner,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        match self.hindrance(inner) {
            Some(why) => Err(why(message)),
            None => self.accept(inner, message, compression),
        }
    }

    /// Why a message could not be taken now, but perhaps later.
    fn hindrance(&self, inner: &mut Inner) -> Option<fn(Message) -> SendError> {
        if !inner.connection.is_open() {
            return None;
        }
        if inner.connection.is_streaming() {
            return Some(SendError::Streaming);
        }
        let full = !self.shared().makes_room(inner) && inner.connection.is_open();
        full.then_some(SendError::Full)
    }

    fn accept(
        &self,
        inner: &mut Inner,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        let sent = inner.connection.send(message, compression);
        sent.map_err(|refused| not_sent(refused, inner.connection.ending()))?;
        self.shared().after_send(inner);
        Ok(())
    }

    fn pinged(&self, ping: Option<PingId>, limit: Duration) -> Result<Duration, PingError> {
        match self.answered(ping, after(limit)) {
            Some(answered) => answered.map_err(PingError::Ended),
            None => Err(PingError::TimedOut { limit }),
        }
    }

    /// Waits for the answer to a ping; `None` as a ping stands for one that was not accepted any more,
    /// and as the outcome for an answer that did not come in time.
    fn answered(
        &self,
        ping: Option<PingId>,
        deadline: Option<Instant>,
    ) -> Option<Result<Duration, Ended>> {
        self.shared().wait(deadline, |inner| {
            if let Some(round_trip) = ping.and_then(|ping| inner.connection.answered(ping)) {
                return Some(Ok(round_trip));
            }
            inner.connection.ending().map(|ending| Err(Ended(Arc::clone(ending))))
        })
    }
}

/// Where a part stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Later,
}
