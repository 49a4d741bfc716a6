//! What the handles and the pump of one connection share: the core, its stream, and who waits.
//!
//! One lock, never held while a thread waits for the network. At most one thread reads from the
//! socket without it, a caller of `recv`; whoever writes does so under the lock and without waiting.
//! Decides nothing about the protocol.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lastword_kit::{Addresses, Ended, Opening, fresh};
use lastword_proto::{
    Agreement, Burst, Config, Connection, Delivery, Ending, Event, Leave, Message, Operation,
    OurSide, Transmit, TransportError,
};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::socket::{Interest, Nudge, now};
use crate::stream::{Goes, Stream};

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// There is room to send, a ping was answered, or it is over: whoever waits looks again.
    changed: Condvar,
    /// Where the pump sleeps while it is not needed.
    bed: Condvar,
    /// What gets the pump out of its wait for the socket.
    nudge: Nudge,
    pub(crate) abandoned: AtomicBool,
    /// Whether the receiver has messages in its hand that the application has not asked for yet.
    pub(crate) holding: AtomicBool,
    pub(crate) opening: Opening,
    span: tracing::Span,
}

/// The core and its stream.
pub(crate) struct Inner {
    pub(crate) connection: Connection,
    /// `None` when it is over.
    stream: Option<Stream>,
    /// Whether the socket took no more when last asked.
    blocked: bool,
    /// Whether the stream has come to its end, or failed: there is nothing to read any more.
    dry: bool,
    /// Whether a caller reads, without the lock.
    reader: Reader,
    /// How often a caller came back from reading.
    returns: u64,
    /// How many wait for something that the pump, or a reader, has to bring about.
    waiting: usize,
    pump: Pump,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    None,
    Reads,
}

/// What the pump is doing while the lock is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pump {
    /// It holds the lock, or waits for it.
    Awake,
    /// Until then, or until it is called; a reader that leaves calls it.
    Asleep(Option<Instant>),
    /// It looks after a moment whether readers still come and go.
    Dozing,
    /// It waits for this of the socket, and until then.
    Watching(Interest, Option<Instant>),
    /// It was called while it waited.
    Nudged,
    Gone,
}

/// What came of waiting for a message.
pub(crate) enum Next {
    Message(Message),
    End(Arc<Ending>),
    TimedOut,
}

impl Shared {
    pub(crate) fn new(
        stream: Stream,
        agreement: Agreement,
        addresses: Addresses,
        mut config: Arc<Config>,
    ) -> io::Result<Arc<Self>> {
        if config.delivery != Delivery::Whole {
            // What the handles give is whole messages, and so they are made by the core.
            Arc::make_mut(&mut config).delivery = Delivery::Whole;
        }
        let connection = Connection::new(&agreement, config, fresh(), now());
        let span = tracing::info_span!(
            "websocket",
            role = ?agreement.role,
            peer = addresses.peer.map(tracing::field::display),
        );
        let mut inner = Inner {
            connection,
            stream: Some(stream),
            blocked: false,
            dry: false,
            reader: Reader::None,
            returns: 0,
            waiting: 0,
            pump: Pump::Awake,
        };
        // What TLS had decrypted behind the opening waits for no more bytes to come.
        inner.receive(Ok(None));
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            bed: Condvar::new(),
            nudge: Nudge::new()?,
            abandoned: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            opening: Opening::new(agreement, addresses),
            span,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// The next message; reads in the caller's thread while none waits. Those that came side by side
    /// with it go to `burst`.
    pub(crate) fn next(&self, burst: &mut Burst, deadline: Option<Instant>) -> Next {
        let mut inner = self.lock();
        if let Pump::Watching(interest, _) = inner.pump
            && !interest.read
        {
            // It may have stopped reading because nobody fetched what had come.
            self.call_pump(&mut inner);
        }
        loop {
            if let Some(more) = inner.connection.poll_burst() {
                *burst = more;
                if let Some(message) = burst.next() {
                    self.holding.store(!burst.is_empty(), Ordering::Relaxed);
                    return Next::Message(message);
                }
            }
            match inner.connection.poll_event() {
                Some(Event::Message(message)) => return Next::Message(message),
                Some(_) => continue,
                None => {}
            }
            if let Some(ending) = inner.connection.ending() {
                return Next::End(Arc::clone(ending));
            }
            inner.write();
            self.tell(&mut inner);
            if inner.connection.ending().is_some() || inner.connection.has_events() {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= now()) {
                inner.read_now();
                self.tell(&mut inner);
                if inner.connection.has_events() || inner.connection.ending().is_some() {
                    continue;
                }
                return Next::TimedOut;
            }
            self.read(&mut inner, deadline);
        }
    }

    /// Reads once, without the lock, and hands the core what came.
    fn read(&self, inner: &mut MutexGuard<'_, Inner>, deadline: Option<Instant>) {
        let Some(stream) = &inner.stream else { return };
        if inner.dry {
            // The rest is written and waited for by the pump.
            inner.waiting = inner.waiting.saturating_add(1);
            self.after_request(inner);
            match deadline {
                Some(deadline) => drop(self.changed.wait_until(inner, deadline)),
                None => self.changed.wait(inner),
            }
            inner.waiting = inner.waiting.saturating_sub(1);
            return;
        }
        let socket = Arc::clone(&stream.socket);
        let aside = !stream.is_plain();
        let into_place = !aside && inner.connection.read_target().is_some();
        if into_place && inner.read_now() {
            return self.tell(inner);
        }
        inner.reader = Reader::Reads;
        self.rearm(inner);
        let limit = inner.connection.read_limit();
        let read = with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            let scratch = scratch.get_mut(..limit).unwrap_or_default();
            // One call that waits and reads; two where that would read to the wrong place, or too long.
            let at_once = !into_place && deadline.is_none();
            let read = MutexGuard::unlocked(inner, || {
                if at_once {
                    return Some(socket.read(scratch));
                }
                match socket.wait(Interest { read: true, write: false }, deadline) {
                    Ok(ready) if ready.read && !into_place => Some(socket.try_read(scratch)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            });
            inner.reader = Reader::None;
            inner.returns = inner.returns.wrapping_add(1);
            let read = read?;
            if inner.connection.ending().is_none() {
                inner.receive(read.map(|count| scratch.get_mut(..count)));
            }
            Some(())
        });
        if read.is_none() && into_place {
            inner.read_now();
        }
        self.tell(inner);
        if matches!(inner.pump, Pump::Asleep(_)) || inner.waiting > 0 || inner.blocked {
            self.call_pump(inner);
        }
    }

    /// Asks the core for something that does not wait, and writes what comes of it.
    pub(crate) fn request<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let answer = ask(&mut inner);
        self.after_request(&mut inner);
        answer
    }

    /// Writes what was asked for; what does not leave at once is left to the pump.
    pub(crate) fn after_request(&self, inner: &mut Inner) {
        inner.write();
        self.tell(inner);
        let left =
            inner.reader == Reader::None && (inner.waiting > 0 || !inner.connection.is_open());
        let wanting = match inner.pump {
            Pump::Watching(interest, _) => inner.blocked && !interest.write,
            _ => inner.blocked || left,
        };
        if wanting { self.call_pump(inner) } else { self.rearm(inner) }
    }

    /// Whether what is accepted now may wait for more: while received messages are being worked off,
    /// their answers leave together.
    fn may_wait(&self, inner: &Inner) -> bool {
        let working_off = inner.connection.has_events() || self.holding.load(Ordering::Relaxed);
        working_off && inner.connection.has_room()
    }

    /// After a message was accepted: writes it now, or with the answers that will follow.
    pub(crate) fn after_send(&self, inner: &mut Inner) {
        if !self.may_wait(inner) {
            self.after_request(inner);
        } else if inner.pump != Pump::Dozing {
            // Somebody has to remember it.
            self.call_pump(inner);
        }
    }

    /// Waits until `look` finds what it looks for; `None` when the deadline comes first.
    pub(crate) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&mut Inner) -> Option<T>,
    ) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if let Some(found) = look(&mut inner) {
                self.after_request(&mut inner);
                return Some(found);
            }
            if deadline.is_some_and(|deadline| deadline <= now()) {
                return None;
            }
            inner.waiting = inner.waiting.saturating_add(1);
            self.after_request(&mut inner);
            match deadline {
                Some(deadline) => drop(self.changed.wait_until(&mut inner, deadline)),
                None => self.changed.wait(&mut inner),
            }
            inner.waiting = inner.waiting.saturating_sub(1);
        }
    }

    /// One turn of the pump, and its rest after it. The ending, when it is over.
    pub(crate) fn turn(&self) -> Option<Arc<Ending>> {
        let mut inner = self.lock();
        inner.pump = Pump::Awake;
        // Under the lock: whoever abandons it behind this look finds the pump at rest, and calls it.
        if self.abandoned.swap(false, Ordering::AcqRel) {
            inner.connection.leave(Leave::Dropped, now());
        }
        inner.write();
        while inner.reader == Reader::None && inner.read_now() {
            inner.write();
        }
        if let Some(deadline) = inner.connection.poll_timeout()
            && deadline <= now()
        {
            self.let_reader_finish(&mut inner);
            inner.write();
            inner.connection.handle_timeout(now());
            inner.write();
        }
        self.tell(&mut inner);
        if let Some(ending) = inner.connection.ending() {
            let ending = Arc::clone(ending);
            inner.pump = Pump::Gone;
            return Some(ending);
        }
        self.rest(&mut inner);
        None
    }

    /// A reader that has bytes in its hands hands them over before a deadline is judged by.
    fn let_reader_finish(&self, inner: &mut MutexGuard<'_, Inner>) {
        let Some(stream) = &inner.stream else { return };
        let interest = Interest { read: true, write: false };
        let readable = stream.socket.wait(interest, Some(now())).is_ok_and(|ready| ready.read);
        if inner.reader != Reader::None && readable {
            let until = now() + HAND_OVER;
            inner.pump = Pump::Asleep(None);
            self.sleep(inner, Some(until));
            inner.pump = Pump::Awake;
        }
    }

    fn rest(&self, inner: &mut MutexGuard<'_, Inner>) {
        let deadline = inner.connection.poll_timeout();
        let idle = !inner.blocked && inner.waiting == 0 && inner.connection.is_open();
        if inner.reader != Reader::None && !inner.blocked {
            // Whoever reads does all there is to do but to keep deadlines.
            inner.pump = Pump::Asleep(deadline);
            self.sleep(inner, deadline);
            return;
        }
        if idle && !self.abandoned.load(Ordering::Acquire) && inner.returns != 0 {
            // A reader has just left, and will be back soon, if it does not compute for long.
            loop {
                let before = inner.returns;
                inner.pump = Pump::Dozing;
                let until = now() + DOZE;
                let until = deadline.map_or(until, |deadline| deadline.min(until));
                self.sleep(inner, Some(until));
                let called = inner.pump == Pump::Awake;
                let due = inner.connection.poll_timeout().is_some_and(|due| due <= now());
                if called || due || inner.returns == before {
                    break;
                }
            }
            if inner.reader != Reader::None || inner.pump == Pump::Awake {
                return;
            }
        }
        let Some(stream) = &inner.stream else { return };
        let read = inner.reader == Reader::None && !inner.dry && inner.connection.wants_read();
        let interest = Interest { read, write: inner.blocked };
        let socket = Arc::clone(&stream.socket);
        let deadline = inner.connection.poll_timeout();
        inner.pump = Pump::Watching(interest, deadline);
        let waited =
            MutexGuard::unlocked(inner, || self.nudge.wait(Some((&socket, interest)), deadline));
        if inner.pump == Pump::Nudged {
            self.nudge.take();
        }
        inner.pump = Pump::Awake;
        inner.blocked = false;
        if let Err(error) = waited {
            inner.receive(Err(error));
        }
    }

    fn sleep(&self, inner: &mut MutexGuard<'_, Inner>, until: Option<Instant>) {
        match until {
            Some(until) => drop(self.bed.wait_until(inner, until)),
            None => self.bed.wait(inner),
        }
    }

    /// Gets the pump to have another look at everything.
    pub(crate) fn call_pump(&self, inner: &mut Inner) {
        match inner.pump {
            Pump::Asleep(_) | Pump::Dozing => {
                inner.pump = Pump::Awake;
                self.bed.notify_one();
            }
            Pump::Watching(..) => {
                inner.pump = Pump::Nudged;
                self.nudge.give();
            }
            Pump::Awake | Pump::Nudged | Pump::Gone => {}
        }
    }

    /// Calls the pump if it sleeps past the next deadline.
    fn rearm(&self, inner: &mut Inner) {
        let Some(due) = inner.connection.poll_timeout() else { return };
        let sleeps_past = match inner.pump {
            Pump::Asleep(until) | Pump::Watching(_, until) => until.is_none_or(|until| due < until),
            Pump::Dozing => due <= now() + DOZE,
            Pump::Awake | Pump::Nudged | Pump::Gone => false,
        };
        if sleeps_past {
            self.call_pump(inner);
        }
    }

    /// Tells those who wait, and lets go of a stream that is over.
    fn tell(&self, inner: &mut Inner) {
        if let Some(ending) = inner.connection.ending().map(Arc::clone)
            && let Some(mut stream) = inner.stream.take()
        {
            match ending.transport.ours {
                OurSide::Aborted => stream.socket.abandon(),
                OurSide::Finished => {}
                // TLS says goodbye, too, where it can do so at once; nobody waits for it.
                _ => {
                    stream.say_goodbye();
                    let _ = stream.write_records();
                }
            }
            if inner.reader != Reader::None {
                stream.socket.recall_reader();
            }
            drop(stream);
            self.log(&ending);
            self.call_pump(inner);
            self.changed.notify_all();
        } else if inner.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn log(&self, ending: &Ending) {
        tracing::info!(
            parent: &self.span,
            clean = ending.is_clean(),
            code = ending.code(),
            cause = %ending.cause,
            confirmed = ending.ledger.confirmed.messages,
            handed_over = ending.ledger.handed_over.messages,
            unsent = ending.ledger.unsent.messages,
            received = ending.ledger.delivered.messages,
            "{ending}"
        );
    }

    /// After the pump could not be started: there is nobody to keep the connection.
    pub(crate) fn give_up(&self) {
        let mut inner = self.lock();
        inner.pump = Pump::Gone;
        inner.connection.abort(now());
        self.tell(&mut inner);
    }
}

/// What of an ending is an error.
pub(crate) fn judged(ending: Arc<Ending>) -> Result<(), Ended> {
    if ending.is_clean() { Ok(()) } else { Err(Ended(ending)) }
}

impl Inner {
    /// Reads what is there, once; whether anything came of it. Not while a caller reads.
    fn read_now(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        if self.dry || self.connection.ending().is_some() || !self.connection.wants_read() {
            return false;
        }
        if stream.is_plain()
            && let Some(mut target) = self.connection.read_target()
        {
            let limit = target.limit();
            let read = stream.socket.try_read_into(target.get_mut(), limit);
            match read {
                Ok(0) => self.receive(Ok(Some(&mut []))),
                Ok(count) => self.connection.received(count, now()),
                Err(error) if is_nothing(&error) => return false,
                Err(error) => self.receive(Err(error)),
            }
            return true;
        }
        let limit = self.connection.read_limit();
        let socket = Arc::clone(&stream.socket);
        with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            match socket.try_read(scratch.get_mut(..limit).unwrap_or_default()) {
                Ok(count) => self.receive(Ok(scratch.get_mut(..count))),
                Err(error) if is_nothing(&error) => return false,
                Err(error) => self.receive(Err(error)),
            }
            true
        })
    }

    /// Hands the core what was read: bytes, the end (no bytes), nothing yet, or an error.
    fn receive(&mut self, read: io::Result<Option<&mut [u8]>>) {
        let Self { connection, stream: Some(stream), dry, .. } = self else { return };
        let failed = match read {
            Ok(Some(bytes)) if stream.is_plain() && !bytes.is_empty() => {
                return connection.receive(bytes, now());
            }
            Ok(Some([])) if stream.is_plain() => Ok(Goes::NoMore),
            Ok(None) if stream.is_plain() => return,
            Err(error) if is_nothing(&error) => return,
            Err(error) => Err(error),
            Ok(records) => {
                let records = records.as_deref();
                if records.is_some_and(<[u8]>::is_empty) {
                    stream.end();
                }
                with_plain(|plain| {
                    let receive = |plain: &mut [u8]| connection.receive(plain, now());
                    stream.decrypt(records.unwrap_or_default(), plain, receive)
                })
            }
        };
        match failed {
            Ok(Goes::On) => {}
            Ok(Goes::NoMore) => {
                *dry = true;
                connection.receive_eof(now());
            }
            Err(error) => {
                *dry = true;
                connection.transport_error(TransportError::new(Operation::Read, &error), now());
            }
        }
    }

    /// Writes all that the core lends and the socket takes.
    pub(crate) fn write(&mut self) {
        if self.blocked {
            return;
        }
        let Self { connection, stream: Some(stream), blocked, .. } = self else { return };
        if connection.is_silent() && !stream.holds_records() {
            return;
        }
        let failed = |connection: &mut Connection, operation, error: &io::Error| {
            connection.transport_error(TransportError::new(operation, error), now());
        };
        loop {
            if stream.holds_records() {
                if let Err(error) = stream.write_records() {
                    return failed(connection, Operation::Write, &error);
                }
                if stream.holds_records() {
                    *blocked = true;
                    return connection.wrote(0, now());
                }
            }
            match connection.poll_transmit() {
                Transmit::Bytes(lent) => match stream.write(lent.as_slices()) {
                    Ok(count) => connection.wrote(count, now()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *blocked = true;
                        return connection.wrote(0, now());
                    }
                    Err(error) => failed(connection, Operation::Write, &error),
                },
                Transmit::Finish => match stream.finish() {
                    Ok(()) => connection.finished(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *blocked = true;
                        return;
                    }
                    Err(error) => failed(connection, Operation::Shutdown, &error),
                },
                Transmit::Idle => return,
            }
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

fn with_plain<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    PLAIN.with_borrow_mut(|plain| work(plain))
}

thread_local! {
    /// Where bytes are read to: one block for each thread. Memory that is never needed is never
    /// touched.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 128 << 10].into());
    /// Where records of TLS are decrypted to.
    static PLAIN: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 << 10].into());
}

/// How long a reader may be elsewhere before the pump reads in its place.
const DOZE: Duration = Duration::from_millis(100);

/// How long a deadline waits for a reader that has been woken by bytes to hand them over.
const HAND_OVER: Duration = Duration::from_millis(20);
