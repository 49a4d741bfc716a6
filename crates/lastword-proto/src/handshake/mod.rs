//! The opening handshake over HTTP/1.1, both sides (RFC 6455 section 4).
//!
//! Bytes in, bytes out, and in the end an [`Agreement`](crate::Agreement), or an error that tells
//! whose fault it was. Costs time in proportion to the bytes, however they are cut. Refuses to know
//! sockets, clocks, and what comes after the opening.

pub mod client;
mod head;
mod key;
mod negotiate;
pub mod server;

pub use head::HeadError;
pub use key::{accept_key, new_key};
pub use negotiate::NegotiationError;

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, UPGRADE};

/// Whether `Upgrade: websocket` and `Connection: upgrade` are there.
fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, UPGRADE, "websocket") && has_token(headers, CONNECTION, "upgrade")
}

/// Whether a header that is a list of tokens, in one field or several, has `token`.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}
