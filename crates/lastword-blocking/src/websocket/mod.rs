//! The handles of one connection: a [`WebSocket`], or the [`Sender`] and [`Receiver`] it splits into.
//!
//! They ask the core, and wait; each call that waits has a form with a limit. The whole handle does what
//! its halves do.

mod batch;
mod receiver;
mod sender;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lastword_kit::{Ended, FlushError, Opening, PingError, ReceiveError, SendError, TlsDetails};
use lastword_proto::{CloseCode, Compression, ControlRefused, Ending, Ledger, Message};

pub use self::batch::Batch;
pub use self::receiver::{Messages, Receiver};
pub(crate) use self::sender::Place;
pub use self::sender::Sender;
use crate::shared::Shared;
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
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

/// Shared by the handles of a connection; the last one to go takes it along.
struct Alive(Arc<Shared>);

impl WebSocket {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let alive = Arc::new(Alive(shared));
        let receiver = Receiver::new(Arc::clone(&alive));
        Self { sender: Sender::new(alive), receiver }
    }

    /// Waits for the next message; `None` when the connection has ended cleanly.
    ///
    /// # Errors
    /// [`Ended`] when it has ended otherwise. All messages that arrived whole come first.
    #[inline]
    pub fn recv(&mut self) -> Result<Option<Message>, Ended> {
        self.receiver.recv()
    }

    /// Waits for the next message, but no longer than `limit`; with a limit of zero, takes one that is
    /// there. `None` when the connection has ended cleanly.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] when none came: the connection goes on. [`ReceiveError::Ended`] when
    /// it has ended otherwise than cleanly.
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Message>, ReceiveError> {
        self.receiver.recv_timeout(limit)
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

    /// Sends a message as [`send`](Self::send) does, and says whether it may be compressed:
    /// [`Compression::Never`] for what would not shrink, or where a secret stands beside what an
    /// attacker chose; [`Compression::Always`] whatever its size. Where permessage-deflate was not
    /// agreed on, nothing is.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &self,
        message: impl Into<Message>,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.sender.send_with(message, compression)
    }

    /// Sends a message as [`send`](Self::send) does, but waits no longer than `limit` for room in the
    /// send buffer.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], with the message, which is then not sent; else as
    /// [`send`](Self::send).
    pub fn send_timeout(
        &self,
        message: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        self.sender.send_timeout(message, limit)
    }

    /// Sends a message if there is room for it. Never waits.
    ///
    /// # Errors
    /// [`SendError`], with the message, also when the buffer is full, or while another message is being
    /// sent by parts.
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

    /// Sends a message as [`send_confirmed`](Self::send_confirmed) does, but waits no longer than
    /// `limit`, for room and for the answer together.
    ///
    /// # Errors
    /// [`SendError::TimedOut`]: there was no room, and it is not sent. [`SendError::Unconfirmed`]: it was
    /// accepted, but not confirmed in time. Else as [`send_confirmed`](Self::send_confirmed).
    pub fn send_confirmed_timeout(
        &self,
        message: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        self.sender.send_confirmed_timeout(message, limit)
    }

    /// Holds back what is sent until the guard is flushed or dropped, so that it leaves together: unless
    /// the send buffer is full before, or something else has to be written.
    pub fn batch(&self) -> Batch<'_> {
        self.sender.batch()
    }

    /// Waits until all that was accepted is handed to the operating system, but no longer than `limit`.
    ///
    /// # Errors
    /// [`FlushError::TimedOut`] when that took too long; [`FlushError::Ended`] if the connection ends
    /// before.
    pub fn flush(&self, limit: Duration) -> Result<(), FlushError> {
        self.sender.flush(limit)
    }

    /// Pings the peer, and waits no longer than `limit` for the answer: how long that took.
    ///
    /// # Errors
    /// [`PingError::TimedOut`] when no answer came; [`PingError::Ended`] if the connection ends before.
    pub fn ping(&self, limit: Duration) -> Result<Duration, PingError> {
        self.sender.ping(limit)
    }

    /// Pings the peer with data of your own, of up to 125 bytes, and waits no longer than `limit` for
    /// the answer: how long that took. An answer to a later ping answers this one, too.
    ///
    /// # Errors
    /// [`PingError::Refused`]: the data is too long, a ping with the same data waits for its answer, or
    /// too many wait to be written. Else as [`ping`](Self::ping).
    pub fn ping_with(
        &self,
        data: impl AsRef<[u8]>,
        limit: Duration,
    ) -> Result<Duration, PingError> {
        self.sender.ping_with(data, limit)
    }

    /// Sends a pong that nobody asked for, with up to 125 bytes of data: a heartbeat in one
    /// direction (RFC 6455 section 5.5.3). Never waits.
    ///
    /// # Errors
    /// [`ControlRefused`]: the connection is closing, the data is too long, or too many wait to be
    /// written.
    pub fn pong(&self, data: impl AsRef<[u8]>) -> Result<(), ControlRefused> {
        self.sender.pong(data)
    }

    /// From now on, asks every `interval` whether the peer is there, and lets it be silent for `timeout`
    /// then, whatever `Config::ping_interval` and `Config::ping_timeout` say; `None`: never, and for ever.
    /// The next ping is due an `interval` from now; for one that waits for its answer, `timeout` begins
    /// anew.
    pub fn set_keepalive(&self, interval: Option<Duration>, timeout: Option<Duration>) {
        self.sender.set_keepalive(interval, timeout);
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

    /// How it ended; `None` if it has not, within `limit`.
    pub fn ended_timeout(&self, limit: Duration) -> Option<Arc<Ending>> {
        self.sender.ended_timeout(limit)
    }

    /// After the end: the messages that were accepted and did not leave, whole and in order; once.
    pub fn take_unsent(&self) -> Vec<Message> {
        self.sender.take_unsent()
    }

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        self.sender.opening()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.sender.shared()
    }

    /// What TLS came to, while the connection is open; `None` without TLS, over a socket of the
    /// caller's own that is encrypted already, and when the socket is gone.
    pub fn tls(&self) -> Option<TlsDetails> {
        self.sender.tls()
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
fn after(limit: Duration) -> Option<Instant> {
    now().checked_add(limit)
}

/// The limit of a wait that has none.
const FOREVER: Duration = Duration::MAX;
