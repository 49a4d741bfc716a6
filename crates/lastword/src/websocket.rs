//! The handles of one connection: a [`WebSocket`], or the [`Sender`] and [`Receiver`] it splits into.
//!
//! They ask the core, and wait. No future here holds protocol state across an await: dropping one
//! at any point loses nothing and tears no frame.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lastword_proto::{Burst, CloseCode, CloseFrame, Compression, Ending, Ledger, Message, PingId};

use crate::shared::{Inner, Shared, Writing, now};
use crate::sync::atomic::Ordering;
use lastword_kit::Opening;
use lastword_kit::{Ended, SendError};

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

impl WebSocket {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let alive = Arc::new(Alive(shared));
        let receiver = Receiver { alive: Arc::clone(&alive), burst: Burst::default() };
        Self { sender: Sender { alive }, receiver }
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

    /// Sends a message if there is room for it.
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

    /// Sends messages of an earlier connection ahead of all others, whether or not there is room; leaves
    /// those that are not accepted.
    pub(crate) fn resend(&self, messages: &mut VecDeque<Message>) {
        self.shared().request(|inner| {
            while let Some(message) = messages.pop_front() {
                // How they were compressed is not known any more, and some must not be.
                if let Err(refused) = inner.connection.send(message, Compression::Never) {
                    messages.push_front(refused.into_message());
                    break;
                }
            }
        });
    }
}

impl Sender {
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
        self.send(message.clone()).await?;
        let ping = {
            let mut inner = self.shared().lock();
            let ping = inner.connection.confirm();
            self.shared().after_request(&mut inner, Writing::Now);
            ping
        };
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
        if inner.connection.is_open() && !self.shared().makes_room(&mut inner) {
            inner.crowded = true;
            return Err(SendError::Full(message));
        }
        self.accept(&mut inner, message)
    }

    #[cold]
    async fn send_when_room(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        self.shared()
            .wait(|inner| {
                if inner.connection.is_open() && !self.shared().makes_room(inner) {
                    inner.crowded = true;
                    return None;
                }
                Some(self.accept(inner, message.take()?))
            })
            .await
    }

    fn accept(&self, inner: &mut Inner, message: Message) -> Result<(), SendError> {
        match inner.connection.send(message, Compression::Auto) {
            Ok(()) => {
                let writing = self.shared().writing(inner);
                self.shared().after_request(inner, writing);
                Ok(())
            }
            Err(refused) => Err(match inner.connection.ending() {
                Some(ending) => SendError::Ended(Ended(Arc::clone(ending)), refused.into_message()),
                None => SendError::Closing(refused.into_message()),
            }),
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
                Err(SendError::Full(message)) => Box::pin(self.sender.send_when_room(message)),
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

impl Receiver {
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

    /// What both sides said in the opening.
    pub fn opening(&self) -> &Opening {
        &self.alive.0.opening
    }

    #[inline(always)]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Ended>> {
        let Self { alive, burst } = self;
        match burst.next() {
            Some(message) => {
                if burst.is_empty() {
                    alive.0.holding.store(false, Ordering::Relaxed);
                }
                Poll::Ready(Ok(Some(message)))
            }
            None => alive.0.poll_message(burst, cx),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut inner = self.alive.0.lock();
        self.alive.0.holding.store(false, Ordering::Relaxed);
        inner.connection.discard_burst(&self.burst);
        inner.connection.stop_delivery();
        // Reading may have been paused for a reader that is gone now.
        self.alive.0.after_request(&mut inner, Writing::Corked);
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
