//! One message to many connections: to some at once with [`broadcast`], or to whoever subscribed to
//! a [`Topic`].
//!
//! The message is framed once, and compressed once for each way that the receivers agreed on. It is
//! handed to all cores in one go, so that everybody sees the messages of a topic in the same order, and
//! written by the thread that publishes, as far as sockets take it; nobody is waited for. Who receives, and
//! what becomes of a message for which there is no room, `lastword-kit` knows.

use std::sync::Arc;

use lastword_kit::{
    Audience, Board, Counters, Listener, Offered, Outbox, Reach, Receives, TopicConfig, WhenFull,
};
use lastword_proto::{CloseFrame, Compression, Message, Prepared};
use parking_lot::{Mutex, MutexGuard};

use crate::bell::Room;
use crate::shared::Shared;
use crate::socket::now;
use crate::websocket::Sender;

/// Sends a message to each of `senders` that has room for it, and never waits: it is framed once,
/// and compressed once for all that compress alike. For receivers that come and go, and for those
/// that are slow, there is [`Topic`].
pub fn broadcast<'a>(
    senders: impl IntoIterator<Item = &'a Sender>,
    message: impl Into<Message>,
) -> Reach {
    let prepared = Prepared::new(message);
    let mut reach = Reach::default();
    senders.into_iter().for_each(|sender| offer(sender.shared(), &prepared, &mut reach));
    reach
}

/// Sends a message if there is room for it.
fn offer(shared: &Shared, prepared: &Prepared, reach: &mut Reach) {
    let mut inner = shared.lock();
    if inner.connection.is_open() && !shared.makes_room(&mut inner) {
        reach.missed += 1;
    } else if inner.connection.send_prepared(prepared, Compression::Auto).is_ok() {
        reach.accepted += 1;
        shared.after_send(&mut inner);
    } else {
        reach.gone += 1;
    }
}

/// Whatever is published here, all get that have subscribed. Clones are the same topic.
///
/// All receivers see the messages in the same order. A receiver that does not read costs the others
/// nothing: what becomes of its messages is a matter of the [`TopicConfig`], and so is how much memory
/// they may take.
///
/// ```
/// use lastword_blocking::{Server, Topic, connect};
///
/// let news = Topic::new();
/// let bound = Server::new().bind("127.0.0.1:0")?;
/// let url = format!("ws://{}", bound.local_addr()?);
/// let topic = news.clone();
/// # let stop = bound.stop_handle();
/// let serving = std::thread::spawn(|| {
///     bound.serve(move |mut ws| {
///         // Until the handler returns.
///         let _subscription = topic.subscribe(&ws.sender());
///         while let Some(message) = ws.recv()? {
///             topic.publish(message);
///         }
///         Ok(())
///     })
/// });
///
/// let mut alice = connect(&url)?;
/// let mut bob = connect(&url)?;
/// # while news.receivers() < 2 { std::thread::yield_now() }
/// alice.send("hello")?;
/// assert_eq!(bob.recv()?.unwrap().as_text(), Some("hello"));
/// assert_eq!(alice.recv()?.unwrap().as_text(), Some("hello"));
/// let reach = news.publish("from the server");
/// assert_eq!((reach.accepted, reach.receivers()), (2, 2));
/// # stop.stop();
/// # serving.join().unwrap()?;
/// # Ok::<_, lastword_blocking::HandlerError>(())
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
    audience: Mutex<Receivers>,
}

type Receivers = Audience<Arc<Shared>, Room>;

impl Topic {
    /// A topic with default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A topic with these settings.
    pub fn with(config: TopicConfig) -> Self {
        let board = Arc::new(Board::new(config));
        Self { hall: Arc::new(Hall { board, audience: Mutex::default() }) }
    }

    /// From here on, what is published is sent to the connection of `sender`, too. A connection
    /// that subscribes twice gets everything twice.
    pub fn subscribe(&self, sender: &Sender) -> Subscription {
        let shared = Arc::clone(sender.shared());
        let listener = self.hall.lock().subscribe(Arc::clone(&shared), &self.hall.board);
        Subscription { hall: Arc::clone(&self.hall), shared, listener }
    }

    /// Publishes a message to all who have subscribed: whom it reached. Waits only with
    /// [`WhenFull::Wait`], and only while the queue of a receiver is full.
    pub fn publish(&self, message: impl Into<Message>) -> Reach {
        let prepared = Prepared::new(message);
        let board = &self.hall.board;
        let WhenFull::Wait { limit } = board.config().when_full else {
            return self.hall.lock().publish(&prepared);
        };
        let deadline = now().checked_add(limit);
        loop {
            board.bell().wait_while(|| board.is_full(), deadline);
            let mut audience = self.hall.lock();
            // Queues only fill under this lock.
            if board.is_full() {
                if deadline.is_none_or(|deadline| now() < deadline) {
                    continue;
                }
                audience.give_up();
            }
            return audience.publish(&prepared);
        }
    }

    /// Publishes a message without waiting, whatever the [`WhenFull`]: with [`WhenFull::Wait`], those
    /// whose queue is full miss it.
    pub fn try_publish(&self, message: impl Into<Message>) -> Reach {
        self.hall.lock().publish(&Prepared::new(message))
    }

    /// How many receivers there are, those included that are over and were not noticed yet.
    pub fn receivers(&self) -> usize {
        self.hall.lock().count()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.hall.lock().counters(&self.hall.board)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &TopicConfig {
        self.hall.board.config()
    }
}

impl Hall {
    fn lock(&self) -> MutexGuard<'_, Receivers> {
        self.audience.lock()
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
        self.hall.lock().has(&self.listener)
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
        let connection = self.hall.lock().unsubscribe(&self.listener);
        // What goes with it is none of the topic's business.
        drop(connection);
        self.shared.request(|inner| Outbox::forget(&mut inner.outbox, &self.listener));
    }
}

impl Receives<Room> for Arc<Shared> {
    fn offer(&self, listener: &Arc<Listener<Room>>, prepared: &Prepared) -> Offered {
        let mut inner = self.lock();
        if inner.outbox.is_some() || !inner.connection.has_ample_room() {
            // It is behind only if it is behind after all has been written that can be.
            self.after_request(&mut inner);
        }
        let both = &mut *inner;
        let offered = Outbox::offer(&mut both.outbox, &mut both.connection, listener, prepared);
        if offered == Offered::Accepted {
            self.after_send(&mut inner);
        }
        offered
    }

    fn give_up(&self, listener: &Arc<Listener<Room>>) {
        Outbox::give_up(&mut self.lock().outbox, listener);
    }

    fn disconnect(&self, listener: &Arc<Listener<Room>>, frame: CloseFrame) {
        self.request(|inner| {
            Outbox::forget(&mut inner.outbox, listener);
            inner.connection.close(Some(frame), now());
        });
    }
}
