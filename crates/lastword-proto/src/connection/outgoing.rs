//! What goes out: messages to frames, frames to whoever writes, and the account of what left.

use std::time::Instant;

use crate::closing::State;
use crate::config::Compression;
use crate::control::{MAX_OWN, Meaning, farewell_body};
use crate::decoder::Control;
use crate::encoder::{Encoder, Tools};
use crate::header::MAX_CONTROL;
use crate::keepalive::{PingId, Way};
use crate::message::Message;
use crate::output::{COPIED, Completes};
use crate::prepared::Prepared;
use crate::record::{Entry, FrameEntry};
use crate::timers::Timer;
use crate::wire::{End, Farewell, Opcode, Role};

use super::{Connection, ControlRefused, SendRefused, Transmit};

/// What goes out.
impl Connection {
    /// Accepts a message for sending. From here on the ledger accounts for it.
    ///
    /// # Errors
    /// [`SendRefused`], with the message, when the connection is closing or in the middle of a
    /// message that is sent by parts.
    #[inline]
    pub fn send(&mut self, message: Message, compression: Compression) -> Result<(), SendRefused> {
        if compression == Compression::Auto && self.send_small(&message) {
            return Ok(());
        }
        self.send_in_turn(message, compression)
    }

    /// Accepts a message for sending if it is small, there is room for it (see [`Self::has_room`])
    /// and nothing is in its way: the short form of [`Self::send`], for which nearly all of them
    /// qualify. `false` if it does not.
    #[inline]
    pub fn send_small(&mut self, message: &Message) -> bool {
        let qualifies = message.len() < self.small_below
            && self.output.waiting() < self.small_room
            && self.encoder.is_empty()
            && self.streaming.is_none()
            && self.closing.state() == State::Open;
        if qualifies {
            let mask = self.masks.next();
            self.output.put_small(message.kind().opcode(), mask, message.payload());
            self.account.accept(message.len());
        }
        qualifies
    }

    fn send_in_turn(
        &mut self,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendRefused> {
        if self.closing.state() != State::Open {
            return Err(SendRefused::Closing(message));
        }
        if self.streaming.is_some() {
            return Err(SendRefused::Streaming(message));
        }
        let len = message.len();
        self.send_accepted(message, compression);
        self.account.accept(len);
        if self.config.memory_budget.is_some() {
            self.recount();
        }
        Ok(())
    }

    /// Sends a message that is accepted, or will be if no extension panics over it.
    pub(super) fn send_accepted(&mut self, message: Message, compression: Compression) {
        let coded = self.extended.as_deref_mut().map(|extended| extended.encode(&message));
        self.encode(|encoder, tools| match coded {
            None => encoder.send(message, compression, tools),
            Some(coded) => encoder.send_extended(message, coded, compression, tools),
        });
    }

    /// Accepts a message for sending that is made ready for many connections, as [`Self::send`]
    /// would: the peer gets the same, and the ledger accounts for it. A server sends the frame that
    /// all share; a client, whose frames are masked with a key of their own, makes its own, and so does
    /// a connection that agreed on an extension of the application's own, which may remember.
    ///
    /// Compressed, it stands alone, and so small ones go as they are:
    /// [`DeflateConfig::threshold`](crate::DeflateConfig::threshold) counts as at least 512, as it
    /// does without context takeover. The message of our own that is compressed next refers to
    /// nothing before the shared one, of which our compressor knows nothing.
    ///
    /// # Errors
    /// [`SendRefused`], with the message, as [`Self::send`].
    pub fn send_prepared(
        &mut self,
        prepared: &Prepared,
        compression: Compression,
    ) -> Result<(), SendRefused> {
        if self.role == Role::Client || self.extended.is_some() {
            return self.send(prepared.message().clone(), compression);
        }
        if self.closing.state() != State::Open {
            return Err(SendRefused::Closing(prepared.message().clone()));
        }
        if self.streaming.is_some() {
            return Err(SendRefused::Streaming(prepared.message().clone()));
        }
        let len = prepared.len();
        self.account.accept(len);
        let plain =
            self.deflate.as_ref().is_none_or(|deflate| deflate.alone(len, compression).is_none());
        // What `send_small` asks for, but for the size below which nothing is compressed.
        let small = self.small_below > 0
            && len <= self.config.fragment_size.min(COPIED)
            && self.output.waiting() < self.small_room
            && self.encoder.is_empty();
        if plain && small {
            self.output.put_framed_small(prepared.plain().wire(), len);
        } else {
            self.encode(|encoder, tools| encoder.send_prepared(prepared, compression, tools));
        }
        if self.config.memory_budget.is_some() {
            self.recount();
        }
        Ok(())
    }

    /// Whether less waits to be sent than [`Config::send_buffer`](crate::Config::send_buffer) allows.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.waiting() < self.granted(self.config.send_buffer)
    }

    /// Whether no more than half of what [`Config::send_buffer`](crate::Config::send_buffer) allows
    /// waits to be sent: for those who must not take the room of others.
    pub fn has_ample_room(&self) -> bool {
        // With half of it unconfirmed, no ping is on its way to make room: the next message asks.
        self.waiting() <= self.config.send_buffer / 2
    }

    /// Bytes that wait to be sent, with the overhead of messages that are not in wire form yet (and to be confirmed, with [`Unconfirmed::Kept`](crate::Unconfirmed::Kept)).
    #[inline]
    pub fn waiting(&self) -> usize {
        let waiting = self.output_waiting().saturating_add(self.encoder.overhead());
        waiting.saturating_add(self.account.kept_bytes())
    }

    /// Asks the peer for a sign of life, ahead of data; [`Self::answered`] tells of the answer.
    /// `None` when the connection is closing.
    pub fn ping(&mut self) -> Option<PingId> {
        if self.closing.state() != State::Open {
            return None;
        }
        let Self { keepalive, output, .. } = self;
        Some(output.control.ask(|| keepalive.next_id(Way::Ahead)))
    }

    /// Pings the peer with data of the application's own, ahead of queued messages;
    /// [`Self::answered`] tells of the answer. An answer to it answers all pings that left before.
    ///
    /// # Errors
    /// [`ControlRefused`]: the connection is closing, `data` is too long, a ping with the same data
    /// waits for its answer, or too many wait to be written.
    pub fn ping_with(&mut self, data: &[u8]) -> Result<PingId, ControlRefused> {
        self.may_say(data)?;
        if self.keepalive.asks(data) || self.output.control.asks(data) {
            return Err(ControlRefused::Duplicate);
        }
        let id = self.keepalive.next_id(Way::Own);
        let accepted = self.output.control.ask_with(id, Control::new(Opcode::Ping, data));
        if accepted { Ok(id) } else { Err(ControlRefused::Crowded { limit: MAX_OWN }) }
    }

    /// Sends a pong that nobody asked for, a heartbeat in one direction (section 5.5.3), ahead of
    /// queued messages. While the peer does not read, answers to its pings may take its place.
    ///
    /// # Errors
    /// [`ControlRefused`]: the connection is closing, `data` is too long, or too many pongs wait to
    /// be written.
    pub fn pong(&mut self, data: &[u8]) -> Result<(), ControlRefused> {
        self.may_say(data)?;
        let accepted = self.output.control.volunteer(Control::new(Opcode::Pong, data));
        if accepted { Ok(()) } else { Err(ControlRefused::Crowded { limit: MAX_OWN }) }
    }

    fn may_say(&self, data: &[u8]) -> Result<(), ControlRefused> {
        if self.closing.state() != State::Open {
            return Err(ControlRefused::Closing);
        }
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less".
        if data.len() > MAX_CONTROL {
            return Err(ControlRefused::TooLong { bytes: data.len(), limit: MAX_CONTROL });
        }
        Ok(())
    }

    /// Asks the peer for a sign of life behind all messages accepted so far: its answer confirms
    /// them. `None` when the connection is closing, or in the middle of a message that is sent by
    /// parts.
    pub fn confirm(&mut self) -> Option<PingId> {
        if self.closing.state() != State::Open || self.streaming.is_some() {
            return None;
        }
        let id = self.keepalive.next_id(Way::Behind);
        self.encode(|encoder, tools| encoder.ping(id, tools));
        Some(id)
    }

    /// Whether [`Self::poll_transmit`] would say [`Transmit::Idle`].
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.ending.is_some() || (self.output.is_empty() && !self.closing.wants_finish())
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
            self.expect_rest(now);
        }
        let mut left = count;
        while left > 0 {
            left = left.saturating_sub(self.output.wrote(left).max(1));
            self.settle(now);
        }
        if !self.encoder.is_empty() {
            self.encode(Encoder::fill);
        }
        if self.share.is_some() {
            self.recount();
        }
        if self.output.is_empty() {
            self.timers.set(Timer::Write, None);
        } else if count > 0 || self.timers.get(Timer::Write).is_none() {
            let limit = self.config.write_timeout;
            self.timers.set(Timer::Write, limit.and_then(|limit| now.checked_add(limit)));
        }
    }

    /// Our half of the stream is ended. If that failed,
    /// [`transport_error`](Self::transport_error) is called instead.
    pub fn finished(&mut self) {
        self.closing.finished();
    }

    /// Takes account of frames that were wholly written, in the order of the wire.
    #[inline]
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(completes) = self.output.completed() {
            match completes {
                // A part, or a fragment: whoever sends a long message is not idle.
                Completes::Nothing => self.last_message = now,
                Completes::Message(message) => {
                    if self.record.is_some() {
                        self.record_sent(message.kind().opcode(), message.payload());
                    }
                    self.account.hand_over(message, self.config.unconfirmed);
                    self.last_message = now;
                    if self.account.kept_bytes() > 0 {
                        self.ask_for_confirmation();
                    }
                }
                Completes::Run(messages) => {
                    self.account.hand_over_all(messages);
                    self.last_message = now;
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
                Meaning::OwnPing(id, ping) => {
                    self.record_sent(Opcode::Ping, ping.payload());
                    let data = Some(ping.payload().into());
                    self.keepalive.wrote(id, data, self.account.position(), now);
                }
                Meaning::Pong(pong) => self.record_sent(Opcode::Pong, pong.payload()),
                Meaning::Farewell(farewell) => self.wrote_close(&farewell, now),
            }
        }
    }

    /// Messages that are kept until they are confirmed take up the send buffer: a ping makes room
    /// before it is full. One at a time.
    pub(super) fn ask_for_confirmation(&mut self) {
        let kept = self.account.kept_bytes();
        if kept > self.config.send_buffer / 2 && !self.keepalive.is_waiting() {
            self.ping();
        }
    }

    pub(super) fn wrote_ping(&mut self, id: PingId, now: Instant) {
        self.record_sent(Opcode::Ping, &id.payload());
        self.keepalive.wrote(id, None, self.account.position(), now);
    }

    pub(super) fn wrote_close(&mut self, farewell: &Farewell, now: Instant) {
        if self.record.is_some() {
            self.record_sent(Opcode::Close, &farewell_body(farewell));
        }
        let told = self.closing.wrote_close(now);
        self.obey(told, now);
    }

    #[inline]
    pub(super) fn encode(&mut self, with: impl FnOnce(&mut Encoder, &mut Tools<'_>)) {
        let Self { encoder, output, masks, deflate, config, .. } = self;
        with(encoder, &mut Tools { output, masks, deflate: deflate.as_deref_mut(), config });
    }

    /// Records what was wholly written: a control frame, or a message, in however many frames.
    #[cold]
    pub(super) fn record_sent(&mut self, opcode: Opcode, payload: &[u8]) {
        let Some(record) = &mut self.record else { return };
        let len = payload.len() as u64;
        record.add(Entry::Frame(FrameEntry::new(End::Us, opcode, true, len, payload)));
    }

    /// What was accepted and has not begun to leave will not leave.
    pub(super) fn retire_output(&mut self) {
        let before = self.output_waiting();
        let (retired, queued) = (self.output.retire(), self.encoder.take_unsent());
        self.remains.make().unsent.extend(retired.into_iter().chain(queued));
        self.output.control.clear();
        let retired = before.saturating_sub(self.output_waiting());
        let remains = self.remains.make();
        remains.retired = remains.retired.saturating_add(retired);
    }

    /// Nothing leaves any more.
    pub(super) fn give_back_rest(&mut self) {
        let waiting = self.output_waiting();
        let mut unsent = self.output.take_unsent();
        unsent.extend(self.encoder.take_unsent());
        // What was retired before had stood behind the frame that was in progress.
        let remains = self.remains.make();
        remains.retired = remains.retired.saturating_add(waiting);
        unsent.append(&mut remains.unsent);
        remains.unsent = unsent;
    }

    /// Bytes of data that wait to be written.
    #[inline]
    pub(super) fn output_waiting(&self) -> usize {
        let output = usize::try_from(self.output.waiting()).unwrap_or(usize::MAX);
        output.saturating_add(self.encoder.queued())
    }
}
