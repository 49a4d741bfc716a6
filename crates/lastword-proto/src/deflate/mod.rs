//! Compressed messages, both ways (permessage-deflate, RFC 7692 section 7.2).
//!
//! Plain bytes in and compressed ones out, or the reverse, a message at a time or piece by piece.
//! Nothing is allocated before it is needed; what comes out of a peer's bytes is bounded, in memory
//! too. Refuses to know frames, and how the parameters were agreed on.
//!
//! The backend is `zlib-rs` itself, not a crate that chooses one by its features, so that no other
//! crate in a build can switch it. `cargo bench -p lastword-proto --bench deflate_backend` shows why
//! it was chosen.

mod window;

use zlib_rs::{DeflateConfig as Parameters, DeflateFlush, InflateFlush, Method, Status, Strategy};

use crate::agreement::{ContextTakeover, DeflateAgreement, DeflateDirection};
use crate::config::{Compression, DeflateConfig};
use crate::wire::Role;
use window::Window;

pub(crate) struct Deflate {
    outgoing: Outgoing,
    incoming: Incoming,
}

impl std::fmt::Debug for Deflate {
    /// Without the windows, which are large.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflate").field("at", &self.incoming.at).finish_non_exhaustive()
    }
}

/// Whether a message was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressed {
    Yes,
    No,
}

/// Whether a part is the last of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Middle,
    Last,
}

/// Why a compressed message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It grows beyond the limit.
    TooBig,
    /// It is not a deflate stream.
    Broken,
}

impl Deflate {
    pub(crate) fn new(role: Role, agreement: DeflateAgreement, config: &DeflateConfig) -> Self {
        let (own, peer) = match role {
            Role::Client => (agreement.client, agreement.server),
            Role::Server => (agreement.server, agreement.client),
        };
        Self { outgoing: Outgoing::new(own, config), incoming: Incoming::new(peer) }
    }

    /// The size from which on messages are compressed, unless their sender knows better.
    pub(crate) const fn threshold(&self) -> usize {
        self.outgoing.threshold
    }

    /// Appends the compressed form of a whole message to `out`, if it is worth it.
    pub(crate) fn compress(
        &mut self,
        payload: &[u8],
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Compressed {
        self.outgoing.compress(payload, compression, out)
    }

    /// How a message of this size is compressed if it is to stand alone, whatever went before it and
    /// comes behind it; `None` if it is not worth it, or not wanted.
    pub(crate) fn alone(&self, len: usize, compression: Compression) -> Option<Alone> {
        match compression {
            Compression::Never => None,
            Compression::Auto if len < self.outgoing.threshold.max(WORTH_ALONE) => None,
            Compression::Auto | Compression::Always => Some(self.outgoing.alone(len)),
        }
    }

    /// A message that others compressed, and that stands alone, goes out: from here on the peer's
    /// window holds what ours does not. So our next message refers to nothing before it, as a
    /// compressor may at any time; nothing is done before there is one.
    pub(crate) const fn pass(&mut self) {
        self.outgoing.passed = true;
    }

    /// Appends the compressed form of a part of a message.
    pub(crate) fn compress_part(&mut self, part: &[u8], position: Position, out: &mut Vec<u8>) {
        self.outgoing.compress_part(part, position, out);
    }

    /// Appends the plain form of a piece of a message to `out`, which never holds more than `limit`
    /// bytes.
    pub(crate) fn inflate(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), InflateError> {
        self.incoming.inflate(piece, out, limit)
    }

    /// Nothing is expected for a while: codecs are given back. Of what the peer sent all stays that it
    /// may refer to, of what we sent only the last: whoever compresses may forget.
    pub(crate) fn hibernate(&mut self) {
        self.outgoing.hibernate();
        self.incoming.hibernate();
    }

    /// The message ends here.
    pub(crate) fn finish_message(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), InflateError> {
        self.incoming.finish(out, limit)
    }
}

/// A way to compress a message that stands alone. Equal ways give equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alone(Parameters);

/// Appends a message to `out`, compressed this way.
pub(crate) fn compress_alone(Alone(parameters): Alone, payload: &[u8], out: &mut Vec<u8>) {
    Outgoing {
        parameters,
        takeover: ContextTakeover::None,
        threshold: 0,
        memory: Memory::None,
        codec: None,
        in_message: false,
        passed: false,
    }
    .compress_part(payload, Position::Last, out);
}

struct Outgoing {
    parameters: Parameters,
    takeover: ContextTakeover,
    threshold: usize,
    memory: Memory,
    /// Made for the first message that is compressed, and again after a sleep.
    codec: Option<Box<zlib_rs::Deflate>>,
    /// Whether a message is sent by parts and not finished.
    in_message: bool,
    /// Whether a message has gone out that the codec has not seen.
    passed: bool,
}

/// What a stream carries from one message to the next, when its codec sleeps.
enum Memory {
    /// Nothing: each message stands alone.
    None,
    /// The last of it.
    Window(Window),
}

impl Memory {
    /// Of at most `bits` of the window's own.
    fn new(direction: DeflateDirection, bits: u8) -> Self {
        match direction.takeover {
            ContextTakeover::None => Self::None,
            ContextTakeover::Kept => Self::Window(Window::new(window_bits(direction).min(bits))),
        }
    }

    fn push(&mut self, plain: &[u8]) {
        if let Self::Window(window) = self {
            window.push(plain);
        }
    }

    fn clear(&mut self) {
        if let Self::Window(window) = self {
            window.clear();
        }
    }

    /// What to wake a codec with.
    fn dictionary(&mut self) -> &[u8] {
        match self {
            Self::Window(window) => window.as_slice(),
            Self::None => &[],
        }
    }
}

/// zlib makes windows of 256 bytes twice as large.
const fn window_bits(direction: DeflateDirection) -> u8 {
    match direction.window_bits {
        0..=9 => 9,
        bits @ 10..=14 => bits,
        15.. => 15,
    }
}

impl Outgoing {
    fn new(direction: DeflateDirection, config: &DeflateConfig) -> Self {
        let threshold = match direction.takeover {
            ContextTakeover::Kept => config.threshold,
            // Alone, a small message does not shrink, and each costs a reset.
            ContextTakeover::None => config.threshold.max(WORTH_ALONE),
        };
        let parameters = Parameters {
            level: i32::from(config.level.clamp(1, 9)),
            method: Method::Deflated,
            // Negative: without zlib's own header.
            window_bits: i32::from(window_bits(direction)).saturating_neg(),
            mem_level: i32::from(config.memory_level.clamp(1, 9)),
            strategy: Strategy::Default,
        };
        let (takeover, memory) = (direction.takeover, Memory::new(direction, OWN_MEMORY));
        Self {
            parameters,
            takeover,
            threshold,
            memory,
            codec: None,
            in_message: false,
            passed: false,
        }
    }

    fn hibernate(&mut self) {
        if !self.in_message {
            self.codec = None;
        }
    }

    /// With a window no larger than the message needs, so that most windows come to the same.
    fn alone(&self, len: usize) -> Alone {
        let mut parameters = self.parameters;
        let enough = len.saturating_add(MIN_LOOKAHEAD).max(1 << 9).next_power_of_two().ilog2();
        let enough = i32::try_from(enough).unwrap_or(i32::MAX).saturating_neg();
        parameters.window_bits = parameters.window_bits.max(enough);
        Alone(parameters)
    }

    /// Forgets all that was compressed before.
    fn forget(&mut self) {
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
        self.memory.clear();
        self.passed = false;
    }

    fn compress(
        &mut self,
        payload: &[u8],
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Compressed {
        match compression {
            Compression::Never => return Compressed::No,
            Compression::Auto if payload.len() < self.threshold => return Compressed::No,
            Compression::Auto | Compression::Always => {}
        }
        let start = out.len();
        self.compress_part(payload, Position::Last, out);
        let grew = out.len().saturating_sub(start) >= payload.len();
        if grew && self.takeover == ContextTakeover::None && compression == Compression::Auto {
            // Nothing of it is remembered: the message may as well go as it is.
            out.truncate(start);
            return Compressed::No;
        }
        Compressed::Yes
    }

    fn compress_part(&mut self, part: &[u8], position: Position, out: &mut Vec<u8>) {
        // Also where the first part is empty: the next one is in the message.
        if self.passed && !self.in_message {
            self.forget();
        }
        if !part.is_empty() {
            self.flush_part(part, out);
        }
        self.in_message = position == Position::Middle;
        if self.in_message {
            return;
        }
        if part.is_empty() {
            // A flush right behind another gives nothing at all; the first byte of an empty block
            // is what stands for nothing (RFC 7692 section 7.2.3.6).
            out.push(0);
        } else if out.ends_with(&TAIL) {
            out.truncate(out.len().saturating_sub(TAIL.len()));
        }
        if let (ContextTakeover::None, Some(codec)) = (self.takeover, &mut self.codec) {
            codec.reset();
        }
    }

    /// Appends the compressed form of `part`, to the last bit.
    fn flush_part(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let codec = self.codec.get_or_insert_with(|| {
            let mut codec = Box::new(zlib_rs::Deflate::new_with_config(self.parameters));
            // A new stream takes any dictionary, and an old one does without.
            let _ = codec.set_dictionary(self.memory.dictionary());
            codec
        });
        self.memory.push(part);
        let mut rest = part;
        let mut step = (part.len() / 2).clamp(64, MAX_STEP);
        loop {
            let start = out.len();
            out.resize(start.saturating_add(step), 0);
            let (read, written) = (codec.total_in(), codec.total_out());
            let room = out.get_mut(start..).unwrap_or_default();
            let status = codec.compress(rest, room, DeflateFlush::SyncFlush);
            let read = usize::try_from(codec.total_in().wrapping_sub(read)).unwrap_or(0);
            let written = usize::try_from(codec.total_out().wrapping_sub(written)).unwrap_or(0);
            out.truncate(start.saturating_add(written));
            rest = rest.get(read..).unwrap_or_default();
            // Room left over says that all is flushed; an error, that there is nothing to flush.
            if written < step || status.is_err() {
                break;
            }
            step = step.saturating_mul(2).min(MAX_STEP);
        }
    }
}

struct Incoming {
    takeover: ContextTakeover,
    window_bits: u8,
    memory: Memory,
    /// Made for the first compressed message that comes, and again after a sleep.
    codec: Option<Box<zlib_rs::Inflate>>,
    at: Standing,
}

/// Where in a message the incoming stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No byte of it has come.
    Start,
    Inside,
    /// Behind a final block: what follows, if anything, is a new stream.
    BehindFinal,
}

impl Incoming {
    fn new(direction: DeflateDirection) -> Self {
        Self {
            takeover: direction.takeover,
            window_bits: window_bits(direction),
            memory: Memory::new(direction, u8::MAX),
            codec: None,
            at: Standing::Start,
        }
    }

    fn hibernate(&mut self) {
        if self.at == Standing::Start {
            self.codec = None;
        }
    }

    fn inflate(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), InflateError> {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = self.run(rest, out, limit)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), InflateError> {
        // The sender took the tail of its last block off (RFC 7692 section 7.2.1). A message of no
        // bytes at all has no block, and one that ends with a final block needs no tail.
        if self.at == Standing::Inside {
            self.inflate(&TAIL, out, limit)?;
        }
        self.at = Standing::Start;
        if let (ContextTakeover::None, Some(codec)) = (self.takeover, &mut self.codec) {
            codec.reset(false);
        }
        Ok(())
    }

    /// Inflates until the piece is used up, or a final block ends; gives what is left of it.
    fn run<'a>(
        &mut self,
        piece: &'a [u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<&'a [u8], InflateError> {
        let codec = self.codec.get_or_insert_with(|| {
            let mut codec = Box::new(zlib_rs::Inflate::new(false, self.window_bits));
            // A dictionary that is refused is one that the peer cannot refer to either.
            let _ = codec.set_dictionary(self.memory.dictionary());
            codec
        });
        let mut rest = piece;
        // Room is made, and blanked, before anything is known of what comes out. Behind a final block
        // that is done again for each of perhaps thousands in one read: it begins small there.
        let mut step = match self.at {
            Standing::BehindFinal => FIRST_STEP,
            Standing::Start | Standing::Inside => {
                piece.len().saturating_mul(2).clamp(FIRST_STEP, MAX_STEP)
            }
        };
        loop {
            self.at = Standing::Inside;
            let start = out.len();
            // One byte more than allowed shows that there is more.
            let room = limit.saturating_sub(start).saturating_add(1).min(step);
            out.resize(start.saturating_add(room), 0);
            let (read, written) = (codec.total_in(), codec.total_out());
            let target = out.get_mut(start..).unwrap_or_default();
            let status = codec.decompress(rest, target, InflateFlush::SyncFlush);
            let read = usize::try_from(codec.total_in().wrapping_sub(read)).unwrap_or(0);
            let written = usize::try_from(codec.total_out().wrapping_sub(written)).unwrap_or(0);
            out.truncate(start.saturating_add(written));
            self.memory.push(out.get(start..).unwrap_or_default());
            if out.len() > limit {
                out.truncate(limit);
                return Err(InflateError::TooBig);
            }
            rest = rest.get(read..).unwrap_or_default();
            match status {
                Err(_) => return Err(InflateError::Broken),
                Ok(Status::StreamEnd) => {
                    self.at = Standing::BehindFinal;
                    restart(codec, out);
                    return Ok(rest);
                }
                Ok(Status::Ok | Status::BufError) if written < room => {
                    // Without room left nothing more comes out; with room left, and input, a codec
                    // that does not move never will.
                    return if rest.is_empty() { Ok(rest) } else { Err(InflateError::Broken) };
                }
                Ok(Status::Ok | Status::BufError) => step = step.saturating_mul(2).min(MAX_STEP),
            }
        }
    }
}

/// Begins a new stream that still knows what this message brought so far.
fn restart(codec: &mut zlib_rs::Inflate, so_far: &[u8]) {
    codec.reset(false);
    let window = so_far.len().saturating_sub(1 << 15);
    // A dictionary that is refused is one that the peer cannot refer to either.
    let _ = codec.set_dictionary(so_far.get(window..).unwrap_or_default());
}

/// The end of a flush, which does not go over the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How much of what we sent is kept while our codec sleeps, in bits: 2 KiB. The last message or two is
/// what the next one mostly looks like.
const OWN_MEMORY: u8 = 11;

/// Below this, messages that are compressed alone do not get smaller.
const WORTH_ALONE: usize = 512;

/// How much less than its window zlib reaches back.
const MIN_LOOKAHEAD: usize = 262;

/// The least and the most by which a buffer grows at once.
const FIRST_STEP: usize = 256;
const MAX_STEP: usize = 64 << 10;

#[cfg(test)]
mod tests;
