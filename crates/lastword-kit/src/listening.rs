//! What drivers do alike with sockets that listen, and with streams that are refused.

use std::io;
use std::time::Duration;

/// How many connections may wait to be accepted. With the 128 of the standard library a burst that comes
/// while all threads are busy is dropped without a word, and tries again after a second.
pub const BACKLOG: u32 = 4096;

/// How long to wait before accepting again, when the operating system has nothing left to give.
pub const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// How many bytes are read of what follows a refused request, so that no reset takes the answer with
/// it.
pub const REFUSED_REST: usize = 64 << 10;

/// Whether accepting failed because of the one connection that was to be accepted: on some systems
/// one that was reset while it waited is told like this.
pub fn is_of_the_guest(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
