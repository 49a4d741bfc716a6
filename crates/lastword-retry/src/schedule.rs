//! Counts attempts and says how long to wait. Knows no reasons, only verdicts on them.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::verdict::Verdict;

/// The attempts of one client, and the waits between them.
///
/// ```
/// use std::time::{Duration, Instant};
/// use lastword_retry::{Backoff, Next, Schedule, Verdict};
///
/// let (mut schedule, now) = (Schedule::new(Backoff::default()), Instant::now());
/// assert_eq!(schedule.attempt(now), 1);
/// // It failed; the random number lies in the middle of all that there are.
/// let next = schedule.failed(Verdict::Retry, 1 << 63, now);
/// assert_eq!(next, Next::Wait(Duration::from_millis(675)));
/// assert_eq!(schedule.attempt(now), 2);
/// assert!(matches!(schedule.failed(Verdict::Fatal, 0, now), Next::GiveUp(_)));
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    backoff: Backoff,
    /// Attempts since the last healthy connection.
    attempts: u32,
    /// Failures in a row; the end of a healthy connection is the first of its row.
    failures: u32,
    /// Since when there is no healthy connection; `None` before the first attempt.
    trouble_since: Option<Instant>,
}

/// What comes after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "on, or not")]
pub enum Next {
    /// Another attempt, so long after the failure. A year at most.
    Wait(Duration),
    /// No further attempt.
    GiveUp(Limit),
}

/// Why no further attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// What happened is not worth a retry.
    #[error("not worth a retry")]
    Fatal,
    /// `Backoff::max_attempts`.
    #[error("no healthy connection in {0} attempts (max_attempts)")]
    Attempts(u32),
    /// `Backoff::max_elapsed`.
    #[error("no healthy connection within {0:?} (max_elapsed)")]
    Elapsed(Duration),
}

impl Schedule {
    /// Nothing was attempted yet.
    pub const fn new(backoff: Backoff) -> Self {
        Self { backoff, attempts: 0, failures: 0, trouble_since: None }
    }

    /// An attempt begins: its number since the last healthy connection, from 1.
    pub fn attempt(&mut self, now: Instant) -> u32 {
        self.trouble_since.get_or_insert(now);
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// A connection is over; `lived` is the time from its opening until its end began.
    ///
    /// `random` is evenly drawn from all of `u64`; `now` is when it was over, and the wait counts from
    /// there.
    pub fn ended(&mut self, lived: Duration, verdict: Verdict, random: u64, now: Instant) -> Next {
        if lived >= self.backoff.healthy_after {
            (self.attempts, self.failures) = (0, 0);
            self.trouble_since = Some(now);
        }
        self.failed(verdict, random, now)
    }

    /// An attempt failed; otherwise as [`ended`](Self::ended).
    pub fn failed(&mut self, verdict: Verdict, random: u64, now: Instant) -> Next {
        self.failures = self.failures.saturating_add(1);
        let delay = match verdict {
            Verdict::Fatal => return Next::GiveUp(Limit::Fatal),
            Verdict::Retry => draw(self.jitter(), random),
            Verdict::RetrySlowly => {
                let (from, to) = self.backoff.delay_restart.clone().into_inner();
                let jitter = self.jitter();
                draw(from.max(*jitter.start())..=to.max(*jitter.end()), random)
            }
            Verdict::RetryAfter(asked) => {
                asked.min(self.backoff.max_retry_after).saturating_add(draw(self.jitter(), random))
            }
        };
        let delay = delay.min(LONGEST);
        if let Some(limit) = self.backoff.max_attempts
            && self.attempts >= limit.max(1)
        {
            return Next::GiveUp(Limit::Attempts(limit));
        }
        let trouble =
            self.trouble_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if let Some(limit) = self.backoff.max_elapsed
            && trouble.saturating_add(delay) > limit
        {
            return Next::GiveUp(Limit::Elapsed(limit));
        }
        Next::Wait(delay)
    }

    fn jitter(&self) -> RangeInclusive<Duration> {
        self.backoff.delay_min..=self.backoff.ceiling(self.failures)
    }
}

/// Evenly from the range; its start, where its end lies before it.
fn draw(range: RangeInclusive<Duration>, random: u64) -> Duration {
    let (from, to) = range.into_inner();
    // A year has less than 2^55 nanoseconds.
    let width = to.saturating_sub(from).min(LONGEST).as_nanos();
    let part = width.saturating_mul(u128::from(random)) >> u64::BITS;
    from.saturating_add(Duration::from_nanos(part as u64))
}

/// No wait is longer, so that any clock can add it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
