//! One message to many connections: to some at once with [`broadcast`], or to whoever subscribed to
//! a [`Topic`].
//!
//! The message is framed once, and compressed once for each way that the receivers agreed on. It is
//! handed to all cores in one go, so that everybody sees the messages of a topic in the same order,
//! and written a little later, so that all that is published in one turn of the runtime leaves in
//! one write for each receiver. Nobody's task is woken for it, unless its socket takes no more. Who
//! receives, and what becomes of a message for which there is no room, `lastword-kit` knows.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use lastword_kit::{
    Audience, Board, Counters, Listener, Offered, Outbox, Reach, Receives, TopicConfig, WhenFull,
};
use lastword_proto::{CloseFrame, Compression, Message, Prepared};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use crate::bell::Room;
use crate::shared::{Shared, Writing, now};
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
    hall: Arc<Hall>,
}

/// A subscription to a [`Topic`]; dropping it unsubscribes, and lets go of what the topic still kept
/// for it. It is no handle: it does not keep the connection open.
#[must_use = "dropping it unsubscribes"]
pub struct Subscription {
    hall: Arc<Hall>,
    shared: Arc<Shared>,
    listener: Arc<Listener<Room>>,
}

#[derive(Default)]
struct Hall {
    board: Arc<Board<Room>>,
    inner: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    audience: Audience<Arc<Shared>, Room>,
    flush: Flush,
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
        let board = Arc::new(Board::new(config));
        Self { hall: Arc::new(Hall { board, inner: Mutex::default() }) }
    }

    /// From here on, what is published is sent to the connection of `sender`, too. A connection
    /// that subscribes twice gets everything twice.
    pub fn subscribe(&self, sender: &Sender) -> Subscription {
        let shared = Arc::clone(sender.shared());
        let mut members = self.hall.lock();
        let listener = members.audience.subscribe(Arc::clone(&shared), &self.hall.board);
        Subscription { hall: Arc::clone(&self.hall), shared, listener }
    }

    /// Publishes a message to all who have subscribed: whom it reached. Waits only with
    /// [`WhenFull::Wait`], and only while the queue of a receiver is full.
    ///
    /// # Cancel safety
    /// Nothing is torn: the message is published to all or to none. It waits before it is published,
    /// never in between.
    pub async fn publish(&self, message: impl Into<Message>) -> Reach {
        let prepared = Prepared::new(message);
        let WhenFull::Wait { limit } = self.hall.board.config().when_full else {
            return self.hall.publish(&prepared, self.hall.lock());
        };
        let deadline = now().checked_add(limit);
        loop {
            let room = self.hall.board.bell().0.notified();
            tokio::pin!(room);
            // Whatever makes room from here on is noticed, also between looking and waiting.
            room.as_mut().enable();
            {
                let members = self.hall.lock();
                // Queues only fill under this lock.
                if !self.hall.board.is_full() {
                    return self.hall.publish(&prepared, members);
                }
            }
            match deadline {
                None => room.await,
                Some(deadline) if timeout_at(deadline.into(), room).await.is_ok() => {}
                Some(_) => {
                    let members = self.hall.lock();
                    members.audience.give_up();
                    return self.hall.publish(&prepared, members);
                }
            }
        }
    }

    /// Publishes a message without waiting, whatever the [`WhenFull`]: with [`WhenFull::Wait`], those
    /// whose queue is full miss it.
    pub fn try_publish(&self, message: impl Into<Message>) -> Reach {
        self.hall.publish(&Prepared::new(message), self.hall.lock())
    }

    /// How many receivers there are, those included that are over and were not noticed yet.
    pub fn receivers(&self) -> usize {
        self.hall.lock().audience.count()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.hall.lock().audience.counters(&self.hall.board)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &TopicConfig {
        self.hall.board.config()
    }
}

impl Subscription {
    /// How many messages its receiver did not get and will not: there was no room for them, or they
    /// gave way to newer ones.
    pub fn missed(&self) -> u64 {
        self.listener.missed()
    }

    /// Whether the topic still has it: not when its connection was too slow, or is over.
    pub fn is_active(&self) -> bool {
        self.hall.lock().audience.has(&self.listener)
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
        let connection = self.hall.lock().audience.unsubscribe(&self.listener);
        // What goes with it is none of the topic's business.
        drop(connection);
        let mut inner = self.shared.lock();
        Outbox::forget(&mut inner.outbox, &self.listener);
        // What it was sent before is still its own, and nobody else comes by to write it.
        self.shared.after_request(&mut inner, Writing::Now);
    }
}

impl Hall {
    /// Hands a message to all cores, and sees to it that it is written.
    fn publish(
        self: &Arc<Self>,
        prepared: &Prepared,
        mut members: MutexGuard<'_, Members>,
    ) -> Reach {
        let reach = unconstrained(|| members.audience.publish(prepared));
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
            let flusher = Flusher { hall: Arc::clone(self), done: false };
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
    /// Nobody is on the way to write any more: to whom it is to be written.
    fn abandon_flush(&mut self) -> Vec<Arc<Shared>> {
        self.flush = Flush::Idle;
        self.audience.connections(0..self.audience.count())
    }
}

impl Receives<Room> for Arc<Shared> {
    fn offer(&self, listener: &Arc<Listener<Room>>, prepared: &Prepared) -> Offered {
        let mut inner = self.lock();
        if inner.outbox.is_none() && inner.connection.has_ample_room() {
            if inner.connection.send_prepared(prepared, Compression::Auto).is_ok() {
                return Offered::Accepted;
            }
        } else {
            // It is behind only if it is behind after all has been written that can be.
            self.after_request(&mut inner, Writing::Now);
        }
        let inner = &mut *inner;
        Outbox::offer(&mut inner.outbox, &mut inner.connection, listener, prepared)
    }

    fn give_up(&self, listener: &Arc<Listener<Room>>) {
        Outbox::give_up(&mut self.lock().outbox, listener);
    }

    fn disconnect(&self, listener: &Arc<Listener<Room>>, frame: CloseFrame) {
        let mut inner = self.lock();
        Outbox::forget(&mut inner.outbox, listener);
        inner.connection.close(Some(frame), now());
        self.after_request(&mut inner, Writing::Now);
    }
}

/// Writes what was handed to the cores.
struct Flusher {
    hall: Arc<Hall>,
    done: bool,
}

impl Flusher {
    /// Goes round until nothing was published meanwhile.
    async fn run(mut self) {
        loop {
            self.round().await;
            let mut members = self.hall.lock();
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
                let members = self.hall.lock();
                let before = end.min(members.audience.count());
                end = before.saturating_sub(SLICE);
                members.audience.connections(end..before)
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
            let all = self.hall.lock().abandon_flush();
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

/// To how many receivers is written before others have their turn.
const SLICE: usize = 64;
