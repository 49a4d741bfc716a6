//! A connection and a driver around it that has no socket: reads and writes have the sizes that the
//! work wants.

use std::sync::Arc;
use std::time::Instant;

use bytes::BufMut;
use lastword_proto::{
    Agreement, Compression, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Event, Message, Role, Transmit,
};

pub(crate) struct Driven {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
    /// What was written, as a kernel would have copied it.
    pub(crate) wire: Vec<u8>,
    pub(crate) messages: usize,
}

/// Where a driver reads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// Always to memory of its own.
    Scratch,
    /// Straight to the message where the connection offers that.
    Target,
}

/// As much as one read or write of a driver moves.
pub(crate) const SCRATCH: usize = 64 << 10;

/// A configuration in which no size that is measured is a violation.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.max_message_size = 1 << 30;
    config.max_frame_size = 1 << 30;
    config.max_fragments = Some(usize::MAX);
    config
}

impl Driven {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(&Agreement::plain(role), config())
    }

    pub(crate) fn compressed(role: Role) -> Self {
        let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
        let mut agreement = Agreement::plain(role);
        agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
        Self::with(&agreement, config())
    }

    pub(crate) fn with(agreement: &Agreement, config: Config) -> Self {
        let now = Instant::now();
        let connection = Connection::new(agreement, Arc::new(config), [7; 32], now);
        Self { connection, now, wire: Vec::new(), messages: 0 }
    }

    /// The peer's bytes come in reads of `size`.
    pub(crate) fn receive(&mut self, mut bytes: &mut [u8], size: usize, to: Into) {
        while !bytes.is_empty() {
            let (read, rest) = bytes.split_at_mut(size.min(bytes.len()));
            bytes = rest;
            self.read(read, to);
            self.fetch();
        }
    }

    fn read(&mut self, mut read: &mut [u8], to: Into) {
        while to == Into::Target
            && !read.is_empty()
            && let Some(mut target) = self.connection.read_target()
        {
            let count = target.remaining_mut().min(read.len());
            target.put_slice(&read[..count]);
            self.connection.received(count, self.now);
            read = &mut read[count..];
        }
        self.connection.receive(read, self.now);
    }

    /// Fetches what has come.
    pub(crate) fn fetch(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Message(_) => self.messages += 1,
                other => panic!("this work ends no connection: {other:?}"),
            }
        }
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.connection.send(message, Compression::Auto).expect("it is open");
    }

    /// Writes all that waits, `size` bytes at a time.
    pub(crate) fn write(&mut self, size: usize) {
        while self.write_once(size) {}
    }

    /// Writes once; whether there was something to write.
    pub(crate) fn write_once(&mut self, size: usize) -> bool {
        let Transmit::Bytes(lent) = self.connection.poll_transmit() else { return false };
        let mut left = size;
        for slice in lent.as_slices() {
            let taken = left.min(slice.len());
            self.wire.extend_from_slice(&slice[..taken]);
            left -= taken;
        }
        self.connection.wrote(size - left, self.now);
        true
    }
}
