//! Our own core, seen from outside: events, and what it wrote.

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{
    Agreement, Cause, Config, Connection, ContextTakeover, DeflateAgreement, DeflateDirection,
    Event, Farewell, Message, Transmit,
};

use super::Judge;
use crate::case::FRAGMENTS;
use crate::wire::walk;
use crate::{Case, End, Kind, Takeover, Verdict};

pub struct Ours;

impl Judge for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn knows_deflate(&self) -> bool {
        true
    }

    fn judge(&mut self, case: &Case) -> Verdict {
        let mut reader = Reader::new(case);
        for chunk in case.chunks() {
            reader.connection.receive(&mut chunk.to_vec(), reader.now);
            reader.settle();
        }
        let mut verdict = reader.verdict(case.ends());
        // Only the ending tells why; the verdict stands already.
        reader.connection.receive_eof(reader.now);
        reader.settle();
        if let Some(Cause::Violation(violation)) = reader.cause {
            verdict.note.violation = Some(violation);
        }
        verdict
    }
}

struct Reader {
    connection: Connection,
    now: Instant,
    written: Vec<u8>,
    messages: Vec<(Kind, Vec<u8>)>,
    goodbye: Option<Farewell>,
    cause: Option<Cause>,
}

impl Reader {
    fn new(case: &Case) -> Self {
        let mut agreement = Agreement::plain(case.role());
        agreement.deflate = case.deflate().map(|takeover| {
            let takeover = match takeover {
                Takeover::Kept => ContextTakeover::Kept,
                Takeover::None => ContextTakeover::None,
            };
            let direction = DeflateDirection { window_bits: 15, takeover };
            DeflateAgreement { client: direction, server: direction }
        });
        let mut config = Config::default();
        config.max_message_size = case.limit();
        config.max_frame_size = case.limit();
        config.max_fragments = Some(FRAGMENTS);
        let now = Instant::now();
        let connection = Connection::new(&agreement, Arc::new(config), [7; 32], now);
        let (written, messages) = (Vec::new(), Vec::new());
        Self { connection, now, written, messages, goodbye: None, cause: None }
    }

    /// Writes and fetches all there is, as a driver does between two reads.
    fn settle(&mut self) {
        loop {
            loop {
                match self.connection.poll_transmit() {
                    Transmit::Bytes(lent) => {
                        let bytes = lent.to_vec();
                        self.connection.wrote(bytes.len(), self.now);
                        self.written.extend(bytes);
                    }
                    Transmit::Finish => self.connection.finished(),
                    Transmit::Idle => break,
                }
            }
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Message(Message::Text(text)) => {
                        self.messages.push((Kind::Text, text.as_str().as_bytes().to_vec()));
                    }
                    Event::Message(Message::Binary(bytes)) => {
                        self.messages.push((Kind::Binary, bytes.to_vec()));
                    }
                    Event::PeerClosing(farewell) => self.goodbye = Some(farewell),
                    Event::Ended(ending) => self.cause = Some(ending.cause.clone()),
                    _ => {}
                }
            }
            match self.connection.poll_timeout() {
                Some(due) if due <= self.now => self.connection.handle_timeout(self.now),
                _ => return,
            }
        }
    }

    fn verdict(&self, ends: bool) -> Verdict {
        let mut verdict = Verdict::new();
        verdict.messages.clone_from(&self.messages);
        let mut said = None;
        for frame in walk(&self.written).frames {
            match frame.opcode {
                10 => verdict.pongs.push(frame.payload),
                8 => said = Some(code(&frame.payload)),
                _ => {}
            }
        }
        verdict.end = match (&self.goodbye, said) {
            (Some(goodbye), answer) => End::Closed {
                code: goodbye.code(),
                reason: goodbye.reason().to_owned(),
                answer: answer.unwrap_or(1006),
            },
            (None, Some(code)) => End::Failed(code),
            (None, None) if ends => End::Eof,
            (None, None) => End::Open,
        };
        verdict
    }
}

/// The code in a close frame's payload; 1005 if there is none.
fn code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))
}
