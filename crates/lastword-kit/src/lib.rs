//! What the drivers of `lastword-proto` share, and give out as their own: errors, what was said in the
//! opening, whom TLS trusts, randomness. Knows no runtime, socket, thread or clock.

mod error;
mod opening;
mod seed;
mod tls;

pub use error::{
    AcceptError, Attempt, ConnectError, Ended, Phase, PingError, ReceiveError, SendError,
    StreamError,
};
pub use opening::{Addresses, ConnectionId, Opening};
/// The TLS that drivers speak.
pub use rustls;
pub use seed::fresh;
pub use tls::platform_client;
