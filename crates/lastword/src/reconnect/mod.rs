//! Clients that come back: one connection after the other, with pauses between them.
//!
//! Learns how a connection ended from what its handles share, wherever those have gone to. When to come
//! back, whether to, and with what, a `Course` decides; here are its clock and the doing.

mod control;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::{Because, ConnectError, Course, Resend, State, Stopped};
use lastword_proto::{Ending, Message};
use lastword_retry::{Backoff, Verdict};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::connect::Client;
use crate::shared::{Shared, now};
use crate::sync::Mutex;
use crate::websocket::WebSocket;

use control::Board;
pub use control::Control;

/// Connects to a `ws://` or `wss://` URL, again and again, with default settings.
/// [`Client::reconnecting`] has more.
///
/// ```no_run
/// # async fn example() {
/// let mut feed = lastword::connect_forever("wss://example.com/feed");
/// while let Some(mut ws) = feed.next().await {
///     while let Ok(Some(message)) = ws.recv().await {
///         println!("{message:?}");
///     }
/// }
/// println!("{}", feed.stopped().unwrap());
/// # }
/// ```
pub fn connect_forever(url: impl Into<String>) -> Reconnect {
    Client::new(url).reconnecting()
}

impl Client {
    /// Connections with these options, one after the other.
    pub fn reconnecting(self) -> Reconnect {
        Reconnect::from(Source::Client(Box::new(self)))
    }
}

/// One connection after the other.
///
/// [`next`](Self::next) hands out a connection, and the next one when that has ended, after a pause that
/// [`Backoff`] decides on; the pauses grow until a connection was healthy for a while. What is not worth a
/// retry (the table of [`Verdict`]) ends it, and so does [`Control::stop`].
///
/// It works while somebody waits for `next`, and has no task of its own.
#[must_use = "makes connections when `next` is called"]
pub struct Reconnect {
    source: Source,
    course: Course,
    phase: Phase,
    /// The last connection that is over.
    previous: Option<Arc<Shared>>,
    board: Arc<Board>,
    stop: watch::Receiver<bool>,
    states: watch::Sender<State>,
}

/// Where connections come from.
enum Source {
    Client(Box<Client>),
    Caller(Box<dyn FnMut(u32) -> Opening + Send>),
}

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>;

/// Where it stands. Held here and not in a future, so that one that is dropped loses nothing.
enum Phase {
    /// An attempt may begin.
    Due,
    Waiting(Pin<Box<Sleep>>),
    Opening(Opening),
    Open(Arc<Shared>),
    Stopped,
}

/// What a phase came to.
enum Came {
    Stop,
    Due,
    Opened(Result<WebSocket, ConnectError>),
    Ended(Arc<Ending>),
}

impl Phase {
    async fn came(&mut self) -> Came {
        match self {
            Self::Due => Came::Due,
            Self::Waiting(sleep) => {
                sleep.as_mut().await;
                Came::Due
            }
            Self::Opening(opening) => Came::Opened(opening.as_mut().await),
            Self::Open(shared) => Came::Ended(shared.ended().await),
            Self::Stopped => Came::Stop,
        }
    }
}

impl Reconnect {
    /// Connections that `connect` makes; it is given the number of the attempt since the last healthy
    /// connection, from 1. For whatever changes between attempts: a fresh token, another address, a
    /// stream of the caller's own.
    ///
    /// ```no_run
    /// use http::header::AUTHORIZATION;
    /// use lastword::{Client, ConnectError, Reconnect};
    ///
    /// # async fn token() -> http::HeaderValue { http::HeaderValue::from_static("Bearer x") }
    /// let feed = Reconnect::new(async |_attempt| {
    ///     Client::new("wss://example.com/feed").header(AUTHORIZATION, token().await).connect().await
    /// });
    /// ```
    pub fn new<F, T>(mut connect: F) -> Self
    where
        F: FnMut(u32) -> T + Send + 'static,
        T: Future<Output = Result<WebSocket, ConnectError>> + Send + 'static,
    {
        Self::from(Source::Caller(Box::new(move |attempt| Box::pin(connect(attempt)))))
    }

    fn from(source: Source) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self {
            source,
            course: Course::default(),
            phase: Phase::Due,
            previous: None,
            board: Arc::new(Board { stop, current: Mutex::new(None) }),
            stop: stopped,
            states: watch::Sender::new(State::New),
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
    /// use lastword::{Because, Verdict};
    /// let feed = lastword::connect_forever("wss://example.com/feed").classify(|because| match because {
    ///     // This service says 4000 when it moves us elsewhere.
    ///     Because::Ended(ending) if ending.code() == 4000 => Verdict::Retry,
    ///     because => because.verdict(),
    /// });
    /// ```
    pub fn classify(mut self, classify: impl Fn(&Because) -> Verdict + Send + 'static) -> Self {
        self.course.classify(classify);
        self
    }

    /// Tells each state as it begins. The observer is called inside of [`next`](Self::next) and should
    /// not take long; [`Control::changed`] is for tasks that wait.
    pub fn on_state(mut self, observe: impl FnMut(&State) + Send + 'static) -> Self {
        self.course.on_state(observe);
        self
    }

    /// What becomes of messages that a connection accepted and could not send.
    pub fn resend(mut self, resend: Resend) -> Self {
        self.course.resend(resend);
        self
    }

    /// A handle for other tasks, that stops it and tells what it is doing.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.board), self.states.subscribe())
    }

    /// The next connection: the first one at once, each further one when the one before has ended,
    /// wherever its handles are, and after a pause. `None` when there will be none
    /// ([`stopped`](Self::stopped) tells why).
    ///
    /// A connection whose handles are all dropped is closed with 1001, and has ended within
    /// `Config::linger`.
    ///
    /// # Cancel safety
    /// Nothing is lost: a pause and an attempt go on at the next call, from where they were.
    pub async fn next(&mut self) -> Option<WebSocket> {
        loop {
            if matches!(self.phase, Phase::Stopped) {
                return None;
            }
            let came = tokio::select! {
                biased;
                () = asked(&mut self.stop) => Came::Stop,
                came = self.phase.came() => came,
            };
            match came {
                Came::Stop => self.stop(),
                Came::Due => self.attempt(),
                Came::Opened(Ok(ws)) => {
                    if let Some(ws) = self.hand_out(ws) {
                        return Some(ws);
                    }
                }
                Came::Opened(Err(error)) => {
                    let due = self.course.failed(error, now());
                    self.wait(due);
                }
                Came::Ended(ending) => self.ended(ending),
            }
        }
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

    fn attempt(&mut self) {
        let attempt = self.course.attempt(now());
        self.phase = Phase::Opening(match &mut self.source {
            Source::Caller(connect) => connect(attempt),
            Source::Client(client) => {
                let mut client = client.as_ref().clone();
                if self.course.wants_unconfirmed() {
                    client.keep_unconfirmed();
                }
                Box::pin(client.connect())
            }
        });
        self.publish();
    }

    /// Hands out a connection, unless somebody has asked to stop in the meantime.
    fn hand_out(&mut self, ws: WebSocket) -> Option<WebSocket> {
        let shared = Arc::clone(ws.shared());
        // First here, then look: whoever closes stops first, and then looks here.
        *self.board.current.lock() = Some(Arc::clone(&shared));
        if *self.stop.borrow() {
            self.stop();
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
        self.phase = match due {
            Some(due) => Phase::Waiting(Box::pin(tokio::time::sleep_until(due.into()))),
            None => Phase::Stopped,
        };
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
        self.states.send_replace(self.course.state().clone());
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

async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        unreachable!("the board that the sender stands on is ours");
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("course", &self.course).finish_non_exhaustive()
    }
}
