//! Messages that lie whole and plain in one read, as nearly all do: found, unmasked and taken out in
//! one go (RFC 6455 section 5.2).
//!
//! A shortcut past decoder and assembler, which can do all of it frame by frame. Takes what is a
//! message beyond doubt, and leaves the first frame that is anything else where it stands, untouched:
//! what is wrong with it, they say.

use std::ops::Range;

use bytes::Bytes;

use crate::message::{Kind, Message, Utf8Bytes};
use crate::utf8::Validator;
use crate::wire::Role;

/// Takes messages of at most `limit` bytes off the front of `input`, as long as there are any.
#[inline]
pub(crate) fn take(
    input: &mut &mut [u8],
    sender: Role,
    limit: usize,
    mut deliver: impl FnMut(Message),
) {
    let bytes = std::mem::take(input);
    let mut row = Row::default();
    let mut at = 0;
    while let Some(frame) = Frame::at(at, bytes, sender)
        && frame.payload.len() <= limit
    {
        if !row.has_room(&frame) {
            row.deliver(bytes, &mut deliver);
        }
        let payload = bytes.get_mut(frame.payload.clone()).unwrap_or_default();
        frame.unmask(payload);
        if frame.kind == Kind::Text && Validator::check(payload).is_err() {
            // As it was: where the bad byte stands is not for us to say.
            frame.unmask(payload);
            break;
        }
        at = frame.payload.end;
        row.add(&frame);
    }
    row.deliver(bytes, &mut deliver);
    *input = bytes.get_mut(at..).unwrap_or_default();
}

/// A frame that is a message of its own.
struct Frame {
    kind: Kind,
    key: Option<[u8; 4]>,
    payload: Range<usize>,
}

impl Frame {
    /// The frame at this place; `None` if it is not whole, or not what nearly all frames are.
    #[inline(always)]
    fn at(at: usize, bytes: &[u8], sender: Role) -> Option<Self> {
        let rest = bytes.get(at..)?;
        let (&[first, second], body) = rest.split_first_chunk::<2>()?;
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let (len, body) = match second & 0x7f {
            127 => return None,
            126 => {
                let (long, body) = body.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*long)), body)
            }
            short => (usize::from(short), body),
        };
        // A length that needed no longer form.
        if second & 0x7f == 126 && len < 126 {
            return None;
        }
        let (key, body) = match (sender, second & 0x80) {
            (Role::Client, 0x80) => {
                let (key, body) = body.split_first_chunk::<4>()?;
                (Some(*key), body)
            }
            (Role::Server, 0) => (None, body),
            _ => return None,
        };
        if body.len() < len {
            return None;
        }
        let start = bytes.len().saturating_sub(body.len());
        Some(Self { kind, key, payload: start..start.saturating_add(len) })
    }

    #[inline(always)]
    fn unmask(&self, payload: &mut [u8]) {
        if let Some(key) = self.key {
            lastword_mask::apply(key, 0, payload);
        }
    }
}

/// Messages side by side in one read, not taken out yet.
///
/// They share one block of memory, so that a burst costs few allocations; the block is small, so
/// that a message that is kept holds on to little.
#[derive(Default)]
struct Row {
    places: [Place; ROW],
    count: usize,
}

#[derive(Clone, Default)]
struct Place {
    kind: Kind,
    payload: Range<usize>,
}

impl Row {
    /// Whether `frame` may share a block with the messages of the row.
    #[inline]
    fn has_room(&self, frame: &Frame) -> bool {
        let Some(first) = self.places.first().filter(|_| self.count > 0) else { return true };
        self.count < ROW && frame.payload.end.saturating_sub(first.payload.start) <= BLOCK
    }

    #[inline]
    fn add(&mut self, frame: &Frame) {
        if let Some(place) = self.places.get_mut(self.count) {
            *place = Place { kind: frame.kind, payload: frame.payload.clone() };
            self.count = self.count.saturating_add(1);
        }
    }

    /// Takes the messages of the row out of `bytes`; the row is empty afterwards.
    #[inline]
    fn deliver(&mut self, bytes: &[u8], deliver: &mut impl FnMut(Message)) {
        let places = self.places.get(..self.count).unwrap_or_default();
        self.count = 0;
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return };
        let start = first.payload.start;
        let block = bytes.get(start..last.payload.end).unwrap_or_default();
        let block = Bytes::copy_from_slice(block);
        if places.len() == 1 {
            return deliver(message(first.kind, block));
        }
        for place in places {
            let from = place.payload.start.saturating_sub(start);
            let payload = block.slice(from..from.saturating_add(place.payload.len()));
            deliver(message(place.kind, payload));
        }
    }
}

#[inline]
fn message(kind: Kind, payload: Bytes) -> Message {
    match kind {
        Kind::Text => Message::Text(Utf8Bytes::proven(payload)),
        Kind::Binary => Message::Binary(payload),
    }
}

/// How many messages share a block at most, and how large it is at most.
const ROW: usize = 32;
const BLOCK: usize = 4096;
