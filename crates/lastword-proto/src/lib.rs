//! The WebSocket protocol (RFC 6455, RFC 7692) without I/O: no socket, no clock, no thread.
//!
//! A [`Connection`] eats bytes and instants, and yields [`Event`]s and bytes; [`handshake`] makes
//! the [`Agreement`] that it starts from. However it ends, there is one [`Ending`], last, that tells
//! how, and what became of the messages.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod agreement;
mod assembler;
mod budget;
mod burst;
mod closing;
mod config;
mod connection;
mod control;
mod cut;
mod decoder;
mod deflate;
mod encoder;
mod event;
mod exchange;
mod extension;
pub mod handshake;
mod header;
mod heartbeat;
mod inbox;
mod keepalive;
mod ledger;
mod masks;
mod message;
mod output;
mod pace;
mod prepared;
mod rare;
mod rate;
mod record;
mod timers;
mod transforms;
mod utf8;
mod violation;
mod whole;
mod wire;

pub use agreement::{Agreement, ContextTakeover, DeflateAgreement, DeflateDirection};
pub use budget::Budget;
pub use burst::Burst;
pub use closing::{
    Cause, Ending, First, Loss, Operation, OsError, OurSide, PeerSide, TimeOut, Transport,
    TransportError,
};
pub use config::{Compression, Config, DeflateConfig, Delivery, OpeningLimits, Unconfirmed};
pub use connection::{Connection, ControlRefused, Leave, SendRefused, Transmit};
pub use cut::{Cut, FrameCut, MessageCut};
pub use event::Event;
pub use exchange::Exchange;
pub use extension::{
    AgreedExtension, Encoded, Extension, Extensions, InvalidExtension, NotAToken, Parameters,
    Transform, Undecodable,
};
pub use header::HeaderError;
pub use heartbeat::Heartbeat;
pub use keepalive::PingId;
pub use ledger::{Ledger, Tally};
pub use message::{Elided, Kind, Message, Part, Utf8Bytes};
pub use output::Lent;
pub use prepared::Prepared;
pub use rate::{Bucket, Rate, TooFast};
pub use record::{EXCERPT, Entry, FrameEntry};
pub use violation::{ExtensionFailed, Undecoded, Violation};
pub use wire::{
    CloseCode, CloseFrame, End, Farewell, InvalidCloseCode, MAX_CLOSE_REASON, Opcode,
    ReasonTooLong, ReservedBits, Role,
};
