//! The deadlines of one connection: set by the rooms that wait, read by `poll_timeout`.
//!
//! Holds instants, asks for none. Durations come from `Config`.

use std::time::{Duration, Instant};

/// What a connection may be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next keepalive ping is due.
    Ping,
    /// A silent peer is declared dead.
    Pong,
    /// Nothing but silence on both sides for too long.
    Idle,
    /// Bytes wait to be written and make no progress.
    Write,
    /// The closing takes too long.
    Closing,
    /// The application takes too long to answer what came before a violation.
    Verdict,
    /// It may be quiet: what traffic needed is given back.
    Rest,
}

impl Timer {
    /// In the order in which they count when several are due.
    const ALL: [Self; 7] =
        [Self::Closing, Self::Verdict, Self::Write, Self::Pong, Self::Idle, Self::Ping, Self::Rest];

    /// What a record calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Idle => "idle",
            Self::Write => "write",
            Self::Closing => "closing",
            Self::Verdict => "verdict",
            Self::Rest => "rest",
        }
    }
}

/// Each deadline in nanoseconds since the connection opened: an instant takes up twice as much.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    opened_at: Instant,
    deadlines: [u64; Timer::ALL.len()],
    /// The soonest of them.
    soonest: Option<Instant>,
}

impl Timers {
    pub(crate) const fn new(opened_at: Instant) -> Self {
        Self { opened_at, deadlines: [NEVER; Timer::ALL.len()], soonest: None }
    }

    #[inline]
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        let at = at.map_or(NEVER, |at| self.nanoseconds(at));
        if let Some(slot) = self.deadlines.get_mut(timer as usize)
            && *slot != at
        {
            *slot = at;
            self.look_again();
        }
    }

    /// Sets a deadline that is only ever armed once: a later one does not move it.
    pub(crate) fn set_once(&mut self, timer: Timer, at: Instant) {
        let at = self.nanoseconds(at);
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = at.min(*slot);
        }
        self.look_again();
    }

    #[inline]
    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        self.instant(self.deadlines.get(timer as usize).copied().unwrap_or(NEVER))
    }

    /// The soonest deadline.
    #[inline]
    pub(crate) const fn soonest(&self) -> Option<Instant> {
        self.soonest
    }

    fn look_again(&mut self) {
        self.soonest = self.instant(self.deadlines.iter().copied().min().unwrap_or(NEVER));
    }

    /// Takes those that are due, with their deadlines; the closing's first, then the others that
    /// end a connection. Each comes once, even if it is set to an instant that has passed.
    pub(crate) fn all_due(
        &mut self,
        now: Instant,
    ) -> impl Iterator<Item = (Timer, Instant)> + use<> {
        let mut due = [None; Timer::ALL.len()];
        for (slot, timer) in due.iter_mut().zip(Timer::ALL) {
            *slot = self.get(timer).filter(|&at| at <= now).map(|at| (timer, at));
        }
        due.into_iter().flatten()
    }

    pub(crate) const fn clear(&mut self) {
        *self = Self::new(self.opened_at);
    }

    /// What is not after the opening is due at once, all the same.
    fn nanoseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.opened_at).as_nanos();
        u64::try_from(since).unwrap_or(NEVER)
    }

    fn instant(&self, nanoseconds: u64) -> Option<Instant> {
        if nanoseconds == NEVER {
            return None;
        }
        self.opened_at.checked_add(Duration::from_nanos(nanoseconds))
    }
}

/// Further away than any deadline: 584 years.
const NEVER: u64 = u64::MAX;
