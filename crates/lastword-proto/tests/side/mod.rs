//! A wire toolbox that shares no code with the crate, and a driver around one connection.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::{
    Agreement, CloseCode, CloseFrame, Compression, Config, Connection, Ending, Event, Farewell,
    Message, Operation, Role, Transmit, TransportError,
};

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A frame of `sender`, masked if that is a client, with its length in the shortest form.
pub fn frame(sender: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = header(sender, first, payload.len() as u64);
    let key = [0x12, 0x34, 0x56, 0x78];
    let masked = sender == Role::Client;
    wire.extend(payload.iter().enumerate().map(|(i, b)| if masked { b ^ key[i % 4] } else { *b }));
    wire
}

pub fn header(sender: Role, first: u8, len: u64) -> Vec<u8> {
    let masked = u8::from(sender == Role::Client) << 7;
    let mut wire = vec![first];
    match len {
        0..126 => wire.push(masked | len as u8),
        126..0x1_0000 => {
            wire.push(masked | 126);
            wire.extend((len as u16).to_be_bytes());
        }
        _ => {
            wire.push(masked | 127);
            wire.extend(len.to_be_bytes());
        }
    }
    if masked != 0 {
        wire.extend([0x12, 0x34, 0x56, 0x78]);
    }
    wire
}

/// The body of a close frame.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

pub fn said(code: u16, reason: &str) -> Farewell {
    let code = CloseCode::try_from(code).unwrap();
    Farewell::Said(CloseFrame::new(code, reason.to_owned()).unwrap())
}

/// A frame as it was read back: its first byte and its payload, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub first: u8,
    pub payload: Vec<u8>,
}

pub fn read(first: u8, payload: impl AsRef<[u8]>) -> Read {
    Read { first, payload: payload.as_ref().to_vec() }
}

/// The whole frames in `wire`, and how many bytes of an unfinished one follow.
#[track_caller]
pub fn parse(sender: Role, wire: &[u8]) -> (Vec<Read>, usize) {
    let (mut frames, mut rest) = (Vec::new(), wire);
    while let Some((read, size)) = parse_one(sender, rest) {
        frames.push(read);
        rest = &rest[size..];
    }
    (frames, rest.len())
}

#[track_caller]
fn parse_one(sender: Role, wire: &[u8]) -> Option<(Read, usize)> {
    let second = *wire.get(1)?;
    assert_eq!(second & 0x80 != 0, sender == Role::Client, "masked exactly if a client sends");
    let (len, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(wire.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(wire.get(2..10)?.try_into().unwrap()) as usize, 10),
        short => (usize::from(short), 2),
    };
    let mut key = [0; 4];
    if sender == Role::Client {
        key.copy_from_slice(wire.get(at..at + 4)?);
        at += 4;
    }
    let payload = wire.get(at..at + len)?;
    let payload = payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
    Some((Read { first: wire[0], payload }, at + len))
}

/// One connection, its clock, and all that came out of it.
pub struct Side {
    pub connection: Connection,
    pub role: Role,
    pub start: Instant,
    pub now: Instant,
    pub sent: Vec<u8>,
    pub finishes: usize,
    pub events: Vec<Event>,
}

impl Side {
    pub fn new(role: Role, config: Config) -> Self {
        let now = Instant::now();
        let connection = Connection::new(&Agreement::plain(role), Arc::new(config), [7; 32], now);
        Self {
            connection,
            role,
            start: now,
            now,
            sent: Vec::new(),
            finishes: 0,
            events: Vec::new(),
        }
    }

    pub fn send(&mut self, message: impl Into<Message>) {
        self.connection.send(message.into(), Compression::Auto).unwrap();
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(&mut bytes.to_vec(), self.now);
    }

    /// Receives one frame of the peer.
    pub fn peer(&mut self, first: u8, payload: &[u8]) {
        self.receive(&frame(self.role.peer(), first, payload));
    }

    /// Writes at most `most` bytes; how many they were.
    pub fn write(&mut self, most: usize) -> usize {
        match self.connection.poll_transmit() {
            Transmit::Bytes(lent) => {
                let bytes = lent.to_vec();
                assert!(!bytes.is_empty(), "nothing was lent");
                let count = bytes.len().min(most);
                self.sent.extend(&bytes[..count]);
                self.connection.wrote(count, self.now);
                count
            }
            Transmit::Finish => {
                self.finishes += 1;
                self.connection.finished();
                0
            }
            Transmit::Idle => 0,
        }
    }

    pub fn flush(&mut self) {
        while self.write(usize::MAX) > 0 {}
        self.write(usize::MAX);
    }

    pub fn close(&mut self, code: u16) {
        let Farewell::Said(frame) = said(code, "") else { unreachable!("said") };
        self.connection.close(Some(frame), self.now);
    }

    pub fn eof(&mut self) {
        self.connection.receive_eof(self.now);
    }

    pub fn fails(&mut self, operation: Operation, error: &io::Error) {
        self.connection.transport_error(TransportError::new(operation, error), self.now);
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Lets time pass until nothing is waited for or `until`; writes, if the transport is
    /// `writable`, before each report of a timeout.
    pub fn wait(&mut self, until: Duration, writable: bool) {
        let until = self.start + until;
        for _ in 0..10_000 {
            if writable {
                self.flush();
            }
            match self.connection.poll_timeout() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => {
                    self.now = self.now.max(until);
                    return;
                }
            }
            self.connection.handle_timeout(self.now);
        }
        panic!("timers never come to rest");
    }

    pub fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.events.push(event);
        }
    }

    pub fn messages(&mut self) -> Vec<Message> {
        self.drain();
        let messages = self.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }

    /// The ending, which is the only one, and the last of all events.
    #[track_caller]
    pub fn ending(&mut self) -> Arc<Ending> {
        self.drain();
        let ended = self.events.iter().filter(|event| matches!(event, Event::Ended(_))).count();
        assert_eq!(ended, 1, "{:?}", self.events);
        let Some(Event::Ended(ending)) = self.events.last() else { panic!("Ended is not last") };
        assert!(self.connection.poll_timeout().is_none(), "a timer outlives the end");
        assert!(matches!(self.connection.poll_transmit(), Transmit::Idle), "bytes after the end");
        Arc::clone(ending)
    }

    /// What was sent, frame by frame; nothing of a frame may be left over.
    #[track_caller]
    pub fn frames(&self) -> Vec<Read> {
        let (frames, rest) = parse(self.role, &self.sent);
        assert_eq!(rest, 0, "a torn frame");
        frames
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn reset() -> io::Error {
    io::Error::from_raw_os_error(104)
}

pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}
