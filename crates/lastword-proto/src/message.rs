//! Messages: what applications send and receive (RFC 6455 section 5.6).
//!
//! Payloads are [`Bytes`]; text is proven UTF-8 once, at its only door.

use std::fmt;
use std::ops::Deref;
use std::str::Utf8Error;

use bytes::Bytes;

use crate::wire::Opcode;

/// A message. Pings, pongs and closes are not messages.
///
/// ```
/// use lastword_proto::Message;
/// assert_eq!(Message::from("hello").as_text(), Some("hello"));
/// assert_eq!(Message::binary(vec![1, 2, 3]).len(), 3);
/// // A log line never holds a whole message.
/// assert_eq!(format!("{:?}", Message::from("hello")), r#"text "hello" (5 bytes)"#);
/// ```
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 knows two kinds of messages")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// Text, always valid UTF-8.
    Text(Utf8Bytes),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// A payload as the message of its kind; text that this crate has proven.
    #[inline]
    pub(crate) const fn proven(kind: Kind, payload: Bytes) -> Self {
        match kind {
            Kind::Text => Self::Text(Utf8Bytes(payload)),
            Kind::Binary => Self::Binary(payload),
        }
    }

    /// Text or binary.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload, whatever its kind.
    pub const fn payload(&self) -> &Bytes {
        match self {
            Self::Text(text) => &text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload, without a copy.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, if it is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Length of the payload in bytes.
    pub const fn len(&self) -> usize {
        self.payload().len()
    }

    /// Whether the payload is empty.
    pub const fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }
}

impl fmt::Debug for Message {
    /// The kind, the length and the start: a log line never holds a whole message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Elided::new(self.kind(), self.payload()))
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// Whether a message is text or binary.
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 knows two kinds of messages")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    #[default]
    Text,
    /// Binary.
    Binary,
}

impl Kind {
    /// What the first frame of such a message is marked with.
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Binary => "binary",
        })
    }
}

/// Bytes that are proven to be UTF-8; cheap to clone, as [`Bytes`] is.
///
/// Invariant: valid UTF-8. Its doors are `From<&str>`, `From<String>` and `TryFrom<Bytes>`.
///
/// ```
/// use lastword_proto::Utf8Bytes;
/// let text = Utf8Bytes::from("grüezi");
/// assert_eq!(text.len(), 7);
/// assert!(text.starts_with("grü"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Utf8Bytes(Bytes);

impl Utf8Bytes {
    /// Text that lives as long as the program; never copied.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // The bytes were proven when they came in; SIMD proves them again, since the house
        // forbids `unsafe` here. Paths that only move text use `as_bytes` and pay nothing.
        simdutf8::basic::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the text.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes of the text, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Utf8Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A payload as one short piece of a line: kind, length, and the start of it with everything odd
/// escaped. Never panics on cut UTF-8, never prints a control character raw.
///
/// ```
/// use lastword_proto::{Elided, Kind};
/// assert_eq!(Elided::new(Kind::Text, b"bell\x07").to_string(), r#"text "bell\u{7}" (5 bytes)"#);
/// assert_eq!(Elided::new(Kind::Binary, &[0, 255]).to_string(), "binary 00 ff (2 bytes)");
/// ```
#[derive(Clone, Copy)]
pub struct Elided<'a> {
    kind: Kind,
    payload: &'a [u8],
}

impl<'a> Elided<'a> {
    /// A view of `payload`, whose kind decides whether it shows as text or as hexadecimal.
    pub const fn new(kind: Kind, payload: &'a [u8]) -> Self {
        Self { kind, payload }
    }

    /// Only the start of the payload, without kind and length.
    pub const fn content(self) -> impl fmt::Display + 'a {
        Content(self)
    }
}

impl fmt::Display for Elided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.kind, self.content(), self.payload.len())
    }
}

struct Content<'a>(Elided<'a>);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Elided { kind, payload } = self.0;
        match kind {
            Kind::Binary if payload.is_empty() => f.write_str("empty"),
            Kind::Binary => {
                for (index, byte) in payload.iter().take(SHOWN_BINARY).enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}{byte:02x}")?;
                }
                elision(payload.len() > SHOWN_BINARY, f)
            }
            Kind::Text => {
                let shown = payload.get(..SHOWN_TEXT).unwrap_or(payload);
                // A character cut at the end of the excerpt is left out, not replaced.
                let whole = match std::str::from_utf8(shown) {
                    Err(e) if e.error_len().is_none() => shown.get(..e.valid_up_to()),
                    _ => Some(shown),
                };
                write!(f, "{:?}", String::from_utf8_lossy(whole.unwrap_or_default()))?;
                elision(payload.len() > SHOWN_TEXT, f)
            }
        }
    }
}

fn elision(more: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if more { f.write_str(" ...") } else { Ok(()) }
}

/// How much of a payload a line shows.
const SHOWN_TEXT: usize = 48;
const SHOWN_BINARY: usize = 16;

/// A part of a message, handed out or sent before the rest of it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the data, and whether it is the last")]
pub struct Part {
    /// The bytes; text is cut between characters. May be empty.
    pub data: Message,
    /// Whether the message ends with this part.
    pub last: bool,
}
