//! Holds what was seen against what should have come: a mark, and a phrase that says what came.

use std::time::Duration;

use lastword::ConnectError;
use lastword::proto::handshake::client::Error;
use lastword::proto::{ContextTakeover, DeflateAgreement};

use super::messages::{self, Gathered};
use super::play::Facts;
use super::probe::{Answer, Echo, Expect, Mark, Offer, Probe, Round};
use super::seen::{End, Flooded, Opened, Seen};
use super::talk::LAST_PING;
use super::wire::{self, Frame, PONG};

/// What came of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) mark: Mark,
    pub(super) said: String,
    pub(super) after: Option<Duration>,
}

impl Judgement {
    pub(super) fn new(mark: Mark, said: impl Into<String>, after: Duration) -> Self {
        Self { mark, said: said.into(), after: Some(after) }
    }

    pub(super) fn skipped(why: &str) -> Self {
        Self { mark: Mark::Skipped, said: why.to_owned(), after: None }
    }

    /// The server was there before, and is not any more.
    pub(super) fn gone(error: &ConnectError) -> Self {
        let said =
            format!("no connection any more, though there was one: {}", crate::print::chain(error));
        Self { mark: Mark::Error, said, after: None }
    }
}

/// Judges a round.
pub(super) fn judge(probe: &Probe, round: &Round, seen: &Seen, facts: Facts) -> Judgement {
    let judge = Judge { weight: probe.weight, seen, facts, close: round.close() };
    match probe.expect {
        Expect::Refuses(answer) => return judge.refusal(answer),
        Expect::Declines => return judge.declined(),
        Expect::TellsOrigin => return judge.origin(),
        Expect::GivesUp => return judge.gave_up(),
        _ => {}
    }
    let Opened::Agreed { deflate } = &seen.opened else { return judge.not_opened() };
    match (probe.offer, deflate) {
        (Offer::Nothing, _) => {}
        (_, None) if matches!(probe.expect, Expect::Agrees) => {}
        (_, None) => return Judgement::skipped("the server does not agree to compression"),
        (Offer::DeflateWithTakeover, Some(agreed))
            if agreed.client.takeover == ContextTakeover::None =>
        {
            return Judgement::skipped("the server wants each message compressed by itself");
        }
        _ => {}
    }
    match probe.expect {
        Expect::Lives(messages) => judge.alive(messages),
        Expect::Flawless(messages) => judge.flawless(messages),
        Expect::Fails(codes) => judge.failed(codes),
        Expect::Closes => judge.closed(),
        Expect::Ends => judge.ended(),
        Expect::EndsUnanswered => judge.ended_unanswered(),
        Expect::Pings => judge.pinged(),
        Expect::Withstands => judge.withstood(),
        Expect::Agrees => judge.agreed(*deflate),
        _ => judge.fine("opened", seen.opened_after),
    }
}

struct Judge<'a> {
    /// How bad it is if that does not come which should.
    weight: Mark,
    seen: &'a Seen,
    facts: Facts,
    /// The close frame that was said.
    close: Option<Frame>,
}

impl Judge<'_> {
    fn fine(&self, said: impl Into<String>, after: Duration) -> Judgement {
        Judgement::new(Mark::Fine, said, after)
    }

    fn note(&self, said: impl Into<String>, after: Duration) -> Judgement {
        Judgement::new(Mark::Note, said, after)
    }

    /// Not as it should be, though not what the probe is about.
    fn odd(&self, said: impl Into<String>, after: Duration) -> Judgement {
        Judgement::new(self.weight.min(Mark::Warning), said, after)
    }

    fn wrong(&self, said: impl Into<String>, after: Duration) -> Judgement {
        Judgement::new(self.weight, said, after)
    }

    /// An opening that should have become a connection, and did not.
    fn not_opened(&self) -> Judgement {
        let after = self.seen.opened_after;
        match &self.seen.opened {
            Opened::Agreed { .. } => self.fine("opened", after),
            Opened::Refused { status, .. } => self.wrong(format!("refused with {status}"), after),
            Opened::Lied(error) => self.wrong(format!("a wrong answer: {}", lie(error)), after),
            Opened::Ended(end) => self.wrong(format!("{} without an answer", ended(*end)), after),
            Opened::Silent => self.wrong("hung: no answer", after),
        }
    }

    fn refusal(&self, answer: Answer) -> Judgement {
        let after = self.seen.opened_after;
        let (status, version) = match &self.seen.opened {
            Opened::Refused { status, version } => (*status, version),
            Opened::Agreed { .. } => return self.wrong("opened all the same (101)", after),
            Opened::Lied(Error::Head(_)) => {
                return self.odd("answered with what is no HTTP", after);
            }
            // To a request that is none, a 101 is wrong however it is made.
            Opened::Lied(_) => return self.wrong("opened all the same (101)", after),
            Opened::Ended(end) if answer == Answer::Anyhow => {
                return self.fine(format!("{} without an answer", ended(*end)), after);
            }
            Opened::Ended(end) => {
                return self.odd(format!("{} without an answer", ended(*end)), after);
            }
            Opened::Silent => return self.wrong("hung: no answer", after),
        };
        let said = format!("refused with {status}");
        match (answer, version) {
            (Answer::UpgradeRequired, Some(version)) if status >= 400 => {
                self.fine(format!("{said}, version {}", crate::print::escape(version)), after)
            }
            (Answer::UpgradeRequired, _) => {
                self.odd(format!("{said}, without Sec-WebSocket-Version"), after)
            }
            (Answer::Ordinary, _) if status < 400 => {
                self.fine(format!("answered with {status}"), after)
            }
            (Answer::Ordinary, _) => self.fine(said, after),
            _ if status < 400 => self.odd(format!("answered with {status}"), after),
            _ => self.fine(said, after),
        }
    }

    fn declined(&self) -> Judgement {
        let after = self.seen.opened_after;
        match &self.seen.opened {
            Opened::Agreed { .. } => self.fine("declined", after),
            Opened::Lied(Error::Negotiation(_)) => self.wrong("accepted all the same", after),
            Opened::Refused { status, .. } => {
                self.note(format!("refused the connection with {status}"), after)
            }
            _ => self.not_opened(),
        }
    }

    fn origin(&self) -> Judgement {
        let after = self.seen.opened_after;
        match &self.seen.opened {
            Opened::Agreed { .. } => {
                self.note("a page of any site may connect, with its visitor's cookies", after)
            }
            Opened::Refused { status, .. } => {
                self.fine(format!("foreign pages are refused with {status}"), after)
            }
            _ => Judgement { mark: Mark::Note, ..self.not_opened() },
        }
    }

    fn gave_up(&self) -> Judgement {
        let after = self.seen.opened_after;
        match &self.seen.opened {
            Opened::Silent | Opened::Agreed { .. } => self.wrong("still waits", after),
            Opened::Refused { status, .. } => self.fine(format!("gave up with {status}"), after),
            Opened::Lied(_) => self.fine("gave up", after),
            Opened::Ended(end) => self.fine(format!("gave up: {}", ended(*end)), after),
        }
    }

    fn agreed(&self, deflate: Option<DeflateAgreement>) -> Judgement {
        let after = self.seen.opened_after;
        let Some(DeflateAgreement { client, server }) = deflate else {
            return self.note("no compression", after);
        };
        let side = |side: lastword::proto::DeflateDirection| match side.takeover {
            ContextTakeover::None => format!("{} bits anew each time", side.window_bits),
            _ => format!("{} bits", side.window_bits),
        };
        let said = format!("agreed: client {}, server {}", side(client), side(server));
        self.fine(said, after)
    }

    fn alive(&self, messages: &[Echo]) -> Judgement {
        let seen = self.seen;
        if seen.missed.is_some() {
            let said = match (seen.close(), seen.end) {
                (Some((.., close)), _) => format!("closed with {}", code(close)),
                (None, End::Open) => "hung: no pong".to_owned(),
                (None, end) => format!("{} instead of a pong", ended(end)),
            };
            return self.wrong(said, seen.ended_after);
        }
        let pong =
            seen.frames.iter().find(|(_, came)| came.opcode() == PONG && came.payload == LAST_PING);
        if let Some((after, _)) = pong {
            return match self.echo(messages) {
                Ok(said) => self.fine(said, *after),
                Err(said) => self.wrong(said, *after),
            };
        }
        let Some((_, after, close)) = seen.close() else {
            return match seen.end {
                End::Open => {
                    self.wrong("hung: a ping behind it was not answered", seen.ended_after)
                }
                end => self.wrong(format!("{} without a word", ended(end)), seen.ended_after),
            };
        };
        let said = format!("closed with {}", code(close));
        match close.close_code() {
            Some(1002 | 1007 | 1010) => self.wrong(format!("refused what is right: {said}"), after),
            Some(1009 | 1011) => self.odd(said, after),
            // The application had no use for the message; that is its own affair.
            _ => self.note(format!("not to be judged: the application {said}"), after),
        }
    }

    /// Whether what came back is what was sent, if messages come back at all.
    fn echo(&self, sent: &[Echo]) -> Result<String, String> {
        if !self.facts.echoes || sent.is_empty() {
            return Ok("taken".to_owned());
        }
        let Gathered { messages, fault } = messages::gather(&self.seen.frames);
        if let Some(fault) = fault {
            return Err(fault);
        }
        for (at, Echo(opcode, payload)) in sent.iter().enumerate() {
            match messages.get(at) {
                None => return Err(format!("{at} of {} messages came back", sent.len())),
                Some((came, content)) if came != opcode || content != payload => {
                    return Err("a message came back as another".to_owned());
                }
                Some(_) => {}
            }
        }
        Ok("taken, and came back".to_owned())
    }

    fn flawless(&self, messages: &[Echo]) -> Judgement {
        let faults = messages::faults(&self.seen.frames);
        if faults.is_empty() {
            return self.alive(messages);
        }
        self.wrong(format!("sent {}", faults.join(", ")), self.seen.ended_after)
    }

    fn failed(&self, codes: &[u16]) -> Judgement {
        let seen = self.seen;
        if seen.frames.iter().any(|(_, came)| came.payload == LAST_PING) {
            return self.wrong("accepted: a ping behind it was answered", seen.ended_after);
        }
        let Some((_, after, close)) = seen.close() else {
            return match seen.end {
                End::Open => {
                    self.wrong("hung: neither refused nor answered any more", seen.ended_after)
                }
                end => {
                    let said = format!("{} without a close frame", ended(end));
                    self.odd(said, seen.ended_after)
                }
            };
        };
        if self.close.is_some_and(|sent| sent.payload == close.payload) {
            return self.wrong("accepted: answered alike", after);
        }
        if !close.close_code().is_some_and(|code| codes.contains(&code)) {
            let expected = codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
            return self.odd(format!("refused with {}, not {expected}", code(close)), after);
        }
        let said = format!("refused with {}", code(close));
        match seen.end {
            End::Open => self.odd(format!("{said}, but TCP stays open"), seen.ended_after),
            End::Finished | End::Truncated => self.fine(said, after),
            end => self.fine(format!("{said}, then {}", ended(end)), after),
        }
    }

    fn closed(&self) -> Judgement {
        let seen = self.seen;
        let expected = self.close.and_then(|close| wire::close_code(close.payload));
        let Some((at, after, close)) = seen.close() else {
            return match seen.end {
                End::Open => self.wrong("hung: the close is not answered", seen.ended_after),
                end => {
                    let said = format!("{} without an answer to the close", ended(end));
                    self.wrong(said, seen.ended_after)
                }
            };
        };
        let behind = seen.frames.len() - at - 1;
        if behind > 0 {
            return self.wrong(format!("sent {behind} frames behind its close"), after);
        }
        // An empty close is answered by an empty one, or by 1000.
        let same = close.close_code() == expected
            || (expected.is_none() && close.close_code() == Some(1000));
        if !same {
            return self.odd(format!("answered with {}", code(close)), after);
        }
        let said = format!("answered with {}", code(close));
        match seen.end {
            End::Finished | End::Truncated => {
                self.fine(format!("{said}, then ended TCP"), seen.ended_after)
            }
            End::Open => self.wrong(format!("{said}, but TCP stays open"), seen.ended_after),
            end => self.odd(format!("{said}, then {}", ended(end)), seen.ended_after),
        }
    }

    fn ended(&self) -> Judgement {
        let after = self.seen.ended_after;
        match (self.seen.close(), self.seen.end) {
            (_, End::Open) => self.wrong("hung: TCP stays open", after),
            (Some((.., close)), end) => {
                self.fine(format!("closed with {}, then {}", code(close), ended(end)), after)
            }
            (None, end) => self.fine(ended(end), after),
        }
    }

    fn ended_unanswered(&self) -> Judgement {
        match (self.seen.close(), self.seen.end) {
            (Some((.., close)), End::Open) => {
                let said = format!("closed with {}, and still waits for the answer", code(close));
                self.wrong(said, self.seen.ended_after)
            }
            _ => self.ended(),
        }
    }

    fn pinged(&self) -> Judgement {
        let seen = self.seen;
        if let Some((after, _)) = seen.frames.iter().find(|(_, came)| came.opcode() == wire::PING) {
            return self.fine("asks whether we are there", *after);
        }
        match (seen.close(), seen.end) {
            (Some((_, after, close)), _) => {
                self.note(format!("closed an idle connection with {}", code(close)), after)
            }
            (None, End::Open) => self.note("sends no pings", seen.ended_after),
            (None, end) => {
                self.odd(format!("{} on an idle connection", ended(end)), seen.ended_after)
            }
        }
    }

    fn withstood(&self) -> Judgement {
        let after = self.seen.ended_after;
        let how = match (self.seen.close(), self.seen.end) {
            (Some((.., close)), _) => format!("closed with {}", code(close)),
            (None, End::Open) => "reads no more".to_owned(),
            (None, end) => format!("{} without a close frame", ended(end)),
        };
        match &self.seen.flooded {
            Some(Flooded::Stopped(what)) => {
                let said = format!("{how} after {what}");
                // Whoever only hangs up leaves the other side to guess why.
                let is_told = self.seen.close().is_some() || self.seen.end == End::Open;
                if is_told { self.fine(said, after) } else { self.odd(said, after) }
            }
            Some(Flooded::Endured(what)) => self.fine(format!("withstood {what}"), after),
            Some(Flooded::TookTooMuch(what)) => self.odd(format!("took {what}"), after),
            Some(Flooded::Hung(what)) => self.wrong(format!("hung after {what}"), after),
            Some(Flooded::Inapplicable(why)) => Judgement::skipped(why),
            None => Judgement::skipped("nothing was said"),
        }
    }
}

/// How a stream ended, as a verb.
const fn ended(end: End) -> &'static str {
    match end {
        End::Open => "stayed open",
        End::Finished => "hung up",
        End::Truncated => "hung up (TLS without close_notify)",
        End::Reset => "reset",
        End::Broken(_) => "broke off",
    }
}

fn code(close: &wire::Came) -> String {
    match close.close_code() {
        Some(code) => code.to_string(),
        None => "no code".to_owned(),
    }
}

fn lie(error: &Error) -> String {
    crate::print::escape(&error.to_string()).into_owned()
}
