//! The handles of one connection: a [`WebSocket`], or the [`Sender`] and [`Receiver`] it splits into.
//!
//! They ask the core, and wait. No future here holds protocol state across an await: dropping one
//! at any point loses nothing and tears no frame. The whole handle does what its halves do.

mod receiver;
mod sender;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lastword_kit::{Ended, Opening, PingError, ReceiveError, SendError, TlsDetails};
use lastword_proto::{CloseCode, Compression, ControlRefused, Ending, Ledger, Message};

pub use self::receiver::Receiver;
pub(crate) use self::sender::{Aim, Place, Reaching, Wait, Waiting};
pub use self::sender::{Batch, Sender};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// A WebSocket connection.
///
/// Messages are received with [`recv`](Self::recv) and sent with [`send`](Self::send), in any order
/// and from one task or, after [`split`](Self::split), from several. Pings are answered and a close
/// is completed even while nobody calls either.
///
/// Dropping the last handle closes the connection with 1001, in the background, within
/// `Config::linger`.
///
/// ```
/// use lastword::{CloseCode, Client, HandlerError, accept};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// // Any stream will do; this one is in memory.
/// let (near, far) = tokio::io::duplex(1024);
/// tokio::spawn(async move {
///     let mut ws = accept(far).await?;
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok::<_, HandlerError>(())
/// });
///
/// let mut ws = Client::new("ws://in.memory/").connect_over(near).await?;
/// ws.send_confirmed("read by the other side").await?;
/// assert_eq!(ws.recv().await?.unwrap().as_text(), Some("read by the other side"));
/// let ending = ws.close(CloseCode::NORMAL, "done").await;
/// assert!(ending.is_clean());
/// assert_eq!(ending.to_string(), r#"closed by us: 1000 (normal closure) "done""#);
/// # Ok::<_, HandlerError>(()) }).unwrap();
/// ```
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

    /// The next message; `None` when the connection has ended cleanly.
    ///
    /// # Errors
    /// [`Ended`] when it has ended otherwise. All messages that arrived whole come first.
    ///
    /// # Cancel safety
    /// Nothing is lost: a message is taken only in the moment in which it is returned.
    #[inline]
    pub fn recv(
        &mut self,
    ) -> impl Future<Output = Result<Option<Message>, Ended>> + Send + use<'_> {
        self.receiver.recv()
    }

    /// The next message, if it comes within `limit`; with a limit of zero, if it is there. `None`
    /// when the connection has ended cleanly.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] when none came: the connection goes on.
    /// [`ReceiveError::Ended`] when it has ended otherwise than cleanly.
    ///
    /// # Cancel safety
    /// Nothing is lost: a message is taken only in the moment in which it is returned.
    pub async fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Message>, ReceiveError> {
        self.receiver.recv_timeout(limit).await
    }

    /// Sends a message: waits for room in the send buffer, and writes as soon as that is useful.
    /// While received messages are being worked off, answers are written together, before the next
    /// wait at the latest.
    ///
    /// # Errors
    /// [`SendError`], with the message, when the connection is closing or over.
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    #[inline]
    pub fn send(
        &self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        self.sender.send(message)
    }

    /// Sends a message as [`send`](Self::send) does, and says whether it may be compressed:
    /// [`Compression::Never`] for what would not shrink, or where a secret stands beside what an
    /// attacker chose; [`Compression::Always`] whatever its size. Where permessage-deflate was not
    /// agreed on, nothing is.
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
        self.sender.send_with(message, compression).await
    }

    /// Sends a message as [`send`](Self::send) does, but waits no longer than `limit` for room in
    /// the send buffer; with a limit of zero it is sent if there is room now.
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
        self.sender.send_timeout(message, limit).await
    }

    /// Sends a message if there is room for it.
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
    ///
    /// # Cancel safety
    /// Nothing is lost: the message is either not accepted or wholly queued.
    pub async fn send_confirmed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send_confirmed(message).await
    }

    /// Holds back what is sent until the guard is flushed or dropped, so that it leaves together.
    pub fn batch(&self) -> Batch<'_> {
        self.sender.batch()
    }

    /// Waits until all that was accepted is handed to the operating system.
    ///
    /// # Errors
    /// [`Ended`] if the connection ends before.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), Ended> {
        self.sender.flush().await
    }

    /// Pings the peer: how long the answer took.
    ///
    /// # Errors
    /// [`Ended`] if the connection ends before the answer.
    ///
    /// # Cancel safety
    /// Nothing is lost; the ping may be sent all the same.
    pub async fn ping(&self) -> Result<Duration, Ended> {
        self.sender.ping().await
    }

    /// Pings the peer with data of your own, of up to 125 bytes: how long the answer took. An
    /// answer to a later ping answers this one, too.
    ///
    /// # Errors
    /// [`PingError::Refused`]: the data is too long, a ping with the same data waits for its
    /// answer, or too many wait to be written. [`PingError::Ended`] if the connection ends before
    /// the answer.
    ///
    /// # Cancel safety
    /// Nothing is lost; the ping may be sent all the same.
    pub async fn ping_with(&self, data: impl AsRef<[u8]> + Send) -> Result<Duration, PingError> {
        self.sender.ping_with(data).await
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
    ///
    /// For a connection that becomes more, or less, important than others: a phone that sleeps, a
    /// session that has just been authenticated.
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
    ///
    /// # Cancel safety
    /// Nothing is lost: closing goes on in the background.
    pub async fn close(self, code: CloseCode, reason: impl Into<String>) -> Arc<Ending> {
        let Self { sender, receiver } = self;
        drop(receiver);
        sender.close(code, reason);
        sender.ended().await
    }

    /// Ends the connection at once, without a word: the transport is reset.
    pub fn abort(self) -> Arc<Ending> {
        self.sender.abort()
    }

    /// The two halves, to be used from two tasks.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// A sending half beside this handle.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Waits for the end: how it ended. Can be asked again and again.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ended(&self) -> Arc<Ending> {
        self.sender.ended().await
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

    /// What TLS came to, while the connection is open; `None` without TLS, over a stream of the
    /// caller's own that is encrypted already, and when the transport is gone.
    pub fn tls(&self) -> Option<TlsDetails> {
        self.sender.tls()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
        self.0.wakes.wake_pump();
    }
}

impl std::fmt::Debug for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().connection.fmt(f)
    }
}
