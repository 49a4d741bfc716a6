//! Clients that come back: one connection after the other, with pauses between them.
//!
//! Learns how a connection ended from what its handles share, wherever those have gone to. When to come
//! back, whether to, and with what, a `Course` decides; here are its clock and the doing, in the thread that
//! asks for the next connection.

mod control;

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::{Because, ConnectError, Course, Resend, State, Stopped};
use lastword_proto::{Ending, Message};
use lastword_retry::{Backoff, Verdict};

use crate::cancel::Cancel;
use crate::connect::Client;
use crate::shared::Shared;
use crate::socket::now;
use crate::websocket::WebSocket;

use control::Board;
pub use control::Control;

/// Connects to a `ws://` or `wss://` URL, again and again, with default settings.
/// [`Client::reconnecting`] has more.
///
/// ```no_run
/// let mut feed = lastword_blocking::connect_forever("wss://example.com/feed");
/// for mut ws in &mut feed {
///     while let Ok(Some(message)) = ws.recv() {
///         println!("{message:?}");
///     }
/// }
/// println!("{}", feed.stopped().unwrap());
/// ```
pub fn connect_forever(url: impl Into<String>) -> Reconnect {
    Client::new(url).reconnecting()
}

impl Client {
    /// Connections with these options, one after the other. [`Control::stop`] ends it, also in the middle
    /// of an attempt, in place of what [`cancelled_by`](Self::cancelled_by) was given.
    pub fn reconnecting(self) -> Reconnect {
        Reconnect::from(Source::Client(Box::new(self)))
    }
}

/// One connection after the other.
///
/// An iterator: `next` hands out a connection, the first one at once, and each further one when the one
/// before has ended, wherever its handles are, and after a pause that [`Backoff`] decides on; the pauses
/// grow until a connection was healthy for a while. What is not worth a retry (the table of [`Verdict`])
/// ends it, and so does [`Control::stop`]; [`stopped`](Self::stopped) then tells why.
///
/// A connection whose handles are all dropped is closed with 1001, and has ended within `Config::linger`.
///
/// It works while a thread waits for `next`, and has no thread of its own.
#[must_use = "makes connections when `next` is called"]
pub struct Reconnect {
    source: Source,
    course: Course,
    phase: Phase,
    /// The last connection that is over.
    previous: Option<Arc<Shared>>,
    board: Arc<Board>,
}

/// Where connections come from.
enum Source {
    Client(Box<Client>),
    Caller(Box<Connect>),
}

type Connect = dyn FnMut(u32, &Cancel) -> Result<WebSocket, ConnectError> + Send;

/// Where it stands.
enum Phase {
    /// An attempt may begin.
    Due,
    Waiting(Instant),
    Open(Arc<Shared>),
    Stopped,
}

impl Reconnect {
    /// Connections that `connect` makes; it is given the number of the attempt since the last healthy
    /// connection, from 1. For whatever changes between attempts: a fresh token, another address, a
    /// socket of the caller's own.
    ///
    /// A client that is [`cancelled_by`](Client::cancelled_by) what it is given, too, gives up at once when
    /// [`Control::stop`] is called; an attempt that is not is finished first.
    ///
    /// ```no_run
    /// use http::header::AUTHORIZATION;
    /// use lastword_blocking::{Client, Reconnect};
    ///
    /// # fn token() -> http::HeaderValue { http::HeaderValue::from_static("Bearer x") }
    /// let feed = Reconnect::new(|_attempt, cancel| {
    ///     let client = Client::new("wss://example.com/feed").header(AUTHORIZATION, token());
    ///     client.cancelled_by(cancel).connect()
    /// });
    /// ```
    pub fn new<F>(connect: F) -> Self
    where
        F: FnMut(u32, &Cancel) -> Result<WebSocket, ConnectError> + Send + 'static,
    {
        Self::from(Source::Caller(Box::new(connect)))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            course: Course::default(),
            phase: Phase::Due,
            previous: None,
            board: Arc::default(),
        }
    }

    /// How long it waits, and when it gives up.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.course.backoff(backoff);
        self
    }

    /// Tells what is worth a retry from what is not; [`Because::verdict`] is the default.
    ///
    /// ```
    /// use lastword_blocking::{Because, Verdict, connect_forever};
    /// let feed = connect_forever("wss://example.com/feed").classify(|because| match because {
    ///     // This service says 4000 when it moves us elsewhere.
    ///     Because::Ended(ending) if ending.code() == 4000 => Verdict::Retry,
    ///     because => because.verdict(),
    /// });
    /// ```
    pub fn classify(mut self, classify: impl Fn(&Because) -> Verdict + Send + 'static) -> Self {
        self.course.classify(classify);
        self
    }

    /// Tells each state as it begins. The observer is called inside of `next` and should not take long;
    /// [`Control::changed`] is for threads that wait.
    pub fn on_state(mut self, observe: impl FnMut(&State) + Send + 'static) -> Self {
        self.course.on_state(observe);
        self
    }

    /// What becomes of messages that a connection accepted and could not send.
    pub fn resend(mut self, resend: Resend) -> Self {
        self.course.resend(resend);
        self
    }

    /// A handle for other threads, that stops it and tells what it is doing.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.board))
    }

    /// The messages that the last connection accepted and that did not leave, whole and in order; once,
    /// and until the next connection has ended. With [`Resend`], those that wait for the next connection:
    /// what is taken here is not sent again.
    pub fn unsent(&mut self) -> Vec<Message> {
        if let Phase::Open(shared) = &self.phase
            && shared.lock().connection.ending().is_some()
        {
            // It is over already, and `next` will not find more of it.
            let shared = Arc::clone(shared);
            self.take_from(&shared);
        }
        // What is older goes ahead of that.
        self.collect();
        self.course.take_carried()
    }

    /// Why there will be no further connection; `None` while there may be one.
    pub const fn stopped(&self) -> Option<&Stopped> {
        self.course.stopped()
    }

    fn attempt(&mut self) -> Result<WebSocket, ConnectError> {
        let attempt = self.course.attempt(now());
        self.publish();
        match &mut self.source {
            Source::Caller(connect) => connect(attempt, &self.board.stop),
            Source::Client(client) => {
                let mut client = client.as_ref().clone();
                if self.course.wants_unconfirmed() {
                    client.keep_unconfirmed();
                }
                client.cancelled_by(&self.board.stop).connect()
            }
        }
    }

    /// Hands out a connection, unless somebody has asked to stop in the meantime.
    fn hand_out(&mut self, ws: WebSocket) -> Option<WebSocket> {
        let shared = Arc::clone(ws.shared());
        // First there, then look: whoever closes stops first, and then looks there.
        self.board.hold(Arc::clone(&shared));
        if self.board.stop.is_cancelled() {
            return None;
        }
        shared.request(|inner| self.course.resend_over(&mut inner.connection));
        self.phase = Phase::Open(shared);
        self.course.handed_out();
        self.publish();
        Some(ws)
    }

    fn ended(&mut self, ending: Arc<Ending>) {
        if let Phase::Open(shared) = std::mem::replace(&mut self.phase, Phase::Due) {
            self.previous = Some(shared);
        }
        if self.course.resends() {
            self.collect();
        }
        let due = self.course.ended(ending);
        self.wait(due);
    }

    /// Until the next attempt is due, if there is to be one.
    fn wait(&mut self, due: Option<Instant>) {
        self.phase = due.map_or(Phase::Stopped, Phase::Waiting);
        self.publish();
    }

    fn stop(&mut self) {
        if let Phase::Open(shared) = std::mem::replace(&mut self.phase, Phase::Stopped) {
            self.previous = Some(shared);
        }
        self.course.stop();
        self.publish();
    }

    /// Tells those who look on what it is doing now.
    fn publish(&self) {
        self.board.publish(self.course.state().clone());
    }

    /// Takes what the last connection could not send.
    fn collect(&mut self) {
        if let Some(shared) = self.previous.clone() {
            self.take_from(&shared);
        }
    }

    fn take_from(&mut self, shared: &Shared) {
        self.course.collect(&mut shared.lock().connection);
    }
}

impl Iterator for Reconnect {
    type Item = WebSocket;

    fn next(&mut self) -> Option<WebSocket> {
        loop {
            if matches!(self.phase, Phase::Stopped) {
                return None;
            }
            if self.board.stop.is_cancelled() {
                self.stop();
                return None;
            }
            match &self.phase {
                Phase::Stopped => {}
                Phase::Waiting(until) => {
                    if self.board.sleep(*until) {
                        self.phase = Phase::Due;
                    }
                }
                Phase::Open(shared) => {
                    if let Some(ending) = shared.ended_unless(|| self.board.stop.is_cancelled()) {
                        self.ended(ending);
                    }
                }
                Phase::Due => match self.attempt() {
                    Ok(ws) => {
                        if let Some(ws) = self.hand_out(ws) {
                            return Some(ws);
                        }
                    }
                    // Whatever became of it then.
                    Err(_) if self.board.stop.is_cancelled() => {}
                    Err(error) => {
                        let due = self.course.failed(error, now());
                        self.wait(due);
                    }
                },
            }
        }
    }
}

impl FusedIterator for Reconnect {}

impl Drop for Reconnect {
    fn drop(&mut self) {
        self.board.leave();
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("course", &self.course).finish_non_exhaustive()
    }
}
