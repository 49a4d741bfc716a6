//! Pings that we asked and their answers: who is alive, and how far away (RFC 6455 section 5.5.2).
//!
//! Decides nothing about when to ask, and nothing about endings; remembers what was asked, when it
//! left, and how far the account of sent messages stood behind it. Keeps what the peer's pings and
//! pongs said, if somebody wants to know.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::heartbeat::{Heard, Heartbeat};
use crate::ledger::Tally;
use crate::rare::{Blank, Rare};

/// Names one ping of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PingId {
    way: Way,
    number: u64,
}

/// On which of two ways a ping leaves. On one way they leave in the order of their numbers; a ping
/// that goes ahead of data overtakes one that stands behind it, and its answer says nothing of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Ahead of data that waits.
    Ahead,
    /// Behind all that was accepted before.
    Behind,
    /// Ahead of data, with data of the application's own.
    Own,
}

impl PingId {
    /// What stands in the ping's payload, if that is not the application's own.
    pub(crate) const fn payload(self) -> [u8; 8] {
        let way = match self.way {
            Way::Ahead | Way::Own => 0,
            Way::Behind => 1 << 63,
        };
        (self.number | way).to_be_bytes()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Keepalive {
    last_number: u64,
    /// Written and not answered, oldest first.
    asked: Rare<VecDeque<Asked>>,
    /// The newest that was answered on each way.
    ahead: Answered,
    behind: Answered,
    seldom: Rare<Seldom>,
    /// How long the last answer took, if there was one.
    latency: Nanoseconds,
    /// Answers that came, and heartbeats that were kept.
    news: u64,
}

/// What few applications ask for.
#[derive(Debug, Default)]
struct Seldom {
    /// The newest ping with data of the application's own that was answered.
    own: Answered,
    /// Set at run time, instead of what the configuration says.
    rhythm: Option<Rhythm>,
    heard: Heard,
}

impl Blank for Seldom {
    const BLANK: &'static Self =
        &Self { own: Answered::NONE, rhythm: None, heard: Heard::nothing() };

    fn blank() -> Self {
        Self::default()
    }
}

/// How often we ask, and how long the peer may be silent then; `None`: never, and for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

/// A ping that was answered; number 0 is none.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    number: u64,
    round_trip: Nanoseconds,
}

impl Answered {
    const NONE: Self = Self { number: 0, round_trip: Nanoseconds(0) };
}

/// A duration in half its size: of up to 584 years.
#[derive(Clone, Copy, Debug, Default)]
struct Nanoseconds(u64);

impl From<Duration> for Nanoseconds {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanoseconds> for Duration {
    fn from(nanoseconds: Nanoseconds) -> Self {
        Self::from_nanos(nanoseconds.0)
    }
}

#[derive(Debug)]
struct Asked {
    id: PingId,
    at: Instant,
    position: Tally,
    /// Of the application's own.
    data: Option<Box<[u8]>>,
}

/// What a pong is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    /// To a ping of ours: so far had the account of sent messages come when that was written.
    Proof(Tally),
    /// To a ping with data of the application's own.
    Own,
    /// To such a one, and others of ours were asked before: a peer that answers only the newest ping
    /// (section 5.5.3) will not answer them.
    Overtook,
}

impl Asked {
    fn asks(&self, payload: &[u8]) -> bool {
        match &self.data {
            Some(data) => **data == *payload,
            None => self.id.payload() == *payload,
        }
    }
}

impl Keepalive {
    /// A name for the next ping.
    pub(crate) const fn next_id(&mut self, way: Way) -> PingId {
        // 2^63 pings are never sent.
        self.last_number = self.last_number.saturating_add(1);
        PingId { way, number: self.last_number }
    }

    /// The ping left: behind it stand all messages up to `position`.
    pub(crate) fn wrote(
        &mut self,
        id: PingId,
        data: Option<Box<[u8]>>,
        position: Tally,
        now: Instant,
    ) {
        let all = self.asked.make();
        if all.len() >= MAX_ASKED {
            // The newest is worth more: its answer says all that the older ones' would.
            all.pop_front();
        }
        all.push_back(Asked { id, at: now, position, data });
    }

    /// A pong came. It answers the ping with its payload, and all before that one; a pong that
    /// nobody asked for answers nothing (section 5.5.3).
    ///
    /// What the application chose as data, the peer may have chosen as well, for a pong that answers
    /// nothing: such a pong proves nothing, and answers no other pings.
    pub(crate) fn answer(&mut self, payload: &[u8], now: Instant) -> Answer {
        let Some(index) = self.asked.iter().position(|asked| asked.asks(payload)) else {
            return Answer::Nothing;
        };
        let own = self.asked.get(index).is_some_and(|asked| asked.id.way == Way::Own);
        let mut answer = if own { Answer::Own } else { Answer::Nothing };
        let mut left = VecDeque::new();
        for (at, asked) in self.asked.take().into_iter().enumerate() {
            if at > index || (own && asked.id.way != Way::Own) {
                if at < index {
                    answer = Answer::Overtook;
                }
                left.push_back(asked);
                continue;
            }
            let round_trip = now.saturating_duration_since(asked.at).into();
            let answered = Answered { number: asked.id.number, round_trip };
            match asked.id.way {
                Way::Ahead => self.ahead = answered,
                Way::Behind => self.behind = answered,
                Way::Own => self.seldom.make().own = answered,
            }
            self.latency = round_trip;
            if !own {
                answer = Answer::Proof(asked.position);
            }
        }
        if !left.is_empty() {
            *self.asked.make() = left;
        }
        self.news = self.news.saturating_add(1);
        answer
    }

    /// Whether a written ping with this data waits for its answer.
    pub(crate) fn asks(&self, payload: &[u8]) -> bool {
        self.asked.iter().any(|asked| asked.asks(payload))
    }

    /// Whether a written ping waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// How long the answer to `ping`, or to a later one that went the same way, took.
    pub(crate) fn answered(&self, ping: PingId) -> Option<Duration> {
        let newest = match ping.way {
            Way::Ahead => self.ahead,
            Way::Behind => self.behind,
            Way::Own => self.seldom.own,
        };
        (newest.number >= ping.number).then(|| newest.round_trip.into())
    }

    /// How many answers came, and heartbeats that were kept.
    #[inline]
    pub(crate) const fn news(&self) -> u64 {
        self.news
    }

    /// How many answers came.
    pub(crate) fn answers(&self) -> u64 {
        self.news.saturating_sub(self.heard().count())
    }

    /// The last round-trip time.
    pub(crate) fn latency(&self) -> Option<Duration> {
        (self.answers() > 0).then(|| self.latency.into())
    }

    /// What was set at run time, if anything was.
    pub(crate) fn rhythm(&self) -> Option<Rhythm> {
        self.seldom.rhythm
    }

    pub(crate) fn set_rhythm(&mut self, rhythm: Rhythm) {
        self.seldom.make().rhythm = Some(rhythm);
    }

    /// The peer's heartbeats, as far as they are kept.
    pub(crate) fn heard(&self) -> &Heard {
        &self.seldom.heard
    }

    /// Keeps so many heartbeats of the peer, from now on.
    pub(crate) fn listen(&mut self, capacity: usize) {
        self.seldom.make().heard.listen(capacity);
    }

    /// The peer's heart beat.
    pub(crate) fn hear(&mut self, heartbeat: impl FnOnce() -> Heartbeat) {
        if let Some(seldom) = self.seldom.touched()
            && seldom.heard.listens()
        {
            seldom.heard.push(heartbeat());
            self.news = self.news.saturating_add(1);
        }
    }
}

impl Blank for VecDeque<Asked> {
    const BLANK: &'static Self = &Self::new();

    fn blank() -> Self {
        Self::new()
    }
}

/// How many unanswered pings are remembered; what an application asks beyond that pushes out the
/// oldest, whose answer is then not recognised. Bounds memory, not liveness.
const MAX_ASKED: usize = 256;
