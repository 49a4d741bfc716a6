//! How it ends, as far as the rooms have to be told: what `closing` decides is done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::closing::{Cause, Ending, State, TimeOut, Told, Witness};
use crate::cut::{Cut, MessageCut};
use crate::event::Event;
use crate::keepalive::Rhythm;
use crate::message::Message;
use crate::record::Entry;
use crate::timers::Timer;
use crate::wire::{CloseCode, CloseFrame, Farewell};

use super::{Connection, Leave, Reader};

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
        self.execute(now);
        let told = self.closing.abort(Cause::Aborted, now);
        self.obey(told, now);
    }

    /// The application wants no more messages: those that wait, and those to come, are counted and
    /// thrown away. Reading goes on, so that pongs and the peer's close are seen.
    pub fn stop_delivery(&mut self) {
        self.reader = Reader::Gone;
        let unwanted = self.inbox.discard();
        if self.ending.is_none() {
            self.account.discard_delivered(unwanted);
        }
        self.hasten_verdict();
        if self.share.is_some() {
            self.recount();
        }
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
                Timer::Rest => self.rest(now),
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
        self.remains
            .touched()
            .map(|remains| std::mem::take(&mut remains.unsent))
            .unwrap_or_default()
    }

    /// With [`Unconfirmed::Kept`](crate::Unconfirmed::Kept): the messages that left and were not confirmed, in order; once.
    pub fn take_unconfirmed(&mut self) -> Vec<Message> {
        self.account.take_kept()
    }

    pub(super) fn close_because(&mut self, farewell: Farewell, why: Option<Cause>, now: Instant) {
        self.execute(now);
        let told = self.closing.close(farewell.clone(), why, now);
        if told == Told::Changed {
            // A question behind our last word would be of no use.
            self.output.control.withdraw_ping();
            self.encode(|encoder, tools| encoder.part(farewell, tools));
        }
        self.obey(told, now);
    }

    /// Does what a step of `closing` asks for.
    pub(super) fn obey(&mut self, told: Told, now: Instant) {
        if told != Told::Nothing
            && let Some(record) = &mut self.record
        {
            record.add(Entry::State(self.closing.state().name()));
        }
        match told {
            Told::Nothing => {}
            Told::Changed => {
                // One deadline for all of it: armed when the end begins, never moved.
                for timer in TIMERS_OF_LIFE {
                    self.timers.set(timer, None);
                }
                let began = self.closing.began_at().unwrap_or(now);
                if let Some(at) = began.checked_add(self.config.close_timeout) {
                    self.timers.set_once(Timer::Closing, at);
                }
            }
            Told::Ended => self.end(now),
        }
        if self.share.is_some() {
            self.recount();
        }
    }

    pub(super) fn end(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let witness = Witness {
            cut: self.cut(),
            ledger: self.account.ledger(),
            discarded: self.remains.discarded,
            waiting: self.output_waiting().saturating_add(self.remains.retired),
            last_received: self.last_received,
            last_sent: self.last_sent,
            latency: self.keepalive.latency(),
        };
        let ending = Arc::new(self.closing.ending(witness, now));
        self.give_back_rest();
        self.timers.clear();
        self.assembler.release();
        self.deflate = None;
        self.extended = None;
        self.ending = Some(Arc::clone(&ending));
        self.inbox.push(Event::Ended(ending));
    }

    /// Where the incoming stream stands, if not between messages. A violation says itself where it
    /// was; how much of the offending message had been looked at depends on how it was read.
    pub(super) fn cut(&self) -> Option<Cut> {
        if let Some(Cause::Violation(_)) = self.closing.cause() {
            return None;
        }
        let message = self.assembler.unfinished().map(|(kind, fragments, bytes)| {
            MessageCut::new(kind, fragments, bytes, self.assembler.is_compressed())
        });
        Cut::new(self.decoder.cut(), message)
    }

    /// The limit that the closing ran into; `None` if it was given no time at all.
    pub(super) fn closing_limit(&self) -> Option<Duration> {
        match self.closing.cause() {
            Some(Cause::TimedOut(TimeOut::Pong { .. } | TimeOut::Write { .. })) => None,
            Some(Cause::Dropped) => Some(self.config.linger.min(self.config.close_timeout)),
            _ => Some(self.config.close_timeout),
        }
    }

    pub(super) fn keepalive_ping(&mut self, now: Instant) {
        self.ping();
        let Rhythm { interval, timeout: limit } = self.rhythm();
        self.timers.set(Timer::Ping, interval.and_then(|interval| now.checked_add(interval)));
        if let Some(at) = limit.and_then(|limit| now.checked_add(limit)) {
            self.timers.set_once(Timer::Pong, at);
        }
    }

    /// There is traffic: some time it will be over.
    #[inline]
    pub(super) fn expect_rest(&mut self, now: Instant) {
        if self.timers.get(Timer::Rest).is_none() && self.closing.state() == State::Open {
            self.timers.set(Timer::Rest, now.checked_add(QUIET));
        }
    }

    /// Gives back what traffic had needed, if there has been none for a while.
    fn rest(&mut self, now: Instant) {
        let last = self.last_received.max(self.last_sent);
        let due = last.and_then(|last| last.checked_add(QUIET)).filter(|&due| due > now);
        if due.is_some() || !self.inbox.is_empty() || self.output_waiting() > 0 {
            // The timer moves once in a while, not with each message.
            let again = due.or_else(|| now.checked_add(QUIET));
            return self.timers.set(Timer::Rest, again);
        }
        self.output.shrink();
        self.encoder.shrink();
        self.inbox.shrink();
        if let Some(deflate) = &mut self.deflate {
            deflate.hibernate();
        }
    }

    pub(super) fn pong_missing(&mut self, due: Instant, now: Instant) {
        let Some(limit) = self.rhythm().timeout else { return };
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

    pub(super) fn idle(&mut self, now: Instant) {
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

    pub(super) fn write_stalled(&mut self, now: Instant) {
        let Some(limit) = self.config.write_timeout else { return };
        self.die(Cause::TimedOut(TimeOut::Write { limit }), "write timeout", now);
    }

    /// The peer is as good as gone: a close frame is tried once, and not waited for.
    pub(super) fn die(&mut self, cause: Cause, reason: &'static str, now: Instant) {
        // What the peer did before it fell silent is the first cause.
        self.execute(now);
        self.timers.set_once(Timer::Closing, now);
        self.closing.give_up(&cause);
        self.fail(cause, CloseFrame::truncated(CloseCode::INTERNAL_ERROR, reason), now);
    }
}

/// What is no longer waited for once the end has begun.
const TIMERS_OF_LIFE: [Timer; 6] =
    [Timer::Ping, Timer::Pong, Timer::Idle, Timer::Write, Timer::Verdict, Timer::Rest];

/// After how much silence on both sides a connection gives back what traffic had needed.
const QUIET: Duration = Duration::from_secs(1);
