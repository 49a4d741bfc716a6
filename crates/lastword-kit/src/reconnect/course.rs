//! What one client that comes back decides and counts: attempts and pauses, states and their observer, the
//! messages that it carries from one connection to the next.
//!
//! In come attempts that begin and fail and connections that end; out comes when the next attempt is due.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{Compression, Connection, Ending, Message};
use lastword_retry::{Backoff, Next, Schedule, Verdict};

use crate::error::ConnectError;
use crate::reconnect::state::{State, Stopped};
use crate::seed::fresh;
use crate::verdict::Because;

/// What becomes of messages that a connection accepted, when the next one is there.
///
/// Messages that are sent again go first and in their order. Those that a waiting `send` gave back with
/// its error are the caller's, and so are those that were taken with `WebSocket::take_unsent` before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "nothing, what surely did not arrive, or all that may not have"
)]
pub enum Resend {
    /// None is sent again. `Reconnect::unsent` gives back what did not leave.
    #[default]
    Nothing,
    /// Those of which the operating system had not taken the last byte: the old peer cannot have read one
    /// of them whole, so that none arrives twice. Those that were handed over and did not arrive are lost.
    Unsent,
    /// Those as well that were handed over and not confirmed: none is lost, and those may arrive twice
    /// that the old peer read without its word on it (the pong of a later ping) reaching us: at most
    /// what was sent since the last ping that it answered. A closing handshake confirms nothing, since
    /// two closes that cross look the same as an answer: whoever closes calls `WebSocket::ping` before,
    /// and nothing arrives twice. Sets [`Config::unconfirmed`](lastword_proto::Config::unconfirmed) of a
    /// `Client`; whoever connects by `Reconnect::new` sets it there. What waits for confirmation then
    /// takes up `send_buffer`, too.
    Unconfirmed,
}

/// The course of one client over its connections.
pub struct Course {
    schedule: Schedule,
    classify: Box<dyn Fn(&Because) -> Verdict + Send>,
    observe: Box<dyn FnMut(&State) + Send>,
    resend: Resend,
    state: State,
    /// Messages for the next connection.
    carried: VecDeque<Message>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            schedule: Schedule::new(Backoff::default()),
            classify: Box::new(Because::verdict),
            observe: Box::new(|_| {}),
            resend: Resend::default(),
            state: State::default(),
            carried: VecDeque::new(),
        }
    }
}

impl Course {
    /// How long it waits, and when it gives up.
    pub fn backoff(&mut self, backoff: Backoff) {
        self.schedule = Schedule::new(backoff);
    }

    /// What tells what is worth a retry from what is not.
    pub fn classify(&mut self, classify: impl Fn(&Because) -> Verdict + Send + 'static) {
        self.classify = Box::new(classify);
    }

    /// Who is told each state as it begins.
    pub fn on_state(&mut self, observe: impl FnMut(&State) + Send + 'static) {
        self.observe = Box::new(observe);
    }

    /// What becomes of messages that a connection accepted and could not send.
    pub const fn resend(&mut self, resend: Resend) {
        self.resend = resend;
    }

    /// Whether connections have to keep what was handed over until it is confirmed.
    pub fn wants_unconfirmed(&self) -> bool {
        self.resend == Resend::Unconfirmed
    }

    /// What it is doing.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Why there will be no further connection; `None` while there may be one.
    pub const fn stopped(&self) -> Option<&Stopped> {
        match &self.state {
            State::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }

    /// An attempt begins: its number since the last healthy connection, from 1.
    pub fn attempt(&mut self, now: Instant) -> u32 {
        let attempt = self.schedule.attempt(now);
        self.enter(State::Connecting { attempt });
        attempt
    }

    /// What is to be sent again goes first on a connection that was opened.
    pub fn resend_over(&mut self, connection: &mut Connection) {
        if self.resends() {
            while let Some(message) = self.carried.pop_front() {
                // How they were compressed is not known any more, and some must not be.
                if let Err(refused) = connection.send(message, Compression::Never) {
                    self.carried.push_front(refused.into_message());
                    break;
                }
            }
        }
    }

    /// The connection is in the caller's hands.
    pub fn handed_out(&mut self) {
        self.enter(State::Connected);
    }

    /// An attempt has failed: when the next one is due; `None`: never.
    pub fn failed(&mut self, error: ConnectError, now: Instant) -> Option<Instant> {
        self.over(Because::Failed(Arc::new(error)), now, |schedule, verdict, random| {
            schedule.failed(verdict, random, now)
        })
    }

    /// The connection has ended: when the next attempt is due; `None`: never.
    pub fn ended(&mut self, ending: Arc<Ending>) -> Option<Instant> {
        // A goodbye that takes its time is no sign of health.
        let lived = ending.began_at.saturating_duration_since(ending.opened_at);
        let at = ending.ended_at;
        self.over(Because::Ended(ending), at, |schedule, verdict, random| {
            schedule.ended(lived, verdict, random, at)
        })
    }

    /// Somebody has asked for the end.
    pub fn stop(&mut self) {
        self.enter(State::Stopped(Stopped::Asked));
    }

    /// Takes what a connection that is over has left behind, for the next one if it is to be sent again:
    /// it goes ahead of what that connection had not accepted any more.
    pub fn collect(&mut self, connection: &mut Connection) {
        let mut left = match self.resend {
            Resend::Unconfirmed => connection.take_unconfirmed(),
            Resend::Nothing | Resend::Unsent => Vec::new(),
        };
        left.extend(connection.take_unsent());
        for message in left.into_iter().rev() {
            self.carried.push_front(message);
        }
    }

    /// Whether what connections leave behind is collected as soon as they are over.
    pub fn resends(&self) -> bool {
        self.resend != Resend::Nothing
    }

    /// What was collected and not sent again; once.
    pub fn take_carried(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.carried).into()
    }

    /// There is no connection since `at`: what now?
    fn over(
        &mut self,
        because: Because,
        at: Instant,
        ask: impl FnOnce(&mut Schedule, Verdict, u64) -> Next,
    ) -> Option<Instant> {
        let verdict = (self.classify)(&because);
        match ask(&mut self.schedule, verdict, u64::from_ne_bytes(fresh())) {
            Next::Wait(delay) => {
                tracing::info!(?delay, "reconnecting in {:.1} s: {because}", delay.as_secs_f64());
                let until = at + delay;
                self.enter(State::Waiting { until, because });
                Some(until)
            }
            Next::GiveUp(limit) => {
                tracing::info!("reconnecting no more, {limit}: {because}");
                self.enter(State::Stopped(Stopped::GaveUp { limit, because }));
                None
            }
        }
    }

    fn enter(&mut self, state: State) {
        (self.observe)(&state);
        self.state = state;
    }
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course")
            .field("state", &self.state)
            .field("schedule", &self.schedule)
            .field("resend", &self.resend)
            .field("carried", &self.carried.len())
            .finish_non_exhaustive()
    }
}
