//! What came in and waits for the application, in order; and how much memory that takes.
//!
//! Knows nothing of why reading pauses: it only counts.

use std::collections::VecDeque;

use crate::burst::Burst;
use crate::event::Event;
use crate::ledger::Tally;
use crate::message::Part;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Waiting>,
    /// Bytes of messages in `queue` and of the burst that is lent, with their overhead.
    cost: usize,
    /// Of them, those of the burst that the application is working off.
    lent: usize,
}

#[derive(Debug)]
enum Waiting {
    Event(Event),
    /// Never empty; with its cost.
    Burst(Burst, usize),
}

impl Inbox {
    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of messages that the application has not worked off, with their overhead.
    #[inline]
    pub(crate) const fn cost(&self) -> usize {
        self.cost
    }

    #[inline]
    pub(crate) fn push(&mut self, event: Event) {
        self.cost =
            self.cost.saturating_add(data_of(&event).map_or(0, |(bytes, _)| cost(1, bytes)));
        self.queue.push_back(Waiting::Event(event));
    }

    /// Takes in messages that came side by side; `tally` of them.
    #[inline]
    pub(crate) fn push_burst(&mut self, burst: Burst, tally: Tally) {
        if tally.messages > 0 {
            let bytes = usize::try_from(tally.bytes).unwrap_or(usize::MAX);
            let cost = cost(usize::try_from(tally.messages).unwrap_or(usize::MAX), bytes);
            self.cost = self.cost.saturating_add(cost);
            self.queue.push_back(Waiting::Burst(burst, cost));
        }
    }

    /// What came first.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.settle();
        if let Waiting::Burst(burst, left) = self.queue.front_mut()? {
            let message = burst.next()?;
            let cost = cost(1, message.len());
            *left = left.saturating_sub(cost);
            self.cost = self.cost.saturating_sub(cost);
            if burst.is_empty() {
                self.queue.pop_front();
            }
            return Some(Event::Message(message));
        }
        let Some(Waiting::Event(event)) = self.queue.pop_front() else { return None };
        if let Some((bytes, _)) = data_of(&event) {
            self.cost = self.cost.saturating_sub(cost(1, bytes));
        }
        Some(event)
    }

    /// What came first, if that is the end of a message that is taken by parts.
    pub(crate) fn pop_last_part(&mut self) -> Option<Part> {
        self.settle();
        let first = self.queue.pop_front_if(
            |first| matches!(first, Waiting::Event(Event::Part(part)) if part.last),
        )?;
        let Waiting::Event(Event::Part(part)) = first else { return None };
        self.cost = self.cost.saturating_sub(cost(1, part.data.len()));
        Some(part)
    }

    /// Lends what came first, if that is a burst. It counts as waiting until the next call for more.
    #[inline]
    pub(crate) fn pop_burst(&mut self) -> Option<Burst> {
        self.settle();
        let first = self.queue.pop_front_if(|first| matches!(first, Waiting::Burst(..)))?;
        let Waiting::Burst(burst, cost) = first else { return None };
        self.lent = cost;
        Some(burst)
    }

    /// The burst that was lent is worked off.
    #[inline]
    fn settle(&mut self) {
        self.cost = self.cost.saturating_sub(std::mem::take(&mut self.lent));
    }

    /// Throws away all that is data; gives how much that was.
    pub(crate) fn discard(&mut self) -> Tally {
        let mut discarded = Tally::default();
        self.queue.retain(|waiting| match waiting {
            Waiting::Burst(burst, _) => {
                discarded = discarded.plus(burst.tally());
                false
            }
            Waiting::Event(event) => match data_of(event) {
                Some((bytes, last)) => {
                    discarded.add_part(bytes, last);
                    false
                }
                None => true,
            },
        });
        (self.cost, self.lent) = (0, 0);
        discarded
    }

    /// Gives back memory that traffic had needed.
    pub(crate) fn shrink(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

/// The bytes of a message or a part of one, and whether it is the last; `None` for other events.
#[inline]
fn data_of(event: &Event) -> Option<(usize, bool)> {
    match event {
        Event::Message(message) => Some((message.len(), true)),
        Event::Part(part) => Some((part.data.len(), part.last)),
        _ => None,
    }
}

/// What messages cost that wait for the application.
#[inline]
const fn cost(messages: usize, bytes: usize) -> usize {
    messages.saturating_mul(OVERHEAD).saturating_add(bytes)
}

/// What a waiting message costs beside its payload.
const OVERHEAD: usize = 64;
