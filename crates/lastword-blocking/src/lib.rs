//! WebSocket for Rust, without `async`: plain calls, threads, and the same core as `lastword`.
//! **However a connection ends, nothing panics, hangs, leaks or lies, and you are told exactly how it
//! ended and what became of your messages.**
//!
//! A server, and a client:
//!
//! ```no_run
//! # fn server() -> std::io::Result<()> {
//! lastword_blocking::serve("127.0.0.1:8765", |mut ws| {
//!     while let Some(message) = ws.recv()? {
//!         ws.send(message)?;
//!     }
//!     Ok(())
//! })?;
//! # Ok(()) }
//!
//! # fn client() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let mut ws = lastword_blocking::connect("ws://127.0.0.1:8765")?;
//! ws.send("hello")?;
//! let echo = ws.recv()?;
//! let ending = ws.close(lastword_blocking::CloseCode::NORMAL, "done");
//! println!("{ending}"); // closed by us: 1000 (normal closure) "done"
//! # Ok(()) }
//! ```
//!
//! # Clients
//!
//! [`Client`] goes through proxies, follows redirects, and tries all addresses of a name, with one deadline
//! for all of it; [`Cancel`] ends it sooner, from another thread. [`Reconnect`] comes back, again and again:
//!
//! ```no_run
//! for mut ws in lastword_blocking::connect_forever("wss://example.com/feed") {
//!     while let Ok(Some(message)) = ws.recv() {
//!         println!("{message:?}");
//!     }
//! }
//! ```
//!
//! # Threads
//!
//! Each connection has one thread of its own, the pump, beside those that call. A call to
//! [`recv`](WebSocket::recv) reads in the caller's thread and [`send`](WebSocket::send) writes in the
//! caller's thread, so that an echo costs one read, one write and no switch of threads. The pump sleeps
//! meanwhile; within a tenth of a second after the last caller has gone elsewhere it takes over: pings
//! are answered, deadlines kept, a close is completed.
//!
//! No lock is held while a thread waits for the network. A thread that waits in `send` for a peer
//! that does not read holds up no `close`, no `ping` and no `recv` of another; over TLS, too.

#[cfg(not(unix))]
compile_error!(
    "lastword-blocking is for Unix alone so far: it reads from a socket that waits while other threads \
     write to it without waiting, call by call (MSG_DONTWAIT), which Windows does otherwise; `lastword` \
     is for every platform of tokio"
);

mod bell;
mod broadcast;
mod cancel;
mod connect;
mod connecting;
mod crank;
mod parts;
mod pump;
mod reconnect;
mod serve;
mod shared;
mod socket;
mod stream;
mod watch;
mod websocket;

pub use broadcast::{Subscription, Topic, broadcast};
pub use cancel::Cancel;
pub use connect::{Client, connect};
/// Where a client goes and how it gets there, without I/O.
pub use lastword_dial as dial;
pub use lastword_dial::{HostAddresses, InvalidHostAddresses, InvalidProxy, Proxy};
pub use lastword_kit::rustls;
pub use lastword_kit::{
    AcceptError, AcceptErrorKind, Answer, Attempt, Because, ConnectError, ConnectionId, Counters,
    Counts, Credentials, Departure, Ended, EndedBy, Failed, FlushError, HandlerError, Incoming,
    InvalidRoute, Limits, Listen, ListeningSocket, Opening, Outcome, Params, Phase, PingError,
    Reach, ReceiveError, Refused, Report, Resend, SendError, ServerTls, Shutdown, State, Stopped,
    TlsDetails, TopicConfig, TurnedAway, Wants, WhenFull,
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
pub use serve::{Bound, Departures, Monitor, Routes, Server, Stop, accept, serve};
pub use watch::{Heartbeats, Watch};
pub use websocket::{Batch, Messages, Receiver, Sender, WebSocket};
