//! Messages that lie whole and plain in one read, as nearly all do: found, unmasked and taken out in
//! one go (RFC 6455 section 5.2).
//!
//! A shortcut past decoder and assembler, which can do all of it frame by frame. Takes what is a
//! message beyond doubt, and leaves the first frame that is anything else where it stands, untouched:
//! what is wrong with it, they say.

use bytes::Bytes;

use crate::burst::{self, Burst};
use crate::ledger::Tally;
use crate::message::{Kind, Message};
use crate::utf8::Validator;
use crate::wire::Role;

/// What was taken.
pub(crate) enum Taken {
    Message(Message),
    /// So many messages that share a block.
    Burst(Burst, Tally),
}

/// Takes messages of at most `limit` bytes off the front of `input`, as long as there are any.
#[inline]
pub(crate) fn take(
    input: &mut &mut [u8],
    sender: Role,
    limit: usize,
    mut deliver: impl FnMut(Taken),
) {
    while !input.is_empty() {
        // Known to the compiler: a loop of its own for each.
        let row = match sender {
            Role::Client => Row::at_front(input, Role::Client, limit.min(LONE)),
            Role::Server => Row::at_front(input, Role::Server, limit.min(LONE)),
        };
        let taken = if row.tally.messages > 0 {
            deliver(row.take(input));
            row.size
        } else if let Some((message, size)) = large(input, sender, limit) {
            deliver(Taken::Message(message));
            size
        } else {
            return;
        };
        *input = std::mem::take(input).get_mut(taken..).unwrap_or_default();
    }
}

/// Messages side by side at the front of what came, not taken out yet.
struct Row {
    /// How much of the input they are.
    size: usize,
    tally: Tally,
    /// Of the last one.
    kind: Kind,
    len: usize,
}

impl Row {
    /// Unmasks and proves messages of at most `limit` bytes, as many as may share a block, and labels
    /// them.
    #[inline(always)]
    fn at_front(input: &mut [u8], sender: Role, limit: usize) -> Self {
        let mut row = Self { size: 0, tally: Tally::default(), kind: Kind::Binary, len: 0 };
        while let Some(rest) = input.get_mut(row.size..)
            && let Some(frame) = Frame::parse(rest, sender)
            && frame.len <= limit
        {
            let Frame { kind, key, header, len } = frame;
            let size = row.size.wrapping_add(header).wrapping_add(len);
            if size > Burst::BLOCK {
                break;
            }
            let Some((head, payload)) = rest.split_at_mut_checked(header) else { break };
            let Some(payload) = payload.get_mut(..len) else { break };
            unmask(key, payload);
            if kind == Kind::Text && Validator::check(payload).is_err() {
                // As it was: where the bad byte stands is not for us to say.
                unmask(key, payload);
                break;
            }
            if let Some(place) = head.first_chunk_mut() {
                *place = burst::label(kind, header, len);
            }
            row.tally.add(len);
            (row.size, row.kind, row.len) = (size, kind, len);
        }
        row
    }

    /// Takes the messages out of the input: one by itself, or several that share a block.
    #[inline]
    fn take(&self, input: &[u8]) -> Taken {
        if self.tally.messages == 1 {
            let payload = input.get(self.size.wrapping_sub(self.len)..self.size);
            let block = Bytes::copy_from_slice(payload.unwrap_or_default());
            return Taken::Message(Message::proven(self.kind, block));
        }
        Taken::Burst(Burst::of(input.get(..self.size).unwrap_or_default()), self.tally)
    }
}

/// A message of up to `limit` bytes, unmasked on the way to a block of its own, and the size of its
/// frame; `None` if it is text that is none.
#[inline(never)]
fn large(input: &[u8], sender: Role, limit: usize) -> Option<(Message, usize)> {
    let Frame { kind, key, header, len } = Frame::parse(input, sender)?;
    let size = header.wrapping_add(len);
    if len > limit {
        return None;
    }
    let payload = input.get(header..size)?;
    let mut block = Vec::with_capacity(len);
    lastword_mask::append(key.unwrap_or_default(), 0, payload, &mut block);
    if kind == Kind::Text && Validator::check(&block).is_err() {
        return None;
    }
    Some((Message::proven(kind, block.into()), size))
}

/// A frame that is a message of its own.
struct Frame {
    kind: Kind,
    key: Option<[u8; 4]>,
    /// The sizes of its header and its payload, which lie in the input.
    header: usize,
    len: usize,
}

impl Frame {
    /// The frame at the front; `None` if it is not whole, or not what nearly all frames are.
    #[inline(always)]
    fn parse(input: &[u8], sender: Role) -> Option<Self> {
        let frame = match sender {
            Role::Client => {
                let &[first, second, a, b, c, d] = input.first_chunk()?;
                let kind = kind(first)?;
                match second {
                    0x80..0xfe => {
                        let len = usize::from(second & 0x7f);
                        Self { kind, key: Some([a, b, c, d]), header: 6, len }
                    }
                    0xfe => {
                        let &[_, _, a, b, k0, k1, k2, k3] = input.first_chunk()?;
                        Self { kind, key: Some([k0, k1, k2, k3]), header: 8, len: long([a, b])? }
                    }
                    _ => return None,
                }
            }
            Role::Server => {
                let &[first, second] = input.first_chunk()?;
                let kind = kind(first)?;
                match second {
                    0..126 => Self { kind, key: None, header: 2, len: usize::from(second) },
                    126 => {
                        let &[_, _, a, b] = input.first_chunk()?;
                        Self { kind, key: None, header: 4, len: long([a, b])? }
                    }
                    _ => return None,
                }
            }
        };
        (input.len() >= frame.header.wrapping_add(frame.len)).then_some(frame)
    }
}

#[inline(always)]
const fn kind(first: u8) -> Option<Kind> {
    match first {
        0x81 => Some(Kind::Text),
        0x82 => Some(Kind::Binary),
        _ => None,
    }
}

/// A length of two bytes, which needed no less.
#[inline(always)]
fn long(bytes: [u8; 2]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes))).filter(|len| *len >= 126)
}

#[inline(always)]
fn unmask(key: Option<[u8; 4]>, payload: &mut [u8]) {
    if let Some(key) = key {
        lastword_mask::apply(key, 0, payload);
    }
}

/// From this size on a message has a block to itself, and is copied once.
const LONE: usize = 2048;
