//! Clients that come back: one connection after the other, with pauses between them.
//!
//! Learns how a connection ended from what its handles share, wherever those have gone to. When to come
//! back, and whether to, `lastword-retry` decides; here are its clock, its dice, and the doing.

mod because;
mod control;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::ConnectError;
use lastword_proto::{Ending, Message};
use lastword_retry::{Backoff, Next, Schedule, Verdict};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::connect::Client;
use crate::shared::{Shared, now};
use crate::sync::Mutex;
use crate::websocket::WebSocket;

pub use because::Because;
use control::Board;
pub use control::{Control, State, Stopped};

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
    schedule: Schedule,
    classify: Box<dyn Fn(&Because) -> Verdict + Send>,
    observe: Box<dyn FnMut(&State) + Send>,
    resend: Resend,
    phase: Phase,
    /// Messages for the next connection.
    carried: VecDeque<Message>,
    /// The last connection that is over.
    previous: Option<Arc<Shared>>,
    board: Arc<Board>,
    stop: watch::Receiver<bool>,
    states: watch::Sender<State>,
}

/// What becomes of messages that a connection accepted, when the next one is there.
///
/// Messages that are sent again go first and in their order. Those that a waiting `send` gave back with
/// its error are the caller's, and so are those that were taken with
/// [`WebSocket::take_unsent`] before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "nothing, what surely did not arrive, or all that may not have"
)]
pub enum Resend {
    /// None is sent again. [`Reconnect::unsent`] gives back what did not leave.
    #[default]
    Nothing,
    /// Those of which the operating system had not taken the last byte: the old peer cannot have read one
    /// of them whole, so that none arrives twice. Those that were handed over and did not arrive are lost.
    Unsent,
    /// Those as well that were handed over and not confirmed: none is lost, and those may arrive twice
    /// that the old peer read without its word on it (the pong of a later ping) reaching us: at most
    /// what was sent since the last ping that it answered. A closing handshake confirms nothing, since
    /// two closes that cross look the same as an answer: whoever closes calls [`WebSocket::ping`] before,
    /// and nothing arrives twice. Sets
    /// [`Config::unconfirmed`](crate::Config::unconfirmed) of a [`Client`]; whoever connects by
    /// [`Reconnect::new`] sets it there. What waits for confirmation then takes up `send_buffer`, too.
    Unconfirmed,
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
    Stopped(Stopped),
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
            Self::Stopped(_) => Came::Stop,
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
            schedule: Schedule::new(Backoff::default()),
            classify: Box::new(Because::verdict),
            observe: Box::new(|_| {}),
            resend: Resend::Nothing,
            phase: Phase::Due,
            carried: VecDeque::new(),
            previous: None,
            board: Arc::new(Board { stop, current: Mutex::new(None) }),
            stop: stopped,
            states: watch::Sender::new(State::New),
        }
    }

    /// How long it waits, and when it gives up.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.schedule = Schedule::new(backoff);
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
        self.classify = Box::new(classify);
        self
    }

    /// Tells each state as it begins. The observer is called inside of [`next`](Self::next) and should
    /// not take long; [`Control::changed`] is for tasks that wait.
    pub fn on_state(mut self, observe: impl FnMut(&State) + Send + 'static) -> Self {
        self.observe = Box::new(observe);
        self
    }

    /// What becomes of messages that a connection accepted and could not send.
    pub fn resend(mut self, resend: Resend) -> Self {
        self.resend = resend;
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
            if matches!(self.phase, Phase::Stopped(_)) {
                return None;
            }
            let came = tokio::select! {
                biased;
                () = asked(&mut self.stop) => Came::Stop,
                came = self.phase.came() => came,
            };
            match came {
                Came::Stop => self.stop(Stopped::Asked),
                Came::Due => self.attempt(),
                Came::Opened(Ok(ws)) => {
                    if let Some(ws) = self.hand_out(ws) {
                        return Some(ws);
                    }
                }
                Came::Opened(Err(error)) => {
                    let now = now();
                    self.over(
                        Because::Failed(Arc::new(error)),
                        now,
                        |schedule, verdict, random| schedule.failed(verdict, random, now),
                    );
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
        std::mem::take(&mut self.carried).into()
    }

    /// Why there will be no further connection; `None` while there may be one.
    pub const fn stopped(&self) -> Option<&Stopped> {
        match &self.phase {
            Phase::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }

    fn attempt(&mut self) {
        let attempt = self.schedule.attempt(now());
        self.phase = Phase::Opening(match &mut self.source {
            Source::Caller(connect) => connect(attempt),
            Source::Client(client) if self.resend == Resend::Unconfirmed => {
                Box::pin(client.as_ref().clone().keep_unconfirmed().connect())
            }
            Source::Client(client) => Box::pin(client.as_ref().clone().connect()),
        });
        self.tell(State::Connecting { attempt });
    }

    /// Hands out a connection, unless somebody has asked to stop in the meantime.
    fn hand_out(&mut self, ws: WebSocket) -> Option<WebSocket> {
        let shared = Arc::clone(ws.shared());
        // First here, then look: whoever closes stops first, and then looks here.
        *self.board.current.lock() = Some(Arc::clone(&shared));
        if *self.stop.borrow() {
            self.stop(Stopped::Asked);
            return None;
        }
        if self.resend != Resend::Nothing {
            ws.resend(&mut self.carried);
        }
        self.phase = Phase::Open(shared);
        self.tell(State::Connected);
        Some(ws)
    }

    fn ended(&mut self, ending: Arc<Ending>) {
        if let Phase::Open(shared) = std::mem::replace(&mut self.phase, Phase::Due) {
            self.previous = Some(shared);
        }
        if self.resend != Resend::Nothing {
            self.collect();
        }
        // A goodbye that takes its time is no sign of health.
        let lived = ending.began_at.saturating_duration_since(ending.opened_at);
        let at = ending.ended_at;
        self.over(Because::Ended(ending), at, |schedule, verdict, random| {
            schedule.ended(lived, verdict, random, at)
        });
    }

    /// There is no connection since `at`: what now?
    fn over(
        &mut self,
        because: Because,
        at: Instant,
        ask: impl FnOnce(&mut Schedule, Verdict, u64) -> Next,
    ) {
        let verdict = (self.classify)(&because);
        let random = u64::from_ne_bytes(lastword_kit::fresh());
        match ask(&mut self.schedule, verdict, random) {
            Next::Wait(delay) => {
                tracing::info!(?delay, "reconnecting in {:.1} s: {because}", delay.as_secs_f64());
                let until = at + delay;
                self.phase = Phase::Waiting(Box::pin(tokio::time::sleep_until(until.into())));
                self.tell(State::Waiting { until, because });
            }
            Next::GiveUp(limit) => {
                tracing::info!("reconnecting no more, {limit}: {because}");
                self.stop(Stopped::GaveUp { limit, because });
            }
        }
    }

    fn stop(&mut self, stopped: Stopped) {
        let phase = Phase::Stopped(stopped.clone());
        if let Phase::Open(shared) = std::mem::replace(&mut self.phase, phase) {
            self.previous = Some(shared);
        }
        self.tell(State::Stopped(stopped));
    }

    fn tell(&mut self, state: State) {
        (self.observe)(&state);
        self.states.send_replace(state);
    }

    /// Takes what the last connection could not send.
    fn collect(&mut self) {
        if let Some(shared) = self.previous.clone() {
            self.take_from(&shared);
        }
    }

    /// What a connection has left behind goes ahead of what it had not accepted any more.
    fn take_from(&mut self, shared: &Shared) {
        let mut inner = shared.lock();
        let mut left = match self.resend {
            Resend::Unconfirmed => inner.connection.take_unconfirmed(),
            Resend::Nothing | Resend::Unsent => Vec::new(),
        };
        left.extend(inner.connection.take_unsent());
        for message in left.into_iter().rev() {
            self.carried.push_front(message);
        }
    }
}

async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        unreachable!("the board that the sender stands on is ours");
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("state", &*self.states.borrow())
            .field("schedule", &self.schedule)
            .field("resend", &self.resend)
            .field("carried", &self.carried.len())
            .finish_non_exhaustive()
    }
}
