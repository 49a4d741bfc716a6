//! What the handles and the pump of one connection share: the core, its transport, and who waits.
//!
//! Reads and writes when asked to, hands the results to the core, and does what the core says.
//! Decides nothing about the protocol: when to read, what to write, how long to wait and how it
//! ended are questions to the core.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use lastword_kit::{
    Addresses, Ended, Opening, Outbox, Slot, TlsDetails, log_ending, record_frames, trace_frames,
};
use lastword_proto::{
    Agreement, Burst, Config, Connection, Delivery, Ending, Event, Message, Operation, OurSide,
    Part, Transmit, TransportError,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::bell::Room;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, thread_local};
use crate::transport::{Buffers, Transport};

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    pub(crate) wakes: Arc<Wakes>,
    /// There is room to send, a ping was answered, or it is over: whoever waits looks again.
    pub(crate) changed: Notify,
    /// Set while the task of the pump is at work and will write what was accepted before it rests:
    /// a send needs not wake it.
    pub(crate) attended: AtomicBool,
    /// Whether the receiver has messages in its hand that the application has not asked for yet.
    pub(crate) holding: AtomicBool,
    /// Who takes note when the last handle goes away: the server (which knows how its handler
    /// ended), or the pump.
    pub(crate) keeper: Keeper,
    pub(crate) abandoned: AtomicBool,
    /// Whether the receiver has told the end as a `Stream`. It stands here, where it takes up nothing.
    pub(crate) told: AtomicBool,
    pub(crate) opening: Opening,
    /// `None` where nobody listens to it.
    span: Option<Box<tracing::Span>>,
}

/// Who decides what it means that the last handle is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Server,
    Pump,
}

/// The core and its transport. Everything here happens under one lock, which is never held across
/// an await.
pub(crate) struct Inner {
    pub(crate) connection: Connection,
    transport: Option<Box<dyn Transport>>,
    waker: Waker,
    wakes: Arc<Wakes>,
    /// Whether written bytes may still be in a buffer of the transport.
    unflushed: bool,
    buffers: Buffers,
    /// Whether nothing happened since all was read, written and told of.
    at_rest: bool,
    /// Whether a sender found no room.
    pub(crate) crowded: bool,
    /// Whether a sender waits for the end of a message that is sent by parts.
    pub(crate) queued: bool,
    /// What topics keep for it while it is behind.
    pub(crate) outbox: Slot<Room>,
    /// While a batch is open, sends do not write.
    pub(crate) batches: usize,
    /// Until when the pump sleeps.
    armed: Option<Instant>,
    /// How far the news of pings and pongs were told of.
    news: u64,
    /// Whether each frame is logged.
    recorded: bool,
}

/// What the transport wakes: whoever receives, and the pump.
pub(crate) struct Wakes {
    waiting: Mutex<Waiting>,
    /// Whether the transport may have something to read, or take something to write: not while it
    /// has said "not now" and has not woken us since.
    readable: AtomicBool,
    writable: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    receiver: Option<Waker>,
    pump: Option<Waker>,
}

impl Default for Wakes {
    fn default() -> Self {
        let (readable, writable) = (AtomicBool::new(true), AtomicBool::new(true));
        Self { waiting: Mutex::default(), readable, writable }
    }
}

impl Wakes {
    /// The pump is to be woken, from now on, by this waker.
    pub(crate) fn register_pump(&self, waker: &Waker) {
        note(&mut self.lock().pump, waker);
    }

    /// A receiver waits; once.
    pub(crate) fn register_receiver(&self, waker: &Waker) {
        let mut waiting = self.lock();
        // Who is polled by the task of the pump wakes with it.
        if waiting.pump.as_ref().is_some_and(|pump| pump.will_wake(waker)) {
            waiting.receiver = None;
        } else {
            note(&mut waiting.receiver, waker);
        }
    }

    pub(crate) fn wake_pump(&self) {
        let pump = self.lock().pump.clone();
        if let Some(pump) = pump {
            pump.wake();
        }
    }

    pub(crate) fn wake_receiver(&self) {
        let receiver = self.lock().receiver.take();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

fn note(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        none => *none = Some(waker.clone()),
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.readable.store(true, Ordering::Release);
        self.writable.store(true, Ordering::Release);
        let (receiver, pump) = {
            let mut waiting = self.lock();
            (waiting.receiver.take(), waiting.pump.clone())
        };
        for waker in [receiver, pump].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Shared {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        agreement: Agreement,
        addresses: Addresses,
        mut config: Arc<Config>,
        keeper: Keeper,
    ) -> Arc<Self> {
        if config.delivery != Delivery::Whole {
            // What the handles give is whole messages, and so they are made by the core.
            Arc::make_mut(&mut config).delivery = Delivery::Whole;
        }
        let mut connection = Connection::new(&agreement, config, lastword_kit::fresh(), now());
        let recorded = record_frames(&mut connection);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let buffers = transport.buffers();
        let opening = Opening::new(agreement, addresses);
        let span = opening.span();
        Arc::new(Self {
            inner: Mutex::new(Inner {
                connection,
                transport: Some(transport),
                waker,
                wakes: Arc::clone(&wakes),
                unflushed: false,
                buffers,
                at_rest: false,
                crowded: false,
                queued: false,
                outbox: None,
                batches: 0,
                armed: None,
                news: 0,
                recorded,
            }),
            wakes,
            changed: Notify::new(),
            attended: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            keeper,
            abandoned: AtomicBool::new(false),
            told: AtomicBool::new(false),
            opening,
            span: (!span.is_disabled()).then(|| Box::new(span)),
        })
    }

    /// For whoever may change something.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        inner.at_rest = false;
        inner
    }

    /// For whoever changes nothing.
    pub(crate) fn look(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Whether the last handle has gone away since this was last asked.
    pub(crate) fn take_abandoned(&self) -> bool {
        self.abandoned.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.span {
            Some(span) => span.in_scope(work),
            None => work(),
        }
    }

    /// The next message for the application, `None` at a clean end; reads when none waits. Those
    /// that came side by side with it go to `burst`.
    #[inline(never)]
    pub(crate) fn poll_message(
        &self,
        burst: &mut Burst,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Ended>> {
        let mut inner = self.lock();
        loop {
            if inner.connection.has_events()
                && let Some(more) = inner.connection.poll_burst()
            {
                *burst = more;
                self.holding.store(true, Ordering::Relaxed);
                return Poll::Ready(Ok(burst.next()));
            }
            match inner.connection.poll_event() {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(_) => continue,
                None => {}
            }
            if let Some(end) = inner.end() {
                return Poll::Ready(end.map(|()| None));
            }
            if self.poll_more(&mut inner, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The next part of a message, as soon as it is there; `None` at a clean end. A message that is
    /// whole already is one part.
    pub(crate) fn poll_part(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Ended>> {
        let mut inner = self.lock();
        loop {
            match inner.connection.poll_event() {
                Some(Event::Message(data)) => {
                    return Poll::Ready(Ok(Some(Part { data, last: true })));
                }
                Some(Event::Part(part)) => return Poll::Ready(Ok(Some(part))),
                Some(_) => continue,
                None => {}
            }
            if let Some(part) = inner.connection.take_part() {
                return Poll::Ready(Ok(Some(part)));
            }
            if let Some(end) = inner.end() {
                return Poll::Ready(end.map(|()| None));
            }
            if self.poll_more(&mut inner, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// How a connection ended that has ended in the middle of a message.
    pub(crate) fn cut_off(&self) -> Ended {
        let inner = self.lock();
        let Some(ending) = inner.connection.ending() else {
            unreachable!("there is an end of messages only behind that of the connection")
        };
        Ended(Arc::clone(ending))
    }

    /// Reads on, if that was paused for somebody who is gone.
    pub(crate) fn resume(&self, inner: &mut Inner) {
        self.after_request(inner, Writing::Corked);
    }

    /// Writes what was held back, and reads.
    fn poll_more(&self, inner: &mut Inner, cx: &mut Context<'_>) -> Poll<()> {
        // What was held back while a batch of messages was worked off leaves before we wait.
        inner.write();
        self.wakes.register_receiver(cx.waker());
        let progress = inner.read();
        self.tell(inner);
        if progress == Progress::Blocked && !inner.connection.has_events() {
            self.rearm(inner);
            inner.at_rest = true;
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// One turn of the pump: reads, writes and keeps the deadlines. Returns when to come again, or
    /// the ending.
    pub(crate) fn turn(&self) -> Turn {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.at_rest) && !self.wakes.readable.load(Ordering::Acquire) {
            // Whoever receives in this same task has just done all of it.
            inner.armed = inner.connection.poll_timeout();
            return Turn::Wait(inner.armed);
        }
        loop {
            inner.write();
            let read = inner.read();
            inner.write();
            if read == Progress::Made {
                continue;
            }
            let Some(deadline) = inner.connection.poll_timeout() else { break };
            let now = now();
            if deadline > now {
                break;
            }
            inner.connection.handle_timeout(now);
        }
        self.tell(&mut inner);
        if inner.connection.has_events() {
            self.wakes.wake_receiver();
        }
        if let Some(ending) = inner.connection.ending() {
            return Turn::Over(Arc::clone(ending));
        }
        inner.armed = inner.connection.poll_timeout();
        Turn::Wait(inner.armed)
    }

    /// Whether what is accepted now may wait for more.
    pub(crate) fn writing(&self, inner: &Inner) -> Writing {
        let may_wait = self.is_working_off(inner) && inner.connection.has_room();
        if may_wait { Writing::Corked } else { Writing::Now }
    }

    /// Whether received messages are being worked off, whose answers leave together, or a batch is
    /// open.
    #[inline]
    pub(crate) fn is_working_off(&self, inner: &Inner) -> bool {
        inner.connection.has_events() || self.holding.load(Ordering::Relaxed) || inner.batches > 0
    }

    /// Whether there is room to send; writes what was held back, if that is what takes it up.
    pub(crate) fn makes_room(&self, inner: &mut Inner) -> bool {
        if !inner.connection.has_room() {
            self.after_request(inner, Writing::Now);
        }
        inner.connection.has_room()
    }

    /// After the application asked for something: writes it now, or leaves it to whoever will.
    #[inline]
    pub(crate) fn after_request(&self, inner: &mut Inner, writing: Writing) {
        match writing {
            Writing::Now => inner.write(),
            // More messages are being worked off, or a batch is open: one write for all. Somebody
            // has to remember it: the task of the pump, which has its turn behind ours.
            Writing::Corked if self.attended.load(Ordering::Relaxed) => return,
            Writing::Corked => self.wakes.wake_pump(),
        }
        self.tell(inner);
        self.rearm(inner);
    }

    /// Asks the core for something that does not wait, and writes what comes of it.
    pub(crate) fn request<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let answer = ask(&mut inner);
        self.after_request(&mut inner, Writing::Now);
        answer
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn wait<T>(&self, mut look: impl FnMut(&mut Inner) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Whatever changes from here on is noticed, also between looking and waiting.
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits for the end. Whoever does is no handle: it does not keep the connection open.
    pub(crate) async fn ended(&self) -> Arc<Ending> {
        self.wait(|inner| inner.connection.ending().map(Arc::clone)).await
    }

    /// Wakes the pump if it sleeps past the next deadline.
    fn rearm(&self, inner: &Inner) {
        let due = inner.connection.poll_timeout();
        let later = match (due, inner.armed) {
            (Some(due), Some(armed)) => due < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if (later || inner.connection.ending().is_some()) && !self.attended.load(Ordering::Relaxed)
        {
            self.wakes.wake_pump();
        }
    }

    /// Tells those who wait what has changed, and lets go of a transport that is over.
    #[inline]
    fn tell(&self, inner: &mut Inner) {
        let Inner { connection, outbox, crowded, news, recorded, .. } = &*inner;
        let has_news = *crowded || *recorded || outbox.is_some() || connection.news() != *news;
        if has_news || connection.ending().is_some() {
            self.tell_news(inner);
        }
    }

    #[inline(never)]
    fn tell_news(&self, inner: &mut Inner) {
        if inner.recorded {
            let span = self.span.as_deref().and_then(tracing::Span::id);
            trace_frames(span.as_ref(), &mut inner.connection);
        }
        if inner.outbox.is_some() {
            inner.refill();
        }
        if let Some(ending) = inner.connection.ending().map(Arc::clone) {
            if let Some(mut transport) = inner.transport.take() {
                match ending.transport.ours {
                    OurSide::Aborted => transport.abandon(),
                    OurSide::Finished => {}
                    // TLS says goodbye, too, where it can do so at once; nobody waits for it.
                    _ => {
                        let mut cx = Context::from_waker(Waker::noop());
                        let _ = Pin::new(&mut transport).poll_shutdown(&mut cx);
                    }
                }
                drop(transport);
                let span = self.span.as_deref().and_then(tracing::Span::id);
                log_ending(span, &ending);
                self.changed.notify_waiters();
                self.wakes.wake_receiver();
                self.wakes.wake_pump();
            }
            return;
        }
        if inner.crowded && inner.connection.has_room() {
            inner.crowded = false;
            self.changed.notify_waiters();
        }
        let news = inner.connection.news();
        if news != inner.news {
            inner.news = news;
            self.changed.notify_waiters();
        }
    }
}

/// What a turn of the pump came to.
pub(crate) enum Turn {
    Wait(Option<Instant>),
    Over(Arc<Ending>),
}

/// Whether accepted bytes are written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    Now,
    Corked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Made,
    Blocked,
}

impl Inner {
    /// How the messages end, if there is an end: cleanly or not.
    fn end(&self) -> Option<Result<(), Ended>> {
        let ending = self.connection.ending()?;
        Some(if ending.is_clean() { Ok(()) } else { Err(Ended(Arc::clone(ending))) })
    }

    pub(crate) fn tls(&self) -> Option<TlsDetails> {
        self.transport.as_ref()?.tls()
    }

    /// Hands the core what topics keep for it, and writes, as long as there is room.
    #[cold]
    fn refill(&mut self) {
        while Outbox::refill(&mut self.outbox, &mut self.connection) {
            self.write();
        }
    }

    /// Reads once, if the core wants it: as much as is there, up to the size of the scratch.
    fn read(&mut self) -> Progress {
        let Self { connection, transport: Some(transport), waker, wakes, .. } = self else {
            return Progress::Blocked;
        };
        if !connection.wants_read() || !wakes.readable.swap(false, Ordering::AcqRel) {
            return Progress::Blocked;
        }
        let mut cx = Context::from_waker(waker);
        let read = match connection.read_target() {
            Some(mut target) => {
                let read = pin!(transport.read_buf(&mut target)).poll(&mut cx);
                read.map_ok(|count| {
                    connection.received(count, now());
                    count
                })
            }
            None => with_scratch(|scratch| {
                let limit = connection.read_limit().min(scratch.len());
                let mut buffer = ReadBuf::new(scratch.get_mut(..limit).unwrap_or_default());
                let read = Pin::new(transport).poll_read(&mut cx, &mut buffer);
                read.map_ok(|()| {
                    connection.receive(buffer.filled_mut(), now());
                    buffer.filled().len()
                })
            }),
        };
        match read {
            Poll::Pending => return Progress::Blocked,
            Poll::Ready(Ok(0)) => connection.receive_eof(now()),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                connection.transport_error(TransportError::new(Operation::Read, &error), now());
            }
        }
        wakes.readable.store(true, Ordering::Relaxed);
        if connection.ending().is_some() { Progress::Blocked } else { Progress::Made }
    }

    /// Writes all that the core lends and the transport takes.
    #[inline]
    pub(crate) fn write(&mut self) {
        if self.unflushed || !self.connection.is_silent() {
            self.write_all();
        }
    }

    fn write_all(&mut self) {
        let Self {
            connection, transport: Some(transport), waker, wakes, unflushed, buffers, ..
        } = self
        else {
            return;
        };
        if !wakes.writable.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut transport = Pin::new(transport);
        let mut cx = Context::from_waker(waker);
        let failed = |connection: &mut Connection, operation, error: &std::io::Error| {
            connection.transport_error(TransportError::new(operation, error), now());
        };
        loop {
            match connection.poll_transmit() {
                Transmit::Bytes(lent) => {
                    let written = match lent.as_slices() {
                        [one] => transport.as_mut().poll_write(&mut cx, one),
                        many => transport.as_mut().poll_write_vectored(&mut cx, many),
                    };
                    match written {
                        Poll::Ready(Ok(0)) => {
                            let error = std::io::ErrorKind::WriteZero.into();
                            failed(connection, Operation::Write, &error);
                        }
                        Poll::Ready(Ok(count)) => {
                            *unflushed = *buffers == Buffers::Perhaps;
                            connection.wrote(count, now());
                        }
                        Poll::Ready(Err(error)) => failed(connection, Operation::Write, &error),
                        Poll::Pending => return connection.wrote(0, now()),
                    }
                }
                Transmit::Finish | Transmit::Idle if *unflushed => {
                    match transport.as_mut().poll_flush(&mut cx) {
                        Poll::Ready(Ok(())) => *unflushed = false,
                        Poll::Ready(Err(error)) => {
                            *unflushed = false;
                            failed(connection, Operation::Flush, &error);
                        }
                        Poll::Pending => return,
                    }
                }
                Transmit::Finish => match transport.as_mut().poll_shutdown(&mut cx) {
                    Poll::Ready(Ok(())) => connection.finished(),
                    Poll::Ready(Err(error)) => failed(connection, Operation::Shutdown, &error),
                    Poll::Pending => return,
                },
                Transmit::Idle => return wakes.writable.store(true, Ordering::Relaxed),
            }
        }
    }
}

/// The one place where this crate asks what time it is.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Lends the block of this thread for one read. A stream that runs through another connection reads
/// while it is read: it finds no block, and gets one of its own.
#[inline]
fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => read(&mut scratch),
        Err(_) => read(&mut vec![0; SCRATCH_SIZE]),
    })
}

thread_local! {
    /// Where bytes are read to: one block for each thread, none for each connection.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_SIZE].into());
}

/// Larger than what usually waits, so that one read fetches all of it. Memory that is never needed is
/// never touched.
const SCRATCH_SIZE: usize = 128 << 10;
