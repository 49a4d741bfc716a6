//! A wire toolbox that shares no code with the crate, and a driver around one connection with a
//! clock of its own.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses what it needs")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::{
    Agreement, CloseCode, CloseFrame, Config, Connection, Ending, Event, Message, Operation, Role,
    Transmit, TransportError,
};

/// The key with which all frames of a scripted client are masked.
pub const KEY: [u8; 4] = [0x5a, 0x01, 0xff, 0x37];

/// One frame as `sender` would put it on the wire.
pub fn frame(sender: Role, first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first_byte];
    let mask = if sender == Role::Client { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => wire.push(mask | short as u8),
        long @ 126..=0xffff => {
            wire.push(mask | 126);
            wire.extend((long as u16).to_be_bytes());
        }
        long => {
            wire.push(mask | 127);
            wire.extend((long as u64).to_be_bytes());
        }
    }
    if sender == Role::Client {
        wire.extend(KEY);
        wire.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]));
    } else {
        wire.extend(payload);
    }
    wire
}

/// The payload of a close frame.
pub fn goodbye(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    payload
}

/// Takes complete frames apart: first byte and unmasked payload of each, and what is left over.
pub fn frames(mut wire: &[u8]) -> (Vec<(u8, Vec<u8>)>, usize) {
    let mut frames = Vec::new();
    while let Some((frame, size)) = one_frame(wire) {
        frames.push(frame);
        wire = &wire[size..];
    }
    (frames, wire.len())
}

fn one_frame(wire: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let (first, second) = (*wire.first()?, *wire.get(1)?);
    let (len, mut at) = match second & 0x7f {
        126 => (u16::from_be_bytes(wire.get(2..4)?.try_into().unwrap()) as usize, 4),
        127 => (u64::from_be_bytes(wire.get(2..10)?.try_into().unwrap()) as usize, 10),
        short => (short as usize, 2),
    };
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        key = wire.get(at..at + 4)?.try_into().unwrap();
        at += 4;
    }
    let payload = wire.get(at..at + len)?;
    let payload = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Some(((first, payload), at + len))
}

pub fn close_frame(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame::new(CloseCode::try_from(code).unwrap(), reason).unwrap()
}

pub fn error(operation: Operation, kind: io::ErrorKind) -> TransportError {
    TransportError::new(operation, &kind.into())
}

/// One connection, driven by hand.
pub struct Driven {
    pub connection: Connection,
    pub now: Instant,
    pub role: Role,
    /// All that was written.
    pub wire: Vec<u8>,
    /// Whether our half of the stream was ended.
    pub finished: bool,
    pub messages: Vec<Message>,
    pub endings: Vec<Arc<Ending>>,
}

impl Driven {
    pub fn new(role: Role) -> Self {
        Self::with(role, Config::default())
    }

    pub fn with(role: Role, config: Config) -> Self {
        let now = Instant::now();
        let agreement = Agreement::plain(role);
        let connection = Connection::new(&agreement, Arc::new(config), [7; 32], now);
        Self {
            connection,
            now,
            role,
            wire: Vec::new(),
            finished: false,
            messages: Vec::new(),
            endings: Vec::new(),
        }
    }

    /// The peer sends `bytes`; all that is due is written, and all events are fetched.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(&mut bytes.to_vec(), self.now);
        self.settle();
    }

    pub fn eof(&mut self) {
        self.connection.receive_eof(self.now);
        self.settle();
    }

    pub fn fail(&mut self, operation: Operation, kind: io::ErrorKind) {
        self.connection.transport_error(error(operation, kind), self.now);
        self.settle();
    }

    pub fn close(&mut self, code: u16, reason: &'static str) {
        self.connection.close(Some(close_frame(code, reason)), self.now);
        self.settle();
    }

    pub fn send(&mut self, message: impl Into<Message>) {
        self.connection.send(message.into(), Default::default()).unwrap();
    }

    /// Writes all that is lent, and fetches all events, as a driver does between two waits.
    pub fn settle(&mut self) {
        loop {
            self.write();
            self.fetch();
            let Some(due) = self.connection.poll_timeout().filter(|&due| due <= self.now) else {
                return;
            };
            assert!(due <= self.now);
            self.connection.handle_timeout(self.now);
        }
    }

    pub fn write(&mut self) {
        loop {
            match self.connection.poll_transmit() {
                Transmit::Bytes(lent) => {
                    let bytes = lent.to_vec();
                    assert!(!bytes.is_empty(), "nothing is never lent");
                    self.wire.extend(&bytes);
                    self.connection.wrote(bytes.len(), self.now);
                }
                Transmit::Finish => {
                    self.finished = true;
                    self.connection.finished();
                }
                Transmit::Idle => return,
            }
        }
    }

    pub fn fetch(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            assert!(self.endings.is_empty(), "the ending is the last event, once");
            match event {
                Event::Message(message) => self.messages.push(message),
                Event::Ended(ending) => self.endings.push(ending),
                _ => {}
            }
        }
    }

    /// Lets time pass until nothing is waited for any more; how long that took.
    pub fn wait_for_the_end(&mut self) -> Duration {
        let start = self.now;
        for _ in 0..1000 {
            let Some(due) = self.connection.poll_timeout() else { break };
            self.now = self.now.max(due);
            self.settle();
        }
        self.now - start
    }

    #[track_caller]
    pub fn ending(&self) -> &Ending {
        assert_eq!(self.endings.len(), 1, "exactly one ending");
        &self.endings[0]
    }

    /// The frames that were written.
    pub fn written(&self) -> Vec<(u8, Vec<u8>)> {
        let (frames, rest) = frames(&self.wire);
        assert_eq!(rest, 0, "no frame is torn");
        frames
    }
}
