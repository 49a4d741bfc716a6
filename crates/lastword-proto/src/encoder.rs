//! Messages in, frames out: what was accepted for sending and is not yet in wire form (RFC 6455
//! section 5.4, RFC 7692 section 7.2.1). What extensions of the application's own make of a message is
//! made when it is accepted, by whoever calls.
//!
//! Frames are made only a little ahead of the wire, so that a large message costs no second copy of
//! itself, and pongs pass between its fragments. Knows nothing of the control lane or of closing.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::config::{Compression, Config};
use crate::control::{write_control, write_farewell};
use crate::deflate::{Compressed, Deflate, Position};
use crate::extension::Encoded;
use crate::header::Header;
use crate::keepalive::PingId;
use crate::masks::Masks;
use crate::message::{Kind, Message};
use crate::output::{Completes, Output};
use crate::prepared::Prepared;
use crate::wire::{Farewell, Opcode, ReservedBits};

#[derive(Debug, Default)]
pub(crate) struct Encoder {
    queue: VecDeque<Item>,
    /// Bytes of payload in `queue`, and of what is left of the message in progress.
    queued: usize,
    /// The message that is being cut into frames.
    current: Option<Box<Current>>,
}

/// What waits behind the data that was accepted before it.
#[derive(Debug)]
enum Item {
    Message(Message, Compression),
    /// What extensions made of a message.
    Extended(Box<Extended>),
    Prepared(Prepared, Compression),
    Part(PartOut),
    Ping(PingId),
    Farewell(Farewell),
}

/// A message, and what extensions made of it.
#[derive(Debug)]
struct Extended {
    original: Message,
    coded: Encoded,
    compression: Compression,
}

/// A part of a message that is sent by parts.
#[derive(Debug)]
pub(crate) struct PartOut {
    pub(crate) payload: Bytes,
    pub(crate) kind: Kind,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) compressed: bool,
    /// Bytes of the whole message, on its last part.
    pub(crate) total: usize,
}

/// A message that is being cut into frames.
#[derive(Debug)]
struct Current {
    /// What is left of the payload as it goes over the wire.
    rest: Bytes,
    opcode: Opcode,
    reserved: ReservedBits,
    original: Message,
}

/// What encoding needs of its neighbours.
pub(crate) struct Tools<'a> {
    pub(crate) output: &'a mut Output,
    pub(crate) masks: &'a mut Masks,
    pub(crate) deflate: Option<&'a mut Deflate>,
    pub(crate) config: &'a Config,
}

impl Encoder {
    /// Accepts a message for sending.
    pub(crate) fn send(&mut self, message: Message, compression: Compression, tools: &mut Tools) {
        if self.is_empty() && tools.output.waiting() < AHEAD {
            let current = begin(message, None, compression, tools);
            self.queued = current.rest.len();
            self.encode_fragment(current, tools);
            return self.fill(tools);
        }
        self.queued = self.queued.saturating_add(message.len());
        self.queue.push_back(Item::Message(message, compression));
        self.fill(tools);
    }

    /// Accepts a message for sending that extensions made `coded` of, in the order of the wire.
    pub(crate) fn send_extended(
        &mut self,
        original: Message,
        coded: Encoded,
        compression: Compression,
        tools: &mut Tools,
    ) {
        self.queued = self.queued.saturating_add(coded.payload.len());
        let extended = Extended { original, coded, compression };
        self.queue.push_back(Item::Extended(Box::new(extended)));
        self.fill(tools);
    }

    /// Accepts a message that is made ready for many. Its frame needs no mask: we are a server.
    pub(crate) fn send_prepared(
        &mut self,
        prepared: &Prepared,
        compression: Compression,
        tools: &mut Tools,
    ) {
        if self.is_empty() && tools.output.waiting() < AHEAD {
            return self.encode_prepared(prepared, compression, tools);
        }
        self.queued = self.queued.saturating_add(prepared.len());
        self.queue.push_back(Item::Prepared(prepared.clone(), compression));
        self.fill(tools);
    }

    /// Accepts a part of a message that is sent by parts.
    pub(crate) fn send_part(&mut self, part: PartOut, tools: &mut Tools) {
        self.queued = self.queued.saturating_add(part.payload.len());
        self.queue.push_back(Item::Part(part));
        self.fill(tools);
    }

    /// Puts a ping behind all that was accepted before.
    pub(crate) fn ping(&mut self, id: PingId, tools: &mut Tools) {
        self.queue.push_back(Item::Ping(id));
        self.fill(tools);
    }

    /// Puts our close frame behind all that was accepted before.
    pub(crate) fn part(&mut self, farewell: Farewell, tools: &mut Tools) {
        self.queue.push_back(Item::Farewell(farewell));
        self.fill(tools);
    }

    /// Makes frames, a little ahead of the wire.
    #[inline]
    pub(crate) fn fill(&mut self, tools: &mut Tools) {
        while tools.output.waiting() < AHEAD && self.encode_one(tools) {}
    }

    /// Bytes of payload that are not in wire form yet.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// What the queue takes up beside the payloads.
    #[inline]
    pub(crate) fn overhead(&self) -> usize {
        self.queue.len().saturating_mul(OVERHEAD)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.current.is_none()
    }

    /// Gives back memory that traffic had needed.
    pub(crate) fn shrink(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// All messages that are not wholly in wire form, oldest first; nothing is left to send.
    pub(crate) fn take_unsent(&mut self) -> Vec<Message> {
        self.queued = 0;
        let current = self.current.take().map(|current| current.original);
        let queued = std::mem::take(&mut self.queue).into_iter().filter_map(|item| match item {
            Item::Message(message, _) => Some(message),
            Item::Extended(extended) => Some(extended.original),
            Item::Prepared(prepared, _) => Some(prepared.message().clone()),
            Item::Part(_) | Item::Ping(_) | Item::Farewell(_) => None,
        });
        current.into_iter().chain(queued).collect()
    }

    /// Makes one frame; `false` if there is nothing to make one of.
    fn encode_one(&mut self, tools: &mut Tools) -> bool {
        if let Some(current) = self.current.take() {
            self.encode_fragment(*current, tools);
            return true;
        }
        let Some(item) = self.queue.pop_front() else { return false };
        match item {
            Item::Message(message, compression) => {
                self.queued = self.queued.saturating_sub(message.len());
                self.encode_message(message, None, compression, tools);
            }
            Item::Extended(extended) => {
                let Extended { original, coded, compression } = *extended;
                self.queued = self.queued.saturating_sub(coded.payload.len());
                self.encode_message(original, Some(coded), compression, tools);
            }
            Item::Prepared(prepared, compression) => {
                self.queued = self.queued.saturating_sub(prepared.len());
                self.encode_prepared(&prepared, compression, tools);
            }
            Item::Part(part) => {
                self.queued = self.queued.saturating_sub(part.payload.len());
                encode_part(part, tools);
            }
            Item::Ping(id) => {
                let masks = &mut *tools.masks;
                tools.output.put_wire(Completes::Ping(id), |out| {
                    write_control(out, Opcode::Ping, &id.payload(), masks);
                });
            }
            Item::Farewell(farewell) => {
                let masks = &mut *tools.masks;
                tools.output.put_wire(Completes::Farewell(farewell.clone()), |out| {
                    write_farewell(out, &farewell, masks);
                });
            }
        }
        true
    }

    /// Makes the first frame of a message.
    fn encode_message(
        &mut self,
        original: Message,
        coded: Option<Encoded>,
        compression: Compression,
        tools: &mut Tools,
    ) {
        let current = begin(original, coded, compression, tools);
        self.queued = self.queued.saturating_add(current.rest.len());
        self.encode_fragment(current, tools);
    }

    /// Makes one frame: the one that was made for all, if it is not to be cut into fragments.
    fn encode_prepared(
        &mut self,
        prepared: &Prepared,
        compression: Compression,
        tools: &mut Tools,
    ) {
        let frame = prepared.frame(tools.deflate.as_deref(), compression);
        if let Some(deflate) = tools.deflate.as_deref_mut().filter(|_| frame.is_compressed()) {
            deflate.pass();
        }
        let original = prepared.message().clone();
        if frame.len() <= tools.config.fragment_size {
            return tools.output.put_framed(frame.wire(), Completes::Message(original));
        }
        let (rest, opcode) = (frame.payload(), original.kind().opcode());
        self.queued = self.queued.saturating_add(rest.len());
        let current = Current { rest, opcode, reserved: frame.reserved(), original };
        self.encode_fragment(current, tools);
    }

    fn encode_fragment(&mut self, mut current: Current, tools: &mut Tools) {
        let size = current.rest.len().min(tools.config.fragment_size.max(1));
        let payload = current.rest.split_to(size);
        self.queued = self.queued.saturating_sub(size);
        let fin = current.rest.is_empty();
        let mask = tools.masks.next();
        let Current { opcode, reserved, .. } = current;
        let header = Header { fin, reserved, opcode, len: payload.len() as u64, mask };
        if fin {
            tools.output.put(header, &payload, Completes::Message(current.original));
        } else {
            tools.output.put(header, &payload, Completes::Nothing);
            (current.opcode, current.reserved) = (Opcode::Continuation, ReservedBits::NONE);
            self.current = Some(Box::new(current));
        }
    }
}

/// Compresses what goes over the wire for a message, if that is agreed on and worth it, and readies it
/// for framing. Without extensions that is the message itself: shared only if it goes as it is, since to
/// share what one alone has is an allocation.
#[inline]
fn begin(
    original: Message,
    coded: Option<Encoded>,
    compression: Compression,
    tools: &mut Tools,
) -> Current {
    let opcode = original.kind().opcode();
    let reserved = coded.as_ref().map_or(ReservedBits::NONE, |coded| coded.reserved);
    if let Some(deflate) = tools.deflate.as_deref_mut() {
        let plain = coded.as_ref().map_or(original.payload(), |coded| &coded.payload);
        let mut wire = Vec::new();
        if deflate.compress(plain, compression, &mut wire) == Compressed::Yes {
            let reserved = reserved | ReservedBits::RSV1;
            return Current { rest: wire.into(), opcode, reserved, original };
        }
    }
    let rest = coded.map_or_else(|| original.payload().clone(), |coded| coded.payload);
    Current { rest, opcode, reserved, original }
}

fn encode_part(part: PartOut, tools: &mut Tools) {
    let payload = match tools.deflate.as_deref_mut() {
        Some(deflate) if part.compressed => {
            let mut wire = Vec::new();
            let position = if part.last { Position::Last } else { Position::Middle };
            deflate.compress_part(&part.payload, position, &mut wire);
            wire.into()
        }
        _ => part.payload,
    };
    let header = Header {
        fin: part.last,
        reserved: if part.compressed && part.first {
            ReservedBits::RSV1
        } else {
            ReservedBits::NONE
        },
        opcode: if part.first { part.kind.opcode() } else { Opcode::Continuation },
        len: payload.len() as u64,
        mask: tools.masks.next(),
    };
    let completes = if part.last { Completes::Streamed(part.total) } else { Completes::Nothing };
    tools.output.put(header, &payload, completes);
}

/// What a queued message costs beside its payload: its place in the queue, and its block's own books.
const OVERHEAD: usize = size_of::<Item>();

/// How many bytes of frames are made ahead of the wire.
pub(crate) const AHEAD: u64 = 64 << 10;

/// Messages up to this size go straight into the output, if nothing waits before them.
pub(crate) const DIRECT: usize = 2048;
