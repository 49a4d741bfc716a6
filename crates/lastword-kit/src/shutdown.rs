//! How a server takes leave: what it says, to whom when, and how long it waits. Pure: randomness and
//! times are handed in, and a driver does the waiting.

use std::time::Duration;

use lastword_proto::handshake::server::{Busy, Refusal};
use lastword_proto::{CloseCode, CloseFrame, Config};

/// How a server takes leave of those who are connected when it shuts down.
///
/// ```
/// use std::time::Duration;
/// use lastword_kit::Shutdown;
///
/// // Thousands of clients, who are not to come back all at once.
/// let mut shutdown = Shutdown::restart();
/// shutdown.spread = Duration::from_secs(20);
/// shutdown.retry_after = Some(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// What each connection is told; 1001, "server is shutting down".
    pub frame: CloseFrame,
    /// Over how long the goodbyes are spread, evenly and in no order; 0: all at once. Until it is its
    /// turn, a connection goes on as if nothing were. Never more than half of
    /// [`deadline`](Self::deadline), so that the last have time to answer.
    pub spread: Duration,
    /// How long it may take until all connections are over and all handlers done. Connections that
    /// are not over then are aborted, and their endings say so. `None`, the default:
    /// [`spread`](Self::spread), `Config::close_timeout` and `Config::linger` together, within which each
    /// connection ends by itself.
    pub deadline: Option<Duration>,
    /// What is said in `Retry-After` to those who come too late, and are answered with 503; none.
    pub retry_after: Option<Duration>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            frame: CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down"),
            spread: Duration::ZERO,
            deadline: None,
            retry_after: None,
        }
    }
}

impl Shutdown {
    /// For good, or for as long as nobody knows: 1001.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a moment: 1012, "server is restarting", after which clients wait for 5 to 30 seconds, as the
    /// registry of close codes asks them to.
    pub fn restart() -> Self {
        let frame = CloseFrame::truncated(CloseCode::SERVICE_RESTART, "server is restarting");
        Self { frame, ..Self::default() }
    }

    /// How long it may take, with such connections.
    pub fn patience(&self, config: &Config) -> Duration {
        self.deadline.unwrap_or_else(|| {
            self.spread.saturating_add(config.close_timeout).saturating_add(config.linger)
        })
    }

    /// How long after the beginning each of `guests` is told, in this order, which is drawn from
    /// `seed`: any but that in which they came.
    pub fn schedule<T>(&self, mut guests: Vec<T>, seed: u64) -> Vec<(Duration, T)> {
        let mut dice = Dice(seed);
        for last in (1..guests.len()).rev() {
            let drawn = dice.below(last as u64 + 1);
            guests.swap(last, usize::try_from(drawn).unwrap_or(last));
        }
        let window = self.deadline.map_or(self.spread, |deadline| self.spread.min(deadline / 2));
        let count = u32::try_from(guests.len()).unwrap_or(u32::MAX);
        let moment = |index: usize| {
            // In nanoseconds: fractions of a short window among many would be lost.
            let nanos = window.as_nanos().saturating_mul(index as u128) / u128::from(count.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        guests.into_iter().enumerate().map(|(index, guest)| (moment(index), guest)).collect()
    }

    /// What is answered to those who come too late.
    pub fn refusal(&self) -> Box<Refusal> {
        Refusal::busy(Busy::ShuttingDown, self.retry_after)
    }
}

/// Good enough to shuffle with: SplitMix64.
struct Dice(u64);

impl Dice {
    const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn goodbyes_are_spread_evenly_and_in_an_order_of_their_own() {
        let mut shutdown = Shutdown::new();
        shutdown.spread = Duration::from_secs(10);
        let plan = shutdown.schedule((0..100).collect(), 7);
        for (index, (moment, _)) in plan.iter().enumerate() {
            assert_eq!(*moment, Duration::from_millis(100) * index as u32);
        }
        let order: Vec<i32> = plan.iter().map(|(_, guest)| *guest).collect();
        assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), (0..100).collect());
        assert!(!order.is_sorted());
        let other = shutdown.schedule((0..100).collect(), 8);
        assert_ne!(order, other.iter().map(|(_, guest)| *guest).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_has_time_to_answer_before_the_deadline() {
        let mut shutdown = Shutdown::restart();
        shutdown.spread = Duration::from_secs(60);
        shutdown.deadline = Some(Duration::from_secs(30));
        assert_eq!(shutdown.patience(&Config::default()), Duration::from_secs(30));
        let last = shutdown.schedule(vec![(); 1000], 0).last().unwrap().0;
        assert!(last < Duration::from_secs(15) && last > Duration::from_secs(14), "{last:?}");
    }

    #[test]
    fn all_at_once_is_at_once_and_nobody_is_nobody() {
        let shutdown = Shutdown::new();
        let moments = shutdown.schedule(vec![(); 10], 0);
        assert!(moments.iter().all(|(moment, ())| moment.is_zero()));
        assert!(shutdown.schedule(Vec::<()>::new(), 0).is_empty());
        assert_eq!(shutdown.patience(&Config::default()), Duration::from_secs(11));
    }
}
