//! What a client says, byte by byte, and what has to come back. Knows no sockets; shares no code with
//! any server.

pub mod answers;
pub mod frames;
