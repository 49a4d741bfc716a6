//! What became of the pings so far, in an amount of memory that does not grow.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Answer;

/// Counts, and the distribution of times.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    sent: u64,
    lost: u64,
    /// In nanoseconds, three digits of each.
    times: Histogram<u64>,
    /// All digits.
    least: Duration,
    longest: Duration,
}

const DIGITS: u8 = 3;

impl Default for Tally {
    fn default() -> Self {
        let times = Histogram::new(DIGITS)
            .unwrap_or_else(|_| unreachable!("up to five digits are possible"));
        Self { sent: 0, lost: 0, times, least: Duration::MAX, longest: Duration::ZERO }
    }
}

impl Tally {
    /// The number of the next ping, which is sent now.
    pub(super) const fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    pub(super) fn count(&mut self, answer: Answer) {
        match answer {
            Answer::After(time) => {
                let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                // It grows to hold what comes.
                let _ = self.times.record(nanos);
                self.least = self.least.min(time);
                self.longest = self.longest.max(time);
            }
            Answer::Late | Answer::Unsent => self.lost += 1,
            Answer::Gone => {}
            Answer::Closing => self.sent = self.sent.saturating_sub(1),
        }
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn answered(&self) -> u64 {
        self.times.len()
    }

    /// Not answered in time.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Neither: the end came first.
    pub(super) fn waiting(&self) -> u64 {
        self.sent.saturating_sub(self.lost + self.answered())
    }

    /// Min, median, 99th percentile, and max; `None` without answers.
    pub(super) fn times(&self) -> Option<[(&'static str, Duration); 4]> {
        let at = |quantile| {
            let time = Duration::from_nanos(self.times.value_at_quantile(quantile));
            time.clamp(self.least, self.longest)
        };
        (!self.times.is_empty()).then(|| {
            [("min", self.least), ("median", at(0.5)), ("p99", at(0.99)), ("max", self.longest)]
        })
    }
}
