//! What one peer says in a suite, and what of it is whole when it is cut at a byte.
//!
//! A wire format of its own: the sizes of frames are computed here, not asked of the core.

use lastword::proto::{FrameCut, Opcode};
use lastword::{CloseCode, CloseFrame, Farewell, Message, Role};

/// Messages, and perhaps a close behind them.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) messages: Vec<Message>,
    /// `Config::fragment_size` of the sender.
    pub(crate) fragment_size: usize,
    pub(crate) last: Last,
}

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// The sender stays.
    Stays,
    /// The sender closes, with 1000 and [`REASON`].
    Closes,
}

pub(crate) const REASON: &str = "done";

/// One frame of the script on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) start: usize,
    pub(crate) header: usize,
    pub(crate) payload: usize,
    opcode: Opcode,
    is_last: bool,
}

impl Frame {
    pub(crate) const fn end(&self) -> usize {
        self.start + self.header + self.payload
    }
}

/// What has come of a script that was cut.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) messages: Vec<Message>,
    pub(crate) farewell: Farewell,
    pub(crate) frame: Option<FrameCut>,
    /// How many frames of an unfinished message had begun, and how many of its bytes had come.
    pub(crate) unfinished: Option<(usize, usize)>,
}

impl Script {
    /// Short, medium and fragmented messages, and a close.
    pub(crate) fn farewell() -> Self {
        let messages = vec![
            "hello".into(),
            Message::binary(vec![7; 200]),
            "ü".repeat(350).into(),
            Message::binary(vec![]),
        ];
        Self { messages, fragment_size: 300, last: Last::Closes }
    }

    /// A message with a header of the longest form, and nothing behind it.
    pub(crate) fn large() -> Self {
        let messages = vec!["first".into(), Message::binary(vec![9; 70_000])];
        Self { messages, fragment_size: 1 << 20, last: Last::Stays }
    }

    pub(crate) fn frames(&self, sender: Role) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut add = |payload: usize, opcode, is_last| {
            let start = frames.last().map_or(0, Frame::end);
            let length = match payload {
                0..=125 => 2,
                126..=0xffff => 4,
                _ => 10,
            };
            let header = length + if sender == Role::Client { 4 } else { 0 };
            frames.push(Frame { start, header, payload, opcode, is_last });
        };
        for message in &self.messages {
            let opcode = if message.as_text().is_some() { Opcode::Text } else { Opcode::Binary };
            let (mut left, mut opcode) = (message.len(), opcode);
            loop {
                let size = left.min(self.fragment_size);
                left -= size;
                add(size, opcode, left == 0);
                opcode = Opcode::Continuation;
                if left == 0 {
                    break;
                }
            }
        }
        if self.last == Last::Closes {
            add(2 + REASON.len(), Opcode::Close, true);
        }
        frames
    }

    /// How long it is on the wire.
    pub(crate) fn size(&self, sender: Role) -> usize {
        self.frames(sender).last().map_or(0, Frame::end)
    }

    /// Between frames, at each byte of a header, and at the first, the middle and the last byte of
    /// a payload.
    pub(crate) fn places(&self, sender: Role) -> Vec<usize> {
        let mut places = Vec::new();
        for frame in self.frames(sender) {
            let payload = frame.start + frame.header;
            places.extend(frame.start..=payload);
            if frame.payload > 0 {
                places.extend([1, frame.payload / 2, frame.payload - 1].map(|at| payload + at));
            }
        }
        places.push(self.size(sender));
        places.sort_unstable();
        places.dedup();
        places
    }

    /// What has come when it was cut after `at` bytes.
    pub(crate) fn cut(&self, sender: Role, at: usize) -> Came {
        let mut came = Came::default();
        let mut messages = self.messages.iter();
        for frame in self.frames(sender) {
            let had = at.saturating_sub(frame.start);
            let is_data = frame.opcode != Opcode::Close;
            if at >= frame.end() {
                match (is_data, frame.is_last) {
                    (false, _) => came.farewell = said(),
                    (true, true) => {
                        came.messages.extend(messages.next().cloned());
                        came.unfinished = None;
                    }
                    (true, false) => {
                        let (fragments, bytes) = came.unfinished.unwrap_or_default();
                        came.unfinished = Some((fragments + 1, bytes + frame.payload));
                    }
                }
                continue;
            }
            if had == 0 {
                break;
            }
            if had < frame.header {
                came.frame = Some(FrameCut::Header { bytes: had });
                break;
            }
            let (payload, of) = (had - frame.header, frame.payload as u64);
            came.frame = Some(FrameCut::Payload { opcode: frame.opcode, came: payload as u64, of });
            if is_data {
                let (fragments, bytes) = came.unfinished.unwrap_or_default();
                came.unfinished = Some((fragments + 1, bytes + payload));
            }
            break;
        }
        came
    }
}

/// What a script's close says.
pub(crate) fn said() -> Farewell {
    let frame = CloseFrame::new(CloseCode::NORMAL, REASON);
    frame.map_or_else(|_| unreachable!("it is short"), Farewell::Said)
}
