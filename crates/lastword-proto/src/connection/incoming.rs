//! What comes in: bytes to frames, frames to messages, each to the room that knows it.

use std::time::Instant;

use bytes::Bytes;
use bytes::buf::Limit;

use crate::assembler::{Assembled, Assembler, Readers};
use crate::budget::{Budget, Growth};
use crate::closing::{Cause, State, Told, TransportError};
use crate::config::{Delivery, READ};
use crate::decoder::{Control, Data, Piece};
use crate::event::Event;
use crate::heartbeat::Heartbeat;
use crate::keepalive::Answer;
use crate::ledger::Tally;
use crate::message::Part;
use crate::pace::Reading;
use crate::record::{Entry, FrameEntry};
use crate::timers::Timer;
use crate::violation::Violation;
use crate::whole::{self, Taken};
use crate::wire::{CloseCode, CloseFrame, End, Farewell, Opcode};

use super::{Connection, Reader};

/// What comes in.
impl Connection {
    /// Takes bytes that the peer sent, all of them; unmasks them in place.
    pub fn receive(&mut self, bytes: &mut [u8], now: Instant) {
        if bytes.is_empty() || self.ending.is_some() {
            return;
        }
        self.sign_of_life(now);
        let read = bytes.len();
        let mut input = bytes;
        while self.reads_frames() {
            if self.takes_whole() {
                self.receive_whole(&mut input, now);
            }
            match self.decoder.next(&mut input) {
                Ok(Some(Piece::Data(data))) => self.receive_data(data, now),
                Ok(Some(Piece::Control(control))) => self.receive_control(&control, now),
                Ok(None) => return self.hold_to_limits(read, now),
                Err(violation) => self.violated(violation, now),
            }
        }
        self.discard(input.len(), now);
        self.hold_to_limits(read, now);
    }

    /// What a read brought was not to be too much, for the memory or for the time.
    #[inline]
    fn hold_to_limits(&mut self, read: usize, now: Instant) {
        self.count_memory(now);
        if self.pace.is_some() {
            self.keep_pace(read, now);
        }
    }

    #[cold]
    fn keep_pace(&mut self, read: usize, now: Instant) {
        // A peer that has ended, or was told to, sends nothing that could be too much.
        if self.closing.state() != State::Open || !self.reads_frames() {
            return;
        }
        let then = if self.wants_read() { Reading::Steady } else { Reading::Paused };
        let all = self.account.delivered.plus(self.account.discarded);
        let Some(pace) = &mut self.pace else { return };
        if let Err(violation) = pace.judge(all.messages, read, then, now) {
            self.violated(violation, now);
        }
    }

    /// What came takes up memory, and is to stay within the budget.
    #[inline]
    fn count_memory(&mut self, now: Instant) {
        if self.config.memory_budget.is_some() && self.recount() == Growth::Grew {
            self.keep_within_budget(now);
        }
    }

    #[cold]
    fn keep_within_budget(&mut self, now: Instant) {
        let Some(budget) = &self.config.memory_budget else { return };
        // Messages that are whole will be fetched; this one would only grow, and two of them could
        // wait for each other.
        if budget.is_exhausted() && self.assembler.held() >= Budget::STEP && self.reads_frames() {
            let limit = budget.limit();
            self.violated(Violation::OutOfMemory { limit }, now);
        }
    }

    /// What has come of the message in progress, when all messages before it were fetched: a driver
    /// with [`Delivery::Whole`] takes a single message by parts, though it gets the others whole. Text
    /// is cut between characters. `None` if nothing has come since the last time, and of a message that
    /// an extension of the application's own has to see whole.
    ///
    /// Once a part is taken, the last one comes as an [`Event::Part`], in its turn, and while more than
    /// [`Config::receive_buffer`](crate::Config::receive_buffer) waits of it reading pauses. Who does
    /// not want the rest says so with [`Self::abandon_message`].
    pub fn take_part(&mut self) -> Option<Part> {
        // What stands behind a violation, or what it was found in, is nobody's.
        let listening = self.reader == Reader::Listening && self.remains.verdict.is_none();
        if !listening || !self.inbox.is_empty() {
            return None;
        }
        let data = self.assembler.take_ready()?;
        // Whoever takes a long message as it comes is not idle.
        self.last_message = self.last_received.unwrap_or(self.last_message).max(self.last_message);
        self.account.delivered.add_part(data.len(), false);
        if self.share.is_some() {
            self.recount();
        }
        Some(Part { data, last: false })
    }

    /// The application wants no more of the message that it took parts of: the rest is counted and
    /// thrown away, as it comes.
    pub fn abandon_message(&mut self) {
        if let Some(part) = self.inbox.pop_last_part() {
            return self.discard_part(&part);
        }
        let unwanted = self.assembler.abandon();
        if self.ending.is_none() {
            self.account.discarded.add_part(unwanted, false);
        }
    }

    /// Counts a part that was taken, and that the application did not want, as thrown away.
    pub fn discard_part(&mut self, part: &Part) {
        if self.ending.is_none() {
            let mut unwanted = Tally::default();
            unwanted.add_part(part.data.len(), part.last);
            self.account.discard_delivered(unwanted);
        }
    }

    /// How many bytes a driver is to read at once, at most. Where messages may have to be inflated it
    /// is less, since a read cannot be stopped in its middle: what comes of it never takes up much
    /// more than one largest message.
    #[inline]
    pub fn read_limit(&self) -> usize {
        if self.deflate.is_some() { self.config.inflating_read() } else { READ }
    }

    /// In the middle of a large frame: the memory in which its message is being put together, as far
    /// as the frame goes. A driver that can reads straight into it and tells
    /// [`received`](Self::received), which saves a copy; one that cannot reads to memory of its own
    /// and calls [`receive`](Self::receive). `None` where only that is possible.
    #[inline]
    pub fn read_target(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let missing = self.decoder.missing();
        if missing < LARGE || !self.reads_frames() || self.record.is_some() {
            return None;
        }
        let by_parts = self.config.delivery == Delivery::Parts;
        if by_parts || self.reader != Reader::Listening {
            return None;
        }
        self.assembler.target(usize::try_from(missing).unwrap_or(usize::MAX))
    }

    /// `count` bytes were read to the [`read_target`](Self::read_target). 0 changes nothing: the end
    /// of the stream is told with [`receive_eof`](Self::receive_eof).
    pub fn received(&mut self, count: usize, now: Instant) {
        if count == 0 {
            return;
        }
        self.sign_of_life(now);
        let Some((header, complete)) = self.decoder.pass(self.assembler.arrived(count)) else {
            return;
        };
        let (assembler, readers) = self.reading();
        match assembler.judge(complete && header.fin, readers) {
            Ok(None) => {}
            Ok(Some(assembled)) => self.deliver(assembled, now),
            Err(violation) => self.violated(violation, now),
        }
        self.hold_to_limits(count, now);
    }

    /// Any byte is one.
    #[inline]
    fn sign_of_life(&mut self, now: Instant) {
        self.last_received = Some(now);
        self.expect_rest(now);
        self.timers.set(Timer::Pong, None);
    }

    /// The peer ended its stream.
    pub fn receive_eof(&mut self, now: Instant) {
        self.execute(now);
        let told = self.closing.receive_eof(now);
        self.obey(told, now);
    }

    /// The transport failed. `Interrupted` and `WouldBlock` are no failures and are ignored.
    pub fn transport_error(&mut self, error: TransportError, now: Instant) {
        self.execute(now);
        let told = self.closing.transport_error(error, now);
        if self.closing.state() == State::Draining {
            self.retire_output();
            self.give_back_rest();
        }
        self.obey(told, now);
    }

    /// Whether the driver is to read: `false` while received messages wait beyond
    /// [`Config::receive_buffer`](crate::Config::receive_buffer).
    #[inline]
    pub fn wants_read(&self) -> bool {
        match self.closing.state() {
            State::Open | State::Draining => {
                let limit = self.granted(self.config.receive_buffer);
                (self.inbox.cost() < limit && self.assembler.ahead() <= limit)
                    || self.reader == Reader::Gone
            }
            // 6: while closing, reading goes on; what nobody fetches never makes a close wait.
            State::Over => false,
            _ => true,
        }
    }

    pub(super) fn reads_frames(&self) -> bool {
        self.remains.verdict.is_none()
            && matches!(
                self.closing.state(),
                State::Open | State::Closing | State::CloseSent | State::Draining
            )
    }

    /// Whether a message that lies whole in the input needs nothing of the connection but its place
    /// among the events.
    #[inline]
    fn takes_whole(&self) -> bool {
        self.whole_limit.is_some()
            && self.decoder.is_between()
            && self.assembler.is_between()
            && self.closing.state() == State::Open
            && self.reader == Reader::Listening
    }

    #[inline]
    fn receive_whole(&mut self, input: &mut &mut [u8], now: Instant) {
        let Self { inbox, account, whole_limit: Some(limit), .. } = self else { return };
        let mut all = Tally::default();
        whole::take(input, self.role.peer(), *limit, |taken| match taken {
            Taken::Burst(burst, tally) => {
                all = all.plus(tally);
                inbox.push_burst(burst, tally);
            }
            Taken::Message(message) => {
                all.add(message.len());
                inbox.push(Event::Message(message));
            }
        });
        if all.messages > 0 {
            account.delivered = account.delivered.plus(all);
            self.last_message = now;
        }
    }

    pub(super) fn receive_data(&mut self, mut data: Data<'_>, now: Instant) {
        if let Some(record) = &mut self.record
            && (data.is_first || data.len() > 0)
        {
            let (header, payload) = (data.header, data.payload());
            let entry = FrameEntry::new(End::Peer, header.opcode, header.fin, header.len, payload);
            // The first frame says so itself; the assembler has not seen it yet.
            let compressed = header.is_compressed() || self.assembler.is_compressed();
            record.add(Entry::Frame(entry.compressed(compressed)));
        }
        let (assembler, readers) = self.reading();
        match assembler.take(data, readers) {
            Ok(None) => {}
            Ok(Some(assembled)) => self.deliver(assembled, now),
            Err(violation) => self.violated(violation, now),
        }
    }

    /// What messages are put together with.
    #[inline]
    fn reading(&mut self) -> (&mut Assembler, Readers<'_>) {
        let Self { assembler, deflate, extended, config, .. } = self;
        let (deflate, extended) = (deflate.as_deref_mut(), extended.as_deref_mut());
        (assembler, Readers { deflate, extended, config })
    }

    pub(super) fn deliver(&mut self, assembled: Assembled, now: Instant) {
        self.last_message = now;
        let (event, bytes, last) = match assembled {
            Assembled::Message(message) => {
                let bytes = message.len();
                (Event::Message(message), bytes, true)
            }
            Assembled::Part(part) => {
                let (bytes, last) = (part.data.len(), part.last);
                (Event::Part(part), bytes, last)
            }
            Assembled::Unwanted(bytes, last) => {
                return self.account.discarded.add_part(bytes, last);
            }
        };
        let full = self.inbox.cost() >= self.config.receive_buffer
            && !matches!(self.closing.state(), State::Open | State::Draining);
        if full || self.reader != Reader::Listening {
            // What is delivered is a beginning of what came: no message has a hole, nor has the
            // row of them.
            if self.reader == Reader::Listening {
                self.reader = Reader::Overrun;
            }
            return self.account.discarded.add_part(bytes, last);
        }
        self.account.delivered.add_part(bytes, last);
        self.inbox.push(event);
    }

    #[cold]
    pub(super) fn receive_control(&mut self, control: &Control, now: Instant) {
        let payload = control.payload();
        if let Some(record) = &mut self.record {
            let len = payload.len() as u64;
            let entry = FrameEntry::new(End::Peer, control.opcode, true, len, payload);
            record.add(Entry::Frame(entry));
        }
        match control.opcode {
            Opcode::Ping => {
                self.keepalive
                    .hear(|| Heartbeat::Ping { data: Bytes::copy_from_slice(payload), at: now });
                if self.closing.state() != State::Draining {
                    self.output.control.answer(control.clone());
                }
            }
            Opcode::Pong => {
                let answer = self.keepalive.answer(payload, now);
                let latency = self.keepalive.latency();
                self.keepalive.hear(|| Heartbeat::Pong {
                    data: Bytes::copy_from_slice(payload),
                    at: now,
                    round_trip: latency.filter(|_| answer != Answer::Nothing),
                });
                match answer {
                    Answer::Proof(position) => self.account.confirm(position),
                    // Whoever waits for the others gets an answer all the same.
                    Answer::Overtook if self.confirm().is_none() => {
                        self.ping();
                    }
                    Answer::Overtook | Answer::Own | Answer::Nothing => {}
                }
            }
            _ => match parse_farewell(payload) {
                Ok(farewell) => self.receive_close(farewell, now),
                Err(violation) => self.violated(violation, now),
            },
        }
    }

    pub(super) fn receive_close(&mut self, farewell: Farewell, now: Instant) {
        let before = self.closing.state();
        let told = self.closing.receive_close(farewell.clone(), now);
        if told != Told::Nothing {
            self.inbox.push(Event::PeerClosing(farewell.clone()));
            // No ping needs an answer any more, and none of ours will get one.
            self.output.control.clear();
        }
        if before == State::Open && self.closing.state() == State::Answering {
            // What was accepted before goes first.
            self.encode(|encoder, tools| encoder.part(farewell, tools));
        }
        self.obey(told, now);
    }

    /// The peer broke a rule, or ran into a limit: it is told so at once, ahead of queued data.
    ///
    /// Only messages that came before it, and that the application has not fetched, go first: what
    /// is made of them must not depend on how the network cut the peer's bytes into reads. The
    /// application has [`Config::linger`](crate::Config::linger) to answer them.
    #[cold]
    pub(super) fn violated(&mut self, violation: Violation, now: Instant) {
        if self.closing.state() == State::Open && self.inbox.cost() > 0 {
            self.remains.make().verdict = Some(violation);
            self.timers.set(Timer::Verdict, now.checked_add(self.config.linger));
            return;
        }
        self.condemn(violation, now);
    }

    pub(super) fn condemn(&mut self, violation: Violation, now: Instant) {
        self.timers.set(Timer::Verdict, None);
        let frame = violation.close_frame();
        self.fail(Cause::Violation(violation), frame, now);
    }

    /// Executes a verdict that waited.
    pub(super) fn execute(&mut self, now: Instant) {
        if let Some(remains) = self.remains.touched()
            && let Some(violation) = remains.verdict.take()
        {
            self.condemn(violation, now);
        }
    }

    pub(super) fn fail(&mut self, cause: Cause, frame: CloseFrame, now: Instant) {
        let mid_farewell = self.output.is_mid_farewell();
        let farewell = (!mid_farewell).then(|| frame.clone());
        let told = self.closing.fail(cause, farewell, now);
        if told == Told::Nothing {
            return;
        }
        self.assembler.release();
        self.retire_output();
        if self.closing.state() == State::Failing && !mid_farewell {
            self.output.control.part(Farewell::Said(frame));
        }
        self.obey(told, now);
    }

    pub(super) fn discard(&mut self, bytes: usize, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        if bytes == 0 {
            return;
        }
        let remains = self.remains.make();
        remains.discarded = remains.discarded.saturating_add(bytes as u64);
        if remains.discarded > self.config.max_discard as u64 {
            // A peer that floods instead of leaving is not waited for, nor is the application's
            // answer to what came before the violation.
            self.execute(now);
            let told = self.closing.abort(Cause::Aborted, now);
            self.obey(told, now);
        }
    }
}

/// From how many missing bytes on a frame's payload is read straight to where it belongs.
const LARGE: u64 = 32 << 10;

/// What a close frame's payload says (section 5.5.1).
fn parse_farewell(payload: &[u8]) -> Result<Farewell, Violation> {
    if payload.is_empty() {
        return Ok(Farewell::Empty);
    }
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Err(Violation::CloseTooShort);
    };
    let number = u16::from_be_bytes(*code);
    let code = CloseCode::try_from(number).map_err(|_| Violation::CloseCode(number))?;
    let reason =
        std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8 { code: number })?;
    Ok(Farewell::Said(CloseFrame::truncated(code, reason.to_owned())))
}
