//! Small messages on their way out, side by side in wire form. Where each of them ends, and what it
//! says, their own frames tell: nothing else is kept of them.

use crate::header::{Header, Rules};
use crate::ledger::Tally;
use crate::message::{Kind, Message};
use crate::wire::{Opcode, ReservedBits, Role};

/// How far the frames at the start of `wire` are written, if `written` of its bytes are: what was
/// wholly written, in messages; where the frame in progress begins, and where it ends.
pub(super) fn walk(wire: &[u8], written: usize) -> (Tally, usize, usize) {
    let (mut done, mut start) = (Tally::default(), 0_usize);
    loop {
        let Some((_, payload)) = frame(wire.get(start..).unwrap_or_default()) else {
            return (done, start, start);
        };
        let end = start.saturating_add(payload.end);
        if end > written {
            return (done, start, end);
        }
        done.add(payload.len());
        start = end;
    }
}

/// The messages that these frames are, each with its size on the wire.
pub(super) fn messages(mut wire: &[u8]) -> Vec<(usize, Message)> {
    let mut messages = Vec::new();
    while let Some((header, payload)) = frame(wire) {
        let size = payload.end;
        let mut payload = wire.get(payload).unwrap_or_default().to_vec();
        if let Some(key) = header.mask {
            lastword_mask::apply(key, 0, &mut payload);
        }
        // What is text was text before it was framed.
        let kind = if header.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        messages.push((size, Message::proven(kind, payload.into())));
        wire = wire.get(size..).unwrap_or_default();
    }
    messages
}

/// The first frame of `wire`: its header, and where its payload lies.
fn frame(wire: &[u8]) -> Option<(Header, std::ops::Range<usize>)> {
    let masked = wire.get(1)? & 0x80 != 0;
    let sender = if masked { Role::Client } else { Role::Server };
    let rules = Rules { sender, reserved: ReservedBits::NONE };
    let (header, size) = Header::parse(wire, rules).ok()??;
    let end = size.saturating_add(usize::try_from(header.len).ok()?);
    Some((header, size..end))
}
