//! What the handles and the pump of one connection share: the core, its stream, and who waits.
//!
//! One lock, never held while a thread waits for the network. At most one thread reads from the
//! socket without it, a caller of `recv`; whoever writes does so under the lock and without waiting.
//! Decides nothing about the protocol.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lastword_kit::{Addresses, Ended, Opening, fresh, log_ending, trace_frames};
use lastword_proto::{
    Agreement, Burst, Config, Connection, Delivery, Ending, Event, Leave, Message, OurSide, Part,
};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::crank::{Inner, Pump, Reader, with_scratch};
use crate::socket::{Interest, Nudge, now};
use crate::stream::Stream;

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

/// What came of waiting for a message, or for a part of one.
pub(crate) enum Next<T> {
    Taken(T),
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
        let opening = Opening::new(agreement, addresses);
        let span = opening.span();
        Ok(Arc::new(Self {
            inner: Mutex::new(Inner::new(connection, stream)),
            changed: Condvar::new(),
            bed: Condvar::new(),
            nudge: Nudge::new()?,
            abandoned: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            opening,
            span,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// The next message. Those that came side by side with it go to `burst`.
    pub(crate) fn next_message(
        &self,
        burst: &mut Burst,
        deadline: Option<Instant>,
    ) -> Next<Message> {
        self.next(deadline, |connection| {
            if let Some(more) = connection.poll_burst() {
                *burst = more;
                if let Some(message) = burst.next() {
                    self.holding.store(!burst.is_empty(), Ordering::Relaxed);
                    return Some(message);
                }
            }
            loop {
                if let Event::Message(message) = connection.poll_event()? {
                    return Some(message);
                }
            }
        })
    }

    /// The next part of a message, as soon as it is there. A message that is whole already is one part.
    pub(crate) fn next_part(&self, deadline: Option<Instant>) -> Next<Part> {
        self.next(deadline, |connection| {
            while let Some(event) = connection.poll_event() {
                match event {
                    Event::Message(data) => return Some(Part { data, last: true }),
                    Event::Part(part) => return Some(part),
                    _ => {}
                }
            }
            connection.take_part()
        })
    }

    /// What `take` takes, as soon as there is some; reads in the caller's thread while there is none.
    #[inline]
    fn next<T>(
        &self,
        deadline: Option<Instant>,
        mut take: impl FnMut(&mut Connection) -> Option<T>,
    ) -> Next<T> {
        let mut inner = self.lock();
        if let Pump::Watching(interest, _) = inner.pump
            && !interest.read
        {
            // It may have stopped reading because nobody fetched what had come.
            self.call_pump(&mut inner);
        }
        let mut late = false;
        loop {
            if let Some(taken) = take(&mut inner.connection) {
                return Next::Taken(taken);
            }
            if let Some(ending) = inner.connection.ending() {
                return Next::End(Arc::clone(ending));
            }
            if late {
                return Next::TimedOut;
            }
            inner.write();
            self.tell(&mut inner);
            if inner.connection.ending().is_some() || inner.connection.has_events() {
                continue;
            }
            late = deadline.is_some_and(|deadline| deadline <= now());
            if late {
                // What is there already is in time.
                inner.read_now();
                self.tell(&mut inner);
            } else {
                self.read(&mut inner, deadline);
            }
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

    /// Whether what is accepted now may wait for more: while received messages are being worked off, or
    /// a batch is open.
    fn may_wait(&self, inner: &Inner) -> bool {
        let working_off = inner.connection.has_events() || self.holding.load(Ordering::Relaxed);
        (working_off || inner.batches > 0) && inner.connection.has_room()
    }

    /// Whether there is room to send; writes what was held back, if that is what takes it up.
    pub(crate) fn makes_room(&self, inner: &mut Inner) -> bool {
        if !inner.connection.has_room() {
            self.after_request(inner);
        }
        inner.connection.has_room()
    }

    /// After a message was accepted: writes it now, or with the answers that will follow.
    pub(crate) fn after_send(&self, inner: &mut Inner) {
        if !self.may_wait(inner) {
            self.after_request(inner);
        } else if inner.batches == 0 && inner.pump != Pump::Dozing {
            // Somebody has to remember it; of a batch, its guard does.
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

    /// Waits for the end. Whoever does is no handle: it does not keep the connection open.
    pub(crate) fn ended(&self) -> Arc<Ending> {
        let over = self.ended_by(None);
        over.unwrap_or_else(|| unreachable!("without a limit, it waits for the end"))
    }

    /// The end, if it comes before the deadline.
    pub(crate) fn ended_by(&self, deadline: Option<Instant>) -> Option<Arc<Ending>> {
        self.wait(deadline, |inner| inner.connection.ending().map(Arc::clone))
    }

    /// Waits for the end, whoever brings it about; `None` when `leave` finds that it should not any more
    /// (see [`Self::look_again`]).
    pub(crate) fn ended_unless(&self, leave: impl Fn() -> bool) -> Option<Arc<Ending>> {
        let mut inner = self.lock();
        while !leave() {
            if let Some(ending) = inner.connection.ending() {
                return Some(Arc::clone(ending));
            }
            self.changed.wait(&mut inner);
        }
        None
    }

    /// Has all who wait look again at what they wait for.
    pub(crate) fn look_again(&self) {
        let _inner = self.lock();
        self.changed.notify_all();
    }

    /// One turn of the pump, and its rest after it. The ending, when it is over.
    pub(crate) fn turn(&self) -> Option<Arc<Ending>> {
        let mut inner = self.lock();
        inner.pump = Pump::Awake;
        // Under the lock: whoever abandons it behind this look finds the pump at rest, and calls it.
        if self.abandoned.swap(false, Ordering::AcqRel) {
            inner.connection.leave(Leave::Dropped, now());
        }
        // A batch is not ours to write, unless something came that is to be answered.
        if inner.batches == 0 || !inner.connection.is_open() {
            inner.write();
        }
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
        if inner.outbox.is_some() {
            inner.refill();
        }
        if inner.recorded {
            trace_frames(self.span.id().as_ref(), &mut inner.connection);
        }
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
            log_ending(self.span.id(), &ending);
            self.call_pump(inner);
            self.changed.notify_all();
        } else if inner.waiting > 0 {
            self.changed.notify_all();
        }
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

/// How long a reader may be elsewhere before the pump reads in its place.
const DOZE: Duration = Duration::from_millis(100);

/// How long a deadline waits for a reader that has been woken by bytes to hand them over.
const HAND_OVER: Duration = Duration::from_millis(20);
