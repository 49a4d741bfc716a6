//! The deadlines of one connection: set by the rooms that wait, read by `poll_timeout`.
//!
//! Holds instants, asks for none. Durations come from `Config`.

use std::time::Instant;

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

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    ping: Option<Instant>,
    pong: Option<Instant>,
    idle: Option<Instant>,
    write: Option<Instant>,
    closing: Option<Instant>,
    verdict: Option<Instant>,
    rest: Option<Instant>,
    /// The soonest of them.
    soonest: Option<Instant>,
}

impl Timers {
    #[inline]
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        let before = std::mem::replace(self.slot(timer), at);
        if before != at {
            self.look_again();
        }
    }

    /// Sets a deadline that is only ever armed once: a later one does not move it.
    pub(crate) fn set_once(&mut self, timer: Timer, at: Instant) {
        let slot = self.slot(timer);
        *slot = Some(slot.map_or(at, |set| set.min(at)));
        self.look_again();
    }

    pub(crate) const fn get(&self, timer: Timer) -> Option<Instant> {
        match timer {
            Timer::Ping => self.ping,
            Timer::Pong => self.pong,
            Timer::Idle => self.idle,
            Timer::Write => self.write,
            Timer::Closing => self.closing,
            Timer::Verdict => self.verdict,
            Timer::Rest => self.rest,
        }
    }

    /// The soonest deadline.
    #[inline]
    pub(crate) const fn soonest(&self) -> Option<Instant> {
        self.soonest
    }

    fn look_again(&mut self) {
        self.soonest = Timer::ALL.into_iter().filter_map(|timer| self.get(timer)).min();
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

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    const fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        match timer {
            Timer::Ping => &mut self.ping,
            Timer::Pong => &mut self.pong,
            Timer::Idle => &mut self.idle,
            Timer::Write => &mut self.write,
            Timer::Closing => &mut self.closing,
            Timer::Verdict => &mut self.verdict,
            Timer::Rest => &mut self.rest,
        }
    }
}
