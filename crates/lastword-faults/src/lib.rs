//! The faults of real networks, between real peers, through the kernel.
//!
//! Two peers of a [`Driver`] talk over TCP, TLS or Unix sockets through a [`Proxy`] that counts
//! bytes, and at one exact byte does what networks do: ends a stream, resets it, falls silent,
//! drips, stops reading, inserts or turns over bits. [`suites`] say what has to come of it at both
//! peers; they know the driver only as a parameter, so that another one joins them unchanged.
//!
//! What happens at which byte is computed from the script here, and shares no code with the core.

mod driver;
mod on_blocking;
mod on_tokio;
mod proxy;
mod script;
mod stream;
pub mod suites;
mod tls;

pub use driver::{Driver, NoConnection, Peer, Received, Setup};
pub use on_blocking::Blocking;
pub use on_tokio::Tokio;
pub use proxy::{Answers, Fault, Layer, Plan, Proxy};
pub use stream::{Buffers, Stream, Transport};
pub use tls::Certificates;
