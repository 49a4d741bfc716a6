//! One side of a link: the core, its application, its socket, and what is known of all three.
//!
//! Does to the core what a driver does, and keeps a diary of facts, so that the rules can be held
//! against what really happened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lastword_proto::{
    Burst, CloseCode, CloseFrame, Compression, Connection, Delivery, Ending, Event, Kind, Leave,
    Ledger, Message, Operation, OurSide, Part, PingId, Prepared, Role, SendRefused, Transmit,
    TransportError,
};

use crate::link::{Held, Orderly, Read, Socket};
use crate::setup::Setup;
use crate::witness::{Masked, Witness};

/// One side of a link.
pub struct Side {
    /// The core.
    pub connection: Connection,
    /// Which side it is.
    pub role: Role,
    /// Its socket.
    pub socket: Socket,
    /// What this side handed to its kernel.
    pub written: Witness,
    /// What this side's core was given.
    pub given: Witness,
    /// Every message that this side's application sent, in order.
    pub accepted: Vec<Accepted>,
    /// What the application fetched: whole messages, and the parts of the next.
    pub fetched: u64,
    /// Messages that the application gave up when it had taken parts of them.
    pub abandoned: u64,
    /// How often it asks whether the peer is there, and how long that may be silent.
    pub pace: Pace,
    /// How the core hands messages out.
    pub delivery: Delivery,
    /// Messages that the driver holds for the application, which fetches them one by one.
    pub hand: Burst,
    /// The plain bytes of the message that is fetched by parts.
    pub parts: Vec<u8>,
    /// Pings that were asked, with how many messages had been accepted when they confirm something.
    pub asked: Vec<(PingId, u64)>,
    /// How it ended, once the application fetched that.
    pub fetched_ending: Option<Arc<Ending>>,
    /// What the ending gave back, fetched with it.
    pub unsent: Vec<Message>,
    /// Messages that had left and were not confirmed, fetched with the ending.
    pub unconfirmed: Vec<Message>,
    /// What happened.
    pub diary: Diary,
}

/// How often a side asks whether its peer is there, and how long that may be silent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// `None`: never.
    pub interval: Option<Duration>,
    /// `None`: for ever.
    pub timeout: Option<Duration>,
}

/// A message that the application sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How long it is; of one sent by parts, so far.
    pub len: usize,
    /// How it was sent.
    pub how: How,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// At once.
    Whole,
    /// By parts, of which more are to come.
    Streaming,
    /// By parts, all of them.
    Streamed,
}

/// What happened at one side: facts that its ending has to agree with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diary {
    /// The application closed while the connection was open.
    pub closed: bool,
    /// The server shut down.
    pub shut_down: bool,
    /// The application aborted.
    pub aborted: bool,
    /// The application dropped its handles.
    pub dropped: bool,
    /// The application receives no more.
    pub stopped: bool,
    /// The core was told of the end of the stream.
    pub eof: bool,
    /// This side ended its half of the stream, as the core asked.
    pub finished: bool,
    /// The core was told of a failure.
    pub failed: bool,
    /// The stream to this side is not what the other side sent.
    pub tainted: bool,
    /// A deadline passed while this side was open.
    pub late: bool,
    /// When the connection was first seen not to be open any more.
    pub began: Option<Instant>,
    /// Messages that the application was refused.
    pub refused: u64,
}

impl Side {
    /// A side of a new link.
    pub fn new(setup: &Setup, role: Role, seed: [u8; 32], now: Instant) -> Self {
        let (masked, peers) = match role {
            Role::Client => (Masked::Yes, Masked::No),
            Role::Server => (Masked::No, Masked::Yes),
        };
        let config = Arc::clone(setup.config(role));
        Self {
            delivery: config.delivery,
            pace: Pace { interval: config.ping_interval, timeout: config.ping_timeout },
            connection: Connection::new(&setup.agreement(role), config, seed, now),
            role,
            socket: Socket::new(setup.window),
            written: Witness::new(masked),
            given: Witness::new(peers),
            accepted: Vec::new(),
            fetched: 0,
            abandoned: 0,
            hand: Burst::default(),
            parts: Vec::new(),
            asked: Vec::new(),
            fetched_ending: None,
            unsent: Vec::new(),
            unconfirmed: Vec::new(),
            diary: Diary::default(),
        }
    }

    /// Whether the application still holds a handle.
    pub const fn has_application(&self) -> bool {
        !self.diary.dropped
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.connection.ending().is_some()
    }

    /// The ledger, of the ending if there is one.
    pub fn ledger(&self) -> Ledger {
        self.connection.ending().map_or_else(|| self.connection.ledger(), |ending| ending.ledger)
    }

    /// The application sends a message.
    pub fn send(&mut self, size: usize) {
        let message = self.next_message(size);
        let sent = self.connection.send(message, Compression::Auto);
        self.note_sent(size, sent);
    }

    /// The application sends a message that was made ready for many.
    pub fn send_prepared(&mut self, size: usize) {
        let prepared = Prepared::new(self.next_message(size));
        let sent = self.connection.send_prepared(&prepared, Compression::Auto);
        self.note_sent(size, sent);
    }

    fn next_message(&self, size: usize) -> Message {
        message(self.role, self.accepted.len() as u64, size)
    }

    fn note_sent(&mut self, size: usize, sent: Result<(), SendRefused>) {
        match sent {
            Ok(()) => self.accepted.push(Accepted { len: size, how: How::Whole }),
            Err(refused) => {
                assert_eq!(refused.into_message(), self.next_message(size));
                self.diary.refused += 1;
            }
        }
    }

    /// The application sends a part of a message.
    pub fn send_part(&mut self, size: usize, last: bool) {
        let streaming = self.accepted.last().filter(|last| last.how == How::Streaming);
        let index = self.accepted.len() as u64 - u64::from(streaming.is_some());
        let from = streaming.map_or(0, |message| message.len);
        let whole = message(self.role, index, from + size);
        let data = match (whole.kind(), whole.payload().slice(from..)) {
            (Kind::Binary, payload) => Message::binary(payload),
            (Kind::Text, payload) => Message::text(text(&payload)),
        };
        let how = if last { How::Streamed } else { How::Streaming };
        if self.connection.send_part(Part { data, last }, Compression::Auto).is_err() {
            self.diary.refused += 1;
        } else if from > 0 || streaming.is_some() {
            let message = self.accepted.last_mut().expect("one is being streamed");
            (message.len, message.how) = (from + size, how);
        } else {
            self.accepted.push(Accepted { len: size, how });
        }
    }

    /// The application asks for a ping, or for a confirmation.
    pub fn ask(&mut self, confirms: Confirms) {
        let (id, upto) = match confirms {
            Confirms::Nothing => (self.connection.ping(), 0),
            Confirms::All => (self.connection.confirm(), self.accepted.len() as u64),
        };
        self.asked.extend(id.map(|id| (id, upto)));
    }

    /// The application asks a ping with data of its own; there are few, so that some are the same.
    pub fn ping_with(&mut self, number: u8) {
        let data = vec![number; usize::from(number % 4)];
        self.asked.extend(self.connection.ping_with(&data).ok().map(|id| (id, 0)));
    }

    /// The application sends a pong that nobody asked for, perhaps one that looks like an answer.
    pub fn pong(&mut self, number: u8) {
        // Refused or not, it changes nothing that the oracle looks at.
        let _ = self.connection.pong(&vec![number; usize::from(number % 4)]);
    }

    /// The application takes what has come of an unfinished message.
    pub fn take_part(&mut self) -> Option<Event> {
        // What the driver holds came before it.
        let part = self.hand.is_empty().then(|| self.connection.take_part())??;
        self.parts.extend_from_slice(part.data.payload());
        Some(Event::Part(part))
    }

    /// The application gives up the message that it took parts of, if it did.
    pub fn abandon(&mut self) {
        // What is handed out by parts anyway is not given up, but fetched and thrown away; and the
        // account of a connection that is over does not change any more.
        if self.delivery == Delivery::Whole && !self.parts.is_empty() && !self.is_over() {
            self.connection.abandon_message();
            self.abandoned += 1;
            self.parts.clear();
        }
    }

    /// The application changes keepalive, to the n-th pace.
    pub fn set_keepalive(&mut self, number: u8, now: Instant) {
        let pace = pace(number);
        if self.connection.is_open() {
            self.pace = pace;
        }
        self.connection.set_keepalive(pace.interval, pace.timeout, now);
    }

    /// The application closes, with the n-th farewell.
    pub fn close(&mut self, number: u8, now: Instant) {
        self.diary.closed |= self.connection.is_open();
        self.connection.close(farewell(number), now);
    }

    /// The application leaves.
    pub fn leave(&mut self, leave: Leave, now: Instant) {
        match leave {
            Leave::Shutdown(_) => self.diary.shut_down |= self.connection.is_open(),
            Leave::Dropped | Leave::Panicked => {
                self.diary.dropped = true;
                self.diary.stopped = true;
                self.connection.discard_burst(&std::mem::take(&mut self.hand));
            }
        }
        self.connection.leave(leave, now);
    }

    /// The application aborts.
    pub fn abort(&mut self, now: Instant) {
        self.diary.aborted |= !self.is_over();
        self.connection.abort(now);
    }

    /// The application receives no more.
    pub fn stop_delivery(&mut self) {
        self.diary.stopped = true;
        self.connection.discard_burst(&std::mem::take(&mut self.hand));
        self.connection.stop_delivery();
    }

    /// The application fetches one event; what it was. Parts of a message are gathered in `parts`.
    /// The server's driver takes messages by bursts, the client's one by one.
    pub fn fetch(&mut self) -> Option<Event> {
        if self.role == Role::Server && self.hand.is_empty() {
            self.hand = self.connection.poll_burst().unwrap_or_default();
        }
        let event = match self.hand.next() {
            Some(message) => Event::Message(message),
            None => self.connection.poll_event()?,
        };
        match &event {
            Event::Message(_) => self.fetched += 1,
            Event::Part(part) => {
                self.parts.extend_from_slice(part.data.payload());
                self.fetched += u64::from(part.last);
            }
            Event::Ended(ending) => {
                self.fetched_ending = Some(Arc::clone(ending));
                self.unsent = self.connection.take_unsent();
                self.unconfirmed = self.connection.take_unconfirmed();
            }
            _ => {}
        }
        Some(event)
    }

    /// The driver writes once, at most `most` bytes; whether it got anything done.
    pub fn write(&mut self, peer: &mut Self, most: usize, now: Instant) -> bool {
        if self.socket.held == Held::No {
            return false;
        }
        let (operation, result) = match self.connection.poll_transmit() {
            Transmit::Bytes(lent) => {
                let mut most = most.min(self.socket.room());
                let mut bytes = Vec::new();
                for slice in lent.as_slices() {
                    let taken = &slice[..most.min(slice.len())];
                    bytes.extend_from_slice(taken);
                    most -= taken.len();
                }
                let result = self.socket.write(&bytes);
                if let Ok(count) = &result {
                    self.written.see(&bytes[..*count]);
                    self.connection.wrote(*count, now);
                }
                (Operation::Write, result)
            }
            Transmit::Finish => {
                let result = self.socket.finish();
                if result.is_ok() {
                    self.diary.finished = true;
                    self.connection.finished();
                }
                (Operation::Shutdown, result.map(|()| 1))
            }
            Transmit::Idle => return false,
        };
        let progress = !matches!(result, Ok(0));
        if let Err(error) = result {
            self.fail(operation, &error, now);
        }
        self.let_go(peer);
        progress
    }

    /// The driver reads once, at most `most` bytes; whether anything came.
    pub fn read(&mut self, peer: &mut Self, most: usize, now: Instant) -> bool {
        if self.socket.held == Held::No || !self.connection.wants_read() {
            return false;
        }
        match self.socket.read(&mut peer.socket, most) {
            Read::Nothing => return false,
            Read::Bytes(mut bytes) => {
                self.given.see(&bytes);
                self.connection.receive(&mut bytes, now);
            }
            Read::End => {
                let again = std::mem::replace(&mut self.diary.eof, true);
                self.connection.receive_eof(now);
                if again {
                    self.let_go(peer);
                    return false;
                }
            }
            Read::Failed(error) => self.fail(Operation::Read, &error, now),
        }
        self.let_go(peer);
        true
    }

    /// The deadlines that passed are reported; whether there was one.
    pub fn report_deadline(&mut self, peer: &mut Self, now: Instant) -> bool {
        let due = self.connection.poll_timeout().is_some_and(|due| due <= now);
        if due {
            self.diary.late |= self.connection.is_open();
            self.connection.handle_timeout(now);
            self.let_go(peer);
        }
        due
    }

    fn fail(&mut self, operation: Operation, error: &std::io::Error, now: Instant) {
        self.diary.failed = true;
        self.connection.transport_error(TransportError::new(operation, error), now);
    }

    /// When it is over, the driver drops its socket.
    pub fn let_go(&mut self, peer: &mut Self) {
        let Some(ending) = self.connection.ending() else { return };
        if self.socket.held == Held::Yes {
            let orderly = match ending.transport.ours {
                OurSide::Aborted => Orderly::No,
                _ => Orderly::Yes,
            };
            self.socket.close(&mut peer.socket, orderly);
        }
    }

    /// Takes note of when the end began, as far as it can be seen.
    pub fn note(&mut self, now: Instant) {
        if !self.connection.is_open() {
            self.diary.began.get_or_insert(now);
        }
    }

    /// How long it may take from here to the end, if everything falls silent.
    pub fn patience(&self, setup: &Setup) -> Duration {
        let config = setup.config(self.role);
        let some = |limit: Option<Duration>| limit.unwrap_or_default();
        some(self.pace.interval)
            + some(self.pace.timeout)
            + some(config.write_timeout)
            + some(config.idle_timeout)
            + config.close_timeout
            + config.linger
    }
}

/// What the answer to a ping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirms {
    /// That the peer is there.
    Nothing,
    /// That it has read all that was sent before.
    All,
}

/// The message that the application of `role` sends as its n-th, if it is of this size: no two are
/// alike for as long as there is room to tell them apart.
pub fn message(role: Role, index: u64, size: usize) -> Message {
    let side: u8 = if role == Role::Client { 0 } else { 13 };
    let byte = |at: usize| b'a' + ((index as usize + usize::from(side) + at / 7) % 26) as u8;
    let payload: Vec<u8> = (0..size).map(byte).collect();
    if index.is_multiple_of(2) { Message::text(text(&payload)) } else { Message::binary(payload) }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).expect("letters")
}

/// The n-th farewell.
pub fn farewell(number: u8) -> Option<CloseFrame> {
    let said = |code: u16, reason: &'static str| {
        let code = CloseCode::try_from(code).expect("a code that may be sent");
        Some(CloseFrame::new(code, reason).expect("a short reason"))
    };
    match number % 4 {
        0 => said(1000, ""),
        1 => None,
        2 => said(4000, "so long, and thanks"),
        _ => said(1001, "à bientôt"),
    }
}

/// The n-th pace of keepalive.
fn pace(number: u8) -> Pace {
    const SECONDS: [Option<u64>; 4] = [None, Some(1), Some(20), Some(70)];
    let choose = |digit: u8| SECONDS[usize::from(digit % 4)].map(Duration::from_secs);
    Pace { interval: choose(number), timeout: choose(number / 4) }
}

/// The n-th size of a message.
pub fn size(number: u8) -> usize {
    const SIZES: [usize; 12] = [1, 0, 2, 5, 19, 41, 125, 126, 127, 700, 3000, 70_000];
    SIZES[usize::from(number) % SIZES.len()]
}

/// The n-th piece of garbage, as if `role` had sent it.
pub fn garbage(role: Role, number: u8) -> Bytes {
    let masked = role == Role::Client;
    let frame = |first: u8, payload: &[u8]| {
        let mut bytes = vec![first, payload.len() as u8 | if masked { 0x80 } else { 0 }];
        if masked {
            bytes.extend([0; 4]);
        }
        bytes.extend(payload);
        Bytes::from(bytes)
    };
    match number % 10 {
        0 => Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
        1 => frame(0x83, b"reserved opcode"),
        2 => frame(0x81, b"\xff\xfe"),
        3 => frame(0x80, b"lone"),
        4 => frame(0x88, &[3]),
        5 => frame(0x88, &1005_u16.to_be_bytes()),
        6 => frame(0x88, b"\x03\xe8\xff"),
        7 => frame(0xc1, b"compressed?"),
        8 => frame(0x09, b"a fragment of a ping"),
        // A whole message that nobody sent, then more than can be.
        _ => [&frame(0x82, b"x")[..], &[0x82, 0xff], &[0xff; 12]].concat().into(),
    }
}
