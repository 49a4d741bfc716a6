//! When messages go, and which of them count: those of the time that is measured, not those before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::plan::{Plan, Until};

/// The times of a load, known to all that take part.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When the first message goes.
    pub(super) start: Instant,
    /// When measuring begins.
    pub(super) begin: Instant,
    /// When it is over, in nanoseconds from the start.
    end: AtomicU64,
    /// When the last answer came that counts, in nanoseconds from the start.
    last: AtomicU64,
    pace: Pace,
}

#[derive(Debug)]
enum Pace {
    /// A message goes when another was answered; so many may still go, if that is limited.
    Answers { left: Option<AtomicU64> },
    /// A message goes when it is due.
    Clock(Clock),
}

/// Due times: message `k` of all is the next of connection `k` modulo their number.
#[derive(Clone, Copy, Debug)]
struct Clock {
    nanos_between: f64,
    connections: u64,
    /// Those from here on count.
    first: u64,
    /// There are none from here on.
    last: u64,
}

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    Refused,
}

impl Schedule {
    /// Of a load that begins now on so many connections.
    pub(super) fn new(plan: &Plan, connections: usize) -> Self {
        let start = Instant::now();
        let mut end = u64::MAX;
        let until = match (plan.until, plan.work.rate()) {
            (Until::Time(time), _) => {
                end = nanos(plan.warm_up.saturating_add(time));
                plan.until
            }
            (until, _) => until,
        };
        let pace = match plan.work.rate() {
            Some(rate) => Pace::Clock(Clock::new(rate, connections, plan.warm_up, until)),
            None => {
                let left = match until {
                    Until::Messages(messages) => Some(AtomicU64::new(messages)),
                    Until::Time(_) => None,
                };
                Pace::Answers { left }
            }
        };
        Self { start, begin: start + plan.warm_up, end: end.into(), last: 0.into(), pace }
    }

    /// When it will be over, if that is known.
    pub(super) fn end(&self) -> Option<Instant> {
        match self.end.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanos => Some(self.start + Duration::from_nanos(nanos)),
        }
    }

    /// It is over now, if it was not before.
    pub(super) fn finish(&self) {
        self.end.fetch_min(nanos(self.start.elapsed()), Ordering::Relaxed);
    }

    /// Whether it is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        nanos(now.saturating_duration_since(self.start)) >= self.end.load(Ordering::Relaxed)
    }

    /// Asks for one more message, in a closed loop.
    pub(super) fn ask(&self, now: Instant) -> Leave {
        if self.is_over(now) {
            return Leave::Refused;
        }
        let Pace::Answers { left: Some(left) } = &self.pace else { return Leave::Granted };
        if now < self.begin {
            return Leave::Granted;
        }
        let taken =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken.is_ok() { Leave::Granted } else { Leave::Refused }
    }

    /// Whether all messages that were asked for have gone.
    pub(super) fn is_exhausted(&self, now: Instant) -> bool {
        match &self.pace {
            Pace::Answers { left } => {
                left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
            }
            Pace::Clock(clock) => {
                clock.last < u64::MAX && self.start + clock.due(clock.last - 1) <= now
            }
        }
    }

    /// When a connection's message of this number is due, if there is one.
    pub(super) fn due(&self, connection: usize, number: u64) -> Option<Due> {
        let Pace::Clock(clock) = &self.pace else { return None };
        let index = number.checked_mul(clock.connections)?.checked_add(connection as u64)?;
        (index < clock.last)
            .then(|| Due { at: self.start + clock.due(index), counts: index >= clock.first })
    }

    /// Whether a message that went at this time counts, in a closed loop.
    pub(super) fn counts(&self, sent: Instant) -> bool {
        sent >= self.begin
    }

    /// Whether what comes now came in the time that is measured.
    pub(super) fn is_measured(&self, now: Instant) -> bool {
        now >= self.begin && !self.is_over(now)
    }

    /// An answer came that counts.
    pub(super) fn came(&self, at: Instant) {
        self.last.fetch_max(nanos(at.saturating_duration_since(self.start)), Ordering::Relaxed);
    }

    /// How long was measured; of a number of messages, until the last of them was answered.
    pub(super) fn measured(&self, until: Until) -> Duration {
        let end = match until {
            Until::Time(_) => self.end.load(Ordering::Relaxed),
            Until::Messages(_) => self.last.load(Ordering::Relaxed),
        };
        let begin = self.begin.saturating_duration_since(self.start);
        Duration::from_nanos(end).saturating_sub(begin)
    }
}

/// When a message is due, and whether it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) counts: bool,
}

impl Clock {
    fn new(rate: f64, connections: usize, warm_up: Duration, until: Until) -> Self {
        let first = (warm_up.as_secs_f64() * rate).ceil() as u64;
        let count = match until {
            Until::Time(time) => ((time.as_secs_f64() * rate).floor() as u64).max(1),
            Until::Messages(messages) => messages,
        };
        Self {
            nanos_between: 1e9 / rate,
            connections: connections.max(1) as u64,
            first,
            last: first.saturating_add(count),
        }
    }

    fn due(&self, index: u64) -> Duration {
        Duration::from_nanos((index as f64 * self.nanos_between) as u64)
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
