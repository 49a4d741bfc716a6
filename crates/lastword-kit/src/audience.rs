//! The receivers of a topic, and what it has done for them. Offers each message to all of them, in one order
//! for everybody; whoever is over, or too slow, is let go of. How a connection is reached, drivers know.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lastword_proto::{CloseCode, CloseFrame, Prepared};

use crate::outbox::{Bell, Board, Listener, Offered};

/// A connection, as a topic sees it. Clones are the same connection.
pub trait Receives<B>: Clone {
    /// Offers it a message, when it has written what it could.
    fn offer(&self, listener: &Arc<Listener<B>>, prepared: &Prepared) -> Offered;

    /// Publishers have waited for this subscription for long enough.
    fn give_up(&self, listener: &Arc<Listener<B>>);

    /// Closes it with this frame, without what waits for this subscription.
    fn disconnect(&self, listener: &Arc<Listener<B>>, frame: CloseFrame);
}

/// Whom a message reached. Each receiver is counted once: as `accepted`, `queued`, `missed`,
/// `disconnected` or `gone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// Receivers whose connection accepted the message: what becomes of it, the ledger of their sender
    /// tells.
    pub accepted: usize,
    /// Receivers that are behind, and for whom it waits in the topic.
    pub queued: usize,
    /// Receivers that do not get it: there was no room.
    pub missed: usize,
    /// Receivers that do not get it and were disconnected with 1013, because their queue was full.
    pub disconnected: usize,
    /// Receivers whose connection was closing or over; the topic has let go of them.
    pub gone: usize,
    /// How many older messages were dropped from queues to make room for this one.
    pub displaced: usize,
}

impl Reach {
    /// How many receivers there were.
    pub const fn receivers(&self) -> usize {
        self.accepted + self.queued + self.missed + self.disconnected + self.gone
    }
}

/// What a topic has done so far, summed up over its messages and their receivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that were published.
    pub published: u64,
    /// Messages that connections accepted, at once or out of a queue.
    pub accepted: u64,
    /// Messages that wait in queues now.
    pub waiting: u64,
    /// Messages that left a queue for nowhere: newer ones displaced them, or their receiver
    /// unsubscribed, was disconnected, or ended.
    pub discarded: u64,
    /// Messages that receivers did not get because there was no room.
    pub missed: u64,
    /// Receivers that were disconnected with 1013.
    pub disconnected: u64,
    /// Receivers that were let go of because their connection was closing or over.
    pub gone: u64,
}

/// The receivers of a topic. Whoever has it publishes.
#[derive(Debug)]
pub struct Audience<C, B> {
    list: Vec<Member<C, B>>,
    /// Sums, without what happens in queues.
    published: u64,
    sum: Sum,
}

#[derive(Debug)]
struct Member<C, B> {
    connection: C,
    listener: Arc<Listener<B>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    accepted: u64,
    queued: u64,
    missed: u64,
    disconnected: u64,
    gone: u64,
}

impl<C, B> Default for Audience<C, B> {
    fn default() -> Self {
        Self { list: Vec::new(), published: 0, sum: Sum::default() }
    }
}

impl<C: Receives<B>, B: Bell> Audience<C, B> {
    /// From here on, `connection` is offered everything.
    pub fn subscribe(&mut self, connection: C, board: &Arc<Board<B>>) -> Arc<Listener<B>> {
        let listener = Arc::new(Listener::new(Arc::clone(board), self.list.len()));
        self.list.push(Member { connection, listener: Arc::clone(&listener) });
        listener
    }

    /// It is not any more; the connection, if it still was.
    pub fn unsubscribe(&mut self, listener: &Listener<B>) -> Option<C> {
        let place = listener.place.load(Ordering::Relaxed);
        (place != NOWHERE).then(|| self.remove(place).connection)
    }

    /// Whether it still is: not when its connection was too slow, or is over.
    pub fn has(&self, listener: &Listener<B>) -> bool {
        listener.place.load(Ordering::Relaxed) != NOWHERE
    }

    /// How many there are, those included that are over and were not noticed yet.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Offers a message to each; lets go of those that are over, or too slow.
    pub fn publish(&mut self, prepared: &Prepared) -> Reach {
        let mut reach = Reach::default();
        // From the end, since whoever is removed makes room for the last one.
        for place in (0..self.list.len()).rev() {
            let Some(member) = self.list.get(place) else { continue };
            match member.connection.offer(&member.listener, prepared) {
                Offered::Accepted => reach.accepted += 1,
                Offered::Queued { displaced } => {
                    reach.queued += 1;
                    reach.displaced += displaced;
                }
                Offered::Missed => reach.missed += 1,
                Offered::TooSlow => {
                    let frame = CloseFrame::truncated(CloseCode::TRY_AGAIN_LATER, TOO_SLOW);
                    member.connection.disconnect(&member.listener, frame);
                    self.remove(place);
                    reach.disconnected += 1;
                }
                Offered::Gone => {
                    self.remove(place);
                    reach.gone += 1;
                }
            }
        }
        self.published += 1;
        self.sum.add(reach);
        reach
    }

    /// Nobody waits any longer for those that are full.
    pub fn give_up(&self) {
        self.list.iter().for_each(|member| member.connection.give_up(&member.listener));
    }

    /// The connections at these places, some of which may be the same.
    pub fn connections(&self, places: Range<usize>) -> Vec<C> {
        let members = self.list.get(places).unwrap_or_default();
        members.iter().map(|member| member.connection.clone()).collect()
    }

    /// What it has done so far.
    pub fn counters(&self, board: &Board<B>) -> Counters {
        let caught_up = board.caught_up.load(Ordering::Relaxed);
        let discarded = board.discarded.load(Ordering::Relaxed);
        let Sum { accepted, queued, missed, disconnected, gone } = self.sum;
        Counters {
            published: self.published,
            accepted: accepted + caught_up,
            waiting: queued.saturating_sub(caught_up).saturating_sub(discarded),
            discarded,
            missed,
            disconnected,
            gone,
        }
    }

    /// Takes a receiver out; the last one takes its place.
    fn remove(&mut self, place: usize) -> Member<C, B> {
        let member = self.list.swap_remove(place);
        member.listener.place.store(NOWHERE, Ordering::Relaxed);
        if let Some(moved) = self.list.get(place) {
            moved.listener.place.store(place, Ordering::Relaxed);
        }
        member
    }
}

impl Sum {
    const fn add(&mut self, reach: Reach) {
        self.accepted += reach.accepted as u64;
        self.queued += reach.queued as u64;
        self.missed += reach.missed as u64;
        self.disconnected += reach.disconnected as u64;
        self.gone += reach.gone as u64;
    }
}

/// The place of a receiver that is not in its topic any more.
const NOWHERE: usize = usize::MAX;

/// What a receiver is told that is disconnected.
const TOO_SLOW: &str = "too slow for what is published";
