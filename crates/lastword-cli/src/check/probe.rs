//! What a probe is: a row of the table. What it says, what should come of it, and what to tell when
//! something else does. Values only; `play` says them, `judge` holds what came against them.

use super::wire::Frame;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Probe {
    /// `area/name`.
    pub(super) id: &'static str,
    /// What it does, as a phrase.
    pub(super) does: &'static str,
    /// The rule that it asks about.
    pub(super) rule: &'static str,
    /// How bad it is if that does not come which should.
    pub(super) weight: Mark,
    pub(super) force: Force,
    pub(super) offer: Offer,
    /// Each on a connection of its own.
    pub(super) rounds: &'static [Round],
    pub(super) expect: Expect,
    /// For a finding: what it means, and what to do.
    pub(super) why: &'static str,
}

impl Probe {
    /// The first part of the name.
    pub(super) fn area(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(area, _)| area)
    }
}

/// The rule, how bad it is to break it, and what to tell then; all else is an ordinary opening's, and
/// the table says where it is not.
pub(super) const fn row(rule: &'static str, weight: Mark, why: &'static str) -> Probe {
    Probe {
        id: "",
        does: "",
        rule,
        weight,
        force: Force::Gentle,
        offer: Offer::Nothing,
        rounds: &[],
        expect: Expect::Opens,
        why,
    }
}

/// What came of a probe, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// There was nothing to be judged.
    Skipped,
    /// As it should be.
    Fine,
    /// Worth knowing, and nobody's fault.
    Note,
    /// Allowed, or a small offence, and a cause of trouble.
    Warning,
    /// Against the rules.
    Error,
}

/// Whether anybody's server may be probed like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    Gentle,
    /// Floods and bombs: one's own only.
    Hard,
}

/// Whether compression is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Nothing,
    /// permessage-deflate; without it there is nothing to be judged.
    Deflate,
    /// The same, and a window that our side carries from one message to the next.
    DeflateWithTakeover,
    /// The same, with a window of 512 bytes of the server's.
    SmallWindow,
}

/// What is said on one connection.
#[derive(Debug)]
pub(super) struct Round {
    /// What is special about it; empty if there is one round only.
    pub(super) name: &'static str,
    pub(super) say: Say,
}

/// The only round of a probe.
pub(super) const fn once(say: Say) -> Round {
    Round { name: "", say }
}

pub(super) const fn round(name: &'static str, say: Say) -> Round {
    Round { name, say }
}

impl Round {
    /// The close frame that is said, if there is one.
    pub(super) fn close(&self) -> Option<Frame> {
        let Say::Frames(steps) = &self.say else { return None };
        steps.iter().find_map(|step| match step {
            Step::Send(frame) if frame.is_close() => Some(*frame),
            _ => None,
        })
    }
}

#[derive(Debug)]
pub(super) enum Say {
    /// The request, edited.
    Request(&'static [Edit]),
    /// The request, in many small pieces.
    RequestInPieces,
    /// Bytes that are no request.
    Bytes(&'static [u8]),
    /// An ordinary opening, and then this.
    Frames(&'static [Step]),
    /// More than a good guest would say.
    Flood(Flood),
}

/// A change to the request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    Method(&'static str),
    Version(&'static str),
    Without(&'static str),
    /// In place of what there was, or added.
    Set(&'static str, &'static str),
    /// Beside what there was.
    Also(&'static str, &'static str),
    /// Names of headers without capitals.
    LowerCase,
    /// A space between the name and the colon.
    SpaceBehind(&'static str),
    /// A header of so many bytes.
    Long(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Send(Frame),
    /// Byte by byte.
    Apart(Frame),
    /// The first bytes of it only.
    Cut(Frame, usize),
    /// Waits for a pong with this payload.
    Pong(&'static [u8]),
    /// Ends our half of the stream.
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    /// One message that does not end.
    Message,
    /// A message of empty fragments.
    Fragments,
    Pings,
    /// Messages, and nothing of what comes back is read.
    Unread,
    /// A little that inflates to much.
    Bomb,
    /// Many requests that never end, and an honest one beside them.
    SlowRequests,
}

/// A message, as an echo would bring it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo(pub(super) u8, pub(super) &'static [u8]);

/// What should come of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// A connection.
    Opens,
    /// An answer over HTTP other than 101.
    Refuses(Answer),
    /// A connection, in which what was offered is not used.
    Declines,
    /// Either; it is told.
    TellsOrigin,
    /// A word on compression.
    Agrees,
    /// The end of a stream that does not come to the point, before we lose patience.
    GivesUp,
    /// The connection lives; these are the messages that were sent.
    Lives(&'static [Echo]),
    /// The same, and all frames that come are flawless.
    Flawless(&'static [Echo]),
    /// The connection is failed with one of these codes.
    Fails(&'static [u16]),
    /// The close is answered with the same code, and the stream ended.
    Closes,
    /// The stream ends.
    Ends,
    /// The connection is failed, and the stream ends although nobody answers the close.
    EndsUnanswered,
    /// A ping comes.
    Pings,
    /// Whatever a flood should come to.
    Withstands,
}

/// Which answers to a request are proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Of an ordinary web server, too.
    Ordinary,
    /// A status that says that it is the request's fault, or that there is no such thing.
    ErrorStatus,
    /// 426, and the version that would do (RFC 6455 section 4.4).
    UpgradeRequired,
    /// Any of these, or an end without a word.
    Anyhow,
}
