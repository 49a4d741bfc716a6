//! A connection that is open: says the steps of a probe, and waits for what comes of them. Judges nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::line::Line;
use super::play::{Facts, Waits};
use super::probe::{Expect, Step};
use super::seen::{End, Seen};
use super::wire::{self, CLOSE, FIN, PING, Reader};

/// What the last ping of a probe carries: its pong says that all before it was taken.
pub(super) const LAST_PING: &[u8] = b"lastword: all read?";

/// How much is kept of what comes, in frames and in bytes; a chatty server says more.
const MOST_FRAMES: usize = 4096;
const MOST_BYTES: usize = 4 << 20;

/// How long a goodbye may take, that nobody judges.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that is open.
pub(super) struct Talk {
    pub(super) line: Line,
    reader: Reader,
    pub(super) seen: Seen,
    pub(super) waits: Waits,
    /// When the last thing was said.
    said: Instant,
    kept: usize,
    goodbye: Goodbye,
    /// How the stream stood, and when, before a goodbye that nobody judges.
    left: Option<(End, Duration)>,
}

/// Whether we sent a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    Unsaid,
    Said,
}

impl Talk {
    pub(super) fn new(line: Line, came: &[u8], seen: Seen, waits: Waits) -> Self {
        let mut reader = Reader::default();
        reader.push(came);
        let mut talk = Self {
            line,
            reader,
            seen,
            waits,
            said: Instant::now(),
            kept: 0,
            goodbye: Goodbye::Unsaid,
            left: None,
        };
        talk.take();
        talk
    }

    /// Says the steps, as many as possible in one piece.
    pub(super) async fn say(&mut self, steps: &[Step]) {
        let until = Instant::now() + self.waits.patience;
        let mut together = Vec::new();
        for step in steps {
            match step {
                Step::Send(frame) => {
                    together.extend(frame.bytes());
                    if frame.is_close() {
                        self.goodbye = Goodbye::Said;
                    }
                }
                Step::Cut(frame, size) => together.extend(frame.bytes().iter().take(*size)),
                Step::Apart(frame) => {
                    self.line.put(&std::mem::take(&mut together), until).await;
                    self.line.put_apart(&frame.bytes(), until).await;
                }
                Step::Pong(payload) => {
                    self.line.put(&std::mem::take(&mut together), until).await;
                    let until = Instant::now() + self.waits.patience;
                    if !self.wait_for(wire::PONG, payload, until).await {
                        self.seen.missed = Some(payload);
                        break;
                    }
                }
                Step::Finish => {
                    self.line.put(&std::mem::take(&mut together), until).await;
                    self.line.finish(until).await;
                    self.goodbye = Goodbye::Said;
                }
            }
        }
        self.line.put(&together, until).await;
        self.said = Instant::now();
    }

    /// Waits for what should come.
    pub(super) async fn listen(&mut self, expect: Expect, facts: Facts) {
        let patience = self.said + self.waits.patience;
        match expect {
            Expect::Lives(messages) | Expect::Flawless(messages) => {
                self.line.put(&wire::masked(FIN | PING, LAST_PING), patience).await;
                let echoes = if facts.echoes { messages.len() } else { 0 };
                while self.line.end == End::Open
                    && self.seen.close().is_none()
                    && (self.messages() < echoes || !self.seen.has(wire::PONG, LAST_PING))
                    && self.hear(patience).await
                {}
                self.leave().await;
            }
            Expect::Fails(_) => {
                let grace = self.said + (self.waits.patience / 4).min(GRACE);
                while self.seen.close().is_none() && self.hear(grace).await {}
                if self.line.end == End::Open && self.seen.close().is_none() {
                    self.line.put(&wire::masked(FIN | PING, LAST_PING), patience).await;
                }
                self.answer_close(patience).await;
                while !self.went_on() && self.hear(patience).await {
                    self.answer_close(patience).await;
                }
                if self.went_on() {
                    self.leave().await;
                }
            }
            Expect::EndsUnanswered => while self.hear(self.said + self.waits.long).await {},
            Expect::Pings => {
                let until = self.said + self.waits.long;
                let is_ping =
                    |seen: &Seen| seen.frames.iter().any(|(_, came)| came.opcode() == PING);
                let is_over = |seen: &Seen| is_ping(seen) || seen.close().is_some();
                while !is_over(&self.seen) && self.hear(until).await {}
                self.leave().await;
            }
            _ => {
                while self.hear(patience).await {
                    self.answer_close(patience).await;
                }
            }
        }
    }

    /// Waits for a frame; whether it came in time.
    pub(super) async fn wait_for(&mut self, opcode: u8, payload: &[u8], until: Instant) -> bool {
        while !self.seen.has(opcode, payload) {
            if !self.hear(until).await {
                return false;
            }
        }
        true
    }

    /// Takes what comes; whether anything did.
    pub(super) async fn hear(&mut self, until: Instant) -> bool {
        let heard = self.line.read(until).await;
        if let Some(bytes) = heard {
            self.reader.push(bytes);
            self.take();
            return true;
        }
        false
    }

    /// Takes bytes that were read elsewhere.
    pub(super) async fn exchange(&mut self, bytes: &[u8], until: Instant) -> usize {
        let (taken, came) = self.line.exchange(bytes, until).await;
        self.reader.push(came);
        self.take();
        taken
    }

    fn take(&mut self) {
        // Times before the last word was said are those of an answer to an earlier one.
        let after = self.said.elapsed();
        while let Some(came) = self.reader.next() {
            if self.seen.frames.len() < MOST_FRAMES && self.kept < MOST_BYTES {
                self.kept += came.payload.len();
                self.seen.frames.push((after, came));
            } else if came.opcode() == CLOSE || came.payload == LAST_PING {
                // These two say how it ended, whatever came before.
                self.seen.frames.truncate(MOST_FRAMES);
                self.seen.frames.push((after, came));
            }
        }
    }

    /// How many messages have ended.
    fn messages(&self) -> usize {
        let ends = |came: &wire::Came| !came.is_control() && came.is_last();
        self.seen.frames.iter().filter(|(_, came)| ends(came)).count()
    }

    /// Whether what came behind the last ping shows that it was taken.
    fn went_on(&self) -> bool {
        self.seen.frames.iter().any(|(_, came)| came.payload == LAST_PING)
    }

    /// Answers a close, once, as a peer should.
    async fn answer_close(&mut self, until: Instant) {
        if self.goodbye == Goodbye::Said {
            return;
        }
        if let Some((.., close)) = self.seen.close() {
            let payload = &close.payload[..close.payload.len().min(2)];
            let answer = wire::masked(FIN | CLOSE, payload);
            self.goodbye = Goodbye::Said;
            self.line.put(&answer, until).await;
        }
    }

    /// Says goodbye, which nobody judges any more.
    pub(super) async fn leave(&mut self) {
        self.left = Some((self.line.end, self.said.elapsed()));
        let until = Instant::now() + self.waits.patience.min(GOODBYE);
        if self.line.end == End::Open && self.goodbye == Goodbye::Unsaid {
            self.goodbye = Goodbye::Said;
            self.line.put(&wire::masked(FIN | CLOSE, &NORMAL), until).await;
        }
        while self.line.read(until).await.is_some() {}
    }

    /// What was said last is said now.
    pub(super) fn said_now(&mut self) {
        self.said = Instant::now();
    }

    pub(super) fn over(mut self) -> Seen {
        let (end, after) = self.left.unwrap_or((self.line.end, self.said.elapsed()));
        self.seen.end = end;
        self.seen.ended_after = after;
        self.seen
    }
}

/// How long a violation is left alone before it is asked about.
const GRACE: Duration = Duration::from_millis(500);

/// 1000, as it is written.
const NORMAL: [u8; 2] = [0x03, 0xE8];
