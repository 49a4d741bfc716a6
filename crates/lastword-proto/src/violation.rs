//! How a peer may err, and the close code that answers it (RFC 6455 sections 7.4.1, 8.1, 10.4).
//!
//! Limits of ours that a peer runs into are here, too: the error says whose limit it is, and which
//! option sets it.

use std::borrow::Cow;
use std::fmt;

use crate::header::HeaderError;
use crate::rate::Rate;
use crate::wire::{CloseCode, CloseFrame, Opcode};

/// What the peer did that ends the connection.
///
/// ```
/// use lastword_proto::{CloseCode, Violation};
/// let violation = Violation::MessageTooBig { size: 2000, limit: 1000 };
/// assert_eq!(violation.close_code(), CloseCode::MESSAGE_TOO_BIG);
/// assert_eq!(
///     violation.to_string(),
///     "message of at least 2000 bytes exceeds our limit of 1000 (max_message_size)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame header that breaks the rules of framing.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A continuation frame without a message to continue (section 5.4).
    #[error("continuation frame without a message to continue")]
    LoneContinuation,
    /// A text or binary frame inside another, unfinished message (section 5.4).
    #[error("{0:?} frame inside an unfinished message")]
    InterruptedMessage(Opcode),
    /// Text that is not UTF-8 (section 8.1).
    #[error("text that is not UTF-8, at byte {at} of the message")]
    NotUtf8 {
        /// Where the first bad sequence begins, in bytes of the message.
        at: u64,
    },
    /// A frame larger than we accept, by its header.
    #[error("frame of {size} bytes exceeds our limit of {limit} (max_frame_size)")]
    FrameTooBig {
        /// The length in its header.
        size: u64,
        /// `Config::max_frame_size`.
        limit: usize,
    },
    /// A message larger than we accept, by the headers of its frames.
    #[error("message of at least {size} bytes exceeds our limit of {limit} (max_message_size)")]
    MessageTooBig {
        /// What the headers so far add up to.
        size: u64,
        /// `Config::max_message_size`.
        limit: usize,
    },
    /// A compressed message that grows larger than we accept.
    #[error("message exceeds our limit of {limit} bytes when decompressed (max_message_size)")]
    InflatedTooBig {
        /// `Config::max_message_size`.
        limit: usize,
    },
    /// A message in more fragments than we accept.
    #[error("message in more than {limit} fragments (max_fragments)")]
    TooManyFragments {
        /// `Config::fragments_limit()`.
        limit: usize,
    },
    /// An unfinished message needs more memory than all connections together may take up. The next
    /// attempt may succeed.
    #[error("no memory left for a message: all connections share {limit} bytes (memory_budget)")]
    OutOfMemory {
        /// `Config::memory_budget`.
        limit: usize,
    },
    /// More messages than we accept in a while.
    #[error("more messages than {limit} (message_rate)")]
    TooManyMessages {
        /// `Config::message_rate`.
        limit: Rate,
    },
    /// More bytes than we accept in a while.
    #[error("more bytes than {limit} (byte_rate)")]
    TooManyBytes {
        /// `Config::byte_rate`.
        limit: Rate,
    },
    /// A compressed message that is not a deflate stream (RFC 7692 section 7.2.2).
    #[error("compressed message is not a valid deflate stream")]
    BrokenDeflate,
    /// A message that an extension of the application's own could not decode.
    #[error("{0}")]
    Extension(Box<ExtensionFailed>),
    /// A close frame with a body of one byte (section 5.5.1).
    #[error("close frame with a body of one byte")]
    CloseTooShort,
    /// A close frame with a code that no frame may carry (section 7.4).
    #[error("close frame with code {0}, which no frame may carry")]
    CloseCode(u16),
    /// A close frame whose reason is not UTF-8 (section 5.5.1).
    #[error("close frame with code {code} and a reason that is not UTF-8")]
    CloseReasonNotUtf8 {
        /// The code that it carried.
        code: u16,
    },
}

impl Violation {
    /// The code with which the connection is failed.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Header(_)
            | Self::LoneContinuation
            | Self::InterruptedMessage(_)
            | Self::CloseTooShort
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::NotUtf8 { .. } | Self::BrokenDeflate | Self::CloseReasonNotUtf8 { .. } => {
                CloseCode::INVALID_DATA
            }
            Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::InflatedTooBig { .. }
            | Self::TooManyFragments { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyMessages { .. } | Self::TooManyBytes { .. } => CloseCode::POLICY_VIOLATION,
            Self::OutOfMemory { .. } => CloseCode::TRY_AGAIN_LATER,
            Self::Extension(failed) => match failed.why {
                Undecoded::TooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
                Undecoded::Broken { code, .. } => code,
                Undecoded::Panicked => CloseCode::INTERNAL_ERROR,
            },
        }
    }

    /// Whether it is the peer who erred, or ran into a limit that it could know of.
    pub(crate) fn is_peers_fault(&self) -> bool {
        match self {
            Self::OutOfMemory { .. } => false,
            Self::Extension(failed) => failed.why != Undecoded::Panicked,
            _ => true,
        }
    }

    /// The close frame with which the connection is failed: the code, and this error as its reason.
    pub fn close_frame(&self) -> CloseFrame {
        CloseFrame::truncated(self.close_code(), self.to_string())
    }
}

/// A message that an extension could not decode: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "which, and why")]
pub struct ExtensionFailed {
    /// The name of the extension.
    pub extension: Box<str>,
    /// What became of the message.
    pub why: Undecoded,
}

/// What an extension made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undecoded {
    /// It grows larger than we accept.
    TooBig {
        /// `Config::max_message_size`.
        limit: usize,
    },
    /// It is not what the extension makes of messages.
    Broken {
        /// The code with which the connection is failed.
        code: CloseCode,
        /// What the extension said about it.
        reason: Cow<'static, str>,
    },
    /// The extension panicked over it: no fault of the peer's.
    Panicked,
}

impl fmt::Display for ExtensionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extension, why } = self;
        match why {
            Undecoded::TooBig { limit } => write!(
                f,
                "message exceeds our limit of {limit} bytes when decoded by extension {extension} \
                 (max_message_size)"
            ),
            Undecoded::Broken { reason, .. } => {
                write!(f, "message that extension {extension} cannot decode: {reason}")
            }
            Undecoded::Panicked => write!(f, "extension {extension} panicked over a message"),
        }
    }
}
