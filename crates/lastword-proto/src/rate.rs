//! How fast: so many in a while, and so many at once. Amounts and instants come in, whether that was
//! too fast goes out. Refuses to know what is counted, and what time it is.

use std::fmt;
use std::time::{Duration, Instant};

/// How many of something there may be in a while, and how many at once: a token bucket, which holds
/// what may come at once, and is filled evenly.
///
/// ```
/// use lastword_proto::Rate;
/// // A hundred at once, and from then on ten a second.
/// assert_eq!(Rate::per_second(10).burst(100).to_string(), "10 a second, 100 at once");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: u64,
    per: Per,
    burst: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
}

impl Rate {
    /// So many a second, as many of them at once; 0 means none at all.
    pub const fn per_second(amount: u64) -> Self {
        Self { amount, per: Per::Second, burst: amount }
    }

    /// So many a minute, as many of them at once; 0 means none at all.
    pub const fn per_minute(amount: u64) -> Self {
        Self { amount, per: Per::Minute, burst: amount }
    }

    /// So many at once, after a while without any.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = burst;
        self
    }

    /// What one of them costs, where a nanosecond brings `amount`.
    const fn price(self) -> u128 {
        match self.per {
            Per::Second => 1_000_000_000,
            Per::Minute => 60_000_000_000,
        }
    }

    /// What a bucket holds.
    fn depth(self) -> u128 {
        u128::from(self.burst).saturating_mul(self.price())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "second",
            Per::Minute => "minute",
        };
        write!(f, "{} a {per}, {} at once", self.amount, self.burst)
    }
}

/// What is left of a [`Rate`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use lastword_proto::{Bucket, Rate};
///
/// let start = Instant::now();
/// let mut bucket = Bucket::new(Rate::per_second(2), start);
/// assert_eq!(bucket.take(2, start), Ok(()));
/// assert_eq!(bucket.take(1, start).unwrap_err().wait, Duration::from_millis(500));
/// assert_eq!(bucket.take(1, start + Duration::from_millis(500)), Ok(()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    level: u128,
    /// When it was filled so far.
    at: Instant,
}

/// There is not as much in a [`Bucket`]; nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooFast {
    /// In how long there will be, if nobody takes any; for ever if there never will.
    pub wait: Duration,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, level: rate.depth(), at: now }
    }

    /// Takes `amount`, if there is as much.
    ///
    /// # Errors
    /// [`TooFast`] if there is not.
    pub fn take(&mut self, amount: u64, now: Instant) -> Result<(), TooFast> {
        self.fill(now);
        self.level = self.level.min(self.rate.depth());
        self.spend(amount)
    }

    /// Takes `amount` that may have gathered since the last time, while nobody looked: nothing of what
    /// that time has brought is lost because there was no room for it.
    ///
    /// # Errors
    /// [`TooFast`] if even so there is not as much.
    pub fn take_gathered(&mut self, amount: u64, now: Instant) -> Result<(), TooFast> {
        self.fill(now);
        let spent = self.spend(amount);
        self.level = self.level.min(self.rate.depth());
        spent
    }

    /// Whether nothing is missing: a bucket that is as good as new.
    pub fn is_full(&self, now: Instant) -> bool {
        let mut filled = *self;
        filled.fill(now);
        filled.level >= self.rate.depth()
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let brought = elapsed.as_nanos().saturating_mul(u128::from(self.rate.amount));
        self.level = self.level.saturating_add(brought);
        self.at = self.at.max(now);
    }

    fn spend(&mut self, amount: u64) -> Result<(), TooFast> {
        let cost = u128::from(amount).saturating_mul(self.rate.price());
        match self.level.checked_sub(cost) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err(TooFast { wait: self.time_to(cost) }),
        }
    }

    /// How long it takes to gather this.
    fn time_to(&self, cost: u128) -> Duration {
        let missing = cost.saturating_sub(self.level);
        // Rounded up: who comes then is welcome. Without any amount, or beyond the burst, never.
        if cost > self.rate.depth() || self.rate.amount == 0 {
            return Duration::MAX;
        }
        let nanos = missing.div_ceil(u128::from(self.rate.amount));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
