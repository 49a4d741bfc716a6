//! One direction of a connection: what one side sends, through the tap and the faults, to the other.
//!
//! One loop waits for all that may happen next: bytes, room to write, a time that has come, the end of
//! the other direction.

use std::cell::{Cell, RefCell};
use std::io;

use lastword::Role;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::injector::{Injector, Step};
use super::outlet::Outlet;
use super::tap::{How, Tap};
use crate::args::{Action, Fault, Point};

/// How a direction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The sender ended, and the receiver was told.
    Finished,
    /// The receiver takes no more.
    Deaf,
    /// It was stalled, and there is nobody left for whom.
    Stalled,
    /// Both streams are to be ended.
    Cut,
    /// Both connections are to be reset.
    Reset,
}

/// Which directions are over.
#[derive(Debug, Default)]
pub(super) struct Ends {
    over: [Cell<bool>; 2],
    changed: Notify,
}

impl Ends {
    const fn of(&self, side: Role) -> &Cell<bool> {
        match side {
            Role::Client => &self.over[0],
            Role::Server => &self.over[1],
        }
    }

    /// What this side sends is over.
    pub(super) fn set(&self, side: Role) {
        self.of(side).set(true);
        self.changed.notify_waiters();
    }

    async fn wait(&self, side: Role) {
        loop {
            let changed = self.changed.notified();
            if self.of(side).get() {
                return;
            }
            changed.await;
        }
    }
}

/// One direction.
pub(super) struct Flow<'a, W> {
    from: Role,
    tap: &'a RefCell<Tap>,
    injector: &'a mut Injector,
    ends: &'a Ends,
    outlet: Outlet<W>,
    began: Instant,
    /// Came, and has not had its way.
    held: Vec<u8>,
    /// How many bytes came.
    came: u64,
    gate: Gate,
    /// The sender's stream has ended.
    ended: bool,
    /// What follows when all that may pass has passed.
    last: Option<Last>,
}

/// Whether anything passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    ClosedUntil(Instant),
    /// For ever.
    Closed,
    /// The end is decided: what is on its way is the last.
    Shut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Finish,
    /// The stream towards the receiver ends, and the rest of the sender's words goes nowhere.
    HalfClose,
    Over(Over),
}

/// How much is read at once.
const READ: usize = 16 << 10;

impl<'a, W: AsyncWrite + Unpin> Flow<'a, W> {
    pub(super) fn new(
        from: Role,
        tap: &'a RefCell<Tap>,
        injector: &'a mut Injector,
        ends: &'a Ends,
        sink: W,
    ) -> Self {
        let began = tap.borrow().began();
        Self {
            from,
            tap,
            injector,
            ends,
            outlet: Outlet::new(sink),
            began,
            held: Vec::new(),
            came: 0,
            gate: Gate::Open,
            ended: false,
            last: None,
        }
    }

    /// Carries all that comes out of `source` until it is over.
    pub(super) async fn run(mut self, mut source: impl AsyncRead + Unpin) -> Over {
        let mut buffer = vec![0; READ];
        loop {
            if let Some(over) = self.carry() {
                return over;
            }
            if self.outlet.is_empty() && self.held.is_empty() {
                match self.last {
                    Some(Last::Over(over)) => return over,
                    Some(Last::HalfClose) => {
                        self.outlet.finish().await;
                        self.last = self.ended.then_some(Last::Finish);
                    }
                    Some(Last::Finish) => {
                        self.outlet.finish().await;
                        return Over::Finished;
                    }
                    None => {}
                }
            }
            let now = Instant::now();
            let reading = !self.ended && self.gate == Gate::Open && self.outlet.has_room();
            let ready = self.outlet.ready_at();
            let wake = self.wake(ready.filter(|ready| *ready > now));
            tokio::select! {
                read = source.read(&mut buffer), if reading => match read {
                    Ok(size @ 1..) => {
                        let bytes = &buffer[..size];
                        self.came = self.tap.borrow_mut().came(self.from, bytes, self.injector);
                        self.held.extend_from_slice(bytes);
                    }
                    read => self.end_of_stream(read.err()),
                },
                written = self.outlet.write(), if ready.is_some_and(|ready| ready <= now) => {
                    if written.is_err() {
                        return Over::Deaf;
                    }
                }
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                () = self.ends.wait(self.from.peer()), if self.gate == Gate::Closed => {
                    return Over::Stalled;
                }
            }
        }
    }

    /// When something is to be done, whatever comes until then.
    fn wake(&self, writing: Option<Instant>) -> Option<Instant> {
        let fault = self.injector.due().map(|due| self.began + due);
        let gate = match self.gate {
            Gate::ClosedUntil(time) => Some(time),
            Gate::Open | Gate::Closed => None,
            Gate::Shut => return writing,
        };
        [fault, gate, writing].into_iter().flatten().min()
    }

    /// The sender's stream ended.
    fn end_of_stream(&mut self, error: Option<io::Error>) {
        use io::ErrorKind as Kind;
        let how = match error.map(|error| error.kind()) {
            None => How::Finished,
            Some(Kind::UnexpectedEof) => How::Truncated,
            Some(Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe) => How::Reset,
            Some(_) => How::Failed,
        };
        self.tap.borrow_mut().ended(self.from, how);
        self.injector.release_all();
        self.ended = true;
        self.last = Some(match how {
            How::Finished | How::Truncated => Last::Finish,
            How::Reset | How::Failed => Last::Over(Over::Reset),
        });
    }

    /// Lets pass what may; says so if it ends here, at once.
    fn carry(&mut self) -> Option<Over> {
        if let Gate::ClosedUntil(time) = self.gate
            && time <= Instant::now()
        {
            self.gate = Gate::Open;
        }
        let mut released = match self.gate {
            Gate::Shut => return None,
            // What is due at a time comes to pass all the same.
            Gate::Closed | Gate::ClosedUntil(_) => 0,
            Gate::Open if self.ended => self.held.len(),
            Gate::Open => self.injector.release(self.came),
        };
        while let Some(step) = self.injector.next(released, self.began.elapsed()) {
            let taken = match step {
                Step::Pass(size) => {
                    self.outlet.push(&self.held[..size]);
                    size
                }
                Step::Vanish(size) => size,
                Step::Corrupt(bits) => {
                    self.outlet.push(&[self.held[0] ^ bits]);
                    1
                }
                Step::Fault(fault) => {
                    self.tap.borrow().fault(&fault);
                    if let Some(over) = self.begin(&fault) {
                        return Some(over);
                    }
                    match self.gate {
                        Gate::Open => {}
                        Gate::Shut => return None,
                        Gate::Closed | Gate::ClosedUntil(_) => released = 0,
                    }
                    0
                }
            };
            self.held.drain(..taken);
            released -= taken;
        }
        None
    }

    /// Begins what a fault says; says so if it ends the connection at once.
    fn begin(&mut self, fault: &Fault) -> Option<Over> {
        match fault.action {
            Action::Delay(latency) => self.outlet.delay(latency),
            Action::Throttle(rate) => self.outlet.throttle(rate),
            Action::Stall(None) => self.gate = Gate::Closed,
            Action::Stall(Some(time)) => self.gate = Gate::ClosedUntil(Instant::now() + time),
            Action::HalfClose => self.last = Some(Last::HalfClose),
            Action::Cut => return self.end(fault, Over::Cut),
            Action::Reset => return self.end(fault, Over::Reset),
            Action::Corrupt(_) | Action::DropFrame | Action::DropBytes(_) | Action::DropRest => {}
        }
        None
    }

    /// At a place in the stream all that is in front of it passes first; at a time nothing does.
    fn end(&mut self, fault: &Fault, over: Over) -> Option<Over> {
        if let Point::After(_) = fault.point {
            return Some(over);
        }
        self.held.clear();
        self.gate = Gate::Shut;
        self.last = Some(Last::Over(over));
        None
    }
}
