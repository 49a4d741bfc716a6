//! How far it has come: a bar on standard error, if that is a terminal and nobody asked for quiet.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::line::Shared;
use super::plan::{Until, Work};
use super::schedule::Schedule;
use crate::args::Talk;
use crate::figures::Rate;

/// The bar, and what it showed last.
pub(super) struct Progress {
    bar: ProgressBar,
    /// When the rate was last looked at, and what had come by then.
    seen: Cell<Option<(Instant, u64)>>,
}

/// What moves faster cannot be read.
const LOOK: Duration = Duration::from_millis(200);
const DRAWS_PER_SECOND: u8 = 10;

impl Progress {
    pub(super) fn new(talk: Talk) -> Self {
        let target = match talk {
            Talk::Quiet => ProgressDrawTarget::hidden(),
            // Hidden by itself where there is no terminal.
            _ => ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        let style = ProgressStyle::with_template("{prefix} {bar:30} {msg}");
        bar.set_style(
            style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars(chars()),
        );
        Self { bar, seen: Cell::new(None) }
    }

    /// So many of all connections are open.
    pub(super) fn opening(&self, open: usize, all: usize) {
        self.bar.set_prefix("opening ");
        self.bar.set_length(all as u64);
        self.bar.set_position(open as u64);
        self.bar.set_message(format!("{open} of {all} connections"));
    }

    /// Messages are on their way.
    pub(super) fn carrying(&self, schedule: &Schedule, shared: &Shared) {
        if self.bar.is_hidden() {
            return;
        }
        let now = Instant::now();
        let before = self.seen.get();
        if before.is_some_and(|(at, _)| now.saturating_duration_since(at) < LOOK) {
            return;
        }
        let counts = shared.books.counts();
        let sends = matches!(shared.plan.work, Work::Send | Work::SendAt { .. });
        let came = if sends { counts.sent } else { counts.came };
        self.seen.set(Some((now, came)));
        let warming = now < schedule.begin;
        self.bar.set_prefix(if warming { "warm-up " } else { "carrying" });
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match shared.plan.until {
            Until::Time(time) => {
                let all = if warming { shared.plan.warm_up } else { time };
                let since = if warming { schedule.start } else { schedule.begin };
                self.bar.set_length(millis(all));
                self.bar.set_position(millis(now.saturating_duration_since(since)));
            }
            Until::Messages(messages) => {
                self.bar.set_length(messages);
                self.bar.set_position(came.min(messages));
            }
        }
        let rate = before.map(|(at, earlier)| {
            let time = now.saturating_duration_since(at).as_secs_f64();
            came.saturating_sub(earlier) as f64 / time
        });
        let rate = rate.filter(|_| !warming).map(|rate| format!("{} messages/s", Rate(rate)));
        self.bar.set_message(rate.unwrap_or_default());
    }

    pub(super) fn closing(&self) {
        self.bar.set_prefix("closing ");
        self.bar.set_message("");
    }

    /// Leaves nothing behind.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

fn chars() -> &'static str {
    if crate::style::is_plain() { "#>-" } else { "█▉▊▋▌▍▎▏ " }
}
