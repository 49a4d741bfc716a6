//! The opening handshake over HTTP/1.1, both sides (RFC 6455 section 4).
//!
//! Bytes in, bytes out, and in the end an [`Agreement`](crate::Agreement), or an error that tells
//! whose fault it was. Costs time in proportion to the bytes, however they are cut. Refuses to know
//! sockets, clocks, and what comes after the opening.

mod busy;
pub mod client;
mod extensions;
mod head;
mod key;
mod list;
mod negotiate;
pub mod server;

pub use extensions::extensions_in;
pub use head::HeadError;
pub use key::{accept_key, new_key};
pub use negotiate::NegotiationError;

/// Whether a header that is a list of tokens, in one field or several, has `token`.
fn has_token<'a>(mut values: impl Iterator<Item = &'a [u8]>, token: &str) -> bool {
    let is_token = |part: &[u8]| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes());
    values.any(|value| value.split(|&byte| byte == b',').any(is_token) && is_text(value))
}

/// Whether a value is of visible ASCII, spaces and tabs. Others are allowed (RFC 9110 section 5.5),
/// but mean nothing here.
fn is_text(value: &[u8]) -> bool {
    value.iter().all(|&byte| matches!(byte, b'\t' | b' '..=b'~'))
}
