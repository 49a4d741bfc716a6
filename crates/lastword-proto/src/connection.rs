//! One WebSocket connection, from the agreement to the ending (RFC 6455 sections 5 to 7).
//!
//! Joins the rooms and decides their order, nothing else: what a frame is, the decoder knows; what
//! a message is, the assembler; what waits to be written, the output; how it ends, `closing`.
//! Refuses to know sockets, clocks and tasks: bytes and instants are arguments, and what is to be
//! written is lent. No call fails or panics because of what a peer did.
//!
//! A driver loops over: read → [`Connection::receive`], [`Connection::poll_transmit`] → write →
//! [`Connection::wrote`], [`Connection::poll_event`], and sleeps until
//! [`Connection::poll_timeout`] → [`Connection::handle_timeout`]. It reads and writes what it can
//! before it reports a timeout.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agreement::Agreement;
use crate::assembler::{Assembled, Assembler};
use crate::closing::{Cause, Closing, Ending, State, TimeOut, Told, TransportError, Witness};
use crate::config::{Compression, Config};
use crate::control::{Meaning, farewell_body};
use crate::cut::{Cut, MessageCut};
use crate::decoder::{Control, Data, Decoder, Piece};
use crate::deflate::Deflate;
use crate::encoder::{Encoder, PartOut, Tools};
use crate::event::Event;
use crate::header::{Rsv1, Rules};
use crate::keepalive::{Keepalive, PingId};
use crate::ledger::{Account, Ledger};
use crate::masks::Masks;
use crate::message::{Kind, Message, Part};
use crate::output::{Completes, Lent, Output};
use crate::record::{Entry, FrameEntry, Record};
use crate::timers::{Timer, Timers};
use crate::violation::Violation;
use crate::wire::{CloseCode, CloseFrame, End, Farewell, Opcode, Role};

/// A WebSocket connection without I/O.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use lastword_proto::{Agreement, Compression, Config, Connection, Event, Message, Role, Transmit};
///
/// let (config, now) = (Arc::new(Config::default()), Instant::now());
/// let mut server =
///     Connection::new(&Agreement::plain(Role::Server), config.clone(), [0; 32], now);
/// let mut client = Connection::new(&Agreement::plain(Role::Client), config, [1; 32], now);
///
/// client.send("hello".into(), Compression::Auto).unwrap();
/// let Transmit::Bytes(lent) = client.poll_transmit() else { panic!("there is a message to send") };
/// let mut wire = lent.to_vec();
/// client.wrote(wire.len(), now);
///
/// server.receive(&mut wire, now);
/// let Some(Event::Message(message)) = server.poll_event() else { panic!("it came") };
/// assert_eq!(message, Message::from("hello"));
/// ```
pub struct Connection {
    role: Role,
    config: Arc<Config>,
    decoder: Decoder,
    assembler: Assembler,
    deflate: Option<Box<Deflate>>,
    masks: Masks,
    encoder: Encoder,
    output: Output,
    /// The message that the application sends by parts, if it is in the middle of one.
    streaming: Option<Streaming>,
    keepalive: Keepalive,
    account: Account,
    timers: Timers,
    closing: Closing,
    events: VecDeque<Event>,
    /// Bytes of messages in `events`, with their overhead.
    inbound: usize,
    reader: Reader,
    last_received: Option<Instant>,
    last_sent: Option<Instant>,
    last_message: Instant,
    discarded: u64,
    /// A violation that came behind messages which the application has not fetched yet.
    verdict: Option<Violation>,
    unsent: Vec<Message>,
    /// Bytes that waited to be written when we gave up writing them.
    retired: usize,
    record: Option<Box<Record>>,
    ending: Option<Arc<Ending>>,
}

/// Whether the application still wants messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Listening,
    Gone,
}

struct Streaming {
    kind: Kind,
    compressed: bool,
    total: usize,
}

/// What a driver is to do with its transport.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "write, finish, or wait")]
#[expect(clippy::large_enum_variant, reason = "lives for one write; a box would cost more")]
pub enum Transmit<'a> {
    /// Write these bytes, then report how many were taken with [`Connection::wrote`].
    Bytes(Lent<'a>),
    /// All is written: end our half of the stream, then report [`Connection::finished`].
    Finish,
    /// Nothing, for now.
    Idle,
}

/// Why a message was not accepted for sending; it comes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRefused {
    /// The connection is closing or over: no data may follow a close frame (section 5.5.1).
    #[error("not sent: the connection is closing")]
    Closing(Message),
    /// A message that is sent by parts is not finished; its parts cannot be interrupted
    /// (section 5.4).
    #[error("not sent: another message is being sent by parts")]
    Streaming(Message),
    /// The part is of another kind than the message that it continues.
    #[error("not sent: the part is of another kind than its message")]
    KindChanged(Message),
}

impl SendRefused {
    /// The message, or the data of the part, that was not accepted.
    pub fn into_message(self) -> Message {
        match self {
            Self::Closing(message) | Self::Streaming(message) | Self::KindChanged(message) => {
                message
            }
        }
    }
}

/// Why our side leaves, other than by a close of the application's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the ways in which an application goes away")]
pub enum Leave {
    /// The server shuts down, saying this.
    Shutdown(CloseFrame),
    /// The last handle was dropped: 1001, within [`Config::linger`].
    Dropped,
    /// The last handle was dropped by a panic: 1011, within [`Config::linger`].
    Panicked,
}

/// What comes in.
impl Connection {
    /// A connection whose opening ended in `agreement`; its leftover bytes are received first.
    ///
    /// `seed` comes from a strong generator: the masking keys of a client are made of it
    /// (section 10.3).
    pub fn new(agreement: &Agreement, config: Arc<Config>, seed: [u8; 32], now: Instant) -> Self {
        let role = agreement.role;
        let rsv1 =
            if agreement.deflate.is_some() { Rsv1::MarksCompression } else { Rsv1::Reserved };
        let rules = Rules { sender: role.peer(), rsv1 };
        let deflate = agreement.deflate.map(|agreed| {
            Box::new(Deflate::new(role, agreed, &config.deflate.clone().unwrap_or_default()))
        });
        let mut timers = Timers::default();
        let jitter = f64::from(seed.first().copied().unwrap_or_default()) / 512.0;
        // The first ping comes at half to a whole interval, so that those of a crowd spread out.
        timers.set(
            Timer::Ping,
            config.ping_interval.and_then(|i| now.checked_add(i.mul_f64(0.5 + jitter))),
        );
        timers.set(Timer::Idle, config.idle_timeout.and_then(|limit| now.checked_add(limit)));
        let mut connection = Self {
            role,
            decoder: Decoder::new(rules, config.max_frame_size),
            assembler: Assembler::default(),
            deflate,
            masks: Masks::new(role, seed),
            encoder: Encoder::default(),
            output: Output::default(),
            streaming: None,
            keepalive: Keepalive::default(),
            account: Account::default(),
            timers,
            closing: Closing::new(role, now),
            events: VecDeque::new(),
            inbound: 0,
            reader: Reader::Listening,
            last_received: None,
            last_sent: None,
            last_message: now,
            discarded: 0,
            verdict: None,
            unsent: Vec::new(),
            retired: 0,
            record: None,
            ending: None,
            config,
        };
        if !agreement.leftover.is_empty() {
            connection.receive(&mut agreement.leftover.to_vec(), now);
        }
        connection
    }

    /// Takes bytes that the peer sent, all of them; unmasks them in place.
    pub fn receive(&mut self, bytes: &mut [u8], now: Instant) {
        if bytes.is_empty() || self.ending.is_some() {
            return;
        }
        self.last_received = Some(now);
        // Any byte is a sign of life.
        self.timers.set(Timer::Pong, None);
        let mut input = bytes;
        while self.reads_frames() {
            match self.decoder.next(&mut input) {
                Ok(Some(Piece::Data(data))) => self.receive_data(&data, input.len(), now),
                Ok(Some(Piece::Control(control))) => self.receive_control(&control, now),
                Ok(None) => return self.assembler.rest(),
                Err(violation) => self.violated(violation, now),
            }
        }
        self.discard(input.len(), now);
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
    /// [`Config::receive_buffer`].
    #[inline]
    pub fn wants_read(&self) -> bool {
        match self.closing.state() {
            State::Open | State::Draining => {
                self.inbound < self.config.receive_buffer || self.reader == Reader::Gone
            }
            // 6: while closing, reading goes on; what nobody fetches never makes a close wait.
            State::Over => false,
            _ => true,
        }
    }

    const fn reads_frames(&self) -> bool {
        self.verdict.is_none()
            && matches!(
                self.closing.state(),
                State::Open | State::Closing | State::CloseSent | State::Draining
            )
    }

    #[inline]
    fn receive_data(&mut self, data: &Data<'_>, more: usize, now: Instant) {
        if let Some(record) = &mut self.record
            && (data.is_first || !data.payload.is_empty())
        {
            let (header, payload) = (&data.header, data.payload);
            let entry = FrameEntry::new(End::Peer, header.opcode, header.fin, header.len, payload);
            record.add(Entry::Frame(entry.compressed(self.assembler.is_compressed())));
        }
        match self.assembler.take(data, more, self.deflate.as_deref_mut(), &self.config) {
            Ok(None) => {}
            Ok(Some(assembled)) => self.deliver(assembled, now),
            Err(violation) => self.violated(violation, now),
        }
    }

    #[inline]
    fn deliver(&mut self, assembled: Assembled, now: Instant) {
        self.last_message = now;
        let (event, bytes) = match assembled {
            Assembled::Message(message) => {
                let bytes = message.len();
                (Event::Message(message), bytes)
            }
            Assembled::Part(part) => {
                let bytes = part.data.len();
                (Event::Part(part), bytes)
            }
        };
        let full = self.inbound >= self.config.receive_buffer
            && !matches!(self.closing.state(), State::Open | State::Draining);
        if full || self.reader == Reader::Gone {
            return self.account.discarded.add(bytes);
        }
        self.account.delivered.add(bytes);
        self.inbound = self.inbound.saturating_add(bytes).saturating_add(OVERHEAD);
        self.events.push_back(event);
    }

    #[cold]
    fn receive_control(&mut self, control: &Control, now: Instant) {
        let payload = control.payload();
        if let Some(record) = &mut self.record {
            let len = payload.len() as u64;
            let entry = FrameEntry::new(End::Peer, control.opcode, true, len, payload);
            record.add(Entry::Frame(entry));
        }
        match control.opcode {
            Opcode::Ping => {
                if self.closing.state() != State::Draining {
                    self.output.control.answer(control.clone());
                }
            }
            Opcode::Pong => {
                if let Some(position) = self.keepalive.answer(payload, now) {
                    self.account.confirm(position);
                }
            }
            _ => match parse_farewell(payload) {
                Ok(farewell) => self.receive_close(farewell, now),
                Err(violation) => self.violated(violation, now),
            },
        }
    }

    fn receive_close(&mut self, farewell: Farewell, now: Instant) {
        let before = self.closing.state();
        let told = self.closing.receive_close(farewell.clone(), now);
        if told != Told::Nothing {
            self.events.push_back(Event::PeerClosing(farewell.clone()));
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
    /// application has [`Config::linger`] to answer them.
    #[cold]
    fn violated(&mut self, violation: Violation, now: Instant) {
        if self.closing.state() == State::Open && self.inbound > 0 {
            self.verdict = Some(violation);
            self.timers.set(Timer::Verdict, now.checked_add(self.config.linger));
            return;
        }
        self.condemn(violation, now);
    }

    fn condemn(&mut self, violation: Violation, now: Instant) {
        self.timers.set(Timer::Verdict, None);
        let frame = violation.close_frame();
        self.fail(Cause::Violation(violation), frame, now);
    }

    /// Executes a verdict that waited.
    fn execute(&mut self, now: Instant) {
        if let Some(violation) = self.verdict.take() {
            self.condemn(violation, now);
        }
    }

    fn fail(&mut self, cause: Cause, frame: CloseFrame, now: Instant) {
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

    fn discard(&mut self, bytes: usize, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        self.discarded = self.discarded.saturating_add(bytes as u64);
        if self.discarded > self.config.max_discard as u64 {
            // A peer that floods instead of leaving is not waited for.
            let told = self.closing.abort(Cause::Aborted, now);
            self.obey(told, now);
        }
    }
}

/// What goes out.
impl Connection {
    /// Accepts a message for sending. From here on the ledger accounts for it.
    ///
    /// # Errors
    /// [`SendRefused`], with the message, when the connection is closing or in the middle of a
    /// message that is sent by parts.
    #[inline]
    pub fn send(&mut self, message: Message, compression: Compression) -> Result<(), SendRefused> {
        if self.closing.state() != State::Open {
            return Err(SendRefused::Closing(message));
        }
        if self.streaming.is_some() {
            return Err(SendRefused::Streaming(message));
        }
        self.account.accept(message.len());
        self.encode(|encoder, tools| encoder.send(message, compression, tools));
        Ok(())
    }

    /// Accepts a part of a message for sending; the first begins it, the one that says so ends it.
    /// Until then no other message is accepted. `compression` counts on the first part.
    ///
    /// # Errors
    /// [`SendRefused`], with the part's data, when the connection is closing, or when the part is
    /// of another kind than the message that it continues.
    pub fn send_part(&mut self, part: Part, compression: Compression) -> Result<(), SendRefused> {
        if self.closing.state() != State::Open {
            return Err(SendRefused::Closing(part.data));
        }
        let kind = part.data.kind();
        let first = self.streaming.is_none();
        let compressed = self.deflate.is_some() && compression != Compression::Never;
        let streaming = self.streaming.get_or_insert(Streaming { kind, compressed, total: 0 });
        if streaming.kind != kind {
            return Err(SendRefused::KindChanged(part.data));
        }
        if first {
            self.account.accept(0);
        }
        self.account.accept_part(part.data.len());
        streaming.total = streaming.total.saturating_add(part.data.len());
        let (compressed, total) = (streaming.compressed, streaming.total);
        if part.last {
            self.streaming = None;
        }
        let payload = part.data.into_payload();
        self.record_sent(data_opcode(kind), &payload);
        let part = PartOut { payload, kind, first, last: part.last, compressed, total };
        self.encode(|encoder, tools| encoder.send_part(part, tools));
        Ok(())
    }

    /// Whether less waits to be sent than [`Config::send_buffer`] allows.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.waiting() < self.config.send_buffer
    }

    /// Bytes that wait to be sent (and to be confirmed, with [`Unconfirmed::Kept`](crate::Unconfirmed::Kept)).
    #[inline]
    pub fn waiting(&self) -> usize {
        self.output_waiting().saturating_add(self.account.kept_bytes())
    }

    /// Asks the peer for a sign of life, ahead of data; [`Self::answered`] tells of the answer.
    /// `None` when the connection is closing.
    pub fn ping(&mut self) -> Option<PingId> {
        if self.closing.state() != State::Open {
            return None;
        }
        let Self { keepalive, output, .. } = self;
        Some(output.control.ask(|| keepalive.next_id()))
    }

    /// Asks the peer for a sign of life behind all messages accepted so far: its answer confirms
    /// them. `None` when the connection is closing, or in the middle of a message that is sent by
    /// parts.
    pub fn confirm(&mut self) -> Option<PingId> {
        if self.closing.state() != State::Open || self.streaming.is_some() {
            return None;
        }
        let id = self.keepalive.next_id();
        self.encode(|encoder, tools| encoder.ping(id, tools));
        Some(id)
    }

    /// What is to be done with the transport. Nothing is lost if it is not done: it is lent again.
    #[inline]
    pub fn poll_transmit(&mut self) -> Transmit<'_> {
        if !self.output.is_empty() && self.ending.is_none() {
            return Transmit::Bytes(self.output.lend(&mut self.masks));
        }
        if self.ending.is_none() && self.closing.wants_finish() {
            return Transmit::Finish;
        }
        Transmit::Idle
    }

    /// The transport took the first `count` of the lent bytes; 0 if it would block. To be called
    /// after each attempt to write.
    #[inline]
    pub fn wrote(&mut self, count: usize, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        if count > 0 {
            self.last_sent = Some(now);
        }
        let mut left = count;
        while left > 0 {
            left = left.saturating_sub(self.output.wrote(left).max(1));
            self.settle(now);
        }
        if !self.encoder.is_empty() {
            self.encode(Encoder::fill);
        }
        if self.output.is_empty() {
            self.timers.set(Timer::Write, None);
        } else if count > 0 || self.timers.get(Timer::Write).is_none() {
            let limit = self.config.write_timeout;
            self.timers.set(Timer::Write, limit.and_then(|limit| now.checked_add(limit)));
        }
    }

    /// Our half of the stream is ended.
    pub fn finished(&mut self) {
        self.closing.finished();
    }

    /// Takes account of frames that were wholly written, in the order of the wire.
    #[inline]
    fn settle(&mut self, now: Instant) {
        while let Some(completes) = self.output.completed() {
            match completes {
                Completes::Nothing => {}
                Completes::Message(message) => {
                    if self.record.is_some() {
                        self.record_sent(data_opcode(message.kind()), message.payload());
                    }
                    self.account.hand_over(message, self.config.unconfirmed);
                    self.last_message = now;
                    if self.account.kept_bytes() > 0 {
                        self.ask_for_confirmation();
                    }
                }
                Completes::Streamed(bytes) => {
                    self.account.hand_over_bytes(bytes);
                    self.last_message = now;
                }
                Completes::Ping(id) => self.wrote_ping(id, now),
                Completes::Farewell(farewell) => self.wrote_close(&farewell, now),
            }
        }
        while let Some(meaning) = self.output.completed_control() {
            match meaning {
                Meaning::Ping(id) => self.wrote_ping(id, now),
                Meaning::Pong(pong) => self.record_sent(Opcode::Pong, pong.payload()),
                Meaning::Farewell(farewell) => self.wrote_close(&farewell, now),
            }
        }
    }

    /// Messages that are kept until they are confirmed take up the send buffer: a ping makes room
    /// before it is full. One at a time.
    fn ask_for_confirmation(&mut self) {
        let kept = self.account.kept_bytes();
        if kept > self.config.send_buffer / 2 && !self.keepalive.is_waiting() {
            self.ping();
        }
    }

    fn wrote_ping(&mut self, id: PingId, now: Instant) {
        self.record_sent(Opcode::Ping, &id.payload());
        self.keepalive.wrote(id, self.account.position(), now);
    }

    fn wrote_close(&mut self, farewell: &Farewell, now: Instant) {
        if self.record.is_some() {
            self.record_sent(Opcode::Close, &farewell_body(farewell));
        }
        let told = self.closing.wrote_close(now);
        self.obey(told, now);
    }

    #[inline]
    fn encode(&mut self, with: impl FnOnce(&mut Encoder, &mut Tools<'_>)) {
        let Self { encoder, output, masks, deflate, config, .. } = self;
        with(encoder, &mut Tools { output, masks, deflate: deflate.as_deref_mut(), config });
    }

    /// Records what was wholly written: a control frame, or a message, in however many frames.
    #[cold]
    fn record_sent(&mut self, opcode: Opcode, payload: &[u8]) {
        let Some(record) = &mut self.record else { return };
        let len = payload.len() as u64;
        record.add(Entry::Frame(FrameEntry::new(End::Us, opcode, true, len, payload)));
    }

    /// What was accepted and has not begun to leave will not leave.
    fn retire_output(&mut self) {
        let before = self.output_waiting();
        self.unsent.extend(self.output.retire());
        self.unsent.extend(self.encoder.take_unsent());
        self.output.control.clear();
        let retired = before.saturating_sub(self.output_waiting());
        self.retired = self.retired.saturating_add(retired);
    }

    /// Nothing leaves any more.
    fn give_back_rest(&mut self) {
        self.retired = self.retired.saturating_add(self.output_waiting());
        let mut unsent = self.output.take_unsent();
        unsent.extend(self.encoder.take_unsent());
        // What was retired before had stood behind the frame that was in progress.
        unsent.append(&mut self.unsent);
        self.unsent = unsent;
    }

    /// Bytes of data that wait to be written.
    #[inline]
    fn output_waiting(&self) -> usize {
        let output = usize::try_from(self.output.waiting()).unwrap_or(usize::MAX);
        output.saturating_add(self.encoder.queued())
    }
}

/// How it ends.
impl Connection {
    /// Closes: what was accepted before goes first, then `frame` (`None`: an empty close frame).
    /// The first wish to close stands; a later one changes nothing.
    pub fn close(&mut self, frame: Option<CloseFrame>, now: Instant) {
        self.close_because(frame.map_or(Farewell::Empty, Farewell::Said), None, now);
    }

    /// Leaves, for a reason that the ending will tell.
    pub fn leave(&mut self, leave: Leave, now: Instant) {
        let (frame, cause) = match leave {
            Leave::Shutdown(frame) => (frame, Cause::Shutdown),
            Leave::Dropped => (CloseCode::GOING_AWAY.into(), Cause::Dropped),
            Leave::Panicked => (
                CloseFrame::truncated(CloseCode::INTERNAL_ERROR, "handler panicked"),
                Cause::Dropped,
            ),
        };
        if cause == Cause::Dropped {
            self.stop_delivery();
            if self.is_open()
                && let Some(at) = now.checked_add(self.config.linger)
            {
                self.timers.set_once(Timer::Closing, at);
            }
        }
        self.close_because(Farewell::Said(frame), Some(cause), now);
    }

    /// Ends the connection at once; the driver resets the transport.
    pub fn abort(&mut self, now: Instant) {
        let told = self.closing.abort(Cause::Aborted, now);
        self.obey(told, now);
    }

    /// The application wants no more messages: those that wait, and those to come, are counted and
    /// thrown away. Reading goes on, so that pongs and the peer's close are seen.
    pub fn stop_delivery(&mut self) {
        self.reader = Reader::Gone;
        self.inbound = 0;
        self.hasten_verdict();
        let account = &mut self.account;
        let over = self.ending.is_some();
        self.events.retain(|event| {
            let bytes = match event {
                Event::Message(message) => message.len(),
                Event::Part(part) => part.data.len(),
                _ => return true,
            };
            if !over {
                account.discard_delivered(bytes);
            }
            false
        });
    }

    /// The soonest deadline; `None` when nothing is waited for.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.soonest()
    }

    /// A deadline has come. To be called after reading and writing what is possible.
    pub fn handle_timeout(&mut self, now: Instant) {
        let before = self.closing.state();
        for (timer, due) in self.timers.all_due(now) {
            // A timer that began the end has a close frame to be written before the next counts.
            if self.closing.state() != before {
                return;
            }
            self.timers.set(timer, None);
            if let Some(record) = &mut self.record {
                record.add(Entry::Timer(timer.name()));
            }
            match timer {
                Timer::Ping => self.keepalive_ping(now),
                Timer::Pong => self.pong_missing(due, now),
                Timer::Idle => self.idle(now),
                Timer::Write => self.write_stalled(now),
                Timer::Verdict => self.execute(now),
                Timer::Closing => {
                    let limit = self.closing_limit();
                    let told = self.closing.run_out_of_patience(limit, now);
                    self.obey(told, now);
                }
            }
        }
    }

    /// How it ended, once it has. Can be read again and again.
    pub fn ending(&self) -> Option<&Arc<Ending>> {
        self.ending.as_ref()
    }

    /// The messages that were accepted and did not leave, whole and in order; once, and complete
    /// when the connection is over.
    pub fn take_unsent(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.unsent)
    }

    /// With [`Unconfirmed::Kept`](crate::Unconfirmed::Kept): the messages that left and were not confirmed, in order; once.
    pub fn take_unconfirmed(&mut self) -> Vec<Message> {
        self.account.take_kept()
    }

    fn close_because(&mut self, farewell: Farewell, why: Option<Cause>, now: Instant) {
        self.execute(now);
        let told = self.closing.close(farewell.clone(), why, now);
        if told == Told::Changed {
            self.encode(|encoder, tools| encoder.part(farewell, tools));
        }
        self.obey(told, now);
    }

    /// Does what a step of `closing` asks for.
    fn obey(&mut self, told: Told, now: Instant) {
        if told != Told::Nothing
            && let Some(record) = &mut self.record
        {
            record.add(Entry::State(self.closing.state().name()));
        }
        match told {
            Told::Nothing => {}
            Told::Changed => {
                // One deadline for all of it: armed when the end begins, never moved.
                for timer in [Timer::Ping, Timer::Pong, Timer::Idle, Timer::Write, Timer::Verdict] {
                    self.timers.set(timer, None);
                }
                let began = self.closing.began_at().unwrap_or(now);
                if let Some(at) = began.checked_add(self.config.close_timeout) {
                    self.timers.set_once(Timer::Closing, at);
                }
            }
            Told::Ended => self.end(now),
        }
    }

    fn end(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let witness = Witness {
            cut: self.cut(),
            ledger: self.account.ledger(),
            discarded: self.discarded,
            waiting: self.output_waiting().saturating_add(self.retired),
            last_received: self.last_received,
            last_sent: self.last_sent,
            latency: self.keepalive.latency(),
        };
        let ending = Arc::new(self.closing.ending(witness, now));
        self.give_back_rest();
        self.timers.clear();
        self.assembler.release();
        self.deflate = None;
        self.ending = Some(Arc::clone(&ending));
        self.events.push_back(Event::Ended(ending));
    }

    /// Where the incoming stream stands, if not between messages. A violation says itself where it
    /// was; how much of the offending message had been looked at depends on how it was read.
    fn cut(&self) -> Option<Cut> {
        if let Some(Cause::Violation(_)) = self.closing.cause() {
            return None;
        }
        let message = self.assembler.unfinished().map(|(kind, fragments, bytes)| {
            MessageCut::new(kind, fragments, bytes, self.assembler.is_compressed())
        });
        Cut::new(self.decoder.cut(), message)
    }

    /// The limit that the closing ran into; `None` if it was given no time at all.
    fn closing_limit(&self) -> Option<Duration> {
        match self.closing.cause() {
            Some(Cause::TimedOut(TimeOut::Pong { .. } | TimeOut::Write { .. })) => None,
            Some(Cause::Dropped) => Some(self.config.linger.min(self.config.close_timeout)),
            _ => Some(self.config.close_timeout),
        }
    }

    fn keepalive_ping(&mut self, now: Instant) {
        self.ping();
        let (interval, limit) = (self.config.ping_interval, self.config.ping_timeout);
        self.timers.set(Timer::Ping, interval.and_then(|interval| now.checked_add(interval)));
        if let Some(at) = limit.and_then(|limit| now.checked_add(limit)) {
            self.timers.set_once(Timer::Pong, at);
        }
        // A quiet moment, mostly: what traffic had needed is given back.
        self.output.shrink();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    fn pong_missing(&mut self, due: Instant, now: Instant) {
        let Some(limit) = self.config.ping_timeout else { return };
        if !self.wants_read() {
            // We do not read: the peer's bytes may be waiting in our own kernel.
            return self.timers.set(Timer::Pong, now.checked_add(limit));
        }
        let silent =
            now.saturating_duration_since(self.last_received.unwrap_or(self.closing.opened_at()));
        let late = now.saturating_duration_since(due);
        let cause = Cause::TimedOut(TimeOut::Pong { limit, silent, late });
        self.die(cause, "keepalive ping timeout", now);
    }

    fn idle(&mut self, now: Instant) {
        let Some(limit) = self.config.idle_timeout else { return };
        let due = self.last_message.checked_add(limit);
        if let Some(due) = due.filter(|&due| due > now) {
            // Messages came or went since the timer was set: it moves once, not with each of them.
            return self.timers.set(Timer::Idle, Some(due));
        }
        let frame = CloseFrame::truncated(CloseCode::GOING_AWAY, "idle timeout");
        let cause = Cause::TimedOut(TimeOut::Idle { limit });
        self.close_because(Farewell::Said(frame), Some(cause), now);
    }

    fn write_stalled(&mut self, now: Instant) {
        let Some(limit) = self.config.write_timeout else { return };
        self.die(Cause::TimedOut(TimeOut::Write { limit }), "write timeout", now);
    }

    /// The peer is as good as gone: a close frame is tried once, and not waited for.
    fn die(&mut self, cause: Cause, reason: &'static str, now: Instant) {
        self.timers.set_once(Timer::Closing, now);
        self.closing.give_up(&cause);
        self.fail(cause, CloseFrame::truncated(CloseCode::INTERNAL_ERROR, reason), now);
    }
}

/// What there is to see.
impl Connection {
    /// The next thing that happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let Some(event) = self.events.pop_front() else {
            self.hasten_verdict();
            return None;
        };
        let bytes = match &event {
            Event::Message(message) => message.len(),
            Event::Part(part) => part.data.len(),
            _ => return Some(event),
        };
        self.inbound = self.inbound.saturating_sub(bytes).saturating_sub(OVERHEAD);
        Some(event)
    }

    /// The application asks for more, and so has answered all that it wanted to: a verdict that
    /// waited for it is due.
    fn hasten_verdict(&mut self) {
        if self.verdict.is_some()
            && let Some(at) = self.last_received
        {
            self.timers.set(Timer::Verdict, Some(at));
        }
    }

    /// Whether events wait to be fetched.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Which side we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether messages are accepted for sending.
    pub fn is_open(&self) -> bool {
        self.closing.state() == State::Open
    }

    /// What became of the messages so far.
    pub const fn ledger(&self) -> Ledger {
        self.account.ledger()
    }

    /// The newest ping that the peer answered, and so all that were asked before it; with its
    /// round-trip time.
    pub const fn answered(&self) -> Option<(PingId, Duration)> {
        self.keepalive.answered()
    }

    /// The last round-trip time of a ping; `None` if none was answered.
    pub fn latency(&self) -> Option<Duration> {
        self.keepalive.latency()
    }

    /// Begins to record what crosses the wire, keeping the last `capacity` entries.
    pub fn record(&mut self, capacity: usize) {
        self.record = Some(Box::new(Record::new(capacity)));
    }

    /// The oldest recorded entry that was not taken yet.
    pub fn take_record(&mut self) -> Option<Entry> {
        self.record.as_mut()?.take()
    }

    /// How many entries were pushed out of the record before they were taken.
    pub fn lost_records(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.lost())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.closing.state())
            .field("ledger", &self.ledger())
            .finish_non_exhaustive()
    }
}

const fn data_opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

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

/// What a waiting message costs beside its payload.
const OVERHEAD: usize = 64;
