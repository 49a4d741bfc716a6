//! One message that the application sends by parts, before its end is known (RFC 6455 section 5.4).
//!
//! Each part is one frame and leaves as soon as it is accepted; but an extension sees whole messages,
//! and where one was agreed on the parts wait for each other here, up to a limit.

use crate::closing::State;
use crate::config::Compression;
use crate::encoder::PartOut;
use crate::message::{Kind, Message, Part};

use super::{Connection, SendRefused};

/// A message of which parts were accepted, and not the last.
#[derive(Debug)]
pub(super) struct Streaming {
    kind: Kind,
    compression: Compression,
    /// Bytes of all parts.
    total: usize,
    /// What is there of it, where extensions have to see all of it first.
    gathered: Vec<u8>,
}

impl Streaming {
    const fn new(kind: Kind, compression: Compression) -> Self {
        Self { kind, compression, total: 0, gathered: Vec::new() }
    }

    /// Bytes that wait for the rest of their message.
    pub(super) fn gathered(&self) -> usize {
        self.gathered.len()
    }
}

/// What goes out by parts.
impl Connection {
    /// Accepts a part of a message for sending; the first begins it, the one that says so ends it.
    /// Until then no other message is accepted. `compression` counts on the first part.
    ///
    /// Where an extension of the application's own was agreed on, which sees whole messages only, the
    /// parts are put together and leave with the last, up to
    /// [`Config::max_message_size`](crate::Config::max_message_size).
    ///
    /// # Errors
    /// [`SendRefused`], with the part's data, when the connection is closing, when the part is of
    /// another kind than the message that it continues, or when it is too much to be put together.
    pub fn send_part(&mut self, part: Part, compression: Compression) -> Result<(), SendRefused> {
        if self.closing.state() != State::Open {
            return Err(SendRefused::Closing(part.data));
        }
        let (kind, first) = (part.data.kind(), self.streaming.is_none());
        let mut streaming = match self.streaming.take() {
            Some(streaming) => streaming,
            None => Box::new(Streaming::new(kind, compression)),
        };
        let (size, limit) = (part.data.len(), self.config.max_message_size);
        let total = streaming.total.saturating_add(size);
        let refused = if streaming.kind != kind {
            Some(SendRefused::KindChanged(part.data.clone()))
        } else if self.extended.is_some() && total > limit {
            Some(SendRefused::TooBig { part: part.data.clone(), limit })
        } else {
            None
        };
        if let Some(refused) = refused {
            self.streaming = Some(streaming).filter(|_| !first);
            return Err(refused);
        }
        if first {
            self.account.accept(0);
        }
        self.account.accept_part(size);
        streaming.total = total;
        let last = part.last;
        if self.extended.is_some() {
            self.gather(&mut streaming, &part);
        } else {
            self.send_frame(&streaming, part, first);
        }
        self.streaming = Some(streaming).filter(|_| !last);
        if self.config.memory_budget.is_some() {
            self.recount();
        }
        Ok(())
    }

    /// Whether a message that is sent by parts is not finished: until then no other is accepted.
    #[inline]
    pub const fn is_streaming(&self) -> bool {
        self.streaming.is_some()
    }

    fn send_frame(&mut self, streaming: &Streaming, part: Part, first: bool) {
        let Streaming { kind, compression, total, .. } = *streaming;
        let compressed = self.deflate.is_some() && compression != Compression::Never;
        let payload = part.data.into_payload();
        self.record_sent(kind.opcode(), &payload);
        let part = PartOut { payload, kind, first, last: part.last, compressed, total };
        self.encode(|encoder, tools| encoder.send_part(part, tools));
    }

    /// Puts a message together, and sends it when it is whole: it was accepted part by part.
    fn gather(&mut self, streaming: &mut Streaming, part: &Part) {
        streaming.gathered.extend_from_slice(part.data.payload());
        if part.last {
            let payload = std::mem::take(&mut streaming.gathered).into();
            // Texts behind each other are a text.
            let message = Message::proven(streaming.kind, payload);
            self.send_accepted(message, streaming.compression);
        }
    }
}
