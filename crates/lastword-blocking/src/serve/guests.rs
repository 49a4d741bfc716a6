//! Who is here, and whether more may come.
//!
//! A place for each accepted stream, from the moment in which its thread is started until that is
//! done: how to reach its connection when all have to leave, and its socket when the application
//! takes too long over its request.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_kit::{PeerAddr, Report};
use lastword_proto::{CloseCode, CloseFrame, Ending, Leave};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::listener::Listener;
use crate::shared::Shared;
use crate::socket::{Nudge, Socket, now};

/// The guests of one server.
pub(super) struct Guests {
    book: Mutex<Book>,
    /// Somebody has left.
    left: Condvar,
    /// Gets whoever waits for guests out of it.
    nudge: Nudge,
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
    staying: BTreeMap<u64, (PeerAddr, Arc<Shared>)>,
    farewells: Vec<(PeerAddr, Arc<Ending>)>,
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

impl Guests {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { book: Mutex::default(), left: Condvar::new(), nudge: Nudge::new()? })
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
    pub(super) fn wait_for_knock(&self, listener: &Listener) -> io::Result<()> {
        let next = self.hang_up_on_late(now());
        self.nudge.wait_or_readable(listener, next)
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

    /// Asks all to leave, and waits for them until the deadline.
    pub(super) fn see_off(&self, deadline: Instant) -> Report {
        let mut book = self.book.lock();
        for entrance in book.entering.values() {
            if entrance.thread == Thread::Reads {
                // It comes back, and sees that the doors are closed.
                entrance.socket.recall_reader();
            }
        }
        let staying: Vec<_> = book.staying.values().map(|(_, shared)| Arc::clone(shared)).collect();
        MutexGuard::unlocked(&mut book, || staying.iter().for_each(|shared| show_the_door(shared)));
        while book.count() > 0 {
            if self.left.wait_until(&mut book, deadline).timed_out() {
                break;
            }
        }
        for entrance in book.entering.values() {
            entrance.socket.hang_up();
        }
        let mut report = Report::new(std::mem::take(&mut book.farewells), book.count());
        let stuck: Vec<_> =
            book.staying.values().map(|(peer, shared)| (*peer, Arc::clone(shared))).collect();
        drop(book);
        let until = now() + AFTERWARDS;
        for (peer, shared) in stuck {
            report.endings.extend(shared.ended_by(Some(until)).map(|ending| (peer, ending)));
        }
        report
    }
}

impl Book {
    fn count(&self) -> usize {
        self.entering.len().saturating_add(self.staying.len())
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

    /// There is a connection now.
    pub(super) fn connected(&self, peer: PeerAddr, shared: &Arc<Shared>) {
        let closed = {
            let mut book = self.guests.book.lock();
            book.entering.remove(&self.number);
            book.staying.insert(self.number, (peer, Arc::clone(shared)));
            book.closed
        };
        if closed {
            show_the_door(shared);
        }
    }

    /// The connection is over, and its handler done.
    pub(super) fn ended(self, peer: PeerAddr, ending: &Arc<Ending>) {
        let mut book = self.guests.book.lock();
        if book.closed {
            book.farewells.push((peer, Arc::clone(ending)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.guests.book.lock();
        book.entering.remove(&self.number);
        let stayed = book.staying.remove(&self.number);
        drop(book);
        // The connection may end with it, which takes a lock of its own.
        drop(stayed);
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

fn show_the_door(shared: &Shared) {
    let goodbye = CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down");
    shared.request(|inner| inner.connection.leave(Leave::Shutdown(goodbye), now()));
}

/// How long the report waits for connections whose handlers are stuck: their own deadlines are over.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// How long after its deadline an opening is hung up on: its thread, if it is not with the application,
/// is about to say so itself.
const GRACE: Duration = Duration::from_millis(100);
