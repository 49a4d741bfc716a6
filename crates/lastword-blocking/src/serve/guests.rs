//! Who is here, whether more may come, and how those took leave who were asked to.
//!
//! A place for each accepted stream, from the moment in which its thread is started until that is
//! done: how to reach its connection when all have to leave, and its socket when the application
//! takes too long over its request.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_kit::{Departure, Opening, Report, Shutdown, fresh};
use lastword_proto::handshake::server::Refusal;
use lastword_proto::{Config, Ending, Leave};
use parking_lot::{Condvar, Mutex};

use super::listener::Listeners;
use crate::shared::Shared;
use crate::socket::{Nudge, Socket, now};

/// The guests of one server.
pub(super) struct Guests {
    book: Mutex<Book>,
    /// Somebody has left.
    left: Condvar,
    /// Gets whoever waits for guests out of it.
    nudge: Nudge,
    /// How all leave when they have to.
    shutdown: Shutdown,
}

#[derive(Default)]
struct Book {
    closed: bool,
    /// The number of the next guest.
    next: u64,
    /// Those who enter. Their deadlines come in the order of their numbers.
    entering: BTreeMap<u64, Entrance>,
    /// Whoever has a smaller number was looked at when his time was over.
    looked_through: u64,
    /// Those who have come in, until connection and handler are both done.
    staying: BTreeMap<u64, Stay>,
    /// How those left who were asked to.
    departures: Vec<Departure>,
}

struct Stay {
    /// While it is not over.
    connection: Option<Arc<Shared>>,
    handler: Handler,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    Busy,
    Done,
}

struct Entrance {
    socket: Arc<Socket>,
    deadline: Instant,
    thread: Thread,
}

/// Where the thread of an opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// It reads the request, and keeps the deadline.
    Reads,
    /// It is with the application, that takes as long as it takes.
    Asks,
    /// It answers, and keeps the deadline.
    Answers,
}

/// A guest's own place, which is free again when this is dropped.
pub(super) struct Place {
    guests: Arc<Guests>,
    number: u64,
    deadline: Instant,
}

/// Where the end of a guest's connection is noted, while his handler may still be busy. He stays until this
/// is dropped.
pub(super) struct Farewell {
    guests: Arc<Guests>,
    number: u64,
}

impl Guests {
    pub(super) fn new(shutdown: Shutdown) -> io::Result<Self> {
        let (book, left, nudge) = (Mutex::default(), Condvar::new(), Nudge::new()?);
        Ok(Self { book, left, nudge, shutdown })
    }

    /// No more may come. Does not wait.
    pub(super) fn close_doors(&self) {
        if !std::mem::replace(&mut self.book.lock().closed, true) {
            self.nudge.give();
        }
    }

    pub(super) fn doors_are_closed(&self) -> bool {
        self.book.lock().closed
    }

    /// Waits until somebody is at the door, or the doors are closed. Hangs up meanwhile on those whose
    /// time is over, when their thread is with the application.
    pub(super) fn wait_for_knock(&self, listeners: &Listeners) -> io::Result<()> {
        let next = self.hang_up_on_late(now());
        self.nudge.wait_or_readable(listeners.doors(), next)
    }

    /// When to look again.
    fn hang_up_on_late(&self, now: Instant) -> Option<Instant> {
        let mut book = self.book.lock();
        loop {
            let from = book.looked_through;
            let (&number, entrance) = book.entering.range(from..).next()?;
            let late = entrance.deadline + GRACE;
            if late > now {
                return Some(late);
            }
            if entrance.thread == Thread::Asks {
                entrance.socket.hang_up();
            }
            book.looked_through = number.wrapping_add(1);
        }
    }

    /// Waits for somebody to leave, but not for long.
    pub(super) fn wait_for_leave(&self, within: Duration) {
        let mut book = self.book.lock();
        let _ = self.left.wait_for(&mut book, within);
    }

    /// A place for whoever comes with this socket, and has until then to come in.
    pub(super) fn enter(self: &Arc<Self>, socket: Arc<Socket>, deadline: Instant) -> Place {
        let mut book = self.book.lock();
        let number = book.next;
        book.next = book.next.wrapping_add(1);
        book.entering.insert(number, Entrance { socket, deadline, thread: Thread::Reads });
        Place { guests: Arc::clone(self), number, deadline }
    }

    /// Asks all to leave, waits for them, aborts the connections of those who stay, and tells how it
    /// went. The doors are closed.
    pub(super) fn see_off(&self, config: &Config) -> Report {
        let begun = now();
        // A deadline that no clock reaches is none.
        let deadline = begun.checked_add(self.shutdown.patience(config));
        let present: Vec<_> = {
            let book = self.book.lock();
            let readers =
                book.entering.values().filter(|entrance| entrance.thread == Thread::Reads);
            // They come back, and see that the doors are closed.
            readers.for_each(|entrance| entrance.socket.recall_reader());
            book.staying.keys().copied().collect()
        };
        for (moment, number) in self.shutdown.schedule(present, u64::from_le_bytes(fresh())) {
            // Nobody waits for the hour at which those would be told who have left already.
            if !moment.is_zero() && self.all_gone_by(begun.checked_add(moment)) {
                break;
            }
            self.say_goodbye(number);
        }
        if !self.all_gone_by(deadline) {
            self.abort_connections();
            self.all_gone_by(now().checked_add(config.linger));
        }
        let mut book = self.book.lock();
        let busy = book.staying.values().filter(|stay| stay.handler == Handler::Busy).count();
        let stuck = busy.saturating_add(book.entering.len());
        Report::new(std::mem::take(&mut book.departures), stuck)
    }

    /// Waits until all are gone; whether they are.
    fn all_gone_by(&self, deadline: Option<Instant>) -> bool {
        let mut book = self.book.lock();
        while book.count() > 0 {
            match deadline {
                None => self.left.wait(&mut book),
                Some(deadline) => {
                    if self.left.wait_until(&mut book, deadline).timed_out() {
                        return book.count() == 0;
                    }
                }
            }
        }
        true
    }

    /// Tells a guest to leave, if he is still here.
    fn say_goodbye(&self, number: u64) {
        let shared = self.book.lock().staying.get(&number).and_then(|stay| stay.connection.clone());
        if let Some(shared) = shared {
            self.show_the_door(&shared);
        }
    }

    fn show_the_door(&self, shared: &Shared) {
        let frame = self.shutdown.frame.clone();
        shared.request(|inner| inner.connection.leave(Leave::Shutdown(frame), now()));
    }

    /// Ends all connections that are not over, and hangs up on those who still enter.
    fn abort_connections(&self) {
        let connections: Vec<_> = {
            let book = self.book.lock();
            book.entering.values().for_each(|entrance| entrance.socket.hang_up());
            book.staying.values().filter_map(|stay| stay.connection.clone()).collect()
        };
        for shared in connections {
            shared.request(|inner| inner.connection.abort(now()));
        }
    }
}

impl Book {
    fn count(&self) -> usize {
        self.entering.len().saturating_add(self.staying.len())
    }

    /// A guest goes when his connection is over and his handler done, whichever is the last.
    fn let_go(&mut self, number: u64) {
        let gone = |stay: &Stay| stay.connection.is_none() && stay.handler == Handler::Done;
        if self.staying.get(&number).is_some_and(gone) {
            self.staying.remove(&number);
        }
    }
}

impl Place {
    /// Until when its opening has to be over.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn doors_are_closed(&self) -> bool {
        self.guests.doors_are_closed()
    }

    /// What is answered to those who come too late.
    pub(super) fn refusal(&self) -> Box<Refusal> {
        self.guests.shutdown.refusal()
    }

    /// The request is read; whether the doors are still open. If they are, nobody takes the thread for
    /// one that reads any more: what would send it home would end the connection that it is to make.
    pub(super) fn has_read(&self) -> bool {
        self.thread_now(Thread::Answers)
    }

    /// The thread goes to the application, and comes back with its answer, if the doors are still open.
    pub(super) fn ask<T>(&self, ask: impl FnOnce() -> T) -> Option<T> {
        self.thread_now(Thread::Asks);
        let answer = ask();
        self.thread_now(Thread::Answers).then_some(answer)
    }

    /// Notes what the thread does from now on; whether the doors are open.
    fn thread_now(&self, does: Thread) -> bool {
        let mut book = self.guests.book.lock();
        if let Some(entrance) = book.entering.get_mut(&self.number) {
            entrance.thread = does;
        }
        !book.closed
    }

    /// There is a connection now; its end is to be noted there.
    pub(super) fn connected(&self, shared: &Arc<Shared>) -> Farewell {
        let closed = {
            let mut book = self.guests.book.lock();
            book.entering.remove(&self.number);
            let connection = Some(Arc::clone(shared));
            book.staying.insert(self.number, Stay { connection, handler: Handler::Busy });
            book.closed
        };
        if closed {
            self.guests.show_the_door(shared);
        }
        Farewell { guests: Arc::clone(&self.guests), number: self.number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.guests.book.lock();
        book.entering.remove(&self.number);
        if let Some(stay) = book.staying.get_mut(&self.number) {
            stay.handler = Handler::Done;
        }
        book.let_go(self.number);
        drop(book);
        self.guests.left.notify_all();
    }
}

impl Farewell {
    /// The connection is over.
    pub(super) fn ended(&self, opening: &Opening, ending: &Arc<Ending>) {
        let mut book = self.guests.book.lock();
        if book.closed {
            book.departures.push(Departure::new(opening, Arc::clone(ending)));
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut book = self.guests.book.lock();
        let stay = book.staying.get_mut(&self.number);
        let connection = stay.and_then(|stay| stay.connection.take());
        book.let_go(self.number);
        drop(book);
        // The connection may go with it, which takes a lock of its own.
        drop(connection);
        self.guests.left.notify_all();
    }
}

impl std::fmt::Debug for Guests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let book = self.book.lock();
        let mut guests = f.debug_struct("Guests");
        guests.field("closed", &book.closed).field("present", &book.count());
        guests.finish_non_exhaustive()
    }
}

/// How long after its deadline an opening is hung up on: its thread, if it is not with the application,
/// is about to say so itself.
const GRACE: Duration = Duration::from_millis(100);
