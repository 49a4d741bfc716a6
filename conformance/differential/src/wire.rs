//! Frames as they stand on the wire, right or wrong: a reader of its own, that refuses nothing.
//!
//! Shares no code with the crate or with the judges: the rules are held against what it says. Of a
//! frame it tells every fault that can be seen without inflating anything.

use lastword_proto::Role;

use crate::case::{Case, FRAGMENTS};

/// A frame whose length is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where on the wire it begins, and where it ends or would.
    pub start: usize,
    pub end: u64,
    pub fin: bool,
    /// RSV1 to RSV3, as the three bits stand.
    pub reserved: u8,
    pub opcode: u8,
    pub masked: bool,
    /// Whether the mask has come, if there is to be one.
    pub keyed: bool,
    pub minimal: bool,
    pub len: u64,
    /// What there is of the payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    pub fn is_compressed(&self) -> bool {
        self.reserved & 4 != 0
    }

    fn is_complete(&self) -> bool {
        self.keyed && self.payload.len() as u64 == self.len
    }
}

/// The frames, in order.
#[derive(Clone, Debug)]
pub struct Walk {
    pub frames: Vec<Frame>,
    /// Whether the wire ends inside a frame.
    pub cut: bool,
}

/// Takes the wire apart.
pub fn walk(wire: &[u8]) -> Walk {
    let mut walk = Walk { frames: Vec::new(), cut: false };
    let mut at = 0;
    while at < wire.len() {
        let Some(frame) = frame(wire, at) else {
            walk.cut = true;
            break;
        };
        walk.cut = !frame.is_complete();
        let end = frame.end;
        walk.frames.push(frame);
        if walk.cut {
            break;
        }
        at = usize::try_from(end).unwrap_or(usize::MAX);
    }
    walk
}

fn frame(wire: &[u8], start: usize) -> Option<Frame> {
    let rest = wire.get(start..)?;
    let (&first, &second) = (rest.first()?, rest.get(1)?);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
    let (len, least, mut header) = match second & 0x7f {
        126 => (number(rest.get(2..4)?), 126, 4),
        127 => (number(rest.get(2..10)?), 1 << 16, 10),
        short => (u64::from(short), 0, 2),
    };
    let masked = second & 0x80 != 0;
    let key = if masked { rest.get(header..header + 4) } else { Some(&[0; 4][..]) };
    if masked {
        header += 4;
    }
    let behind = rest.get(header..).unwrap_or_default();
    let there = usize::try_from(len).unwrap_or(usize::MAX).min(behind.len());
    let payload = &behind[..there];
    let pad = key.unwrap_or_default();
    Some(Frame {
        start,
        end: ((start + header) as u64).saturating_add(len),
        fin: first & 0x80 != 0,
        reserved: first >> 4 & 7,
        opcode: first & 0x0f,
        masked,
        keyed: key.is_some(),
        minimal: len >= least,
        len,
        payload: payload.iter().zip(pad.iter().cycle()).map(|(byte, key)| byte ^ key).collect(),
    })
}

/// The first frame that breaks a rule, by its number, and the close codes of all that it breaks.
pub fn first_fault(case: &Case, walk: &Walk) -> Option<(usize, Vec<u16>)> {
    let mut message = Message::default();
    walk.frames.iter().enumerate().find_map(|(number, frame)| {
        let codes = faults(case, frame, &mut message);
        (!codes.is_empty()).then_some((number, codes))
    })
}

/// The message that the frames are in.
#[derive(Default)]
struct Message {
    open: bool,
    text: bool,
    compressed: bool,
    frames: usize,
    announced: u64,
    plain: Vec<u8>,
}

fn faults(case: &Case, frame: &Frame, message: &mut Message) -> Vec<u16> {
    let mut codes = Vec::new();
    let mut found = |there: bool, code: u16| {
        if there {
            codes.push(code);
        }
    };
    let starts = matches!(frame.opcode, 1 | 2);
    let marks = starts && case.deflate().is_some();
    found(frame.reserved & if marks { 3 } else { 7 } != 0, 1002);
    found(matches!(frame.opcode, 3..=7 | 11..=15), 1002);
    found(frame.masked != (case.role() == Role::Server), 1002);
    found(!frame.minimal, 1002);
    found(frame.len >> 63 != 0, 1002);
    found(frame.len > case.limit() as u64, 1009);
    if frame.is_control() {
        found(!frame.fin || frame.len > 125, 1002);
        if frame.opcode == 8 {
            let (code, reason) = frame.payload.split_at(frame.payload.len().min(2));
            found(frame.len == 1, 1002);
            found(std::str::from_utf8(reason).is_err(), 1007);
            if let Ok(code) = code.try_into() {
                let code = u16::from_be_bytes(code);
                found(!matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), 1002);
            }
        }
        return codes;
    }
    found(starts == message.open, 1002);
    let left = (case.limit() as u64).saturating_sub(message.announced);
    // What is left of a compressed message's limit is not known here: maybe nothing.
    let beyond = message.compressed || frame.len > left;
    found(starts && message.open && beyond, 1009);
    if starts {
        let (text, compressed) = (frame.opcode == 1, frame.is_compressed());
        *message = Message { open: true, text, compressed, ..Message::default() };
    }
    message.frames += 1;
    message.announced = message.announced.saturating_add(frame.len);
    found(message.frames > FRAGMENTS, 1009);
    found(!message.compressed && message.announced > case.limit() as u64, 1009);
    if message.text && !message.compressed {
        message.plain.extend(&frame.payload);
        let whole = frame.fin && frame.is_complete();
        found(
            std::str::from_utf8(&message.plain).is_err_and(|e| whole || e.error_len().is_some()),
            1007,
        );
    }
    message.open = !frame.fin;
    if !codes.is_empty() && message.compressed && case.deflate().is_some() {
        // Who inflates first may meet the limit first; what it inflates to is not known here.
        codes.push(1009);
    }
    codes
}
