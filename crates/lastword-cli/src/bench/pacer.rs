//! An open loop: messages leave when they are due. A thread does it that does nothing else, since the
//! runtime's timers count in milliseconds; what a connection has no room for waits as a number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lastword::SendError;
use tokio::runtime::Handle;

use super::books::{Times, no_times};
use super::line::{Line, Shared};
use super::machine;
use super::schedule::{Schedule, nanos};

/// What a thread has to say of its work.
#[derive(Debug)]
pub(super) struct Paced {
    /// How late messages were handed over, for want of this thread; in nanoseconds.
    pub(super) lateness: Times,
    /// How long it worked.
    pub(super) busy: Duration,
    pub(super) sent: u64,
    pub(super) not_sent: u64,
    /// When it last sent a message.
    last: Option<Instant>,
}

/// The connections of one thread: with their numbers among all.
pub(super) type Lines = Vec<(usize, Arc<Line>)>;

/// How soon a connection that had no room is tried again.
const AGAIN: Duration = Duration::from_micros(500);
/// How long it sleeps at most, so that an end is noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// Sends on these connections until it is over.
pub(super) fn pace(shared: &Shared, schedule: &Schedule, lines: Lines, runtime: &Handle) -> Paced {
    let _runtime = runtime.enter();
    machine::wake_on_time();
    let mut pacer = Pacer {
        shared,
        schedule,
        queues: lines.into_iter().map(|(number, line)| Queue::new(number, line)).collect(),
        waiting: VecDeque::new(),
        next: 0,
        paced: Paced {
            lateness: no_times(),
            busy: Duration::ZERO,
            sent: 0,
            not_sent: 0,
            last: None,
        },
    };
    loop {
        let now = Instant::now();
        if schedule.is_over(now) {
            // What was due before that is sent, even if this thread was late.
            pacer.hand_out(now, schedule.end().unwrap_or(now));
            pacer.send_all(now);
            break;
        }
        let due = pacer.hand_out(now, now);
        pacer.send(now);
        let mut wake = due.unwrap_or(now + LONGEST_SLEEP).min(now + LONGEST_SLEEP);
        if !pacer.waiting.is_empty() {
            wake = wake.min(now + AGAIN);
        } else if due.is_none() {
            // All that is due is sent, and nothing will be.
            break;
        }
        let worked = Instant::now();
        pacer.paced.busy += worked.saturating_duration_since(now);
        std::thread::sleep(wake.saturating_duration_since(worked));
    }
    pacer.give_up();
    if let Some(last) = pacer.paced.last {
        schedule.came(last);
    }
    pacer.paced
}

struct Pacer<'a> {
    shared: &'a Shared,
    schedule: &'a Schedule,
    queues: Vec<Queue>,
    /// Those of the queues that have something to send.
    waiting: VecDeque<usize>,
    /// The queue whose message is due next: they take turns.
    next: usize,
    paced: Paced,
}

/// A connection, and its messages that are due and not sent.
struct Queue {
    number: usize,
    line: Arc<Line>,
    /// How many were due.
    due: u64,
    /// How many of them were sent, or will never be.
    done: u64,
}

impl Queue {
    const fn new(number: usize, line: Arc<Line>) -> Self {
        Self { number, line, due: 0, done: 0 }
    }
}

impl Pacer<'_> {
    /// Queues all that is due until then: when the next message will be, if there is one.
    fn hand_out(&mut self, now: Instant, until: Instant) -> Option<Instant> {
        loop {
            let queue = self.queues.get_mut(self.next)?;
            let due = self.schedule.due(queue.number, queue.due)?;
            if due.at > until {
                return Some(due.at);
            }
            if due.counts {
                let late = nanos(now.saturating_duration_since(due.at));
                self.paced.lateness.saturating_record(late);
            }
            if queue.due == queue.done {
                self.waiting.push_back(self.next);
            }
            queue.due += 1;
            queue.line.asked.store(queue.due, Ordering::Relaxed);
            self.next = (self.next + 1) % self.queues.len();
        }
    }

    /// Sends what is queued, as far as there is room and others need not wait.
    fn send(&mut self, now: Instant) {
        for _ in 0..self.waiting.len() {
            let Some(at) = self.waiting.pop_front() else { return };
            if self.empty(at, now) == Emptied::Not {
                self.waiting.push_back(at);
            }
            // With many connections, messages of others become due meanwhile.
            if now.elapsed() > AGAIN {
                return;
            }
        }
    }

    /// Sends what is queued, as far as there is room.
    fn send_all(&mut self, now: Instant) {
        while let Some(at) = self.waiting.pop_front() {
            self.empty(at, now);
        }
    }

    /// Sends what is queued on one connection.
    fn empty(&mut self, at: usize, now: Instant) -> Emptied {
        let Self { shared, schedule, queues, paced, .. } = self;
        let queue = &mut queues[at];
        let _batch = (queue.due - queue.done > 1).then(|| queue.line.sender.batch());
        while queue.done < queue.due {
            let message = shared.payloads.of(queue.number, queue.done).clone();
            let counts = schedule.due(queue.number, queue.done).is_some_and(|due| due.counts);
            match queue.line.sender.try_send(message) {
                Ok(()) => {
                    paced.sent += u64::from(counts);
                    paced.last = Some(now);
                }
                Err(SendError::Full(_) | SendError::Streaming(_)) => return Emptied::Not,
                // It is over, and will take none of them.
                Err(_) => paced.not_sent += u64::from(counts),
            }
            queue.done += 1;
        }
        Emptied::Wholly
    }

    /// What is due by now and was not sent never will be.
    fn give_up(&mut self) {
        for queue in &mut self.queues {
            for number in queue.done..queue.due {
                let due = self.schedule.due(queue.number, number);
                self.paced.not_sent += u64::from(due.is_some_and(|due| due.counts));
            }
            queue.due = queue.done;
            queue.line.asked.store(queue.due, Ordering::Relaxed);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emptied {
    Wholly,
    /// There was no room for all of it.
    Not,
}
