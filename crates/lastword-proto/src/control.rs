//! The control lane: pongs, pings and last words on their way out, ahead of data (RFC 6455
//! section 5.5).
//!
//! Holds at most one ping and one farewell, and few pongs: beyond [`MAX_PONGS`] only the newest ping
//! is answered (section 5.5.3 allows it), so that a flood costs nothing. What is staged is in wire
//! form and no longer changes.

use std::collections::VecDeque;

use crate::decoder::Control;
use crate::header::Header;
use crate::keepalive::PingId;
use crate::masks::Masks;
use crate::wire::{Farewell, Opcode};

#[derive(Debug, Default)]
pub(crate) struct ControlLane {
    /// Pings to be answered, oldest first.
    pongs: VecDeque<Box<Control>>,
    ping: Option<PingId>,
    farewell: Option<Farewell>,
    /// Frames in wire form, partly written.
    staged: Vec<u8>,
    written: usize,
    /// What the staged frames mean when they are written: position behind them, meaning.
    marks: VecDeque<(usize, Meaning)>,
}

/// What it means that a control frame was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Ping(PingId),
    Pong(Box<Control>),
    Farewell(Farewell),
}

impl ControlLane {
    /// Answers a ping. When many wait for their answers, the newest replaces the one before it.
    pub(crate) fn answer(&mut self, ping: Control) {
        if self.pongs.len() >= MAX_PONGS {
            self.pongs.pop_back();
        }
        self.pongs.push_back(Box::new(ping));
    }

    /// Asks a ping; one that is not on its way yet serves for both.
    pub(crate) fn ask(&mut self, new: impl FnOnce() -> PingId) -> PingId {
        *self.ping.get_or_insert_with(new)
    }

    /// Says `farewell` ahead of all data.
    pub(crate) fn part(&mut self, farewell: Farewell) {
        self.farewell = Some(farewell);
    }

    /// Forgets a ping that is not on its way yet.
    pub(crate) const fn withdraw_ping(&mut self) {
        self.ping = None;
    }

    /// Forgets what is not on its way yet.
    pub(crate) fn clear(&mut self) {
        self.pongs = VecDeque::new();
        (self.ping, self.farewell) = (None, None);
        if !self.is_mid_frame() {
            self.staged = Vec::new();
            self.marks = VecDeque::new();
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pongs.is_empty()
            && self.ping.is_none()
            && self.farewell.is_none()
            && self.staged.is_empty()
    }

    /// Whether a staged frame is partly written: nothing may go before its rest.
    pub(crate) const fn is_mid_frame(&self) -> bool {
        self.written > 0
    }

    /// Brings what waits into wire form, unless what was staged before is still there.
    pub(crate) fn stage(&mut self, masks: &mut Masks) {
        if !self.staged.is_empty() {
            return;
        }
        for ping in std::mem::take(&mut self.pongs) {
            write_control(&mut self.staged, Opcode::Pong, ping.payload(), masks);
            self.marks.push_back((self.staged.len(), Meaning::Pong(ping)));
        }
        if let Some(id) = self.ping.take() {
            write_control(&mut self.staged, Opcode::Ping, &id.payload(), masks);
            self.marks.push_back((self.staged.len(), Meaning::Ping(id)));
        }
        if let Some(farewell) = self.farewell.take() {
            write_farewell(&mut self.staged, &farewell, masks);
            self.marks.push_back((self.staged.len(), Meaning::Farewell(farewell)));
        }
    }

    /// Staged bytes that are not written yet.
    pub(crate) fn staged(&self) -> &[u8] {
        self.staged.get(self.written..).unwrap_or_default()
    }

    /// `count` of the staged bytes were written, at most all; what that completed follows from
    /// [`Self::completed`].
    pub(crate) fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.staged.len());
    }

    /// The next frame of meaning that is wholly written.
    pub(crate) fn completed(&mut self) -> Option<Meaning> {
        let written = self.written;
        self.marks.pop_front_if(|(end, _)| *end <= written).map(|(_, meaning)| meaning)
    }

    /// Lets go of what is wholly written.
    pub(crate) fn release(&mut self) {
        if self.written == self.staged.len() {
            self.staged = Vec::new();
            self.marks = VecDeque::new();
            self.written = 0;
        }
    }
}

/// Appends a control frame in wire form.
pub(crate) fn write_control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], masks: &mut Masks) {
    let mask = masks.next();
    let len = payload.len() as u64;
    let header = Header { fin: true, compressed: false, opcode, len, mask };
    out.extend_from_slice(header.encode().as_bytes());
    append_masked(mask, payload, out);
}

/// Appends a close frame in wire form.
pub(crate) fn write_farewell(out: &mut Vec<u8>, farewell: &Farewell, masks: &mut Masks) {
    write_control(out, Opcode::Close, &farewell_body(farewell), masks);
}

/// The payload of a close frame (section 5.5.1).
pub(crate) fn farewell_body(farewell: &Farewell) -> Vec<u8> {
    match farewell {
        Farewell::Said(frame) => {
            let code = frame.code().get().to_be_bytes();
            [&code, frame.reason().as_bytes()].concat()
        }
        Farewell::Empty | Farewell::Silence => Vec::new(),
    }
}

/// Appends `payload`, masked if there is a key.
#[inline]
pub(crate) fn append_masked(mask: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    match mask {
        Some(key) => lastword_mask::append(key, 0, payload, out),
        None => out.extend_from_slice(payload),
    }
}

/// How many pings are answered one by one while the peer does not read.
const MAX_PONGS: usize = 16;
