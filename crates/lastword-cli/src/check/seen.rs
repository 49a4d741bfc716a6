//! What was seen of a connection: facts, without a judgement.

use std::time::Duration;

use lastword::proto::DeflateAgreement;
use lastword::proto::handshake::client;

use super::wire::{self, Came};

/// How the server's half of the stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Finished,
    /// TLS was cut without `close_notify`.
    Truncated,
    Reset,
    /// Some other error.
    Broken(std::io::ErrorKind),
}

/// What became of the opening.
#[derive(Debug)]
pub(super) enum Opened {
    Agreed {
        deflate: Option<DeflateAgreement>,
    },
    Refused {
        status: u16,
        /// `Sec-WebSocket-Version`.
        version: Option<String>,
    },
    /// A 101 that is none, or no HTTP.
    Lied(client::Error),
    /// The stream ended instead.
    Ended(End),
    Silent,
}

/// What became of all of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) opened: Opened,
    /// From the request to the answer.
    pub(super) opened_after: Duration,
    /// What came after the opening, and how long after the last thing that was said.
    pub(super) frames: Vec<(Duration, Came)>,
    /// A pong that did not come in its time.
    pub(super) missed: Option<&'static [u8]>,
    pub(super) end: End,
    /// When the stream ended, or patience with it; since the last thing that was said.
    pub(super) ended_after: Duration,
    /// A flood says itself what came of it.
    pub(super) flooded: Option<Flooded>,
}

/// What became of a flood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flooded {
    /// Not all was taken; how much, in words.
    Stopped(String),
    /// All was taken, and a ping behind it was answered.
    Endured(String),
    /// All was taken, and should not have been.
    TookTooMuch(String),
    /// Nothing was answered any more.
    Hung(String),
    /// There was nothing to be judged.
    Inapplicable(&'static str),
}

impl Seen {
    pub(super) const fn of_opening(opened: Opened, after: Duration, end: End) -> Self {
        Self {
            opened,
            opened_after: after,
            frames: Vec::new(),
            missed: None,
            end,
            ended_after: after,
            flooded: None,
        }
    }

    /// The first close frame, where it stands, and when it came.
    pub(super) fn close(&self) -> Option<(usize, Duration, &Came)> {
        let frames = self.frames.iter().enumerate();
        frames
            .map(|(at, (after, came))| (at, *after, came))
            .find(|(.., came)| came.opcode() == wire::CLOSE)
    }

    pub(super) fn has(&self, opcode: u8, payload: &[u8]) -> bool {
        self.frames.iter().any(|(_, came)| came.opcode() == opcode && came.payload == payload)
    }
}
