//! How often we ask whether the peer is there, and what it says of itself: keepalive at run time, and
//! the peer's pings and pongs for those who want to see them (RFC 6455 section 5.5).

use std::time::{Duration, Instant};

use crate::closing::State;
use crate::heartbeat::Heartbeat;
use crate::keepalive::Rhythm;
use crate::timers::Timer;

use super::Connection;

/// Whoever asks more often does nothing else.
pub(super) const QUICKEST: Duration = Duration::from_millis(1);

/// Signs of life.
impl Connection {
    /// From now on, asks every `interval` whether the peer is there, and lets it be silent for `timeout`
    /// then, whatever [`Config::ping_interval`](crate::Config::ping_interval) and
    /// [`Config::ping_timeout`](crate::Config::ping_timeout) say; `None`: never, and for ever.
    ///
    /// The next ping is due an `interval` from now. For one that waits for its answer, `timeout` begins
    /// anew. Changes nothing once the connection is closing.
    pub fn set_keepalive(
        &mut self,
        interval: Option<Duration>,
        timeout: Option<Duration>,
        now: Instant,
    ) {
        if self.closing.state() != State::Open {
            return;
        }
        self.keepalive.set_rhythm(Rhythm { interval, timeout });
        let interval = self.rhythm().interval;
        self.timers.set(Timer::Ping, interval.and_then(|interval| now.checked_add(interval)));
        if self.timers.get(Timer::Pong).is_some() {
            self.timers.set(Timer::Pong, timeout.and_then(|timeout| now.checked_add(timeout)));
        }
    }

    /// How often we ask, and how long the peer may be silent then.
    pub(super) fn rhythm(&self) -> Rhythm {
        let Rhythm { interval, timeout } = self.keepalive.rhythm().unwrap_or(Rhythm {
            interval: self.config.ping_interval,
            timeout: self.config.ping_timeout,
        });
        Rhythm { interval: interval.map(|interval| interval.max(QUICKEST)), timeout }
    }

    /// From now on, keeps the newest pings and pongs of the peer for [`Self::heartbeat_from`], at least
    /// `capacity` of them. Until this is called, none is kept.
    pub fn keep_heartbeats(&mut self, capacity: usize) {
        self.keepalive.listen(capacity);
    }

    /// How many heartbeats came since they are kept: the number of the next one.
    pub fn heartbeats(&self) -> u64 {
        self.keepalive.heard().count()
    }

    /// The oldest heartbeat that is kept and has at least this number, with its number; `None` if none
    /// has come yet. Those between `number` and its number came and are gone.
    pub fn heartbeat_from(&self, number: u64) -> Option<(u64, &Heartbeat)> {
        self.keepalive.heard().from(number)
    }

    /// A number that grows when a ping was answered, or a heartbeat came that is kept:
    /// [`Self::answered`] or [`Self::heartbeat_from`] may then say more.
    #[inline]
    pub const fn news(&self) -> u64 {
        self.keepalive.news()
    }
}
