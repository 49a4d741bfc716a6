//! One message to many connections: to some at once with [`broadcast`], or to whoever subscribed to
//! a [`Topic`].
//!
//! The message is framed once, and compressed once for each way that the receivers agreed on. It is
//! handed to all cores in one go, so that everybody sees the messages of a topic in the same order,
//! and written a little later, so that all that is published in one turn of the runtime leaves in
//! one write for each receiver. Nobody's task is woken for it, unless its socket takes no more. What
//! becomes of a message for which a receiver has no room, its outbox knows.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use lastword_proto::{CloseCode, CloseFrame, Compression, Message, Prepared};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use crate::outbox::{Board, Listener, Offered, Outbox, TopicConfig, WhenFull};
use crate::shared::{Shared, Writing, now};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::websocket::Sender;

/// Sends a message to each of `senders` that has room for it, and never waits: it is framed once,
/// and compressed once for all that compress alike. For receivers that come and go, and for those
/// that are slow, there is [`Topic`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let (near, far) = tokio::io::duplex(1024);
/// # let far = tokio::spawn(lastword::accept(far));
/// # let mut near = lastword::Client::new("ws://in.memory/").connect_over(near).await?;
/// # let ws = far.await??;
/// let mut senders = vec![ws.sender()];
/// let reach = lastword::broadcast(&senders, "to all");
/// assert_eq!((reach.accepted, reach.missed, reach.gone), (1, 0, 0));
/// // Those that are gone can be let go of.
/// senders.retain(lastword::Sender::is_open);
/// # assert_eq!(near.recv().await?.unwrap().as_text(), Some("to all"));
/// # Ok::<_, lastword::HandlerError>(()) }).unwrap();
/// ```
pub fn broadcast<'a>(
    senders: impl IntoIterator<Item = &'a Sender>,
    message: impl Into<Message>,
) -> Reach {
    let prepared = Prepared::new(message);
    unconstrained(|| {
        let mut reach = Reach::default();
        senders.into_iter().for_each(|sender| offer(sender, &prepared, &mut reach));
        reach
    })
}

/// Sends a message if there is room for it.
fn offer(sender: &Sender, prepared: &Prepared, reach: &mut Reach) {
    let shared = sender.shared();
    let mut inner = shared.lock();
    if inner.connection.is_open() && !shared.makes_room(&mut inner) {
        reach.missed += 1;
    } else if inner.connection.send_prepared(prepared, Compression::Auto).is_ok() {
        reach.accepted += 1;
        let writing = shared.writing(&inner);
        shared.after_request(&mut inner, writing);
    } else {
        reach.gone += 1;
    }
}

/// Whom a message reached. Each receiver is counted once: as `accepted`, `queued`, `missed`,
/// `disconnected` or `gone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// Receivers whose connection accepted the message: what becomes of it, their
    /// [`ledger`](Sender::ledger) tells.
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

/// Whatever is published here, all get that have subscribed. Clones are the same topic.
///
/// All receivers see the messages in the same order. What is published in one turn of the runtime
/// leaves in one write for each receiver, right behind that turn. A receiver that does not read costs
/// the others nothing: what becomes of its messages is a matter of the [`TopicConfig`], and so is how
/// much memory they may take.
///
/// ```
/// use lastword::{HandlerError, Server, Topic};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let news = Topic::new();
/// let bound = Server::new().bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}", bound.local_addr()?);
/// let topic = news.clone();
/// tokio::spawn(bound.serve(move |mut ws| {
///     let topic = topic.clone();
///     async move {
///         // Until the handler returns.
///         let _subscription = topic.subscribe(&ws.sender());
///         while let Some(message) = ws.recv().await? {
///             topic.publish(message).await;
///         }
///         Ok(())
///     }
/// }));
///
/// let mut alice = lastword::connect(&url).await?;
/// let mut bob = lastword::connect(&url).await?;
/// # while news.receivers() < 2 { tokio::task::yield_now().await }
/// alice.send("hello").await?;
/// assert_eq!(bob.recv().await?.unwrap().as_text(), Some("hello"));
/// assert_eq!(alice.recv().await?.unwrap().as_text(), Some("hello"));
/// let reach = news.publish("from the server").await;
/// assert_eq!((reach.accepted, reach.receivers()), (2, 2));
/// # Ok::<_, HandlerError>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Topic {
    room: Arc<Room>,
}

/// A subscription to a [`Topic`]; dropping it unsubscribes, and lets go of what the topic still kept
/// for it. It is no handle: it does not keep the connection open.
#[must_use = "dropping it unsubscribes"]
pub struct Subscription {
    room: Arc<Room>,
    shared: Arc<Shared>,
    listener: Arc<Listener>,
}

#[derive(Default)]
struct Room {
    board: Arc<Board>,
    inner: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    list: Vec<Member>,
    /// Sums, without what happens in queues.
    published: u64,
    sum: Sum,
    flush: Flush,
}

struct Member {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    accepted: u64,
    queued: u64,
    missed: u64,
    disconnected: u64,
    gone: u64,
}

/// Whether what was handed to the cores is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flush {
    #[default]
    Idle,
    /// A task is on its way that will.
    Running,
    /// It is, and has to come round once more.
    Again,
}

impl Topic {
    /// A topic with default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A topic with these settings.
    pub fn with(config: TopicConfig) -> Self {
        let board = Arc::new(Board { config, ..Board::default() });
        Self { room: Arc::new(Room { board, inner: Mutex::default() }) }
    }

    /// From here on, what is published is sent to the connection of `sender`, too. A connection
    /// that subscribes twice gets everything twice.
    pub fn subscribe(&self, sender: &Sender) -> Subscription {
        let shared = Arc::clone(sender.shared());
        let mut members = self.room.lock();
        let listener = Arc::new(Listener {
            board: Arc::clone(&self.room.board),
            missed: AtomicU64::new(0),
            place: AtomicUsize::new(members.list.len()),
        });
        members.list.push(Member { shared: Arc::clone(&shared), listener: Arc::clone(&listener) });
        Subscription { room: Arc::clone(&self.room), shared, listener }
    }

    /// Publishes a message to all who have subscribed: whom it reached. Waits only with
    /// [`WhenFull::Wait`], and only while the queue of a receiver is full.
    ///
    /// # Cancel safety
    /// Nothing is torn: the message is published to all or to none. It waits before it is published,
    /// never in between.
    pub async fn publish(&self, message: impl Into<Message>) -> Reach {
        let prepared = Prepared::new(message);
        let WhenFull::Wait { limit } = self.room.board.config.when_full else {
            return self.room.publish(&prepared, self.room.lock());
        };
        let deadline = now().checked_add(limit);
        loop {
            let room = self.room.board.room.notified();
            tokio::pin!(room);
            // Whatever makes room from here on is noticed, also between looking and waiting.
            room.as_mut().enable();
            {
                let members = self.room.lock();
                // Queues only fill under this lock.
                if self.room.board.full.load(Ordering::Acquire) == 0 {
                    return self.room.publish(&prepared, members);
                }
            }
            match deadline {
                None => room.await,
                Some(deadline) if timeout_at(deadline.into(), room).await.is_ok() => {}
                Some(_) => {
                    let members = self.room.lock();
                    members.give_up();
                    return self.room.publish(&prepared, members);
                }
            }
        }
    }

    /// Publishes a message without waiting, whatever the [`WhenFull`]: with [`WhenFull::Wait`], those
    /// whose queue is full miss it.
    pub fn try_publish(&self, message: impl Into<Message>) -> Reach {
        self.room.publish(&Prepared::new(message), self.room.lock())
    }

    /// How many receivers there are, those included that are over and were not noticed yet.
    pub fn receivers(&self) -> usize {
        self.room.lock().list.len()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        let members = self.room.lock();
        let board = &self.room.board;
        let caught_up = board.caught_up.load(Ordering::Relaxed);
        let discarded = board.discarded.load(Ordering::Relaxed);
        let Sum { accepted, queued, missed, disconnected, gone } = members.sum;
        Counters {
            published: members.published,
            accepted: accepted + caught_up,
            waiting: queued.saturating_sub(caught_up).saturating_sub(discarded),
            discarded,
            missed,
            disconnected,
            gone,
        }
    }

    /// The settings it was made with.
    pub fn config(&self) -> &TopicConfig {
        &self.room.board.config
    }
}

impl Subscription {
    /// How many messages its receiver did not get and will not: there was no room for them, or they
    /// gave way to newer ones.
    pub fn missed(&self) -> u64 {
        self.listener.missed.load(Ordering::Relaxed)
    }

    /// Whether the topic still has it: not when its connection was too slow, or is over.
    pub fn is_active(&self) -> bool {
        let _members = self.room.lock();
        self.listener.place.load(Ordering::Relaxed) != NOWHERE
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("receivers", &self.receivers()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("missed", &self.missed()).finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut members = self.room.lock();
        let place = self.listener.place.load(Ordering::Relaxed);
        let member = (place != NOWHERE).then(|| members.remove(place));
        drop(members);
        // What goes with it is none of the topic's business.
        drop(member);
        let mut inner = self.shared.lock();
        Outbox::forget(&mut inner.outbox, &self.listener);
        // What it was sent before is still its own, and nobody else comes by to write it.
        self.shared.after_request(&mut inner, Writing::Now);
    }
}

impl Room {
    /// Hands a message to all cores, and sees to it that it is written.
    fn publish(
        self: &Arc<Self>,
        prepared: &Prepared,
        mut members: MutexGuard<'_, Members>,
    ) -> Reach {
        let reach = unconstrained(|| members.offer(prepared));
        members.published += 1;
        members.sum.add(reach);
        if reach.accepted > 0 {
            self.write_soon(members);
        }
        reach
    }

    /// Has all that was handed over written, behind the turn of the caller.
    fn write_soon(self: &Arc<Self>, mut members: MutexGuard<'_, Members>) {
        match members.flush {
            Flush::Idle => {}
            Flush::Running => return members.flush = Flush::Again,
            Flush::Again => return,
        }
        if let Ok(runtime) = Handle::try_current() {
            members.flush = Flush::Running;
            drop(members);
            let flusher = Flusher { room: Arc::clone(self), done: false };
            // It yields by itself, see `unconstrained`.
            runtime.spawn(tokio::task::unconstrained(flusher.run()));
        } else {
            // Nobody comes behind this turn.
            let all = members.abandon_flush();
            drop(members);
            unconstrained(|| all.iter().for_each(|shared| write(shared)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.inner.lock()
    }
}

impl Members {
    /// Offers a message to each receiver; lets go of those that are over, or too slow.
    fn offer(&mut self, prepared: &Prepared) -> Reach {
        let mut reach = Reach::default();
        // From the end, since whoever is removed makes room for the last one.
        for place in (0..self.list.len()).rev() {
            let member = &self.list[place];
            match member.offer(prepared) {
                Offered::Accepted => reach.accepted += 1,
                Offered::Queued { displaced } => {
                    reach.queued += 1;
                    reach.displaced += displaced;
                }
                Offered::Missed => reach.missed += 1,
                Offered::TooSlow => {
                    member.disconnect();
                    self.remove(place);
                    reach.disconnected += 1;
                }
                Offered::Gone => {
                    self.remove(place);
                    reach.gone += 1;
                }
            }
        }
        reach
    }

    /// Takes a receiver out; the last one takes its place.
    fn remove(&mut self, place: usize) -> Member {
        let member = self.list.swap_remove(place);
        member.listener.place.store(NOWHERE, Ordering::Relaxed);
        if let Some(moved) = self.list.get(place) {
            moved.listener.place.store(place, Ordering::Relaxed);
        }
        member
    }

    /// Nobody waits any longer for those that are full.
    fn give_up(&self) {
        for member in &self.list {
            Outbox::give_up(&mut member.shared.lock().outbox, &member.listener);
        }
    }

    /// Nobody is on the way to write any more: to whom it is to be written.
    fn abandon_flush(&mut self) -> Vec<Arc<Shared>> {
        self.flush = Flush::Idle;
        self.connections(0..self.list.len())
    }

    fn connections(&self, places: Range<usize>) -> Vec<Arc<Shared>> {
        self.list[places].iter().map(|member| Arc::clone(&member.shared)).collect()
    }
}

impl Member {
    fn offer(&self, prepared: &Prepared) -> Offered {
        let mut inner = self.shared.lock();
        if inner.outbox.is_none() && inner.connection.has_ample_room() {
            if inner.connection.send_prepared(prepared, Compression::Auto).is_ok() {
                return Offered::Accepted;
            }
        } else {
            // It is behind only if it is behind after all has been written that can be.
            self.shared.after_request(&mut inner, Writing::Now);
        }
        let inner = &mut *inner;
        Outbox::offer(&mut inner.outbox, &mut inner.connection, &self.listener, prepared)
    }

    fn disconnect(&self) {
        let mut inner = self.shared.lock();
        Outbox::forget(&mut inner.outbox, &self.listener);
        let frame = CloseFrame::truncated(CloseCode::TRY_AGAIN_LATER, TOO_SLOW);
        inner.connection.close(Some(frame), now());
        self.shared.after_request(&mut inner, Writing::Now);
    }
}

impl Sum {
    fn add(&mut self, reach: Reach) {
        self.accepted += reach.accepted as u64;
        self.queued += reach.queued as u64;
        self.missed += reach.missed as u64;
        self.disconnected += reach.disconnected as u64;
        self.gone += reach.gone as u64;
    }
}

/// Writes what was handed to the cores.
struct Flusher {
    room: Arc<Room>,
    done: bool,
}

impl Flusher {
    /// Goes round until nothing was published meanwhile.
    async fn run(mut self) {
        loop {
            self.round().await;
            let mut members = self.room.lock();
            if members.flush == Flush::Running {
                members.flush = Flush::Idle;
                drop(members);
                self.done = true;
                return;
            }
            members.flush = Flush::Running;
        }
    }

    /// Once round all receivers, from the last to the first: whoever takes the place of one that is
    /// removed has had its turn, and whoever comes new has nothing to be written.
    async fn round(&self) {
        let mut end = usize::MAX;
        loop {
            let slice = {
                let members = self.room.lock();
                let before = end.min(members.list.len());
                end = before.saturating_sub(SLICE);
                members.connections(end..before)
            };
            slice.iter().for_each(|shared| write(shared));
            if end == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Flusher {
    /// A runtime that shuts down drops its tasks; the topic and its receivers may live on in another
    /// one.
    fn drop(&mut self) {
        if !self.done {
            let all = self.room.lock().abandon_flush();
            unconstrained(|| all.iter().for_each(|shared| write(shared)));
        }
    }
}

/// Does something that tokio must not interrupt: a task that has touched a hundred sockets in one turn
/// is told that none is ready, and a receiver would look slow that is not.
fn unconstrained<T>(work: impl FnOnce() -> T) -> T {
    let mut work = Some(work);
    let once = poll_fn(|_| Poll::Ready(work.take().map(|work| work())));
    let done = pin!(tokio::task::unconstrained(once)).poll(&mut Context::from_waker(Waker::noop()));
    match done {
        Poll::Ready(Some(result)) => result,
        _ => unreachable!("it is ready at once, and asked once"),
    }
}

fn write(shared: &Shared) {
    shared.after_request(&mut shared.lock(), Writing::Now);
}

/// The place of a receiver that is not in its topic any more.
const NOWHERE: usize = usize::MAX;

/// To how many receivers is written before others have their turn.
const SLICE: usize = 64;

/// What a receiver is told that is disconnected.
const TOO_SLOW: &str = "too slow for what is published";
