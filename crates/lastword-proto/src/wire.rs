//! The words of the wire: roles, opcodes, close codes, close frames (RFC 6455 sections 5.2, 5.5, 7.4).
//!
//! Plain values with their invariants; imports no other room of the house.

use std::borrow::Cow;
use std::fmt;

/// Which side of the connection we are. Clients mask what they send, servers do not (section 5.1).
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 knows two roles")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that opened the connection.
    Client,
    /// The side that accepted it.
    Server,
}

impl Role {
    /// The role of the other side.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One of the two ends of a connection, as seen from here.
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// This side.
    Us,
    /// The other side.
    Peer,
}

/// What a frame carries (section 5.2). The ten reserved values have no variant.
///
/// ```
/// use lastword_proto::Opcode;
/// assert_eq!(Opcode::from_bits(0x9), Some(Opcode::Ping));
/// assert_eq!(Opcode::from_bits(0x3), None);
/// assert!(Opcode::Ping.is_control());
/// ```
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 defines six; the rest are refused")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further part of the message that a text or binary frame began.
    Continuation = 0x0,
    /// A text message, or its first part.
    Text = 0x1,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xa,
}

impl Opcode {
    /// The opcode of the low four bits of a frame's first byte; `None` for the reserved ones.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0x0f {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// The four bits that stand for it on the wire.
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether it is a control frame: at most 125 bytes, never fragmented (section 5.5).
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// The reserved bits of a frame's first byte (section 5.2), as far as extensions of the application's
/// own may give them a meaning. RSV1 is permessage-deflate's.
///
/// Invariant: no other bits of the byte.
///
/// ```
/// use lastword_proto::ReservedBits;
/// let both = ReservedBits::RSV2 | ReservedBits::RSV3;
/// assert!(both.contains(ReservedBits::RSV2));
/// assert!(!ReservedBits::RSV2.contains(both));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ReservedBits(u8);

impl ReservedBits {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// The second.
    pub const RSV2: Self = Self(0x20);
    /// The third.
    pub const RSV3: Self = Self(0x10);
    /// The first: the message is compressed (RFC 7692 section 6).
    pub(crate) const RSV1: Self = Self(0x40);

    /// Those that are set in the first byte of a frame.
    #[inline]
    pub(crate) const fn of_first_byte(first: u8) -> Self {
        Self(first & 0x70)
    }

    /// As they stand in the first byte of a frame.
    #[inline]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `others` are among these.
    #[inline]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those that are among `others`, too.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not among `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether it is none of them.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for ReservedBits {
    type Output = Self;

    fn bitor(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl fmt::Debug for ReservedBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(Self::RSV1, "RSV1"), (Self::RSV2, "RSV2"), (Self::RSV3, "RSV3")];
        let set = named.into_iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, name)| name);
        f.write_str(&set.collect::<Vec<_>>().join(" | "))
    }
}

/// Why a connection is closed, in a number that may stand in a close frame (section 7.4).
///
/// Invariant: 1000–1003, 1007–1014 or 3000–4999; never one that no frame may carry (1004, 1005,
/// 1006, 1015, below 1000, 1016–2999, from 5000).
///
/// ```
/// use lastword_proto::CloseCode;
/// assert_eq!(CloseCode::try_from(1000), Ok(CloseCode::NORMAL));
/// assert!(CloseCode::try_from(1006).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server going down, or a browser leaving the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that cannot be accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not negotiate an extension that the client needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: something unexpected happened here.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What the registry calls it; `None` for the ranges of libraries (3000–3999) and
    /// applications (4000–4999).
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1007 => "invalid data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension missing",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            _ => return None,
        })
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = InvalidCloseCode;

    fn try_from(code: u16) -> Result<Self, InvalidCloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(code)),
            _ => Err(InvalidCloseCode(code)),
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number that no close frame may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("close code {0} may not stand in a close frame (1000-1003, 1007-1014 and 3000-4999 may)")]
pub struct InvalidCloseCode(pub u16);

/// The longest reason that fits into a close frame beside its code, in bytes (section 5.5).
pub const MAX_CLOSE_REASON: usize = 123;

/// A close frame that says why: a code and a reason (section 5.5.1).
///
/// Invariant: the reason is at most [`MAX_CLOSE_REASON`] bytes.
///
/// ```
/// use lastword_proto::{CloseCode, CloseFrame};
/// let frame = CloseFrame::new(CloseCode::GOING_AWAY, "restart").unwrap();
/// assert_eq!(frame.to_string(), r#"1001 (going away) "restart""#);
/// assert!(CloseFrame::new(CloseCode::NORMAL, "x".repeat(124)).is_err());
/// assert_eq!(CloseFrame::truncated(CloseCode::NORMAL, "x".repeat(124)).reason().len(), 123);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CloseFrame {
    code: CloseCode,
    reason: Cow<'static, str>,
}

impl CloseFrame {
    /// A close frame with `code` and `reason`.
    ///
    /// # Errors
    /// [`ReasonTooLong`] if the reason has more than 123 bytes.
    pub fn new(
        code: CloseCode,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ReasonTooLong> {
        let reason = reason.into();
        if reason.len() > MAX_CLOSE_REASON {
            return Err(ReasonTooLong { bytes: reason.len() });
        }
        Ok(Self { code, reason })
    }

    /// A close frame whose reason is cut at a character's boundary if it is too long.
    pub fn truncated(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        if reason.len() <= MAX_CLOSE_REASON {
            return Self { code, reason };
        }
        let mut reason = reason.into_owned();
        reason.truncate(reason.floor_char_boundary(MAX_CLOSE_REASON));
        Self { code, reason: Cow::Owned(reason) }
    }

    /// Why the connection is closed, as a number.
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// Why the connection is closed, in words; often empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: Cow::Borrowed("") }
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            // Debug escapes what a terminal or a log line must not see raw.
            write!(f, " {:?}", self.reason)?;
        }
        Ok(())
    }
}

impl fmt::Debug for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A reason for closing that does not fit into a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("close reason of {bytes} bytes: at most 123 fit into a close frame")]
pub struct ReasonTooLong {
    /// How long it was.
    pub bytes: usize,
}

/// What one side said as it left. 1005 and 1006 are not codes here: the first is [`Empty`], the
/// second [`Silence`].
///
/// ```
/// use lastword_proto::{CloseCode, Farewell};
/// assert_eq!(Farewell::Silence.code(), 1006);
/// assert_eq!(Farewell::Empty.code(), 1005);
/// assert_eq!(Farewell::Said(CloseCode::NORMAL.into()).code(), 1000);
/// ```
///
/// [`Empty`]: Farewell::Empty
/// [`Silence`]: Farewell::Silence
#[expect(clippy::exhaustive_enums, reason = "nothing, an empty frame, or a full one")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Farewell {
    /// No close frame.
    #[default]
    Silence,
    /// A close frame without a code.
    Empty,
    /// A close frame with a code and a reason.
    Said(CloseFrame),
}

impl Farewell {
    /// The code, with RFC 6455's numbers for what is missing: 1005 for an empty close frame,
    /// 1006 for none (section 7.1.5).
    pub const fn code(&self) -> u16 {
        match self {
            Self::Silence => 1006,
            Self::Empty => 1005,
            Self::Said(frame) => frame.code().get(),
        }
    }

    /// The reason; empty when there is none.
    pub fn reason(&self) -> &str {
        match self {
            Self::Said(frame) => frame.reason(),
            Self::Silence | Self::Empty => "",
        }
    }

    /// Whether there was a close frame at all.
    pub const fn is_said(&self) -> bool {
        !matches!(self, Self::Silence)
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("no close frame"),
            Self::Empty => f.write_str("a close frame without a code"),
            Self::Said(frame) => write!(f, "{frame}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_codes_of_the_registry_and_of_the_private_ranges_are_codes() {
        for code in 0..=u16::MAX {
            let may = (1000..=1003).contains(&code)
                || (1007..=1014).contains(&code)
                || (3000..=4999).contains(&code);
            assert_eq!(CloseCode::try_from(code).is_ok(), may, "{code}");
        }
    }

    #[test]
    fn opcodes_are_six_and_keep_their_bits() {
        let known: Vec<u8> = (0..16).filter_map(Opcode::from_bits).map(Opcode::bits).collect();
        assert_eq!(known, [0, 1, 2, 8, 9, 10]);
    }

    #[test]
    fn a_reason_that_is_too_long_is_refused_or_cut_between_characters() {
        let long = "é".repeat(62);
        let refused = CloseFrame::new(CloseCode::NORMAL, long.clone());
        assert_eq!(refused.unwrap_err().bytes, 124);
        assert_eq!(CloseFrame::truncated(CloseCode::NORMAL, long).reason(), "é".repeat(61));
    }
}
