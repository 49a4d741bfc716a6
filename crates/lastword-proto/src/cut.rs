//! Where in the incoming stream a connection was cut. Values only.

use std::fmt;

use crate::message::Kind;
use crate::wire::Opcode;

/// Where the incoming stream stopped, if not between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The frame that was cut; `None` between frames.
    pub frame: Option<FrameCut>,
    /// The message that was cut; `None` between messages.
    pub message: Option<MessageCut>,
}

impl Cut {
    /// A cut, unless both are missing: then the stream stopped where it may.
    pub(crate) const fn new(frame: Option<FrameCut>, message: Option<MessageCut>) -> Option<Self> {
        if frame.is_none() && message.is_none() {
            return None;
        }
        Some(Self { frame, message })
    }
}

/// Where in a frame the bytes stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a frame is a header and a payload")]
pub enum FrameCut {
    /// Inside a header.
    Header {
        /// How many bytes of it had come.
        bytes: usize,
    },
    /// Behind a header, before the end of its payload.
    Payload {
        /// What the frame carries.
        opcode: Opcode,
        /// How many bytes of its payload had come.
        came: u64,
        /// How many its header announced.
        of: u64,
    },
}

/// What had come of an unfinished message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageCut {
    /// Text or binary.
    pub kind: Kind,
    /// How many frames of it had begun.
    pub fragments: usize,
    /// How many bytes of it had come, decompressed.
    pub bytes: usize,
    /// Whether it was compressed.
    pub compressed: bool,
}

impl MessageCut {
    pub(crate) const fn new(kind: Kind, fragments: usize, bytes: usize, compressed: bool) -> Self {
        Self { kind, fragments, bytes, compressed }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message, self.frame) {
            // A message in one frame: its header says how long it is.
            (Some(message), Some(FrameCut::Payload { opcode, came, of }))
                if message.fragments == 1 && !message.compressed && !opcode.is_control() =>
            {
                write!(f, "in the middle of a {of}-byte {} message ", message.kind)?;
                write!(f, "({came} bytes had come)")
            }
            (Some(message), _) => {
                let MessageCut { kind, fragments, bytes, compressed } = message;
                let compressed = if compressed { "compressed " } else { "" };
                let plural = if fragments == 1 { "" } else { "s" };
                write!(f, "inside a {compressed}{kind} message ")?;
                write!(f, "({fragments} fragment{plural}, {bytes} bytes had come)")
            }
            (None, Some(FrameCut::Payload { opcode, came, of })) => {
                write!(f, "in the middle of a {opcode:?} frame ({came} of {of} bytes had come)")
            }
            (None, Some(FrameCut::Header { bytes })) => {
                write!(f, "in the middle of a frame header ({bytes} bytes had come)")
            }
            (None, None) => Ok(()),
        }
    }
}
