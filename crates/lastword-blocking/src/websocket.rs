//! The handles of one connection: a [`WebSocket`], or the [`Sender`] and [`Receiver`] it splits into.
//!
//! They ask the core, and wait; each call that waits has a form with a limit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lastword_kit::{Ended, Opening, SendError};
use lastword_proto::{Burst, CloseCode, CloseFrame, Compression, Ending, Ledger, Message, PingId};

use crate::shared::{Inner, Next, Shared, judged};
use crate::socket::now;

/// A WebSocket connection.
///
/// Messages are received with [`recv`](Self::recv) and sent with [`send`](Self::send), from one thread
/// or, after [`split`](Self::split), from several at once. Pings are answered and a close is completed
/// even while nobody calls either.
///
/// Dropping the last handle closes the connection with 1001, in the background, within
/// `Config::linger`.
#[derive(Debug)]
pub struct WebSocket {
    sender: Sender,
    receiver: Receiver,
}

/// The sending half of a connection. Clones send on the same connection.
#[derive(Clone, Debug)]
pub struct Sender {
    alive: Arc<Alive>,
}

/// The receiving half of a connection. Dropping it does not close the connection: what comes is
/// then counted and thrown away.
#[derive(Debug)]
pub struct Receiver {
    alive: Arc<Alive>,
    /// Messages that are fetched already: they cost no lock each.
    burst: Burst,
}

/// Shared by the handles of a connection; the last one to go takes it along.
struct Alive(Arc<Shared>);

/// Why a call that may not wait for longer came back without what it waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over. Nothing is lost: ask again.
    TimedOut,
    /// The connection is over, and did not end cleanly.
    Ended(Ended),
}

impl std::fmt::Display for WaitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("nothing came within the time given"),
            Self::Ended(ended) => ended.fmt(f),
        }
    }
}

impl std::error::Error for WaitError {}

impl WebSocket {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let alive = Arc::new(Alive(shared));
        let receiver = Receiver { alive: Arc::clone(&alive), burst: Burst::default() };
        Self { sender: Sender { alive }, receiver }
    }

    /// Waits for the next message; `None` when the connection has ended cleanly.
    ///
    /// # Errors
    /// [`Ended`] when it has ended otherwise. All messages that arrived whole come first.
    #[inline]
    pub fn recv(&mut self) -> Result<Option<Message>, Ended> {
        self.receiver.recv()
    }

    /// Waits for the next message, but not for longer than `within`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] when none came; [`WaitError::Ended`] as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, within: Duration) -> Result<Option<Message>, WaitError> {
        self.receiver.recv_timeout(within)
    }

    /// The messages to come, until the connection ends; an end that is not clean is the last item.
    pub fn messages(&mut self) -> Messages<'_> {
        self.receiver.messages()
    }

    /// Sends a message: waits for room in the send buffer, and writes as soon as that is useful. A
    /// peer that does not read ends the wait after `Config::write_timeout`.
    ///
    /// While messages that came together are being worked off, answers are written together: before the
    /// next wait, or a tenth of a second later.
    ///
    /// # Errors
    /// [`SendError`], with the message, when the connection is closing or over.
    #[inline]
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// Sends a message, if room comes up for it `within` that time.
    ///
    /// # Errors
    /// [`SendError`], with the message; [`SendError::Full`] when no room came up.
    pub fn send_timeout(
        &self,
        message: impl Into<Message>,
        within: Duration,
    ) -> Result<(), SendError> {
        self.sender.send_timeout(message, within)
    }

    /// Sends a message if there is room for it at once.
    ///
    /// # Errors
    /// [`SendError`], with the message, also when the buffer is full.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.try_send(message)
    }

    /// Sends a message and waits until the peer's endpoint has provably read it: a ping stands
    /// behind it, and the peer answered that.
    ///
    /// # Errors
    /// [`SendError::Ended`] if the connection ends before; the ledger then says what is known.
    pub fn send_confirmed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send_confirmed(message)
    }

    /// Waits until all that was accepted is handed to the operating system.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] after `within`; [`WaitError::Ended`] if the connection ends before.
    pub fn flush(&self, within: Duration) -> Result<(), WaitError> {
        self.sender.flush(within)
    }

    /// Pings the peer: how long the answer took.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] after `within`; [`WaitError::Ended`] if the connection ends before.
    pub fn ping(&self, within: Duration) -> Result<Duration, WaitError> {
        self.sender.ping(within)
    }

    /// The last round-trip time of a ping, the keepalive's included.
    pub fn latency(&self) -> Option<Duration> {
        self.sender.latency()
    }

    /// What became of the messages so far.
    pub fn ledger(&self) -> Ledger {
        self.sender.ledger()
    }

    /// Closes: what was accepted goes first, then the close frame; waits for the peer's answer and
    /// the end of the transport, never longer than `Config::close_timeout`. A reason of more than
    /// 123 bytes is cut. Messages that were not received are counted and thrown away.
    pub fn close(self, code: CloseCode, reason: impl Into<String>) -> Arc<Ending> {
        let Self { sender, receiver } = self;
        drop(receiver);
        sender.close(code, reason);
        sender.ended()
    }

    /// Ends the connection at once, without a word: the transport is reset.
    pub fn abort(self) -> Arc<Ending> {
        self.sender.abort()
    }

    /// The two halves, to be used from two threads.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// A sending half beside this handle.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Waits for the end: how it ended. Can be asked again and again.
    pub fn ended(&self) -> Arc<Ending> {
        self.sender.ended()
    }

    /// How it ended; `None` if it has not, `within` that time.
    pub fn ended_timeout(&self, within: Duration) -> Option<Arc<Ending>> {
        self.sender.ended_timeout(within)
    }

    /// After the end: the messages that were accepted and did not leave, whole and in order; once.
    pub fn take_unsent(&self) -> Vec<Message> {
        self.sender.take_unsent()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        self.sender.opening()
    }
}

impl Sender {
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
        self.send_until(message.into(), None)
    }

    /// Sends a message, if room comes up for it; see [`WebSocket::send_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::send_timeout`].
    pub fn send_timeout(
        &self,
        message: impl Into<Message>,
        within: Duration,
    ) -> Result<(), SendError> {
        self.send_until(message.into(), after(within))
    }

    /// Sends a message if there is room for it; see [`WebSocket::try_send`].
    ///
    /// # Errors
    /// As [`WebSocket::try_send`].
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let mut inner = self.shared().lock();
        self.offer(&mut inner, message.into())
    }

    /// Sends a message and waits for its confirmation; see [`WebSocket::send_confirmed`].
    ///
    /// # Errors
    /// As [`WebSocket::send_confirmed`].
    pub fn send_confirmed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        self.send(message.clone())?;
        let ping = self.shared().request(|inner| inner.connection.confirm());
        match self.answered(ping, None) {
            Ok(_) => Ok(()),
            Err(WaitError::Ended(ended)) => Err(SendError::Ended(ended, message)),
            Err(WaitError::TimedOut) => unreachable!("without a limit, the time is never over"),
        }
    }

    /// Waits until all is handed to the operating system; see [`WebSocket::flush`].
    ///
    /// # Errors
    /// As [`WebSocket::flush`].
    pub fn flush(&self, within: Duration) -> Result<(), WaitError> {
        let flushed = self.shared().wait(after(within), |inner| {
            if let Some(ending) = inner.connection.ending() {
                let all_left = ending.ledger.unsent.messages == 0;
                let lost = || WaitError::Ended(Ended(Arc::clone(ending)));
                return Some(if all_left { Ok(()) } else { Err(lost()) });
            }
            inner.write();
            (inner.connection.waiting() == 0).then_some(Ok(()))
        });
        flushed.unwrap_or(Err(WaitError::TimedOut))
    }

    /// Pings the peer; see [`WebSocket::ping`].
    ///
    /// # Errors
    /// As [`WebSocket::ping`].
    pub fn ping(&self, within: Duration) -> Result<Duration, WaitError> {
        let ping = self.shared().request(|inner| inner.connection.ping());
        self.answered(ping, after(within))
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
        self.ended_by(None).unwrap_or_else(|| unreachable!("without a limit, it waits for the end"))
    }

    /// How it ended; see [`WebSocket::ended_timeout`].
    pub fn ended_timeout(&self, within: Duration) -> Option<Arc<Ending>> {
        self.ended_by(after(within))
    }

    /// After the end: the messages that did not leave; see [`WebSocket::take_unsent`].
    pub fn take_unsent(&self) -> Vec<Message> {
        self.shared().lock().connection.take_unsent()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.shared().opening
    }

    fn ended_by(&self, deadline: Option<Instant>) -> Option<Arc<Ending>> {
        self.shared().wait(deadline, |inner| inner.connection.ending().map(Arc::clone))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.alive.0
    }

    #[inline]
    fn send_until(&self, message: Message, deadline: Option<Instant>) -> Result<(), SendError> {
        let offered = {
            let mut inner = self.shared().lock();
            if inner.connection.send_small(&message) {
                self.shared().after_send(&mut inner);
                return Ok(());
            }
            self.offer(&mut inner, message)
        };
        match offered {
            Err(SendError::Full(message)) => self.send_when_room(message, deadline),
            done => done,
        }
    }

    #[cold]
    fn send_when_room(&self, message: Message, deadline: Option<Instant>) -> Result<(), SendError> {
        let mut message = Some(message);
        let sent = self.shared().wait(deadline, |inner| match self.offer(inner, message.take()?) {
            Err(SendError::Full(refused)) => {
                message = Some(refused);
                None
            }
            done => Some(done),
        });
        match (sent, message) {
            (Some(done), _) => done,
            (None, Some(message)) => Err(SendError::Full(message)),
            (None, None) => unreachable!("a message is accepted, or comes back"),
        }
    }

    fn offer(&self, inner: &mut Inner, message: Message) -> Result<(), SendError> {
        if inner.connection.is_open() && !inner.connection.has_room() {
            self.shared().after_request(inner);
            if inner.connection.is_open() && !inner.connection.has_room() {
                return Err(SendError::Full(message));
            }
        }
        match inner.connection.send(message, Compression::Auto) {
            Ok(()) => {
                self.shared().after_send(inner);
                Ok(())
            }
            Err(refused) => Err(match inner.connection.ending() {
                Some(ending) => SendError::Ended(Ended(Arc::clone(ending)), refused.into_message()),
                None => SendError::Closing(refused.into_message()),
            }),
        }
    }

    /// Waits for the answer to a ping; `None` stands for one that was not accepted any more.
    fn answered(
        &self,
        ping: Option<PingId>,
        deadline: Option<Instant>,
    ) -> Result<Duration, WaitError> {
        let answered = self.shared().wait(deadline, |inner| {
            if let Some(round_trip) = ping.and_then(|ping| inner.connection.answered(ping)) {
                return Some(Ok(round_trip));
            }
            let ending = inner.connection.ending()?;
            Some(Err(WaitError::Ended(Ended(Arc::clone(ending)))))
        });
        answered.unwrap_or(Err(WaitError::TimedOut))
    }
}

impl Receiver {
    /// Waits for the next message; see [`WebSocket::recv`].
    ///
    /// # Errors
    /// As [`WebSocket::recv`].
    #[inline]
    pub fn recv(&mut self) -> Result<Option<Message>, Ended> {
        match self.next(None) {
            Next::Message(message) => Ok(Some(message)),
            Next::End(ending) => judged(ending).map(|()| None),
            Next::TimedOut => unreachable!("without a limit, the time is never over"),
        }
    }

    /// Waits for the next message, but not for long; see [`WebSocket::recv_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::recv_timeout`].
    pub fn recv_timeout(&mut self, within: Duration) -> Result<Option<Message>, WaitError> {
        match self.next(after(within)) {
            Next::Message(message) => Ok(Some(message)),
            Next::End(ending) => judged(ending).map(|()| None).map_err(WaitError::Ended),
            Next::TimedOut => Err(WaitError::TimedOut),
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
    fn next(&mut self, deadline: Option<Instant>) -> Next {
        let Self { alive, burst } = self;
        match burst.next() {
            Some(message) => {
                if burst.is_empty() {
                    alive.0.holding.store(false, Ordering::Relaxed);
                }
                Next::Message(message)
            }
            None => alive.0.next(burst, deadline),
        }
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

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
        self.0.call_pump(&mut self.0.lock());
    }
}

impl std::fmt::Debug for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().connection.fmt(f)
    }
}

/// The end of a wait that may take so long; `None` if that is beyond what the clock knows.
fn after(within: Duration) -> Option<Instant> {
    now().checked_add(within)
}
