//! All of a connection, for checkers that explore it: two that look alike here behave alike.

use std::fmt;

use super::Connection;

impl Connection {
    /// All that decides what this connection will do, but for what only shows in bytes: masking keys
    /// and the windows of compression. For checkers; its form is no promise.
    #[doc(hidden)]
    pub fn anatomy(&self) -> impl fmt::Debug {
        Anatomy(self)
    }
}

struct Anatomy<'a>(&'a Connection);

impl fmt::Debug for Anatomy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever adds a field decides here whether it makes a difference.
        let Connection {
            role,
            config: _,
            decoder,
            assembler,
            deflate,
            extended,
            masks,
            encoder,
            output,
            streaming,
            keepalive,
            account,
            timers,
            closing,
            inbox,
            reader,
            last_received,
            last_sent,
            last_message,
            whole_limit: _,
            small_below: _,
            small_room: _,
            remains,
            record: _,
            share: _,
            pace,
            ending,
        } = self.0;
        let fields: [&dyn fmt::Debug; 21] = [
            role,
            decoder,
            assembler,
            deflate,
            extended,
            masks,
            encoder,
            output,
            streaming,
            keepalive,
            account,
            timers,
            closing,
            inbox,
            reader,
            last_received,
            last_sent,
            last_message,
            remains,
            pace,
            ending,
        ];
        f.debug_list().entries(fields).finish()
    }
}
