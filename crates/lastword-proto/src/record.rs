//! What crossed the wire and what it changed, as values and as lines: for traces, logs, replay and
//! inspectors.
//!
//! Off unless asked for; bounded when on. Shows the start of a payload, never all of it.

use std::collections::VecDeque;
use std::fmt;

use crate::message::{Elided, Kind};
use crate::wire::{End, Farewell, Opcode};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A frame, or (of data that comes in more than one read) the part of it that was read.
    Frame(FrameEntry),
    /// The connection entered another state on its way to the end.
    State(&'static str),
    /// A deadline passed.
    Timer(&'static str),
}

/// A frame, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameEntry {
    /// Who sent it.
    pub from: End,
    /// What it carries.
    pub opcode: Opcode,
    /// Whether it ends a message.
    pub fin: bool,
    /// Whether its message is compressed.
    pub compressed: bool,
    /// Length of the whole payload in bytes.
    pub len: u64,
    /// The start of the payload (as it is on the wire, unmasked), at most [`EXCERPT`] bytes.
    pub excerpt: Vec<u8>,
}

/// How many bytes of a payload are kept.
pub const EXCERPT: usize = 64;

impl FrameEntry {
    pub(crate) fn new(from: End, opcode: Opcode, fin: bool, len: u64, payload: &[u8]) -> Self {
        let excerpt = payload.iter().take(EXCERPT).copied().collect();
        Self { from, opcode, fin, compressed: false, len, excerpt }
    }

    pub(crate) const fn compressed(mut self, compressed: bool) -> Self {
        self.compressed = compressed;
        self
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => write!(f, "{frame}"),
            Self::State(state) => write!(f, "= {state}"),
            Self::Timer(timer) => write!(f, "% {timer} timer"),
        }
    }
}

impl fmt::Display for FrameEntry {
    /// Such as `< Text "hello" [5 bytes]` or `> Binary 00 ff ... [70000 bytes, more follows]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.from {
            End::Us => '>',
            End::Peer => '<',
        };
        write!(f, "{arrow} {:?} ", self.opcode)?;
        match self.opcode {
            Opcode::Close => write!(f, "{}", farewell(&self.excerpt))?,
            Opcode::Text if !self.compressed => {
                write!(f, "{}", Elided::new(Kind::Text, &self.excerpt).content())?;
            }
            _ => write!(f, "{}", Elided::new(Kind::Binary, &self.excerpt).content())?,
        }
        write!(f, " [{} bytes", self.len)?;
        if self.compressed {
            f.write_str(", compressed")?;
        }
        if !self.fin {
            f.write_str(", more follows")?;
        }
        f.write_str("]")
    }
}

/// What a close frame's payload says, as far as it can be read.
fn farewell(payload: &[u8]) -> String {
    match payload.split_first_chunk::<2>() {
        None => Farewell::Empty.to_string(),
        Some((code, reason)) => {
            format!("{} {:?}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason))
        }
    }
}

/// The last things that happened, oldest first.
#[derive(Debug)]
pub(crate) struct Record {
    entries: VecDeque<Entry>,
    capacity: usize,
    lost: u64,
}

impl Record {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, lost: 0 }
    }

    /// Adds an entry; a record that nobody reads loses its oldest.
    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn take(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}
