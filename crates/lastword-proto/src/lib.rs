//! The WebSocket protocol without I/O.

mod agreement;
mod config;
mod message;
mod wire;

pub use agreement::{Agreement, ContextTakeover, DeflateAgreement, DeflateDirection};
pub use config::{Config, DeflateConfig, Delivery, OpeningLimits, Unconfirmed};
pub use message::{Elided, Kind, Message, Utf8Bytes};
pub use wire::{
    CloseCode, CloseFrame, End, Farewell, InvalidCloseCode, MAX_CLOSE_REASON, Opcode,
    ReasonTooLong, Role,
};
