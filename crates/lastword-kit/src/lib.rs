//! What drivers of `lastword-proto` share: errors, what was said in the opening, what a URL says, whom
//! TLS trusts, randomness. Knows no runtime, socket, thread or clock.
//!
//! `lastword` (tokio) and `lastword-blocking` (threads) give out these types as their own.

mod error;
mod opening;
mod seed;
mod target;
mod tls;

pub use error::{AcceptError, ConnectError, Ended, Phase, SendError};
pub use opening::{Addresses, Opening};
/// The TLS that drivers speak.
pub use rustls;
pub use seed::fresh;
pub use target::{Scheme, Target};
pub use tls::platform_client;
