//! One connection of a load, from when it is opened to its end: who sends on it, who receives.
//!
//! Receiving goes on until the connection ends. Whoever ends it, on our side, is the load as a whole,
//! when all answers are there: so that nothing but the connection itself has to be waited for here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use lastword::{Message, Receiver, SendError, Sender};
use tokio::sync::watch;

use super::books::{Books, Moment, Page};
use super::payloads::{Payloads, difference};
use super::plan::{Check, Plan, Until, Work};
use super::schedule::{Leave, Schedule};

/// What all connections of a load share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) payloads: Payloads,
    pub(super) books: Books,
    /// Whether we have begun to close.
    pub(super) closing: AtomicBool,
}

/// One connection, as the rest of the load sees it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sender: Sender,
    /// Messages that are sent, or due.
    pub(super) asked: AtomicU64,
    /// Of these, those that were answered.
    pub(super) answered: AtomicU64,
    pub(super) over: AtomicBool,
}

impl Line {
    pub(super) fn new(sender: Sender) -> Self {
        Self { sender, asked: 0.into(), answered: 0.into(), over: false.into() }
    }

    /// How many answers are still to come.
    pub(super) fn outstanding(&self) -> u64 {
        if self.over.load(Ordering::Relaxed) {
            return 0;
        }
        let answered = self.answered.load(Ordering::Relaxed);
        self.asked.load(Ordering::Relaxed).saturating_sub(answered)
    }
}

/// When the load begins: its times, and which number this connection has among those that opened.
pub(super) type Go = watch::Receiver<Option<Arc<Schedule>>>;

/// Does what the plan asks for, until the connection is over.
pub(super) async fn run(shared: &Shared, line: &Line, number: usize, receiver: Receiver, go: Go) {
    let mut receiver = receiver;
    let mut go = go;
    // What a server says before it is asked is a greeting. Whether it was asked is looked at first:
    // what comes then may be an answer.
    let mut early = None;
    let schedule = loop {
        let begun = go.borrow_and_update().clone();
        if begun.is_some() {
            break begun;
        }
        tokio::select! {
            biased;
            changed = go.changed() => if changed.is_err() { break None },
            received = receiver.recv() => match received {
                // It may have begun between the look at that and this message.
                Ok(Some(message)) => early = go.borrow().is_some().then_some(message),
                _ => break None,
            },
        }
    };
    if let Some(schedule) = schedule {
        let mut page = shared.books.page(number);
        let talk = Talk { shared, line, number, schedule: &schedule };
        match shared.plan.work {
            Work::Closed { in_flight, .. } => talk.take_turns(receiver, in_flight, &mut page).await,
            Work::Open { .. } => talk.hear_answers(early, receiver, &mut page).await,
            Work::Receive => talk.hear_all(receiver, &mut page).await,
            Work::Send => {
                drop(receiver);
                talk.say_all(&mut page).await;
            }
            // Somebody else sends.
            Work::SendAt { .. } => drop(receiver),
        }
        page.write(&schedule);
    } else {
        drop(receiver);
    }
    let ending = line.sender.ended().await;
    line.over.store(true, Ordering::Relaxed);
    let due = shared.closing.load(Ordering::Relaxed);
    shared.books.ended(&ending, if due { Moment::Due } else { Moment::Early });
}

struct Talk<'a> {
    shared: &'a Shared,
    line: &'a Line,
    number: usize,
    schedule: &'a Schedule,
}

impl Talk<'_> {
    /// A closed loop: each answer lets the next message go.
    async fn take_turns(&self, mut receiver: Receiver, in_flight: usize, page: &mut Page<'_>) {
        let Self { shared, line, schedule, .. } = *self;
        let mut sent_at = VecDeque::new();
        let (mut asked, mut answered) = (0, 0);
        // Granted, and found no room yet.
        let mut held: Option<Message> = None;
        let mut now = Instant::now();
        loop {
            // The first messages leave together.
            let batch = (sent_at.len() + 1 < in_flight).then(|| line.sender.batch());
            while sent_at.len() < in_flight {
                let message = match held.take() {
                    Some(message) => message,
                    None if schedule.ask(now) == Leave::Granted => {
                        shared.payloads.of(self.number, asked).clone()
                    }
                    None => break,
                };
                match line.sender.try_send(message) {
                    Ok(()) => {}
                    Err(SendError::Full(message)) => {
                        held = Some(message);
                        break;
                    }
                    // How it ended is heard where answers are.
                    Err(_) => break,
                }
                asked += 1;
                line.asked.store(asked, Ordering::Relaxed);
                page.counts.sent += u64::from(schedule.counts(now));
                sent_at.push_back(now);
            }
            drop(batch);
            let received = match held.take() {
                None => receiver.recv().await,
                Some(message) => tokio::select! {
                    biased;
                    received = receiver.recv() => {
                        held = Some(message);
                        received
                    }
                    sent = line.sender.send(message.clone()) => {
                        if sent.is_err() {
                            continue;
                        }
                        now = Instant::now();
                        asked += 1;
                        line.asked.store(asked, Ordering::Relaxed);
                        page.counts.sent += u64::from(schedule.counts(now));
                        sent_at.push_back(now);
                        continue;
                    }
                },
            };
            let Ok(Some(message)) = received else { break };
            now = Instant::now();
            if sent_at.is_empty() || self.is_greeting(&message, answered) {
                page.counts.unasked += 1;
                continue;
            }
            let Some(sent) = sent_at.pop_front() else { continue };
            self.judge(&message, answered, page);
            answered += 1;
            line.answered.store(answered, Ordering::Relaxed);
            if schedule.counts(sent) {
                page.answered(now.saturating_duration_since(sent), now);
            }
            self.count(&message, schedule.counts(sent), now, page);
        }
    }

    /// An open loop: messages are sent elsewhere, when they are due, and each answer's time counts
    /// from then.
    async fn hear_answers(
        &self,
        mut early: Option<Message>,
        mut receiver: Receiver,
        page: &mut Page<'_>,
    ) {
        let Self { line, schedule, .. } = *self;
        let mut answered = 0;
        loop {
            let message = match early.take() {
                Some(message) => message,
                None => match receiver.recv().await {
                    Ok(Some(message)) => message,
                    _ => return,
                },
            };
            let now = Instant::now();
            let due = schedule.due(self.number, answered);
            let asked = line.asked.load(Ordering::Relaxed);
            let Some(due) =
                due.filter(|_| answered < asked && !self.is_greeting(&message, answered))
            else {
                page.counts.unasked += 1;
                continue;
            };
            self.judge(&message, answered, page);
            answered += 1;
            line.answered.store(answered, Ordering::Relaxed);
            if due.counts {
                page.answered(now.saturating_duration_since(due.at), now);
            }
            self.count(&message, due.counts, now, page);
        }
    }

    async fn hear_all(&self, mut receiver: Receiver, page: &mut Page<'_>) {
        while let Ok(Some(message)) = receiver.recv().await {
            let now = Instant::now();
            if self.schedule.is_measured(now) && self.schedule.ask(now) == Leave::Granted {
                page.came(now);
                page.counts.came += 1;
                page.counts.bytes += message.len() as u64;
            }
            page.turn(self.schedule, now);
        }
    }

    /// As many messages as the server takes, in batches that are worth a write.
    async fn say_all(&self, page: &mut Page<'_>) {
        let Self { shared, line, schedule, .. } = *self;
        let in_batch = (BATCH_BYTES / shared.plan.size.max(1)).clamp(1, BATCH_MESSAGES);
        let mut asked = 0;
        loop {
            let batch = line.sender.batch();
            for _ in 0..in_batch {
                let now = Instant::now();
                if schedule.ask(now) == Leave::Refused {
                    return;
                }
                let message = shared.payloads.of(self.number, asked).clone();
                if batch.send(message).await.is_err() {
                    return;
                }
                asked += 1;
                if schedule.counts(now) {
                    page.counts.sent += 1;
                    page.came(now);
                }
            }
            drop(batch);
            page.turn(schedule, Instant::now());
            // Others want to be served, too.
            tokio::task::yield_now().await;
        }
    }

    /// A first message that does not even look like one of ours: a server may be late with its greeting.
    fn is_greeting(&self, message: &Message, answered: u64) -> bool {
        let plan = &self.shared.plan;
        answered == 0
            && plan.work.check() == Check::Echo
            && (message.kind() != plan.kind || message.len() != plan.size)
    }

    fn judge(&self, message: &Message, answered: u64, page: &mut Page<'_>) {
        let sent = self.shared.payloads.of(self.number, answered);
        if self.shared.plan.work.check() == Check::Echo && message != sent {
            page.counts.differ += 1;
            if page.difference.is_none() {
                page.difference = Some(difference(sent, message));
            }
        }
    }

    /// What came in the time that is measured: of a number of messages, the answers to these.
    fn count(&self, message: &Message, counts: bool, now: Instant, page: &mut Page<'_>) {
        let measured = match self.shared.plan.until {
            Until::Time(_) => self.schedule.is_measured(now),
            Until::Messages(_) => counts,
        };
        if measured {
            page.counts.came += 1;
            page.counts.bytes += message.len() as u64;
        }
        page.turn(self.schedule, now);
    }
}

/// What is worth a write.
const BATCH_BYTES: usize = 32 << 10;
/// So that the time is not overlooked.
const BATCH_MESSAGES: usize = 256;
