//! The control lane: pongs, pings and last words on their way out, ahead of data (RFC 6455
//! section 5.5).
//!
//! Holds at most one ping and one farewell, and few pongs: beyond [`MAX_PONGS`] only the newest ping
//! is answered (section 5.5.3 allows it), so that a flood costs nothing. Of what the application says
//! itself, no more than [`MAX_OWN`] wait. What is staged is in wire
//! form and no longer changes.

use std::collections::VecDeque;

use crate::decoder::Control;
use crate::header::Header;
use crate::keepalive::PingId;
use crate::masks::Masks;
use crate::wire::{Farewell, Opcode, ReservedBits};

/// Takes up memory while there is something in it: most of the time there is not.
#[derive(Debug, Default)]
pub(crate) struct ControlLane(Option<Box<Lane>>);

#[derive(Debug, Default)]
struct Lane {
    /// Pings to be answered, oldest first.
    pongs: VecDeque<Box<Control>>,
    ping: Option<PingId>,
    /// Pings with data of the application's own, oldest first.
    own_pings: VecDeque<(PingId, Box<Control>)>,
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
    OwnPing(PingId, Box<Control>),
    Pong(Box<Control>),
    Farewell(Farewell),
}

impl ControlLane {
    /// Answers a ping. When many wait for their answers, the newest replaces the one before it.
    pub(crate) fn answer(&mut self, ping: Control) {
        let pongs = &mut self.lane().pongs;
        if pongs.len() >= MAX_PONGS {
            pongs.pop_back();
        }
        pongs.push_back(Box::new(ping));
    }

    /// Asks a ping; one that is not on its way yet serves for both.
    pub(crate) fn ask(&mut self, new: impl FnOnce() -> PingId) -> PingId {
        *self.lane().ping.get_or_insert_with(new)
    }

    /// Asks a ping with data of the application's own; `false` if too many wait already.
    pub(crate) fn ask_with(&mut self, id: PingId, ping: Control) -> bool {
        let pings = &mut self.lane().own_pings;
        let accepted = pings.len() < MAX_OWN;
        if accepted {
            pings.push_back((id, Box::new(ping)));
        }
        accepted
    }

    /// Whether a ping with this data is not wholly written yet.
    pub(crate) fn asks(&self, payload: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|lane| {
            let staged = lane.marks.iter().any(|(_, meaning)| match meaning {
                Meaning::Ping(id) => id.payload() == *payload,
                Meaning::OwnPing(_, ping) => ping.payload() == payload,
                Meaning::Pong(_) | Meaning::Farewell(_) => false,
            });
            staged
                || lane.ping.is_some_and(|id| id.payload() == *payload)
                || lane.own_pings.iter().any(|(_, ping)| ping.payload() == payload)
        })
    }

    /// Says something that nobody asked for; `false` if too many answers wait already.
    pub(crate) fn volunteer(&mut self, pong: Control) -> bool {
        let pongs = &mut self.lane().pongs;
        // Room for an answer is left: what the peer asks for goes before what nobody asked for.
        let accepted = pongs.len() < MAX_OWN;
        if accepted {
            pongs.push_back(Box::new(pong));
        }
        accepted
    }

    /// Says `farewell` ahead of all data.
    pub(crate) fn part(&mut self, farewell: Farewell) {
        self.lane().farewell = Some(farewell);
    }

    /// Forgets pings that are not on their way yet.
    pub(crate) fn withdraw_ping(&mut self) {
        if let Some(lane) = &mut self.0 {
            lane.ping = None;
            lane.own_pings = VecDeque::new();
        }
        self.release();
    }

    /// Forgets what is not on its way yet.
    pub(crate) fn clear(&mut self) {
        if let Some(lane) = &mut self.0 {
            lane.pongs = VecDeque::new();
            lane.own_pings = VecDeque::new();
            (lane.ping, lane.farewell) = (None, None);
            if lane.written == 0 {
                lane.staged = Vec::new();
                lane.marks = VecDeque::new();
            }
        }
        self.release();
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a staged frame is partly written: nothing may go before its rest.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.0.as_ref().is_some_and(|lane| lane.written > 0)
    }

    /// Brings what waits into wire form, unless what was staged before is still there.
    pub(crate) fn stage(&mut self, masks: &mut Masks) {
        let Some(lane) = self.0.as_mut().filter(|lane| lane.staged.is_empty()) else { return };
        for ping in std::mem::take(&mut lane.pongs) {
            write_control(&mut lane.staged, Opcode::Pong, ping.payload(), masks);
            lane.marks.push_back((lane.staged.len(), Meaning::Pong(ping)));
        }
        if let Some(id) = lane.ping.take() {
            write_control(&mut lane.staged, Opcode::Ping, &id.payload(), masks);
            lane.marks.push_back((lane.staged.len(), Meaning::Ping(id)));
        }
        for (id, ping) in std::mem::take(&mut lane.own_pings) {
            write_control(&mut lane.staged, Opcode::Ping, ping.payload(), masks);
            lane.marks.push_back((lane.staged.len(), Meaning::OwnPing(id, ping)));
        }
        if let Some(farewell) = lane.farewell.take() {
            write_farewell(&mut lane.staged, &farewell, masks);
            lane.marks.push_back((lane.staged.len(), Meaning::Farewell(farewell)));
        }
    }

    /// Staged bytes that are not written yet.
    #[inline]
    pub(crate) fn staged(&self) -> &[u8] {
        match &self.0 {
            Some(lane) => lane.staged.get(lane.written..).unwrap_or_default(),
            None => &[],
        }
    }

    /// `count` of the staged bytes were written, at most all; what that completed follows from
    /// [`Self::completed`].
    pub(crate) fn wrote(&mut self, count: usize) {
        if let Some(lane) = &mut self.0 {
            lane.written = lane.written.saturating_add(count).min(lane.staged.len());
        }
    }

    /// The next frame of meaning that is wholly written; lets go of them behind the last.
    pub(crate) fn completed(&mut self) -> Option<Meaning> {
        let lane = self.0.as_mut()?;
        let written = lane.written;
        let completed = lane.marks.pop_front_if(|(end, _)| *end <= written);
        if completed.is_none() {
            self.release();
        }
        completed.map(|(_, meaning)| meaning)
    }

    fn lane(&mut self) -> &mut Lane {
        self.0.get_or_insert_default()
    }

    /// Lets go of what is wholly written, and of all when nothing waits.
    fn release(&mut self) {
        let Some(lane) = &mut self.0 else { return };
        if lane.written == lane.staged.len() {
            lane.staged = Vec::new();
            lane.marks = VecDeque::new();
            lane.written = 0;
            let Lane { pongs, ping, own_pings, farewell, .. } = &**lane;
            if pongs.is_empty() && ping.is_none() && own_pings.is_empty() && farewell.is_none() {
                self.0 = None;
            }
        }
    }
}

/// Appends a control frame in wire form.
pub(crate) fn write_control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], masks: &mut Masks) {
    let mask = masks.next();
    let len = payload.len() as u64;
    let header = Header { fin: true, reserved: ReservedBits::NONE, opcode, len, mask };
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

/// How many pings with data, and how many pongs that nobody asked for, may wait to be written.
pub(crate) const MAX_OWN: usize = MAX_PONGS / 2;
