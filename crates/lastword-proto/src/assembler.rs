//! Pieces of frames in, messages out (RFC 6455 section 5.4; RFC 7692 section 6).
//!
//! Keeps the start of an unfinished message, never more than `max_message_size` of it, and grows as
//! bytes come: what a header claims is set aside when a part of it is there. Checks text as it comes, so that a bad byte is
//! refused when it is there. Where extensions of the application's own stand before messages, they are
//! given whole ones, and what comes of them is checked behind. Knows nothing of control frames, of
//! sending or of time.

use bytes::buf::Limit;
use bytes::{BufMut, Bytes};

use crate::config::{Config, Delivery};
use crate::decoder::Data;
use crate::deflate::{Deflate, InflateError};
use crate::extension::Encoded;
use crate::header::Header;
use crate::message::{Kind, Message, Part};
use crate::transforms::Transforms;
use crate::utf8::Validator;
use crate::violation::Violation;
use crate::wire::{Opcode, ReservedBits};

#[derive(Debug, Default)]
pub(crate) struct Assembler {
    partial: Option<Box<Partial>>,
}

/// An unfinished message.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    /// What its first frame was marked with.
    reserved: ReservedBits,
    fragments: usize,
    /// What the headers of its frames add up to, in bytes on the wire.
    announced: u64,
    /// Whether the frame in progress is the last.
    last_frame: bool,
    /// The plain bytes, so far, that were not handed out as parts.
    buffer: Vec<u8>,
    /// How large it may get.
    limit: usize,
    utf8: Validator,
    /// How many bytes of `buffer` are checked text.
    checked: usize,
    /// Plain bytes that were handed out as parts.
    handed_out: usize,
    /// Whether the application that took parts of it gave up the rest.
    unwanted: bool,
}

/// What assembling needs of its neighbours.
pub(crate) struct Readers<'a> {
    /// There if it was agreed on.
    pub(crate) deflate: Option<&'a mut Deflate>,
    /// There if any were agreed on.
    pub(crate) extended: Option<&'a mut Transforms>,
    pub(crate) config: &'a Config,
}

/// What a piece completed.
#[derive(Debug)]
pub(crate) enum Assembled {
    Message(Message),
    Part(Part),
    /// A part of a message that was given up: so many bytes, and whether they are its last.
    Unwanted(usize, bool),
}

impl Assembler {
    /// Takes the next piece, in order.
    pub(crate) fn take(
        &mut self,
        mut piece: Data<'_>,
        readers: Readers<'_>,
    ) -> Result<Option<Assembled>, Violation> {
        let whole = piece.is_first && piece.is_last && piece.header.fin;
        if whole
            && self.partial.is_none()
            && !piece.header.is_compressed()
            && readers.extended.is_none()
            && let Some(kind) = data_kind(piece.header.opcode)
        {
            check_size(piece.header.len, readers.config)?;
            if kind == Kind::Text {
                Validator::check(piece.payload()).map_err(not_utf8)?;
            }
            let message = Message::proven(kind, Bytes::copy_from_slice(piece.payload()));
            return Ok(Some(Assembled::whole(message, readers.config)));
        }
        self.take_part(piece, readers)
    }

    /// The unfinished message: its kind, its frames and its plain bytes so far.
    pub(crate) fn unfinished(&self) -> Option<(Kind, usize, usize)> {
        let partial = self.partial.as_ref()?;
        let bytes = partial.buffer.len().saturating_add(partial.handed_out);
        Some((partial.kind, partial.fragments, bytes))
    }

    /// How many bytes of the unfinished message are in memory; room that is not written to has no pages.
    pub(crate) fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.buffer.len())
    }

    /// Whether the unfinished message is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.is_compressed())
    }

    /// Whether no message is in the middle.
    #[inline]
    pub(crate) const fn is_between(&self) -> bool {
        self.partial.is_none()
    }

    /// Gives back the memory of an unfinished message that will never be finished; how much of it
    /// had come stays known.
    pub(crate) fn release(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.handed_out = partial.handed_out.saturating_add(partial.buffer.len());
            partial.buffer = Vec::new();
        }
    }

    /// Takes what has come of the unfinished message since the last time, though whole messages are
    /// handed out; from then on, what comes of this one is handed out as parts.
    pub(crate) fn take_ready(&mut self) -> Option<Message> {
        let message = self.partial.as_deref_mut()?;
        (message.ready() > 0).then(|| message.hand_out())
    }

    /// How many bytes wait of a message that is taken by parts.
    #[inline]
    pub(crate) fn ahead(&self) -> usize {
        match &self.partial {
            Some(partial) if partial.handed_out > 0 => partial.ready(),
            _ => 0,
        }
    }

    /// The rest of the message that was taken by parts is not wanted; how much of it waited.
    pub(crate) fn abandon(&mut self) -> usize {
        match self.partial.as_deref_mut().filter(|partial| partial.handed_out > 0) {
            Some(message) => {
                message.unwanted = true;
                message.hand_out().len()
            }
            None => 0,
        }
    }

    fn take_part(
        &mut self,
        mut piece: Data<'_>,
        mut readers: Readers<'_>,
    ) -> Result<Option<Assembled>, Violation> {
        let (Self { partial }, config) = (&mut *self, readers.config);
        if piece.is_first {
            begin_frame(partial, &piece.header, config)?;
        }
        let Some(message) = partial.as_deref_mut() else { return Err(Violation::LoneContinuation) };
        let last = piece.is_last && piece.header.fin;

        match readers.deflate.take() {
            Some(deflate) if message.is_compressed() => {
                // What was handed out as parts counts against the limit as well.
                let limit = config.max_message_size.saturating_sub(message.handed_out);
                let inflated =
                    deflate.inflate(piece.payload(), &mut message.buffer, limit).and_then(|()| {
                        if last {
                            deflate.finish_message(&mut message.buffer, limit)
                        } else {
                            Ok(())
                        }
                    });
                inflated.map_err(|e| match e {
                    InflateError::TooBig => {
                        Violation::InflatedTooBig { limit: config.max_message_size }
                    }
                    InflateError::Broken => Violation::BrokenDeflate,
                })?;
            }
            _ => {
                message.grow(piece.len());
                piece.append_to(&mut message.buffer);
            }
        }
        self.judge(last, readers)
    }

    /// Where the next `missing` bytes of the message may be read to, past this room; `None` if they
    /// are needed elsewhere first.
    pub(crate) fn target(&mut self, missing: usize) -> Option<Limit<&mut Vec<u8>>> {
        let message = self.partial.as_deref_mut()?;
        // What is taken by parts needs no room for the whole of it.
        if message.is_compressed() || message.handed_out > 0 {
            return None;
        }
        message.grow(1);
        let room = message.buffer.capacity().saturating_sub(message.buffer.len());
        Some((&mut message.buffer).limit(room.min(missing)))
    }

    /// The last `count` bytes that were read to the target.
    pub(crate) fn arrived(&mut self, count: usize) -> &mut [u8] {
        let Some(message) = self.partial.as_deref_mut() else { return &mut [] };
        let start = message.buffer.len().saturating_sub(count);
        message.buffer.get_mut(start..).unwrap_or_default()
    }

    /// Judges what has come of the message since the last time, and hands it out if it is time.
    pub(crate) fn judge(
        &mut self,
        last: bool,
        readers: Readers<'_>,
    ) -> Result<Option<Assembled>, Violation> {
        if let Some(transforms) = readers.extended {
            return if last { self.decode(transforms, readers.config) } else { Ok(None) };
        }
        let (Self { partial }, config) = (self, readers.config);
        let Some(message) = partial.as_deref_mut() else { return Err(Violation::LoneContinuation) };
        if message.kind == Kind::Text {
            let new = message.buffer.get(message.checked..).unwrap_or_default();
            message.utf8.push(new).map_err(not_utf8)?;
            if last {
                message.utf8.finish().map_err(not_utf8)?;
            }
        }
        message.checked = message.buffer.len();

        if message.unwanted {
            let bytes = message.hand_out().len();
            if last {
                *partial = None;
            }
            return Ok(Some(Assembled::Unwanted(bytes, last)));
        }
        match (config.delivery, last) {
            (Delivery::Whole, false) => Ok(None),
            (Delivery::Whole, true) if message.handed_out == 0 => {
                let payload = right_sized(std::mem::take(&mut message.buffer));
                let message = Message::proven(message.kind, payload);
                *partial = None;
                Ok(Some(Assembled::Message(message)))
            }
            (_, last) => {
                if message.ready() == 0 && !last {
                    return Ok(None);
                }
                let part = Part { data: message.hand_out(), last };
                if last {
                    *partial = None;
                }
                Ok(Some(Assembled::Part(part)))
            }
        }
    }
}

impl Assembler {
    /// What extensions make of the message that has come: nothing of it was judged or handed out before.
    fn decode(
        &mut self,
        transforms: &mut Transforms,
        config: &Config,
    ) -> Result<Option<Assembled>, Violation> {
        let Some(came) = self.partial.take() else { return Err(Violation::LoneContinuation) };
        let coded = Encoded { payload: right_sized(came.buffer), reserved: came.reserved };
        let message = transforms.decode(came.kind, coded, config.max_message_size)?;
        Ok(Some(Assembled::whole(message, config)))
    }
}

impl Assembled {
    /// A message that is there as a whole, as it is handed out.
    #[inline]
    fn whole(message: Message, config: &Config) -> Self {
        match config.delivery {
            Delivery::Whole => Self::Message(message),
            Delivery::Parts => Self::Part(Part { data: message, last: true }),
        }
    }
}

/// Judges the header of a data frame by the message it stands in, and by the limits.
fn begin_frame(
    partial: &mut Option<Box<Partial>>,
    header: &Header,
    config: &Config,
) -> Result<(), Violation> {
    let message = match (data_kind(header.opcode), partial.as_mut()) {
        (Some(_), Some(_)) => return Err(Violation::InterruptedMessage(header.opcode)),
        (None, None) => return Err(Violation::LoneContinuation),
        (Some(kind), None) => partial.insert(Box::new(Partial {
            kind,
            reserved: header.reserved,
            fragments: 0,
            announced: 0,
            last_frame: false,
            buffer: Vec::new(),
            limit: config.max_message_size,
            utf8: Validator::default(),
            checked: 0,
            handed_out: 0,
            unwanted: false,
        })),
        (None, Some(message)) => message,
    };
    message.fragments = message.fragments.saturating_add(1);
    message.announced = message.announced.saturating_add(header.len);
    message.last_frame = header.fin;
    let limit = config.fragments_limit();
    if message.fragments > limit {
        return Err(Violation::TooManyFragments { limit });
    }
    // Compressed bytes are held against the limit when they are inflated.
    if message.is_compressed() { Ok(()) } else { check_size(message.announced, config) }
}

#[inline]
fn check_size(size: u64, config: &Config) -> Result<(), Violation> {
    let limit = config.max_message_size;
    if size > limit as u64 { Err(Violation::MessageTooBig { size, limit }) } else { Ok(()) }
}

impl Partial {
    const fn is_compressed(&self) -> bool {
        self.reserved.contains(ReservedBits::RSV1)
    }

    /// How many bytes may be handed out: a character that is cut waits for its rest, and what was not
    /// judged is never handed out.
    fn ready(&self) -> usize {
        self.checked.min(self.buffer.len()).saturating_sub(self.utf8.pending())
    }

    fn hand_out(&mut self) -> Message {
        let ready = self.ready();
        self.handed_out = self.handed_out.saturating_add(ready);
        let rest = self.buffer.split_off(ready);
        let payload = right_sized(std::mem::replace(&mut self.buffer, rest));
        self.checked = self.checked.saturating_sub(ready);
        Message::proven(self.kind, payload)
    }

    /// Makes room for `more` bytes. Grows with what has come; what its last frame announced is set
    /// aside when a thirty-second part of it is there: so little is copied from buffer to buffer,
    /// and so much has to come before a claim takes memory (which nobody touches before it is
    /// needed).
    fn grow(&mut self, more: usize) {
        let needed = self.buffer.len().saturating_add(more);
        if needed <= self.buffer.capacity() {
            return;
        }
        let announced = usize::try_from(self.announced).unwrap_or(usize::MAX);
        if self.handed_out > 0 {
            self.buffer.reserve(more);
        } else if self.last_frame && announced / 32 <= needed {
            self.buffer.reserve_exact(announced.saturating_sub(self.buffer.len()));
        } else {
            let ahead = needed.saturating_mul(4).max(FIRST_GROWTH).min(self.limit).max(needed);
            self.buffer.reserve_exact(ahead.saturating_sub(self.buffer.len()));
        }
    }
}

/// A finished buffer without its spare room, which the allocator mostly takes back where it is.
fn right_sized(mut buffer: Vec<u8>) -> Bytes {
    buffer.shrink_to_fit();
    buffer.into()
}

#[inline]
const fn data_kind(opcode: Opcode) -> Option<Kind> {
    match opcode {
        Opcode::Text => Some(Kind::Text),
        Opcode::Binary => Some(Kind::Binary),
        _ => None,
    }
}

fn not_utf8(error: crate::utf8::InvalidUtf8) -> Violation {
    Violation::NotUtf8 { at: error.at }
}

/// The first growth of the buffer of an unfinished message.
const FIRST_GROWTH: usize = 4096;
