//! Every limit and wait of coming back, with its default. Values only.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a client waits between two connections, and when it gives up.
///
/// The wait before the n-th retry in a row is drawn evenly from `delay_min` up to a ceiling that begins
/// at `delay_first` and grows by `factor` up to `delay_max` ("full jitter"): clients that lost their
/// server in the same moment do not come back in the same moment. With the defaults no server, whatever it
/// does, sees ten attempts within three seconds.
///
/// ```
/// use std::time::Duration;
/// let mut backoff = lastword_retry::Backoff::default();
/// backoff.delay_max = Duration::from_secs(120);
/// backoff.max_attempts = Some(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The shortest wait, whatever the dice say; 350 ms.
    pub delay_min: Duration,
    /// The longest wait before the first retry; 1 s.
    pub delay_first: Duration,
    /// The longest wait before any retry; 30 s.
    pub delay_max: Duration,
    /// By how much the longest wait grows with each retry; 2. With 1 it does not grow.
    pub factor: u32,
    /// How long a connection must have lived before the waits begin anew from `delay_first`, and before
    /// attempts and time are counted anew; 10 s. A server that accepts and closes at once is not healthy.
    pub healthy_after: Duration,
    /// The waits after a service said that it restarts (1012) or is overloaded (1013), as the registry of
    /// close codes asks for; 5 to 30 s. Where the ceiling has grown further than that, it holds.
    pub delay_restart: RangeInclusive<Duration>,
    /// The longest that a server may make us wait with `Retry-After`; 5 min. What is more is cut to it.
    /// Some jitter comes on top, since the server told everybody the same.
    pub max_retry_after: Duration,
    /// How many attempts in a row may go without a healthy connection, the first one included.
    /// `None` (the default): any number.
    pub max_attempts: Option<u32>,
    /// How long it may go on without a healthy connection. `None` (the default): for ever. No wait begins
    /// that would end beyond it.
    pub max_elapsed: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            // Nine waits of this are more than three seconds.
            delay_min: Duration::from_millis(350),
            delay_first: Duration::from_secs(1),
            delay_max: Duration::from_secs(30),
            factor: 2,
            healthy_after: Duration::from_secs(10),
            delay_restart: Duration::from_secs(5)..=Duration::from_secs(30),
            max_retry_after: Duration::from_mins(5),
            max_attempts: None,
            max_elapsed: None,
        }
    }
}

impl Backoff {
    /// The longest wait after so many failures in a row (one or more); never less than `delay_min`.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let growth = self.factor.saturating_pow(failures.saturating_sub(1));
        self.delay_first.saturating_mul(growth).min(self.delay_max).max(self.delay_min)
    }
}
