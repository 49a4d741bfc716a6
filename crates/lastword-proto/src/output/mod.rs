//! Frames on their way out: the one place where outgoing bytes wait.
//!
//! Lends slices and is told how many bytes were taken, so that a driver that is cancelled in
//! mid-write loses nothing and tears no frame. Control frames go between data frames, never into
//! one. Knows what each frame completes, so that the ledger claims nothing that did not leave.

mod framed;
mod run;

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::control::{ControlLane, Meaning, append_masked};
use crate::header::{Encoded, Header, MAX_HEADER, append_plain};
use crate::keepalive::PingId;
use crate::ledger::Tally;
use crate::masks::Masks;
use crate::message::Message;
use crate::wire::{Farewell, Opcode};

#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Data frames in wire form, oldest first; `tail` stands behind them.
    chunks: VecDeque<Chunk>,
    /// Small frames, side by side.
    tail: Vec<u8>,
    /// How many bytes of the first chunk (or of the tail, if there is none) are written.
    front: usize,
    /// Data frames that are not wholly written, oldest first.
    frames: VecDeque<Frame>,
    /// Behind them, up to the end: small messages, side by side, of which nothing is written.
    run: Tally,
    /// Position in the stream of data frames behind the last one, behind the last byte written, and
    /// behind the last frame that was wholly written.
    end: u64,
    written: u64,
    boundary: u64,
    /// Of a run that is partly written: the messages that are wholly written and not told of yet,
    /// and the position behind the frame in progress.
    run_done: Tally,
    run_next: u64,
    pub(crate) control: ControlLane,
}

#[derive(Debug)]
enum Chunk {
    /// Whatever stood in the tail, or the payload of a large frame.
    Bytes(Bytes),
    /// The header of a large frame.
    Header(Encoded),
}

impl Chunk {
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Header(header) => header.as_bytes(),
        }
    }
}

#[derive(Debug)]
struct Frame {
    end: u64,
    completes: Completes,
}

/// What is complete when a frame is wholly written.
#[derive(Debug)]
pub(crate) enum Completes {
    /// Nothing yet: a fragment.
    Nothing,
    Message(Message),
    /// Small messages, side by side, that nobody needs to see again: so many.
    Run(Tally),
    /// A message that was sent by parts, of so many bytes.
    Streamed(usize),
    Ping(PingId),
    Farewell(Farewell),
}

/// Slices of output, in order, lent to a driver. Never empty.
#[derive(Debug)]
pub struct Lent<'a>(Slices<'a>);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one write; a box would cost more")]
enum Slices<'a> {
    One(IoSlice<'a>),
    Many { slices: [IoSlice<'a>; MAX_SLICES], count: usize },
}

impl<'a> Lent<'a> {
    /// The slices, for a vectored write.
    #[inline]
    pub fn as_slices(&self) -> &[IoSlice<'a>] {
        match &self.0 {
            Slices::One(slice) => std::slice::from_ref(slice),
            Slices::Many { slices, count } => slices.get(..*count).unwrap_or_default(),
        }
    }

    /// A copy of the bytes in one piece, for tests and for transports without vectored writes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_slices().iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    /// How many bytes are lent.
    pub fn len(&self) -> usize {
        self.as_slices().iter().map(|slice| slice.len()).sum()
    }

    /// Whether nothing is lent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Output {
    /// Bytes of data frames that are not written yet.
    #[inline]
    pub(crate) const fn waiting(&self) -> u64 {
        // What is written was put there before.
        self.end.wrapping_sub(self.written)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.control.is_empty()
    }

    /// Appends a data frame. Payloads that are large, and that need no mask, are not copied.
    #[inline]
    pub(crate) fn put(&mut self, header: Header, payload: &Bytes, completes: Completes) {
        self.close_run();
        self.put_bytes(header, payload);
        self.frames.push_back(Frame { end: self.end, completes });
    }

    /// Appends a small message, in one frame and not compressed, to the run at the end. It
    /// is shorter than 64 KiB.
    #[inline]
    pub(crate) fn put_small(&mut self, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8]) {
        let before = self.tail.len();
        self.tail.reserve(payload.len().wrapping_add(MAX_HEADER));
        match mask {
            None => {
                append_plain(opcode, payload.len(), None, &mut self.tail);
                self.tail.extend_from_slice(payload);
            }
            Some(key) => self.put_masked(opcode, key, payload),
        }
        self.end = self.end.wrapping_add(self.tail.len().wrapping_sub(before) as u64);
        self.run.add(payload.len());
    }

    /// Out of line, so that a server's way is the short one.
    #[inline(never)]
    fn put_masked(&mut self, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
        append_plain(opcode, payload.len(), Some(key), &mut self.tail);
        lastword_mask::append(key, 0, payload, &mut self.tail);
    }

    /// The run at the end becomes a frame among others.
    #[inline]
    fn close_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.messages > 0 {
            self.frames.push_back(Frame { end: self.end, completes: Completes::Run(run) });
        }
    }

    #[inline]
    fn put_bytes(&mut self, header: Header, payload: &Bytes) {
        let encoded = header.encode();
        let size = encoded.as_bytes().len() as u64;
        if payload.len() <= COPIED {
            self.tail.extend_from_slice(encoded.as_bytes());
            append_masked(header.mask, payload, &mut self.tail);
        } else {
            self.put_large(encoded, header.mask, payload);
        }
        self.end = self.end.saturating_add(size).saturating_add(header.len);
    }

    /// Appends frames that are in wire form already.
    pub(crate) fn put_wire(&mut self, completes: Completes, write: impl FnOnce(&mut Vec<u8>)) {
        self.close_run();
        let before = self.tail.len();
        write(&mut self.tail);
        let size = self.tail.len().saturating_sub(before);
        self.end = self.end.saturating_add(size as u64);
        self.frames.push_back(Frame { end: self.end, completes });
    }

    fn put_large(&mut self, header: Encoded, mask: Option<[u8; 4]>, shared: &Bytes) {
        let payload = if mask.is_some() {
            let mut masked = Vec::with_capacity(shared.len());
            append_masked(mask, shared, &mut masked);
            Bytes::from(masked)
        } else {
            shared.clone()
        };
        if !self.tail.is_empty() {
            self.chunks.push_back(Chunk::Bytes(std::mem::take(&mut self.tail).into()));
        }
        self.chunks.push_back(Chunk::Header(header));
        self.chunks.push_back(Chunk::Bytes(payload));
    }

    /// The next bytes to write: the rest of a frame in progress, then what the control lane has,
    /// then further data.
    pub(crate) fn lend(&mut self, masks: &mut Masks) -> Lent<'_> {
        if self.control.is_empty() && self.chunks.is_empty() {
            let rest = self.tail.get(self.front..).unwrap_or_default();
            return Lent(Slices::One(IoSlice::new(rest)));
        }
        self.lend_many(masks)
    }

    fn lend_many(&mut self, masks: &mut Masks) -> Lent<'_> {
        self.control.stage(masks);
        let (mut slices, mut count) = ([IoSlice::new(&[]); MAX_SLICES], 0_usize);
        let mut push = |bytes| push(&mut slices, &mut count, bytes);
        let mut unfinished = if self.control.is_mid_frame() { 0 } else { self.unfinished() };
        let staged = self.control.staged();
        let mut skip = self.front;
        let mut staged_done = staged.is_empty();
        let chunks = self.chunks.iter().map(Chunk::as_slice).chain([self.tail.as_slice()]);
        // No chunk is empty: so many of them are as much as can be lent.
        for chunk in chunks.take(MAX_SLICES) {
            let rest = chunk.get(skip..).unwrap_or_default();
            skip = 0;
            if staged_done {
                push(rest);
                continue;
            }
            let (before, after) = rest.split_at(unfinished.min(rest.len()));
            push(before);
            unfinished = unfinished.saturating_sub(before.len());
            if unfinished == 0 {
                push(staged);
                staged_done = true;
            }
            push(after);
        }
        Lent(Slices::Many { slices, count })
    }

    /// Of the lent bytes, the first `count` were written: takes account of those up to the next
    /// change of lane, and returns how many they are. To be called until all are taken; what they
    /// completed is to be asked for each time, so that it comes in the order of the wire.
    #[inline]
    pub(crate) fn wrote(&mut self, count: usize) -> usize {
        let staged = self.control.staged().len();
        if staged == 0 {
            self.wrote_data(count);
            return count;
        }
        let before = if self.control.is_mid_frame() { 0 } else { self.unfinished().min(count) };
        if before > 0 {
            self.wrote_data(before);
            return before;
        }
        let staged = staged.min(count);
        self.control.wrote(staged);
        staged
    }

    /// Whether our close frame, among the data, is partly written.
    pub(crate) fn is_mid_farewell(&self) -> bool {
        self.unfinished() > 0
            && self.frames.front().is_some_and(|f| matches!(f.completes, Completes::Farewell(_)))
    }

    /// The next data frame that was wholly written, as what it completes.
    #[inline]
    pub(crate) fn completed(&mut self) -> Option<Completes> {
        let Some(frame) = self.frames.front() else { return self.completed_run() };
        if frame.end > self.written {
            let done = std::mem::take(&mut self.run_done);
            return (done.messages > 0).then_some(Completes::Run(done));
        }
        let frame = self.frames.pop_front()?;
        self.boundary = self.boundary.max(frame.end);
        Some(frame.completes)
    }

    /// The run at the end, if it was wholly written; one that is partly written is a frame.
    #[inline]
    fn completed_run(&mut self) -> Option<Completes> {
        if self.run.messages == 0 || self.written < self.end {
            return None;
        }
        self.boundary = self.end;
        Some(Completes::Run(std::mem::take(&mut self.run)))
    }

    /// The next control frame of meaning that was wholly written.
    pub(crate) fn completed_control(&mut self) -> Option<Meaning> {
        self.control.completed()
    }

    /// Forgets all data frames but the rest of one that is partly written; gives the messages that
    /// did not leave, oldest first. What is in progress still has to be finished before a control
    /// frame can follow.
    pub(crate) fn retire(&mut self) -> Vec<Message> {
        self.unfold();
        let keep = self.unfinished();
        let mut rest = Vec::new();
        let mut skip = self.front;
        for chunk in self.chunks.iter().map(Chunk::as_slice).chain([self.tail.as_slice()]) {
            let missing = keep.saturating_sub(rest.len());
            let chunk = chunk.get(skip..).unwrap_or_default();
            skip = 0;
            rest.extend(chunk.iter().take(missing));
        }
        let mut frames = std::mem::take(&mut self.frames);
        if keep > 0 {
            self.frames.extend(frames.pop_front());
        }
        self.end = self.written.saturating_add(keep as u64);
        self.chunks = VecDeque::new();
        self.tail = rest;
        self.front = 0;
        messages(frames)
    }

    /// All messages that did not leave wholly; the output is empty and useless afterwards.
    pub(crate) fn take_unsent(&mut self) -> Vec<Message> {
        self.unfold();
        let frames = std::mem::take(&mut self.frames);
        self.chunks = VecDeque::new();
        self.tail = Vec::new();
        (self.front, self.end) = (0, self.written);
        self.control = ControlLane::default();
        messages(frames)
    }

    /// Gives back memory that traffic had needed.
    pub(crate) fn shrink(&mut self) {
        if self.waiting() == 0 {
            self.tail = Vec::new();
            self.chunks = VecDeque::new();
            self.frames = VecDeque::new();
        }
    }

    /// Makes single messages of all runs again, for whoever needs to see them.
    pub(crate) fn unfold(&mut self) {
        self.close_run();
        let mut chunks = self.chunks.iter().map(Chunk::as_slice).chain([self.tail.as_slice()]);
        let mut chunk = chunks.next().unwrap_or_default();
        // The position in the stream at which the chunk begins, and at which the frame does.
        let mut chunk_start = self.written.saturating_sub(self.front as u64);
        let mut start = self.boundary;
        let mut unfolded = VecDeque::with_capacity(self.frames.len());
        for frame in std::mem::take(&mut self.frames) {
            let end = frame.end;
            if let Completes::Run(_) = frame.completes
                && end > self.written
            {
                // A run lies in one chunk.
                while chunk_start.saturating_add(chunk.len() as u64) < end {
                    chunk_start = chunk_start.saturating_add(chunk.len() as u64);
                    let Some(next) = chunks.next() else { break };
                    chunk = next;
                }
                let place = |position: u64| {
                    usize::try_from(position.saturating_sub(chunk_start)).unwrap_or(usize::MAX)
                };
                let wire = chunk.get(place(start)..place(end)).unwrap_or_default();
                for (size, message) in run::messages(wire) {
                    start = start.saturating_add(size as u64);
                    let completes = Completes::Message(message);
                    unfolded.push_back(Frame { end: start, completes });
                }
            } else {
                unfolded.push_back(frame);
            }
            start = end;
        }
        self.frames = unfolded;
    }

    /// Bytes of the data frame that is partly written.
    fn unfinished(&self) -> usize {
        let end = match self.frames.front() {
            Some(Frame { completes: Completes::Run(_), .. }) => self.run_next,
            Some(frame) => frame.end,
            None => return 0,
        };
        if self.written <= self.boundary {
            return 0;
        }
        usize::try_from(end.saturating_sub(self.written)).unwrap_or(usize::MAX)
    }

    #[inline]
    fn wrote_data(&mut self, count: usize) {
        self.written = self.written.saturating_add(count as u64).min(self.end);
        if self.written < self.end {
            return self.wrote_some(count);
        }
        self.chunks.clear();
        self.front = 0;
        if self.tail.capacity() > KEPT {
            self.tail = Vec::new();
        }
        self.tail.clear();
    }

    /// Part of what waits was written.
    #[cold]
    fn wrote_some(&mut self, count: usize) {
        self.close_run();
        self.front = self.front.saturating_add(count);
        while let Some(chunk) = self.chunks.front()
            && let len = chunk.as_slice().len()
            && self.front >= len
        {
            self.front = self.front.saturating_sub(len);
            self.chunks.pop_front();
        }
        let needed = self.advance_run();
        if self.chunks.is_empty() && needed >= KEPT && needed >= self.tail.len() / 2 {
            // An output that never runs dry: what is written makes room, for no more copying than
            // there was writing.
            self.tail.drain(..needed);
            self.front = self.front.saturating_sub(needed);
        }
    }

    /// Finds out how far the run is written in which the writing stopped. Gives from where on the
    /// front chunk is still needed: the frame in progress says itself what it is.
    fn advance_run(&mut self) -> usize {
        let Self { frames, written, boundary, .. } = self;
        let mut start = *boundary;
        for frame in frames {
            if frame.end <= *written {
                start = start.max(frame.end);
                continue;
            }
            let Completes::Run(run) = &mut frame.completes else { break };
            let ahead = usize::try_from(written.saturating_sub(start)).unwrap_or(usize::MAX);
            let chunk = self.chunks.front().map_or(self.tail.as_slice(), Chunk::as_slice);
            let from = self.front.saturating_sub(ahead);
            let wire = chunk.get(from..).unwrap_or_default();
            let (done, progress, next) = run::walk(wire, ahead);
            *run = run.minus(done);
            self.run_done = self.run_done.plus(done);
            *boundary = start.saturating_add(progress as u64);
            self.run_next = start.saturating_add(next as u64);
            return from.saturating_add(progress);
        }
        self.front
    }
}

/// One more slice, if there is something in it and room for it.
fn push<'a>(slices: &mut [IoSlice<'a>; MAX_SLICES], count: &mut usize, bytes: &'a [u8]) {
    if !bytes.is_empty()
        && let Some(slot) = slices.get_mut(*count)
    {
        *slot = IoSlice::new(bytes);
        *count = count.saturating_add(1);
    }
}

fn messages(frames: VecDeque<Frame>) -> Vec<Message> {
    let completes = frames.into_iter().map(|frame| frame.completes);
    completes
        .filter_map(|completes| match completes {
            Completes::Message(message) => Some(message),
            _ => None,
        })
        .collect()
}

/// Payloads up to this size are copied behind their header; larger ones are sent where they stand.
pub(crate) const COPIED: usize = 2048;

/// How much room for small frames is kept when all is written.
const KEPT: usize = 16 << 10;

/// The most slices that are lent at once.
const MAX_SLICES: usize = 16;
