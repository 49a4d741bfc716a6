//! What a judge makes of a case, in words that all judges share.

use lastword_proto::Violation;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It would read on.
    Open,
    /// The peer closed with this (1005: without a code), and was answered this.
    Closed { code: u16, reason: String, answer: u16 },
    /// The connection is failed with this code.
    Failed(u16),
    /// The stream ended before anybody said goodbye.
    Eof,
    /// The judge itself broke: it panicked, or reported what no peer may cause.
    Broke(String),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Verdict {
    pub messages: Vec<(Kind, Vec<u8>)>,
    pub pongs: Vec<Vec<u8>>,
    pub end: End,
    /// Not compared: what rules may ask about.
    pub note: Note,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Of ours: why it failed.
    pub violation: Option<Violation>,
    /// Of websockets: how many messages had come when a final deflate block was met.
    pub final_block: Option<usize>,
}

impl Verdict {
    pub fn new() -> Self {
        let (messages, pongs) = (Vec::new(), Vec::new());
        Self { messages, pongs, end: End::Open, note: Note::default() }
    }

    /// Whether nothing but the notes differs.
    pub fn agrees(&self, other: &Self) -> bool {
        self.messages == other.messages && self.pongs == other.pongs && self.end == other.end
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, payload) in &self.messages {
            writeln!(f, "    {kind:?} {}", excerpt(payload))?;
        }
        for payload in &self.pongs {
            writeln!(f, "    pong {}", excerpt(payload))?;
        }
        write!(f, "    {:?}", self.end)?;
        if let Some(violation) = &self.note.violation {
            write!(f, " ({violation})")?;
        }
        Ok(())
    }
}

fn excerpt(payload: &[u8]) -> String {
    let shown = payload.get(..32).unwrap_or(payload);
    format!("{} bytes \"{}\"", payload.len(), shown.escape_ascii())
}
