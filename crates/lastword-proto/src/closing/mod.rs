//! Every way that a connection ends: the one room that decides it (RFC 6455 section 7).
//!
//! What happens comes in as a [`Step`]; [`State::after`] says in one table what each step does in
//! each state; the facts are kept as they become known, and the [`Ending`] is made of them, once.
//! Refuses to know: bytes, frames, timers, queues. It is told what happened and when.

mod ending;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use ending::{
    Cause, Ending, First, Loss, Operation, OsError, OurSide, PeerSide, TimeOut, Transport,
    TransportError,
};

use crate::cut::Cut;
use crate::ledger::Ledger;
use crate::rare::{Blank, Rare};
use crate::wire::{CloseFrame, End, Farewell, Role};

/// Where a connection stands on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Messages flow both ways.
    Open,
    /// We want to close; our close frame waits behind messages that were accepted before it.
    Closing,
    /// Our close frame is written; the peer's is awaited, its messages still count.
    CloseSent,
    /// The peer's close frame came; our answer is not wholly written yet.
    Answering,
    /// Both close frames are across; only the transport has to end.
    Agreed,
    /// We gave up on the peer; our close frame, if it is not too late, is not wholly written yet.
    Failing,
    /// We gave up on the peer and told it so; what comes is thrown away until its end.
    Failed,
    /// Nothing can be written any more; what the peer had sent before is still read.
    Draining,
    /// The end is known and told.
    Over,
}

/// Something that happened, as far as it matters to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// We want to close.
    Close,
    /// The last byte of our close frame was handed to the operating system.
    CloseWritten,
    /// The peer's close frame came.
    PeerClose,
    /// We give up on the peer, and want to say why.
    Fail,
    /// The incoming stream ended.
    Eof,
    /// Reading failed: the connection is gone.
    Lost,
    /// Writing failed: nothing can be said any more.
    WriteLost,
    /// The closing took too long.
    Patience,
    /// We want no more of it, at once.
    Abort,
}

impl State {
    /// What a record calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::CloseSent => "close sent",
            Self::Answering => "answering",
            Self::Agreed => "agreed",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Draining => "draining",
            Self::Over => "over",
        }
    }

    /// What `step` makes of this state; `None` where it changes nothing.
    const fn after(self, step: Step) -> Option<Self> {
        use State::{Agreed, Answering, CloseSent, Closing, Draining, Failed, Failing, Open, Over};
        match (self, step) {
            // The end is told once.
            (Over, _) => None,

            // These end everything, whatever was going on.
            (_, Step::Abort | Step::Lost) => Some(Over),
            // Only a closing has a deadline.
            (Open, Step::Patience) => None,
            (_, Step::Patience) => Some(Over),

            (Open, Step::Close) => Some(Closing),
            // The first wish to close stands.
            (_, Step::Close) => None,

            (Closing, Step::CloseWritten) => Some(CloseSent),
            (Answering, Step::CloseWritten) => Some(Agreed),
            (Failing, Step::CloseWritten) => Some(Failed),
            (Open | CloseSent | Agreed | Failed | Draining, Step::CloseWritten) => None,

            // Our close frame is queued behind its answer's place already: it is the answer.
            (Open | Closing, Step::PeerClose) => Some(Answering),
            (CloseSent, Step::PeerClose) => Some(Agreed),
            // We could not answer it any more: all is known.
            (Draining, Step::PeerClose) => Some(Over),
            // A second close frame is noise; after a failure nothing is read.
            (Answering | Agreed | Failing | Failed, Step::PeerClose) => None,

            (Open | Closing, Step::Fail) => Some(Failing),
            // Our only close frame is gone already.
            (CloseSent, Step::Fail) => Some(Failed),
            // Nothing can be said any more, and what comes cannot be trusted.
            (Draining, Step::Fail) => Some(Over),
            // The peer said its last word properly; there is nothing left to fail.
            (Answering | Agreed | Failing | Failed, Step::Fail) => None,

            // A peer that closed, or that we failed, and that ended its stream may still read our
            // close frame.
            (Answering | Failing, Step::Eof) => None,
            (Open | Closing | CloseSent | Agreed | Failed | Draining, Step::Eof) => Some(Over),

            // What the peer sent before it went may still wait in our kernel: messages, even its
            // close frame. The ending is due when that is read.
            (Open | Closing | CloseSent, Step::WriteLost) => Some(Draining),
            (Answering | Failing | Failed, Step::WriteLost) => Some(Over),
            // There is nothing left to write; reading tells how the peer ended.
            (Agreed | Draining, Step::WriteLost) => None,
        }
    }
}

/// What became of our close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OurClose {
    None,
    /// Accepted for sending; nothing says that it left.
    Queued(Farewell),
    Written(Farewell),
}

/// The state, and the facts as they become known.
#[derive(Debug)]
pub(crate) struct Closing {
    role: Role,
    state: State,
    opened_at: Instant,
    facts: Rare<Facts>,
}

/// What is known about the end; most of the time nothing.
#[derive(Debug)]
struct Facts {
    ours: OurClose,
    received: Farewell,
    first: Option<First>,
    /// The first cause that is known; a closing that goes well needs none.
    cause: Option<Cause>,
    also: Vec<Cause>,
    transport: Transport,
    /// Whether both close frames were across before the transport gave way.
    agreed: bool,
    began_at: Option<Instant>,
}

impl Blank for Facts {
    const BLANK: &'static Self = &NOTHING;

    fn blank() -> Self {
        NOTHING
    }
}

const NOTHING: Facts = Facts {
    ours: OurClose::None,
    received: Farewell::Silence,
    first: None,
    cause: None,
    also: Vec::new(),
    transport: Transport { peer: PeerSide::Open, ours: OurSide::Open },
    agreed: false,
    began_at: None,
};

/// What the rest of the house knows about the end, gathered when it comes.
pub(crate) struct Witness {
    pub(crate) cut: Option<Cut>,
    pub(crate) ledger: Ledger,
    pub(crate) discarded: u64,
    pub(crate) waiting: usize,
    pub(crate) last_received: Option<Instant>,
    pub(crate) last_sent: Option<Instant>,
    pub(crate) latency: Option<Duration>,
}

/// What a step asks the connection to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing changed.
    Nothing,
    /// The state is a new one.
    Changed,
    /// The end is there: make the ending of it.
    Ended,
}

impl Closing {
    pub(crate) const fn new(role: Role, now: Instant) -> Self {
        Self { role, state: State::Open, opened_at: now, facts: Rare::blank() }
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// We want to close: with a farewell of ours, for a reason of ours (`None`: just so).
    pub(crate) fn close(&mut self, farewell: Farewell, why: Option<Cause>, now: Instant) -> Told {
        let told = self.step(Step::Close, now);
        if told == Told::Changed {
            self.facts.make().ours = OurClose::Queued(farewell);
            self.note_first(End::Us);
            self.facts.make().cause = why;
        }
        told
    }

    /// The peer's close frame came.
    pub(crate) fn receive_close(&mut self, farewell: Farewell, now: Instant) -> Told {
        let before = self.state;
        let told = self.step(Step::PeerClose, now);
        if told == Told::Nothing {
            return told;
        }
        self.facts.make().received = farewell.clone();
        match before {
            // Each side sent its close frame before it saw the other's: ours had not left yet.
            State::Closing => self.facts.make().first = Some(First::Both),
            State::Open => {
                self.note_first(End::Peer);
                // The answer echoes the peer's farewell (section 5.5.1).
                self.facts.make().ours = OurClose::Queued(farewell);
            }
            State::CloseSent => self.facts.make().agreed = true,
            // Ours had left before a write (of a pong) failed, and the peer had answered it: both
            // are across. What failed did so because the peer had left properly.
            State::Draining if matches!(self.facts.ours, OurClose::Written(_)) => {
                self.facts.make().agreed = true;
                if let Some(loss @ Cause::Lost(_)) =
                    self.facts.make().cause.take_if(|c| matches!(c, Cause::Lost(_)))
                {
                    self.facts.make().also.insert(0, loss);
                }
            }
            _ => {}
        }
        told
    }

    /// Our close frame was wholly handed to the operating system.
    pub(crate) fn wrote_close(&mut self, now: Instant) -> Told {
        if let OurClose::Queued(farewell) =
            std::mem::replace(&mut self.facts.make().ours, OurClose::None)
        {
            self.facts.make().ours = OurClose::Written(farewell);
        }
        let told = self.step(Step::CloseWritten, now);
        if self.state == State::Agreed {
            self.facts.make().agreed = true;
            // The peer may have ended its stream before it read our answer.
            if self.facts.transport.peer != PeerSide::Open {
                return self.step(Step::Eof, now);
            }
        }
        if self.state == State::Failed && self.facts.transport.peer != PeerSide::Open {
            return self.step(Step::Eof, now);
        }
        told
    }

    /// We give up on the peer, for `cause`, and want to tell it with `farewell`; `None` if a close
    /// frame of ours is on the wire in part. In [`State::Failing`] it is still to be written.
    pub(crate) fn fail(
        &mut self,
        cause: Cause,
        farewell: Option<CloseFrame>,
        now: Instant,
    ) -> Told {
        let told = self.step(Step::Fail, now);
        if told == Told::Nothing {
            return told;
        }
        self.note_first(End::Us);
        self.note_cause(cause);
        if let (State::Failing, Some(farewell)) = (self.state, farewell) {
            // A close of ours that had not left is replaced: this one says more.
            self.facts.make().ours = OurClose::Queued(Farewell::Said(farewell));
        }
        told
    }

    /// The incoming stream ended.
    pub(crate) fn receive_eof(&mut self, now: Instant) -> Told {
        if self.facts.transport.peer == PeerSide::Open {
            self.facts.make().transport.peer = PeerSide::Finished;
        }
        if !matches!(self.state, State::Agreed | State::Answering | State::Failing | State::Failed)
        {
            self.note_first(End::Peer);
            self.note_cause(Cause::Lost(Loss::Eof));
        }
        self.step(Step::Eof, now)
    }

    /// The transport failed.
    pub(crate) fn transport_error(&mut self, error: TransportError, now: Instant) -> Told {
        let loss = error.loss();
        if self.state == State::Over || loss.is_none() {
            return Told::Nothing;
        }
        let (Some(loss), operation) = (loss, error.operation) else { return Told::Nothing };
        if matches!(self.facts.transport.peer, PeerSide::Open | PeerSide::Finished) {
            self.facts.make().transport.peer = match loss {
                Loss::Eof => PeerSide::Finished,
                Loss::Truncated => PeerSide::Truncated,
                Loss::Reset(error) => PeerSide::Reset(error),
                Loss::Io(error) => PeerSide::Failed(error),
            };
        }
        if operation == Operation::Shutdown && self.facts.transport.ours == OurSide::Open {
            self.facts.make().transport.ours = OurSide::Failed(error.error);
        }
        // A peer that said goodbye, or that we gave up on, may end its stream as it likes.
        let ends = operation == Operation::Read && matches!(loss, Loss::Truncated | Loss::Eof);
        let expected = matches!(self.state, State::Answering | State::Failing | State::Failed);
        if !(self.facts.agreed || ends && expected) {
            self.note_first(End::Peer);
            self.note_cause(Cause::Lost(loss));
        }
        match (operation, loss) {
            // An end of the stream that TLS did not announce is an end of the stream all the same:
            // a close frame of ours may still be read.
            (Operation::Read, Loss::Truncated | Loss::Eof) => self.step(Step::Eof, now),
            (Operation::Read, _) => self.step(Step::Lost, now),
            (Operation::Write | Operation::Flush | Operation::Shutdown, _) => {
                self.step(Step::WriteLost, now)
            }
        }
    }

    /// The peer is as good as gone, while a last word of ours was still to be written.
    pub(crate) fn give_up(&mut self, cause: &Cause) {
        if matches!(self.state, State::Answering | State::Failing) {
            self.note_cause(cause.clone());
        }
    }

    /// The closing took longer than its deadline allows; `None` if it was given no time at all.
    pub(crate) fn run_out_of_patience(&mut self, limit: Option<Duration>, now: Instant) -> Told {
        let told = self.step(Step::Patience, now);
        if told == Told::Ended {
            self.facts.make().transport.ours = OurSide::Aborted;
            if let (false, Some(limit)) = (self.facts.agreed, limit) {
                self.note_cause(Cause::TimedOut(TimeOut::Closing { limit }));
            }
        }
        told
    }

    /// We want no more of it, at once.
    pub(crate) fn abort(&mut self, why: Cause, now: Instant) -> Told {
        let told = self.step(Step::Abort, now);
        if told == Told::Ended {
            self.facts.make().transport.ours = OurSide::Aborted;
            self.note_first(End::Us);
            if !self.facts.agreed {
                self.note_cause(why);
            }
        }
        told
    }

    /// Our half of the transport is finished.
    pub(crate) fn finished(&mut self) {
        if self.facts.transport.ours == OurSide::Open {
            self.facts.make().transport.ours = OurSide::Finished;
        }
    }

    /// Whether our half of the transport is to be finished, once all is written.
    pub(crate) fn wants_finish(&self) -> bool {
        self.facts.transport.ours == OurSide::Open
            && match self.state {
                // 7.1.1: the server ends the stream first, so that no TIME_WAIT is left with it.
                State::Agreed => self.role == Role::Server,
                // 7.1.7: whoever fails the connection closes it.
                State::Failed => true,
                _ => false,
            }
    }

    /// The first cause that is known.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.facts.cause.as_ref()
    }

    /// When the opening was done.
    pub(crate) const fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// When the end began, if it has.
    pub(crate) fn began_at(&self) -> Option<Instant> {
        self.facts.began_at
    }

    /// The ending, of all that is known. Called once, when a step ended it.
    pub(crate) fn ending(&self, witness: Witness, now: Instant) -> Ending {
        let sent = match &self.facts.ours {
            OurClose::Written(farewell) => farewell.clone(),
            // "Queued" is not "sent".
            OurClose::Queued(_) | OurClose::None => Farewell::Silence,
        };
        Ending {
            role: self.role,
            cause: self.facts.cause.clone().unwrap_or(Cause::Closed),
            also: self.facts.also.clone(),
            first: self.facts.first,
            sent,
            received: self.facts.received.clone(),
            agreed: self.facts.agreed,
            cut: witness.cut,
            ledger: witness.ledger,
            discarded: witness.discarded,
            waiting: witness.waiting,
            transport: self.facts.transport,
            opened_at: self.opened_at,
            began_at: self.facts.began_at.unwrap_or(now),
            ended_at: now,
            last_received: witness.last_received,
            last_sent: witness.last_sent,
            latency: witness.latency,
        }
    }

    fn step(&mut self, step: Step, now: Instant) -> Told {
        let Some(next) = self.state.after(step) else { return Told::Nothing };
        self.state = next;
        self.facts.make().began_at.get_or_insert(now);
        if next == State::Over { Told::Ended } else { Told::Changed }
    }

    fn note_first(&mut self, end: End) {
        self.facts.make().first.get_or_insert(match end {
            End::Us => First::Us,
            End::Peer => First::Peer,
        });
    }

    /// The first cause wins; later ones are kept beside it.
    fn note_cause(&mut self, cause: Cause) {
        match &self.facts.cause {
            None => self.facts.make().cause = Some(cause),
            Some(first) if *first != cause && self.facts.also.len() < MAX_ALSO => {
                self.facts.make().also.push(cause)
            }
            Some(_) => {}
        }
    }
}

/// How many later causes are kept.
const MAX_ALSO: usize = 4;
