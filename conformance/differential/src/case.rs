//! What a reader reads: its role, what was agreed on, the bytes, and how the reads cut them.
//!
//! A case has a form in bytes, and any bytes are a case: fuzzers, the shrinker and the replay
//! command need no other.

use lastword_proto::Role;

/// The start of a case's form in bytes: flags, and how the wire is cut.
pub const KNOBS: usize = 2;

/// The limits that a message may have.
pub const LIMITS: [usize; 4] = [1 << 20, 70_000, 1000, 100];

/// Most fragments of a message that we accept here: small, so that cases can exceed it.
pub const FRAGMENTS: usize = 40;

/// What was agreed on for messages that are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    Kept,
    None,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Case {
    flags: u8,
    cutter: u8,
    pub wire: Vec<u8>,
}

impl Case {
    /// Any bytes are a case; too few are padded.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let knob = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let wire = bytes.get(KNOBS..).unwrap_or_default().to_vec();
        Self { flags: knob(0), cutter: knob(1), wire }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        [&[self.flags, self.cutter], &self.wire[..]].concat()
    }

    /// The side that reads.
    pub fn role(&self) -> Role {
        if self.flags & 1 == 0 { Role::Server } else { Role::Client }
    }

    /// Whether the stream ends behind the bytes.
    pub fn ends(&self) -> bool {
        self.flags & 2 != 0
    }

    /// permessage-deflate, if it was agreed on.
    pub fn deflate(&self) -> Option<Takeover> {
        match self.flags >> 2 & 3 {
            1 => Some(Takeover::Kept),
            2 => Some(Takeover::None),
            _ => None,
        }
    }

    /// Largest message, and largest frame, that is accepted.
    pub fn limit(&self) -> usize {
        LIMITS[usize::from(self.flags >> 4 & 3)]
    }

    /// The same bytes without permessage-deflate.
    pub fn plain(&self) -> Self {
        Self { flags: self.flags & !0x0c, ..self.clone() }
    }

    /// The same with other knobs, simplest first: what the shrinker tries before the wire.
    pub fn simpler_knobs(&self) -> Vec<Self> {
        let knobs = [
            (self.flags, 0),
            (self.flags, 1),
            (self.flags & !0x0c, self.cutter),
            (self.flags & !0x30, self.cutter),
            (self.flags & !2, self.cutter),
            (self.flags & 0x3f, self.cutter),
        ];
        let cases = knobs.map(|(flags, cutter)| Self { flags, cutter, wire: self.wire.clone() });
        cases.into_iter().filter(|case| case != self).collect()
    }

    /// The sizes of the reads: all at once, in equal pieces, or by chance (of the knob's number).
    pub fn reads(&self) -> Vec<usize> {
        let mut left = self.wire.len();
        let mut chance = u32::from(self.cutter);
        let mut sizes = Vec::new();
        while left > 0 {
            let size = match self.cutter {
                0 => left,
                equal @ 1..=127 => usize::from(equal),
                _ => {
                    chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match chance >> 30 {
                        0 => 1,
                        1 => 1 + (chance >> 20 & 15) as usize,
                        _ => 1 + (chance >> 16 & 255) as usize,
                    }
                }
            };
            sizes.push(size.min(left));
            left -= size.min(left);
        }
        sizes
    }

    /// The bytes as they are read.
    pub fn chunks(&self) -> Vec<&[u8]> {
        let mut rest = &self.wire[..];
        let mut chunks = Vec::new();
        for size in self.reads() {
            let (chunk, behind) = rest.split_at(size);
            chunks.push(chunk);
            rest = behind;
        }
        chunks
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reads = self.reads();
        write!(f, "a {:?} reads {} bytes in {} reads", self.role(), self.wire.len(), reads.len())?;
        write!(f, ", limit {}, deflate {:?}", self.limit(), self.deflate())?;
        if self.ends() { write!(f, ", then the end") } else { Ok(()) }
    }
}
