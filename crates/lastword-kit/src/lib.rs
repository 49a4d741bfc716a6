//! What drivers of `lastword-proto` can share: errors, what was said in the opening, what a URL says, whom
//! TLS trusts, randomness. Knows no runtime, socket, thread or clock.
//!
//! `lastword-blocking` (threads) gives out these types as its own. `lastword` (tokio) still has types of its
//! own: see the known debt in `ARCHITECTURE.md`.

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
