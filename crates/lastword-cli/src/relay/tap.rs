//! What passes a relay, as it is shown and recorded: heads, frames, messages, ends.
//!
//! A [`Tap`] listens to both sides of one connection. It changes nothing of what passes, and keeps little
//! of it: the beginning of a frame, and, if there is a recording, of a message as much as its limit says.

use std::cell::RefCell;
use std::rc::Rc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use lastword::Role;
use lastword::proto::Kind;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::frames::{Header, Scanner, Seen};
use super::inflate::Inflater;
use super::injector::Injector;
use super::screen::{FrameLine, Screen};
use crate::args::Fault;
use crate::print::{Audience, leave};
use crate::recording::line::{self, Opened};
use crate::recording::{Place, Recorder};

/// What all connections of a relay have in common.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) screen: Screen,
    pub(super) recording: Option<Recording>,
    pub(super) totals: Rc<RefCell<Totals>>,
}

/// Where all is kept, and how much of each message.
#[derive(Clone)]
pub(super) struct Recording {
    pub(super) recorder: Rc<RefCell<Recorder>>,
    pub(super) limit: usize,
}

/// What has passed, in all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) connections: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) faults: u64,
}

/// One connection, listened to.
pub(super) struct Tap {
    scanners: [Scanner; 2],
    viewer: Viewer,
}

impl Tap {
    pub(super) fn new(connection: u64, common: Common) -> Self {
        common.totals.borrow_mut().connections += 1;
        Self {
            scanners: [Scanner::new(Role::Client), Scanner::new(Role::Server)],
            viewer: Viewer {
                connection,
                began: Instant::now(),
                common,
                request: Value::Null,
                deflate: false,
                sides: [Side::default(), Side::default()],
            },
        }
    }

    /// The client's address is known.
    pub(super) fn connected(&self, peer: &str) {
        self.viewer.common.screen.connected(self.viewer.place(), peer);
    }

    /// When it began.
    pub(super) const fn began(&self) -> Instant {
        self.viewer.began
    }

    /// Bytes came from a side. Says how many have come from it in all.
    pub(super) fn came(&mut self, from: Role, bytes: &[u8], injector: &mut Injector) -> u64 {
        self.viewer.common.totals.borrow_mut().bytes += bytes.len() as u64;
        let viewer = &mut self.viewer;
        let scanner = &mut self.scanners[index(from)];
        let mut opaque = false;
        scanner.scan(bytes, |seen| {
            opaque |= seen == Seen::Opaque;
            viewer.see(from, seen, injector);
        });
        let came = scanner.offset();
        if opaque && from == Role::Server {
            self.scanners[index(Role::Client)].give_up();
        }
        came
    }

    /// A side's stream ended.
    pub(super) fn ended(&mut self, from: Role, how: How) {
        let scanner = &self.scanners[index(from)];
        let (place, bytes) = (self.viewer.place(), scanner.offset());
        let middle = scanner.middle();
        self.viewer.common.screen.ended(place, from, how, bytes, middle.as_deref());
        self.viewer.record(|| line::stream(place, from, how.word(), bytes));
    }

    /// Something was made to go wrong.
    pub(super) fn fault(&self, fault: &Fault) {
        let place = self.viewer.place();
        self.viewer.common.totals.borrow_mut().faults += 1;
        self.viewer.common.screen.fault(place, fault);
        self.viewer.record(|| line::fault(place, fault.side, &fault.to_string()));
    }

    /// The connection is over.
    pub(super) fn over(&self, never: &[&Fault]) {
        let place = self.viewer.place();
        self.viewer.common.screen.never(place, never);
        self.viewer.record(|| line::end(place, json!({})));
    }
}

/// How a side's stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In order: FIN, inside TLS with close_notify.
    Finished,
    /// TLS ended without close_notify.
    Truncated,
    /// RST.
    Reset,
    /// In another way.
    Failed,
}

impl How {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Truncated => "truncated",
            Self::Reset => "reset",
            Self::Failed => "failed",
        }
    }
}

struct Viewer {
    connection: u64,
    began: Instant,
    common: Common,
    request: Value,
    /// Whether permessage-deflate was agreed on.
    deflate: bool,
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    frames: u64,
    header: Option<Header>,
    /// The beginning of the frame's content: made plain, if it was compressed.
    excerpt: Vec<u8>,
    /// How much there is of it.
    plain: u64,
    /// The message that frames are parts of.
    message: Option<Message>,
    inflater: Option<Inflater>,
}

struct Message {
    kind: Kind,
    compressed: bool,
    kept: Vec<u8>,
    len: u64,
}

/// How much of a frame is kept to be shown: all of a control frame.
const EXCERPT: usize = 125;

const fn index(side: Role) -> usize {
    match side {
        Role::Client => 0,
        Role::Server => 1,
    }
}

impl Viewer {
    fn place(&self) -> Place {
        Place { connection: self.connection, at: self.began.elapsed() }
    }

    /// The line is made only where it is kept.
    fn record(&self, line: impl FnOnce() -> Value) {
        if let Some(recording) = &self.common.recording {
            let audience = recording.recorder.borrow_mut().write(&line());
            if audience == Audience::Gone {
                // The end of the tap is the end of what goes through it.
                leave();
            }
        }
    }

    fn see(&mut self, from: Role, seen: Seen<'_>, injector: &mut Injector) {
        match seen {
            Seen::Head(head) => self.head(from, head),
            Seen::Opaque => self.common.screen.opaque(self.place(), from),
            Seen::Begins(at) => {
                let side = &mut self.sides[index(from)];
                side.frames += 1;
                injector.begins(side.frames, at);
            }
            Seen::Header(header) => self.header(from, header),
            Seen::Payload(piece) => self.payload(from, piece, injector),
            Seen::Ends(at) => {
                self.ends(from, injector);
                injector.ends(at);
            }
        }
    }

    fn head(&mut self, from: Role, bytes: &[u8]) {
        let (start, headers) = parsed(bytes);
        let place = self.place();
        self.common.screen.head(place, from, &start, &headers);
        let head = line::http(&start, &headers);
        if from == Role::Client {
            self.request = head;
            return;
        }
        self.deflate = headers
            .get_all("sec-websocket-extensions")
            .iter()
            .any(|value| value.as_bytes().windows(DEFLATE.len()).any(|found| found == DEFLATE));
        let opened = if start.starts_with("HTTP/1.1 101") { Opened::Yes } else { Opened::No };
        self.record(|| line::opening(place, opened, &self.request, &head));
    }

    fn header(&mut self, from: Role, header: Header) {
        let side = &mut self.sides[index(from)];
        side.header = Some(header);
        side.excerpt.clear();
        side.plain = 0;
        let kind = match header.opcode {
            1 => Kind::Text,
            2 => Kind::Binary,
            _ => return,
        };
        let compressed = self.deflate && header.rsv1();
        side.message = Some(Message { kind, compressed, kept: Vec::new(), len: 0 });
    }

    fn payload(&mut self, from: Role, piece: &[u8], injector: &mut Injector) {
        let limit = self.common.recording.as_ref().map_or(0, |recording| recording.limit);
        let side = &mut self.sides[index(from)];
        let control = side.header.is_some_and(|header| header.is_control());
        let message = side.message.as_mut().filter(|_| !control);
        let compressed = message.as_ref().is_some_and(|message| message.compressed);
        let mut content =
            Content { excerpt: &mut side.excerpt, plain: &mut side.plain, message, limit };
        if compressed {
            let inflater = side.inflater.get_or_insert_with(Inflater::new);
            inflater.inflate(piece, |plain| content.push(plain, injector));
        } else {
            content.push(piece, injector);
        }
    }

    fn ends(&mut self, from: Role, injector: &mut Injector) {
        let place = self.place();
        let limit = self.common.recording.as_ref().map_or(0, |recording| recording.limit);
        let side = &mut self.sides[index(from)];
        let Some(header) = side.header.take() else { return };
        let last = header.fin && !header.is_control();
        let mut unreadable = false;
        let message = side.message.as_mut().filter(|_| !header.is_control());
        let (kind, compressed) = match &message {
            Some(message) => (message.kind, message.compressed),
            None if header.opcode == 1 => (Kind::Text, false),
            None => (Kind::Binary, false),
        };
        if compressed {
            let inflater = side.inflater.get_or_insert_with(Inflater::new);
            if last {
                let mut content =
                    Content { excerpt: &mut side.excerpt, plain: &mut side.plain, message, limit };
                inflater.finish(|plain| content.push(plain, injector));
            }
            unreadable = inflater.is_broken();
        }
        let frame = FrameLine {
            header,
            deflate: self.deflate,
            kind,
            compressed,
            unreadable,
            excerpt: &side.excerpt,
            plain: side.plain,
        };
        self.common.screen.frame(place, from, &frame);
        let number = side.frames;
        let close = (header.opcode == 8).then(|| closed(&side.excerpt));
        let message = if last { side.message.take() } else { None };
        self.common.totals.borrow_mut().frames += 1;
        self.record(|| line::frame(place, from, frame_facts(number, &header)));
        if let Some((code, reason)) = close {
            self.record(|| line::close(place, from, code, &reason));
        }
        if let Some(message) = message.filter(|_| !unreadable) {
            let Message { kind, kept, len, .. } = message;
            self.record(|| line::message_of(place, from, kind, &kept, len));
        }
    }
}

/// Where what is in a frame goes.
struct Content<'a> {
    excerpt: &'a mut Vec<u8>,
    plain: &'a mut u64,
    message: Option<&'a mut Message>,
    limit: usize,
}

impl Content<'_> {
    fn push(&mut self, piece: &[u8], injector: &mut Injector) {
        keep(self.excerpt, piece, EXCERPT);
        *self.plain += piece.len() as u64;
        if let Some(message) = &mut self.message {
            message.len += piece.len() as u64;
            keep(&mut message.kept, piece, self.limit);
        }
        injector.content(piece);
    }
}

fn keep(kept: &mut Vec<u8>, piece: &[u8], limit: usize) {
    let room = limit.saturating_sub(kept.len());
    kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

const DEFLATE: &[u8] = b"permessage-deflate";

/// The code and the reason of a close frame.
pub(super) fn closed(payload: &[u8]) -> (Option<u16>, String) {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => {
            (Some(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason).into_owned())
        }
        None => (None, String::new()),
    }
}

fn frame_facts(number: u64, header: &Header) -> Value {
    json!({
        "frame": number,
        "opcode": header.opcode,
        "fin": header.fin,
        "rsv": header.rsv,
        "masked": header.mask.is_some(),
        "len": header.len,
    })
}

/// The first line of a head, and its headers: as many as can be read.
fn parsed(head: &[u8]) -> (String, HeaderMap) {
    let end = head.iter().position(|byte| *byte == b'\r').unwrap_or(head.len());
    let start = String::from_utf8_lossy(&head[..end]).into_owned();
    let mut room = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let rest = head.get(end + 2..).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(httparse::Status::Complete((_, found))) = httparse::parse_headers(rest, &mut room) {
        for header in found {
            let name = HeaderName::try_from(header.name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(header.value)) {
                headers.append(name, value);
            }
        }
    }
    (start, headers)
}

/// With more than these, headers are not shown.
const MAX_HEADERS: usize = 256;
