//! WebSocket for Rust, on tokio. **However a connection ends, nothing panics, hangs, leaks or lies,
//! and you are told exactly how it ended and what became of your messages.**
//!
//! A server, and a client:
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # async fn server() -> std::io::Result<()> {
//! lastword::serve("127.0.0.1:8765", async |mut ws| {
//!     while let Some(message) = ws.recv().await? {
//!         ws.send(message).await?;
//!     }
//!     Ok(())
//! })
//! .await?;
//! # Ok(()) }
//!
//! let mut ws = lastword::connect("ws://127.0.0.1:8765").await?;
//! ws.send("hello").await?;
//! let echo = ws.recv().await?;
//! let ending = ws.close(lastword::CloseCode::NORMAL, "done").await;
//! println!("{ending}"); // closed by us: 1000 (normal closure) "done"
//! # Ok(()) }
//! ```

mod bell;
mod broadcast;
mod connect;
pub mod guide;
mod parts;
mod pump;
mod reconnect;
mod serve;
mod shared;
mod streams;
mod sync;
mod transport;
mod watch;
mod websocket;

pub use broadcast::{Subscription, Topic, broadcast};
pub use connect::{Client, connect};
/// Where a client goes and how it gets there, without I/O.
pub use lastword_dial as dial;
pub use lastword_dial::{HostAddresses, InvalidHostAddresses, InvalidProxy, Proxy};
pub use lastword_kit::{
    AcceptError, AcceptErrorKind, Answer, Attempt, Because, ConnectError, ConnectionId, Counters,
    Counts, Credentials, Departure, Ended, EndedBy, Failed, HandlerError, Incoming, InvalidRoute,
    Limits, Listen, ListeningSocket, Opening, Outcome, Params, Phase, PingError, Reach,
    ReceiveError, Refused, Report, Resend, SendError, ServerTls, Shutdown, State, Stopped,
    StreamError, TlsDetails, TopicConfig, TurnedAway, Wants, WhenFull,
};
/// The protocol without I/O, that all of this stands on.
pub use lastword_proto as proto;
pub use lastword_proto::handshake::server::{Busy, Hosts, Origins, Refusal, Subprotocols};
pub use lastword_proto::{
    Budget, Cause, CloseCode, CloseFrame, Compression, Config, ControlRefused, Cut, Ending,
    Farewell, First, Heartbeat, Kind, Ledger, Loss, Message, Rate, Role, Tally, TimeOut, Utf8Bytes,
    Violation,
};
pub use lastword_retry::{Backoff, Limit, Verdict};
pub use parts::{MessageReader, MessageWriter};
pub use reconnect::{Control, Reconnect, connect_forever};
pub use serve::{
    Bound, Carrier, Departures, Monitor, Pending, Routes, Server, Upgrades, accept, serve,
};
/// The TLS that this crate speaks.
pub use tokio_rustls::rustls;
pub use watch::{Heartbeats, Watch};
pub use websocket::{Batch, Receiver, Sender, WebSocket};

/// A connection without a runtime, for a model checker: the handle, and the pump to be run beside it.
#[cfg(lastword_model)]
#[doc(hidden)]
pub fn model(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    agreement: proto::Agreement,
    config: Config,
) -> (WebSocket, impl Future<Output = std::sync::Arc<Ending>>) {
    let transport = Box::new(transport::Plain(stream));
    let (addresses, config) = (lastword_kit::Addresses::default(), std::sync::Arc::new(config));
    let shared = shared::Shared::new(transport, agreement, addresses, config, shared::Keeper::Pump);
    (WebSocket::new(std::sync::Arc::clone(&shared)), pump::Pump::new(shared))
}
