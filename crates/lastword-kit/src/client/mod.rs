//! Clients before there is a connection: what was asked for, and where that leads. Decides; resolves,
//! connects and waits for nothing.

mod journey;
mod wishes;

pub use journey::Journey;
pub use wishes::{TlsPeer, Via, Wishes};
