//! The sending half: messages to the core, pings, and the wish to end it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lastword_kit::{Ended, Opening, PingError, SendError, TlsDetails, not_sent};
use lastword_proto::{
    CloseCode, CloseFrame, Compression, ControlRefused, Ending, Ledger, Message, Part, PingId,
};

use super::Alive;
#[cfg(doc)]
use super::WebSocket;
use crate::shared::{Inner, Shared, Writing, now};

/// The sending half of a connection. Clones send on the same connection.
#[derive(Clone, Debug)]
pub struct Sender {
    alive: Arc<Alive>,
    /// What it waits for as a `Sink`, if it does.
    pub(crate) as_sink: Wait,
}

/// What a sender waits for as a `Sink`, which keeps no future of the caller's. A clone waits for
/// nothing.
#[derive(Default)]
pub(crate) struct Wait(pub(crate) Option<Box<Waiting>>);

pub(crate) struct Waiting {
    pub(crate) aim: Aim,
    /// In a mutex that nobody locks, so that others may look at the sender meanwhile.
    pub(crate) future: std::sync::Mutex<Reaching>,
}

pub(crate) type Reaching = Pin<Box<dyn Future<Output = Result<(), Ended>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Room,
    Flushed,
    Closed,
}

impl Sender {
    pub(super) fn new(alive: Arc<Alive>) -> Self {
        Self { alive, as_sink: Wait::default() }
    }

    /// Sends a message; see [`WebSocket::send`].
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    #[inline]
    pub fn send(
        &self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        Sending { sender: self, step: Step::Offer(message.into()) }
    }

    /// Sends a message, compressed or not; see [`WebSocket::send_with`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    pub async fn send_with(
        &self,
        message: impl Into<Message>,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.send_when_room(message.into(), compression).await
    }

    /// Sends a message if there is room within `limit`; see [`WebSocket::send_timeout`].
    ///
    /// # Errors
    /// [`SendError::TimedOut`], with the message, which is then not sent; else as
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    pub async fn send_timeout(
        &self,
        message: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        let mut message = Some(message.into());
        let sending = self.accept_when_room(&mut message, Compression::Auto);
        let sent = tokio::time::timeout(limit, sending).await;
        match (sent, message) {
            (Ok(result), _) => result,
            (Err(_), Some(message)) => Err(SendError::TimedOut { limit, message }),
            (Err(_), None) => unreachable!("what takes the message is done with it"),
        }
    }

    /// Sends a message if there is room for it; see [`WebSocket::try_send`].
    ///
    /// # Errors
    /// As [`WebSocket::try_send`].
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.offer(message.into())
    }

    /// Sends a message and waits for its confirmation; see [`WebSocket::send_confirmed`].
    ///
    /// # Errors
    /// As [`WebSocket::send_confirmed`].
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    pub async fn send_confirmed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let mut offered = Some(message.clone());
        // Accepted and asked in one breath: nobody begins a message by parts in between.
        let ping = self
            .when_its_turn(|inner| {
                let accepted = self.accept(inner, offered.take()?, Compression::Auto);
                Some(accepted.map(|()| {
                    let ping = inner.connection.confirm();
                    self.shared().after_request(inner, Writing::Now);
                    ping
                }))
            })
            .await?;
        match self.answered(ping).await {
            Ok(_) => Ok(()),
            Err(ended) => Err(SendError::Ended(ended, message)),
        }
    }

    /// Holds back what is sent; see [`WebSocket::batch`].
    pub fn batch(&self) -> Batch<'_> {
        let mut inner = self.shared().lock();
        inner.batches = inner.batches.saturating_add(1);
        drop(inner);
        Batch { sender: self }
    }

    /// Waits until all is handed to the operating system; see [`WebSocket::flush`].
    ///
    /// # Errors
    /// As [`WebSocket::flush`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), Ended> {
        self.shared()
            .wait(|inner| {
                if let Some(ending) = inner.connection.ending() {
                    let all_left = ending.ledger.unsent.messages == 0;
                    return Some(if all_left { Ok(()) } else { Err(Ended(Arc::clone(ending))) });
                }
                inner.write();
                // Whoever writes the last byte tells those who wait for room.
                inner.crowded = true;
                (inner.connection.waiting() == 0).then_some(Ok(()))
            })
            .await
    }

    /// Pings the peer; see [`WebSocket::ping`].
    ///
    /// # Errors
    /// As [`WebSocket::ping`].
    ///
    /// # Cancel safety
    /// Nothing is lost; the ping may be sent all the same.
    pub async fn ping(&self) -> Result<Duration, Ended> {
        let ping = {
            let mut inner = self.shared().lock();
            let ping = inner.connection.ping();
            self.shared().after_request(&mut inner, Writing::Now);
            ping
        };
        self.answered(ping).await
    }

    /// Pings the peer with data of your own; see [`WebSocket::ping_with`].
    ///
    /// # Errors
    /// [`PingError::Refused`]: the data is too long, a ping with the same data waits for its
    /// answer, or too many wait to be written. [`PingError::Ended`] if the connection ends before
    /// the answer.
    ///
    /// # Cancel safety
    /// Nothing is lost; the ping may be sent all the same.
    pub async fn ping_with(&self, data: impl AsRef<[u8]> + Send) -> Result<Duration, PingError> {
        let ping = self.shared().request(|inner| inner.connection.ping_with(data.as_ref()))?;
        self.answered(Some(ping)).await.map_err(PingError::Ended)
    }

    /// Sends a pong that nobody asked for; see [`WebSocket::pong`].
    ///
    /// # Errors
    /// [`ControlRefused`]: the connection is closing, the data is too long, or too many wait to be
    /// written.
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
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ended(&self) -> Arc<Ending> {
        self.shared().ended().await
    }

    /// After the end: the messages that did not leave; see [`WebSocket::take_unsent`].
    pub fn take_unsent(&self) -> Vec<Message> {
        self.shared().lock().connection.take_unsent()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.shared().opening
    }

    /// What TLS came to, while the connection is open; `None` without TLS, over a stream of the
    /// caller's own that is encrypted already, and when the transport is gone.
    pub fn tls(&self) -> Option<TlsDetails> {
        self.shared().lock().tls()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.alive.0
    }

    /// The short way, that nearly all messages take.
    #[inline(always)]
    fn offer_small(&self, message: &Message) -> bool {
        let shared = self.shared();
        let mut inner = shared.lock();
        let accepted = inner.connection.send_small(message);
        if accepted {
            // There was room before; if there is none now, the next one writes first.
            let writing =
                if shared.is_working_off(&inner) { Writing::Corked } else { Writing::Now };
            shared.after_request(&mut inner, writing);
        }
        accepted
    }

    #[inline(never)]
    fn offer(&self, message: Message) -> Result<(), SendError> {
        let mut inner = self.shared().lock();
        if !self.is_ready(&mut inner) {
            let streaming = inner.connection.is_streaming();
            let why = if streaming { SendError::Streaming } else { SendError::Full };
            return Err(why(message));
        }
        self.accept(&mut inner, message, Compression::Auto)
    }

    /// Takes a message for which there was room when that was asked for: it may overshoot the buffer,
    /// if another sender was faster.
    pub(crate) fn accept_now(&self, message: Message) -> Result<(), SendError> {
        self.accept(&mut self.shared().lock(), message, Compression::Auto)
    }

    /// Whether a message would be taken, or refused once and for all; if neither, we hear of it when
    /// there is room.
    pub(crate) fn is_ready(&self, inner: &mut Inner) -> bool {
        if !inner.connection.is_open() {
            return true;
        }
        if inner.connection.is_streaming() {
            inner.queued = true;
            return false;
        }
        let ready = self.shared().makes_room(inner);
        inner.crowded |= !ready;
        ready
    }

    #[cold]
    async fn send_when_room(
        &self,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.accept_when_room(&mut Some(message), compression).await
    }

    /// Takes the message in the moment in which it is accepted or refused.
    async fn accept_when_room(
        &self,
        message: &mut Option<Message>,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.when_its_turn(|inner| Some(self.accept(inner, message.take()?, compression))).await
    }

    /// Waits until no message is being sent by parts, and there is room for another: or until there
    /// will never be.
    async fn when_its_turn<T>(&self, mut act: impl FnMut(&mut Inner) -> Option<T>) -> T {
        self.shared()
            .wait(|inner| {
                if !self.is_ready(inner) {
                    return None;
                }
                act(inner)
            })
            .await
    }

    /// Offers a part to the core when there is room for it; the first waits for its turn.
    pub(crate) async fn write_part(
        &self,
        place: Place,
        part: Part,
        compression: Compression,
    ) -> Result<(), SendError> {
        let mut part = Some(part);
        let mut offer = |inner: &mut Inner| {
            let part = part.take()?;
            let last = part.last;
            let sent = inner.connection.send_part(part, compression);
            if last && std::mem::take(&mut inner.queued) {
                self.shared().changed.notify_waiters();
            }
            let writing = self.shared().writing(inner);
            self.shared().after_request(inner, writing);
            Some(sent.map_err(|refused| not_sent(refused, inner.connection.ending())))
        };
        match place {
            Place::First => self.when_its_turn(offer).await,
            Place::Later => {
                self.shared()
                    .wait(|inner| {
                        if inner.connection.is_open() && !self.shared().makes_room(inner) {
                            inner.crowded = true;
                            return None;
                        }
                        offer(inner)
                    })
                    .await
            }
        }
    }

    /// A message that was begun will not be finished.
    pub(crate) fn give_up_message(&self) {
        self.close(CloseCode::INTERNAL_ERROR, "error in fragmented message");
    }

    fn accept(
        &self,
        inner: &mut Inner,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        match inner.connection.send(message, compression) {
            Ok(()) => {
                let writing = self.shared().writing(inner);
                self.shared().after_request(inner, writing);
                Ok(())
            }
            Err(refused) => Err(not_sent(refused, inner.connection.ending())),
        }
    }

    /// Waits for the answer to a ping; `None` stands for one that was not accepted any more.
    async fn answered(&self, ping: Option<PingId>) -> Result<Duration, Ended> {
        self.shared()
            .wait(|inner| {
                if let Some(round_trip) = ping.and_then(|ping| inner.connection.answered(ping)) {
                    return Some(Ok(round_trip));
                }
                inner.connection.ending().map(|ending| Err(Ended(Arc::clone(ending))))
            })
            .await
    }
}

/// A message on its way to the core. Written out by hand, since nearly all of them need nothing but
/// one call: what waiting takes is boxed, and made when it comes to that.
struct Sending<'a> {
    sender: &'a Sender,
    step: Step<'a>,
}

enum Step<'a> {
    Offer(Message),
    Wait(Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>),
    Done,
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        match &this.step {
            Step::Offer(message) if this.sender.offer_small(message) => {
                this.step = Step::Done;
                Poll::Ready(Ok(()))
            }
            _ => this.poll_in_turn(cx),
        }
    }
}

impl Sending<'_> {
    #[inline(never)]
    fn poll_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut waiting = match std::mem::replace(&mut self.step, Step::Done) {
            Step::Offer(message) => match self.sender.offer(message) {
                Err(SendError::Full(message) | SendError::Streaming(message)) => {
                    Box::pin(self.sender.send_when_room(message, Compression::Auto))
                }
                result => return Poll::Ready(result),
            },
            Step::Wait(waiting) => waiting,
            Step::Done => panic!("a future is polled after it was ready"),
        };
        let polled = waiting.as_mut().poll(cx);
        if polled.is_pending() {
            self.step = Step::Wait(waiting);
        }
        polled
    }
}

/// Where a part stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Later,
}

impl Clone for Wait {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map(|waiting| waiting.aim).fmt(f)
    }
}

/// Holds back what is sent while it lives; see [`WebSocket::batch`].
#[derive(Debug)]
pub struct Batch<'a> {
    sender: &'a Sender,
}

impl Batch<'_> {
    /// Sends a message with the others of the batch; see [`WebSocket::send`].
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Writes the batch and waits until it is handed to the operating system.
    ///
    /// # Errors
    /// [`Ended`] if the connection ends before.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(self) -> Result<(), Ended> {
        let sender = self.sender;
        drop(self);
        sender.flush().await
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let shared = self.sender.shared();
        let mut inner = shared.lock();
        inner.batches = inner.batches.saturating_sub(1);
        let writing = shared.writing(&inner);
        shared.after_request(&mut inner, writing);
    }
}
