//! What both sides agreed on before the first frame: the outcome of every kind of opening.
//!
//! The HTTP/1.1 handshake makes one; HTTP/2 and HTTP/3 will make the same without a key or a 101.

use bytes::Bytes;

use crate::exchange::Exchange;
use crate::extension::AgreedExtension;
use crate::wire::Role;

/// What an opening ended in. `Connection::new` is made from it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Agreement {
    /// Which side we are.
    pub role: Role,
    /// The subprotocol that the server chose among those that the client offered.
    pub subprotocol: Option<Box<str>>,
    /// permessage-deflate, as negotiated (RFC 7692).
    pub deflate: Option<DeflateAgreement>,
    /// Extensions of the application's own, in the order in which messages go out through them; behind
    /// them stands permessage-deflate.
    pub extensions: Vec<AgreedExtension>,
    /// What was said in the opening.
    pub exchange: Exchange,
    /// Bytes that came right behind the opening: the first frames of the peer, untouched.
    pub leftover: Bytes,
}

impl Agreement {
    /// An agreement without subprotocol, extension or leftover bytes, for transports whose
    /// opening happened elsewhere.
    pub fn plain(role: Role) -> Self {
        Self {
            role,
            subprotocol: None,
            deflate: None,
            extensions: Vec::new(),
            exchange: Exchange::default(),
            leftover: Bytes::new(),
        }
    }
}

/// The parameters of permessage-deflate as both sides use them (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 7692 has two parameters for each direction")]
pub struct DeflateAgreement {
    /// How the client compresses.
    pub client: DeflateDirection,
    /// How the server compresses.
    pub server: DeflateDirection,
}

/// How one side compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 7692 has two parameters for each direction")]
pub struct DeflateDirection {
    /// Base-two logarithm of the window: 8 to 15.
    pub window_bits: u8,
    /// Whether the window is carried from one message to the next.
    pub takeover: ContextTakeover,
}

/// Whether a compressor keeps its window from one message to the next (RFC 7692 section 7.1.1).
#[expect(clippy::exhaustive_enums, reason = "kept or not kept")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextTakeover {
    /// The window is kept: better compression of many alike messages.
    Kept,
    /// Each message stands alone: `..._no_context_takeover` was agreed on.
    None,
}
