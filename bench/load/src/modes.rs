//! What can be asked of a server; each prints what it found.

pub mod broadcast;
pub mod echo;
pub mod handshakes;
pub mod latency;
pub mod memory;
