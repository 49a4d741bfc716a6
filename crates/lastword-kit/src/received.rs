//! A request that was read, between the core, which has judged it, and the application, which may have
//! a word: pure, from a step of the opening to an agreement or a refusal.

use bytes::Bytes;
use http::{Request, StatusCode};
use lastword_proto::Agreement;
use lastword_proto::handshake::server::{Busy, Offer, Opening, Refusal, Step};

use crate::answer::{Answer, Incoming, Wants};
use crate::opening::Addresses;

/// A request as it was read, before the application has seen it.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the core takes a request, or refuses it")]
pub enum Received {
    /// It asks for a WebSocket, by all rules.
    Offer(Box<Offer>),
    /// It does not, or may not. The request is there if it was an ordinary one, which the
    /// application may answer.
    Refused(Box<Refusal>, Option<Box<Request<()>>>),
}

/// The response that accepts a request and the agreement; or how it is refused.
pub type Decision = Result<(Bytes, Agreement), Box<Refusal>>;

impl Received {
    /// What a step of the opening came to; `None` while there is more to be read.
    pub fn of(step: Step, opening: &mut Opening) -> Option<Self> {
        match step {
            Step::More => None,
            Step::Offer(offer) => Some(Self::Offer(offer)),
            Step::Refused(refusal) => {
                Some(Self::Refused(refusal, opening.take_ordinary_request().map(Box::new)))
            }
        }
    }

    /// What it asks for; `None` if that is refused, whatever the application thinks.
    pub const fn wants(&self) -> Option<Wants> {
        match self {
            Self::Offer(_) => Some(Wants::WebSocket),
            Self::Refused(_, Some(_)) => Some(Wants::Http),
            Self::Refused(_, None) => None,
        }
    }

    /// What the application is shown of it; `None` as [`wants`](Self::wants).
    pub fn incoming(&self, addresses: Addresses) -> Option<Incoming> {
        let wants = self.wants()?;
        let request = match self {
            Self::Offer(offer) => offer.request(),
            Self::Refused(_, request) => request.as_deref().cloned()?,
        };
        let Addresses { local: local_addr, peer: peer_addr } = addresses;
        Some(Incoming { request, wants, local_addr, peer_addr })
    }

    /// What becomes of it when the application answers so. [`Answer::accept`] stands for one that
    /// was not asked.
    pub fn answered(self, answer: Answer) -> Decision {
        match self {
            Self::Offer(offer) => answer.decide_offer(*offer),
            Self::Refused(refusal, Some(request)) => Err(answer.decide_ordinary(&request, refusal)),
            Self::Refused(refusal, None) => Err(refusal),
        }
    }
}

/// The answer to those who come to a server that shuts down.
pub fn shutting_down() -> Box<Refusal> {
    Refusal::busy(Busy::ShuttingDown, None)
}

/// The answer to a request over which the application panicked.
pub fn panicked() -> Answer {
    Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}
