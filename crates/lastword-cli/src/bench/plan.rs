//! What is asked of the server: the arguments, with all that they leave open decided.

use std::num::NonZeroUsize;
use std::time::Duration;

use lastword::Kind;

use crate::args::Load;

/// A load.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) connections: usize,
    pub(super) work: Work,
    pub(super) size: usize,
    pub(super) kind: Kind,
    pub(super) warm_up: Duration,
    pub(super) until: Until,
    pub(super) connect_rate: Option<f64>,
    pub(super) threads: usize,
    /// How long missing answers are waited for.
    pub(super) patience: Duration,
}

/// What connections do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Work {
    /// Each answer lets the next message go: so many wait for theirs at the same time.
    Closed { in_flight: usize, check: Check },
    /// So many messages in a second over all connections, whatever the answers do.
    Open { rate: f64, check: Check },
    /// As many messages as are taken, and no answers.
    Send,
    /// So many messages in a second over all connections, and no answers.
    SendAt { rate: f64 },
    /// Whatever comes.
    Receive,
}

/// What is made of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// They have to be what was sent.
    Echo,
    /// They only count.
    Count,
}

/// When it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Time(Duration),
    Messages(u64),
}

const USUAL_DURATION: Duration = Duration::from_secs(10);
const USUAL_WARM_UP: Duration = Duration::from_secs(1);

impl Plan {
    pub(super) fn of(load: &Load) -> Self {
        let check = if load.no_check { Check::Count } else { Check::Echo };
        let work = match (load.receive_only, load.no_echo, load.rate) {
            (true, ..) => Work::Receive,
            (_, true, None) => Work::Send,
            (_, true, Some(rate)) => Work::SendAt { rate },
            (_, _, Some(rate)) => Work::Open { rate, check },
            (_, _, None) => Work::Closed { in_flight: load.in_flight.get(), check },
        };
        let until = match (load.messages, load.duration) {
            (Some(messages), _) => Until::Messages(messages.get()),
            (None, duration) => Until::Time(duration.unwrap_or(USUAL_DURATION)),
        };
        let usual_warm_up = match until {
            Until::Time(_) => USUAL_WARM_UP,
            Until::Messages(_) => Duration::ZERO,
        };
        let threads = load.threads.or_else(|| std::thread::available_parallelism().ok());
        Self {
            connections: load.connections.get(),
            work,
            size: load.size,
            kind: if load.text { Kind::Text } else { Kind::Binary },
            warm_up: load.warm_up.unwrap_or(usual_warm_up),
            until,
            connect_rate: load.connect_rate,
            threads: threads.map_or(1, NonZeroUsize::get),
            patience: load.timeout,
        }
    }
}

impl Work {
    /// Messages in a second, if they do not wait for answers.
    pub(super) const fn rate(self) -> Option<f64> {
        match self {
            Self::Open { rate, .. } | Self::SendAt { rate } => Some(rate),
            Self::Closed { .. } | Self::Send | Self::Receive => None,
        }
    }

    /// Whether each message is to be answered.
    pub(super) const fn is_answered(self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Open { .. })
    }

    pub(super) const fn check(self) -> Check {
        match self {
            Self::Closed { check, .. } | Self::Open { check, .. } => check,
            Self::Send | Self::SendAt { .. } | Self::Receive => Check::Count,
        }
    }
}
