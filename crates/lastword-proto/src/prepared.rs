//! A message for many connections: brought into wire form once, and compressed once for each way of
//! compressing that its receivers agreed on (RFC 6455 section 5.2, RFC 7692 section 7.2.1).
//!
//! A message in, frames of a server out, which have no mask and so are the same for everybody. What
//! is compressed stands alone: it refers to nothing that one receiver has seen and another has not.
//! Knows no connection, and nothing of what is before it on the wire.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::config::Compression;
use crate::deflate::{Alone, Deflate, compress_alone};
use crate::header::{Header, MAX_HEADER};
use crate::message::{Kind, Message};
use crate::wire::ReservedBits;

/// A message that is made ready once, to be sent on many connections with
/// [`Connection::send_prepared`](crate::Connection::send_prepared). Clones share what was made.
///
/// It is copied once, into a frame of its own. It is compressed by the first connection that needs
/// it so, for all that compress alike: connections whose windows differ share one form as long as
/// the message is smaller than the windows.
///
/// ```
/// use lastword_proto::{Message, Prepared};
/// let prepared = Prepared::new("good morning");
/// assert_eq!(prepared.message(), &Message::from("good morning"));
/// ```
#[derive(Clone, Debug)]
pub struct Prepared {
    forms: Arc<Forms>,
}

#[derive(Debug)]
struct Forms {
    /// Its payload is that of `plain`, and takes no memory of its own.
    message: Message,
    plain: Frame,
    compressed: OnceLock<Box<Form>>,
}

/// The message as it is compressed in one way, and the next way that was asked for.
#[derive(Debug)]
struct Form {
    way: Alone,
    frame: Frame,
    next: OnceLock<Box<Form>>,
}

/// A message in one frame of a server.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    wire: Bytes,
    header: usize,
    reserved: ReservedBits,
}

impl Prepared {
    /// Makes a message ready.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let mut wire = Vec::with_capacity(MAX_HEADER.saturating_add(message.len()));
        wire.extend_from_slice(&[0; MAX_HEADER]);
        wire.extend_from_slice(message.payload());
        let plain = Frame::around(wire, message.kind(), ReservedBits::NONE);
        // What is text was text before it was copied.
        let message = Message::proven(message.kind(), plain.payload());
        Self { forms: Arc::new(Forms { message, plain, compressed: OnceLock::new() }) }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.forms.message
    }

    /// Length of its payload in bytes, uncompressed.
    pub fn len(&self) -> usize {
        self.message().len()
    }

    /// Whether its payload is empty.
    pub fn is_empty(&self) -> bool {
        self.message().is_empty()
    }

    /// As it is.
    pub(crate) fn plain(&self) -> &Frame {
        &self.forms.plain
    }

    /// As `deflate` would have it, if that were all that it ever sends; as it is, if compressing is
    /// not worth it.
    pub(crate) fn frame(&self, deflate: Option<&Deflate>, compression: Compression) -> &Frame {
        let way = deflate.and_then(|deflate| deflate.alone(self.len(), compression));
        let Some(way) = way else { return self.plain() };
        let frame = self.compressed(way);
        let grew = frame.len() >= self.len();
        if grew && compression == Compression::Auto { self.plain() } else { frame }
    }

    fn compressed(&self, way: Alone) -> &Frame {
        let mut place = &self.forms.compressed;
        loop {
            let form = place.get_or_init(|| Box::new(Form::new(self.message(), way)));
            if form.way == way {
                return &form.frame;
            }
            place = &form.next;
        }
    }
}

impl Form {
    fn new(message: &Message, way: Alone) -> Self {
        let mut wire = vec![0; MAX_HEADER];
        compress_alone(way, message.payload(), &mut wire);
        let frame = Frame::around(wire, message.kind(), ReservedBits::RSV1);
        Self { way, frame, next: OnceLock::new() }
    }
}

impl Frame {
    /// The frame around a payload that begins at `MAX_HEADER`.
    fn around(mut wire: Vec<u8>, kind: Kind, reserved: ReservedBits) -> Self {
        let len = wire.len().saturating_sub(MAX_HEADER) as u64;
        let header = Header { fin: true, reserved, opcode: kind.opcode(), len, mask: None };
        let header = header.encode();
        let header = header.as_bytes();
        let start = MAX_HEADER.saturating_sub(header.len());
        if let Some(place) = wire.get_mut(start..MAX_HEADER) {
            place.copy_from_slice(header);
        }
        wire.shrink_to_fit();
        Self { wire: Bytes::from(wire).slice(start..), header: header.len(), reserved }
    }

    /// Header and payload.
    pub(crate) const fn wire(&self) -> &Bytes {
        &self.wire
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.wire.slice(self.header..)
    }

    /// Length of the payload on the wire.
    pub(crate) const fn len(&self) -> usize {
        self.wire.len().saturating_sub(self.header)
    }

    /// What it is marked with.
    pub(crate) const fn reserved(&self) -> ReservedBits {
        self.reserved
    }

    pub(crate) const fn is_compressed(&self) -> bool {
        self.reserved.contains(ReservedBits::RSV1)
    }
}
