//! The core and its stream, and the bytes between them: read when the core wants it, written when it lends
//! some. Who does that, and when, is noted here and decided by whoever holds the lock.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::{Outbox, Slot, TlsDetails, record_frames};
use lastword_proto::{Connection, Operation, Transmit, TransportError};

use crate::bell::Room;
use crate::socket::{Interest, now};
use crate::stream::{Goes, Stream};

/// The core, its stream, and who is at work for them.
pub(crate) struct Inner {
    pub(crate) connection: Connection,
    /// `None` when it is over.
    pub(crate) stream: Option<Stream>,
    /// Whether the socket took no more when last asked.
    pub(crate) blocked: bool,
    /// Whether the stream has come to its end, or failed: there is nothing to read any more.
    pub(crate) dry: bool,
    /// Whether a caller reads, without the lock.
    pub(crate) reader: Reader,
    /// How often a caller came back from reading.
    pub(crate) returns: u64,
    /// How many wait for something that the pump, or a reader, has to bring about.
    pub(crate) waiting: usize,
    pub(crate) pump: Pump,
    /// While a batch is open, sends do not write.
    pub(crate) batches: usize,
    /// What topics keep for it while it is behind.
    pub(crate) outbox: Slot<Room>,
    /// Whether each frame is logged.
    pub(crate) recorded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    None,
    Reads,
}

/// What the pump is doing while the lock is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pump {
    /// It holds the lock, or waits for it.
    Awake,
    /// Until then, or until it is called; a reader that leaves calls it.
    Asleep(Option<Instant>),
    /// It looks after a moment whether readers still come and go.
    Dozing,
    /// It waits for this of the socket, and until then.
    Watching(Interest, Option<Instant>),
    /// It was called while it waited.
    Nudged,
    Gone,
}

impl Inner {
    pub(crate) fn new(mut connection: Connection, stream: Stream) -> Self {
        let recorded = record_frames(&mut connection);
        let mut inner = Self {
            connection,
            stream: Some(stream),
            blocked: false,
            dry: false,
            reader: Reader::None,
            returns: 0,
            waiting: 0,
            pump: Pump::Awake,
            batches: 0,
            outbox: None,
            recorded,
        };
        // What TLS had decrypted behind the opening waits for no more bytes to come.
        inner.receive(Ok(None));
        inner
    }

    /// Hands the core what topics keep for it, and writes, as long as there is room.
    #[cold]
    pub(crate) fn refill(&mut self) {
        while Outbox::refill(&mut self.outbox, &mut self.connection) {
            self.write();
        }
    }

    pub(crate) fn tls(&self) -> Option<TlsDetails> {
        self.stream.as_ref()?.tls()
    }

    /// Reads what is there, once; whether anything came of it. Not while a caller reads.
    pub(crate) fn read_now(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        if self.dry || self.connection.ending().is_some() || !self.connection.wants_read() {
            return false;
        }
        if stream.is_plain()
            && let Some(mut target) = self.connection.read_target()
        {
            let limit = target.limit();
            let read = stream.socket.try_read_into(target.get_mut(), limit);
            match read {
                Ok(0) => self.receive(Ok(Some(&mut []))),
                Ok(count) => self.connection.received(count, now()),
                Err(error) if is_nothing(&error) => return false,
                Err(error) => self.receive(Err(error)),
            }
            return true;
        }
        let limit = self.connection.read_limit();
        let socket = Arc::clone(&stream.socket);
        with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            match socket.try_read(scratch.get_mut(..limit).unwrap_or_default()) {
                Ok(count) => self.receive(Ok(scratch.get_mut(..count))),
                Err(error) if is_nothing(&error) => return false,
                Err(error) => self.receive(Err(error)),
            }
            true
        })
    }

    /// Hands the core what was read: bytes, the end (no bytes), nothing yet, or an error.
    pub(crate) fn receive(&mut self, read: io::Result<Option<&mut [u8]>>) {
        let Self { connection, stream: Some(stream), dry, .. } = self else { return };
        let failed = match read {
            Ok(Some(bytes)) if stream.is_plain() && !bytes.is_empty() => {
                return connection.receive(bytes, now());
            }
            Ok(Some([])) if stream.is_plain() => Ok(Goes::NoMore),
            Ok(None) if stream.is_plain() => return,
            Err(error) if is_nothing(&error) => return,
            Err(error) => Err(error),
            Ok(records) => {
                let records = records.as_deref();
                if records.is_some_and(<[u8]>::is_empty) {
                    stream.end();
                }
                with_plain(|plain| {
                    let receive = |plain: &mut [u8]| connection.receive(plain, now());
                    stream.decrypt(records.unwrap_or_default(), plain, receive)
                })
            }
        };
        match failed {
            Ok(Goes::On) => {}
            Ok(Goes::NoMore) => {
                *dry = true;
                connection.receive_eof(now());
            }
            Err(error) => {
                *dry = true;
                connection.transport_error(TransportError::new(Operation::Read, &error), now());
            }
        }
    }

    /// Writes all that the core lends and the socket takes.
    pub(crate) fn write(&mut self) {
        if self.blocked {
            return;
        }
        let Self { connection, stream: Some(stream), blocked, .. } = self else { return };
        if connection.is_silent() && !stream.holds_records() {
            return;
        }
        let failed = |connection: &mut Connection, operation, error: &io::Error| {
            connection.transport_error(TransportError::new(operation, error), now());
        };
        loop {
            if stream.holds_records() {
                if let Err(error) = stream.write_records() {
                    return failed(connection, Operation::Write, &error);
                }
                if stream.holds_records() {
                    *blocked = true;
                    return connection.wrote(0, now());
                }
            }
            match connection.poll_transmit() {
                Transmit::Bytes(lent) => match stream.write(lent.as_slices()) {
                    Ok(count) => connection.wrote(count, now()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *blocked = true;
                        return connection.wrote(0, now());
                    }
                    Err(error) => failed(connection, Operation::Write, &error),
                },
                Transmit::Finish => match stream.finish() {
                    Ok(()) => connection.finished(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *blocked = true;
                        return;
                    }
                    Err(error) => failed(connection, Operation::Shutdown, &error),
                },
                Transmit::Idle => return,
            }
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

fn with_plain<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    PLAIN.with_borrow_mut(|plain| work(plain))
}

thread_local! {
    /// Where bytes are read to: one block for each thread. Memory that is never needed is never
    /// touched.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 128 << 10].into());
    /// Where records of TLS are decrypted to.
    static PLAIN: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 << 10].into());
}
