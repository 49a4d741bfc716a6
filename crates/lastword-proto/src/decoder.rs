//! Bytes in, pieces of frames out: parsed where they stand, in the caller's buffer.
//!
//! Keeps between two calls only what cannot be judged yet: the start of a header, or of a control
//! frame. Payloads of data frames are handed on as they come. Knows nothing of messages.

use crate::cut::FrameCut;
use crate::header::{Header, MAX_CONTROL, MAX_HEADER, Rules};
use crate::violation::Violation;
use crate::wire::Opcode;

#[derive(Debug)]
pub(crate) struct Decoder {
    rules: Rules,
    max_frame_size: usize,
    reading: Reading,
    /// The start of a header that came in more than one read.
    stash: [u8; MAX_HEADER],
    stashed: usize,
    /// The payload, so far, of a control frame that came in more than one read.
    control: Vec<u8>,
}

/// Where in a frame the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Header,
    Data { header: Header, done: u64 },
    Control { header: Header },
}

/// What a run of bytes turned out to be.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Data(Data<'a>),
    Control(Control),
}

/// A run of payload of one data frame. The first piece of each frame comes as soon as its header is
/// known, with whatever payload is there, even none.
///
/// It is unmasked when somebody wants it: in place, or on the way to where it goes.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) header: Header,
    /// Whether this piece begins its frame.
    pub(crate) is_first: bool,
    /// Whether this piece completes its frame.
    pub(crate) is_last: bool,
    payload: &'a mut [u8],
    /// The key, turned to where the piece stands in its frame, while the payload is masked.
    key: Option<[u8; 4]>,
}

impl Data<'_> {
    /// How many bytes the piece has.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.payload.len()
    }

    /// The payload, unmasked in place.
    #[inline]
    pub(crate) fn payload(&mut self) -> &[u8] {
        if let Some(key) = self.key.take() {
            lastword_mask::apply(key, 0, self.payload);
        }
        self.payload
    }

    /// Appends the payload to `out`, unmasked.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match self.key {
            Some(key) => lastword_mask::append(key, 0, self.payload, out),
            None => out.extend_from_slice(self.payload),
        }
    }
}

/// A whole control frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) opcode: Opcode,
    bytes: [u8; MAX_CONTROL],
    len: u8,
}

impl Control {
    /// `payload` is cut at 125 bytes: who calls has seen to it that it is no longer.
    pub(crate) fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let mut bytes = [0; MAX_CONTROL];
        for (to, from) in bytes.iter_mut().zip(payload) {
            *to = *from;
        }
        // Headers of longer control frames were refused.
        Self { opcode, bytes, len: u8::try_from(payload.len()).unwrap_or(u8::MAX) }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Decoder {
    pub(crate) const fn new(rules: Rules, max_frame_size: usize) -> Self {
        Self {
            rules,
            max_frame_size,
            reading: Reading::Header,
            stash: [0; MAX_HEADER],
            stashed: 0,
            control: Vec::new(),
        }
    }

    /// The next piece, taken from the front of `input`; `None` when the rest of the input was kept
    /// and more is needed.
    #[inline]
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Piece<'a>>, Violation> {
        loop {
            match self.reading {
                Reading::Header => match self.read_header(input)? {
                    Some(header) if header.opcode.is_control() => {
                        self.reading = Reading::Control { header };
                    }
                    Some(header) => {
                        let data = self.read_data(header, 0, input);
                        return Ok(Some(Piece::Data(Data { is_first: true, ..data })));
                    }
                    None => return Ok(None),
                },
                Reading::Data { .. } if input.is_empty() => return Ok(None),
                Reading::Data { header, done } => {
                    return Ok(Some(Piece::Data(self.read_data(header, done, input))));
                }
                Reading::Control { header } => {
                    return Ok(self.read_control(header, input).map(Piece::Control));
                }
            }
        }
    }

    /// Whether no frame is in the middle.
    #[inline]
    pub(crate) const fn is_between(&self) -> bool {
        self.stashed == 0 && matches!(self.reading, Reading::Header)
    }

    /// How many bytes of payload are missing from the data frame in progress; 0 if there is none.
    #[inline]
    pub(crate) const fn missing(&self) -> u64 {
        match self.reading {
            Reading::Data { header, done } => header.len.saturating_sub(done),
            Reading::Header | Reading::Control { .. } => 0,
        }
    }

    /// The next bytes of the data frame in progress, read past this room: unmasked in place. Gives
    /// the frame's header, and whether this completes it.
    pub(crate) fn pass(&mut self, payload: &mut [u8]) -> Option<(Header, bool)> {
        let Reading::Data { header, done } = self.reading else { return None };
        let mut input = payload;
        let mut data = self.read_data(header, done, &mut input);
        data.payload();
        Some((header, data.is_last))
    }

    /// Where the frame in progress stands; `None` between frames.
    pub(crate) fn cut(&self) -> Option<FrameCut> {
        match self.reading {
            Reading::Header if self.stashed == 0 => None,
            Reading::Header => Some(FrameCut::Header { bytes: self.stashed }),
            Reading::Data { header, done } => {
                Some(FrameCut::Payload { opcode: header.opcode, came: done, of: header.len })
            }
            Reading::Control { header } => Some(FrameCut::Payload {
                opcode: header.opcode,
                came: self.control.len() as u64,
                of: header.len,
            }),
        }
    }

    #[inline]
    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let header = if self.stashed == 0 {
            let Some((header, size)) = Header::parse(input, self.rules)? else {
                self.stash_rest(input);
                return Ok(None);
            };
            take(input, size);
            header
        } else {
            let Some(header) = self.read_stashed_header(input)? else { return Ok(None) };
            header
        };
        if header.len > self.max_frame_size as u64 {
            return Err(Violation::FrameTooBig { size: header.len, limit: self.max_frame_size });
        }
        Ok(Some(header))
    }

    /// Completes a header whose start came earlier, byte by byte: at most 13 are missing.
    #[cold]
    fn read_stashed_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        while let [byte] = *take(input, 1) {
            if let Some(slot) = self.stash.get_mut(self.stashed) {
                *slot = byte;
                self.stashed = self.stashed.saturating_add(1);
            }
            let known = self.stash.get(..self.stashed).unwrap_or_default();
            if let Some((header, _)) = Header::parse(known, self.rules)? {
                self.stashed = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    #[cold]
    fn stash_rest(&mut self, input: &mut &mut [u8]) {
        let rest = take(input, MAX_HEADER);
        for (slot, byte) in self.stash.iter_mut().zip(rest.iter()) {
            *slot = *byte;
        }
        self.stashed = rest.len();
    }

    #[inline(always)]
    fn read_data<'a>(&mut self, header: Header, done: u64, input: &mut &'a mut [u8]) -> Data<'a> {
        let missing = header.len.saturating_sub(done);
        let payload = take(input, usize::try_from(missing).unwrap_or(usize::MAX));
        let key = header.mask.map(|[a, b, c, d]| match done & 3 {
            0 => [a, b, c, d],
            1 => [b, c, d, a],
            2 => [c, d, a, b],
            _ => [d, a, b, c],
        });
        let now_done = done.saturating_add(payload.len() as u64);
        let is_last = now_done == header.len;
        self.reading =
            if is_last { Reading::Header } else { Reading::Data { header, done: now_done } };
        Data { header, is_first: false, is_last, payload, key }
    }

    fn read_control(&mut self, header: Header, input: &mut &mut [u8]) -> Option<Control> {
        let len = usize::try_from(header.len).unwrap_or(MAX_CONTROL);
        let offset = self.control.len();
        let payload = take(input, len.saturating_sub(offset));
        if let Some(key) = header.mask {
            lastword_mask::apply(key, offset, payload);
        }
        if payload.len() == len {
            self.reading = Reading::Header;
            return Some(Control::new(header.opcode, payload));
        }
        self.control.extend_from_slice(payload);
        if self.control.len() < len {
            return None;
        }
        self.reading = Reading::Header;
        let control = Control::new(header.opcode, &self.control);
        self.control = Vec::new();
        Some(control)
    }
}

/// Takes up to `count` bytes off the front of `input`.
#[inline]
fn take<'a>(input: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let all = std::mem::take(input);
    let count = count.min(all.len());
    let (taken, rest) = all.split_at_mut(count);
    *input = rest;
    taken
}
