//! Servers: from a listening socket to a thread for each connection, and to an orderly end.
//!
//! Accepts, establishes TLS, answers the opening, runs the handler. What a connection says and when
//! it ends, the core decides; what the server adds is who is admitted and when all have to leave.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use lastword_kit::rustls::{ServerConfig, ServerConnection};
use lastword_kit::{AcceptError, Addresses, Ended, Phase, SendError};
use lastword_proto::handshake::server::{Opening, Options, Origins, Refusal, Step, Subprotocols};
use lastword_proto::{Agreement, CloseCode, CloseFrame, Config, Ending, Leave};
use parking_lot::{Condvar, Mutex};

use crate::pump;
use crate::shared::Shared;
use crate::socket::{Nudge, Socket, now};
use crate::stream::Stream;
use crate::websocket::WebSocket;

/// What a handler may fail with: anything that is an error.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Serves each connection to `address` with `handler`, in a thread of its own, for ever. [`Server`]
/// has more.
///
/// A handler that returns `Ok` closes with 1000, one that fails or panics with 1011. The end of the
/// connection itself is no failure of the handler.
///
/// # Errors
/// When `address` cannot be listened on, or listening fails.
pub fn serve<F>(address: impl ToSocketAddrs, handler: F) -> io::Result<()>
where
    F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    Server::new().bind(address)?.serve(handler).map(drop)
}

/// Accepts one connection over a socket of the caller's own, with default settings.
///
/// # Errors
/// [`AcceptError`]: what failed, and whose fault it was.
pub fn accept(socket: impl Into<OwnedFd>) -> Result<WebSocket, AcceptError> {
    Server::new().accept(socket)
}

/// A server to be started, with its options.
///
/// ```
/// use lastword_blocking::{Client, Server};
///
/// let bound = Server::new().bind("127.0.0.1:0")?;
/// let url = format!("ws://{}", bound.local_addr()?);
/// let stop = bound.stop_handle();
/// let running = std::thread::spawn(|| {
///     bound.serve(|mut ws| {
///         while let Some(message) = ws.recv()? {
///             ws.send(message)?;
///         }
///         Ok(())
///     })
/// });
///
/// let mut ws = Client::new(url).connect().unwrap();
/// ws.send("hello").unwrap();
/// assert_eq!(ws.recv().unwrap(), Some("hello".into()));
/// stop.stop();
/// // Everybody is told to leave, and the report says how each of them did.
/// assert_eq!(ws.ended().code(), 1001);
/// assert_eq!(running.join().unwrap()?.endings.len(), 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Server {
    config: Config,
    options: Options,
    tls: Option<Arc<ServerConfig>>,
    observer: Option<Observer>,
    max_connections: NonZeroUsize,
}

type Observer = Arc<dyn Fn(Outcome) + Send + Sync>;

/// What became of one accepted stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Who it was.
    pub peer: SocketAddr,
    /// How the connection ended, or why there was none.
    pub result: Result<Arc<Ending>, AcceptError>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            config: Config::default(),
            options: Options::default(),
            tls: None,
            observer: None,
            max_connections: MAX_CONNECTIONS,
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, options, max_connections, .. } = self;
        let mut server = f.debug_struct("Server");
        server.field("config", config).field("options", options);
        server.field("max_connections", max_connections).finish_non_exhaustive()
    }
}

impl Server {
    /// A server with default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits, timeouts, keepalive and compression.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Which subprotocols it speaks.
    #[must_use]
    pub fn subprotocols(mut self, subprotocols: Subprotocols) -> Self {
        self.options.subprotocols = subprotocols;
        self
    }

    /// Which origins it serves.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.options.origins = origins;
        self
    }

    /// Speaks TLS, with this configuration.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Tells `observer` what became of each accepted stream, when it is known.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// How many connections there are at once, openings included; 1,000. Each takes two threads. Who
    /// comes when there are so many waits in the backlog of the operating system until one leaves.
    #[must_use]
    pub const fn max_connections(mut self, limit: NonZeroUsize) -> Self {
        self.max_connections = limit;
        self
    }

    /// Listens.
    ///
    /// # Errors
    /// When `address` cannot be listened on.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Bound> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let doors = Arc::new(Doors::new()?);
        Ok(Bound { listener, server: self, doors })
    }

    /// Accepts one connection over a socket of the caller's own; speaks TLS over it, if that is asked
    /// for.
    ///
    /// # Errors
    /// [`AcceptError`]: what failed, and whose fault it was.
    pub fn accept(self, socket: impl Into<OwnedFd>) -> Result<WebSocket, AcceptError> {
        let stream = Stream::plain(Socket::new(socket).map_err(AcceptError::Lost)?);
        let admission = Admission::of(&self);
        let shared = admission.admit(stream, Addresses::default(), || false)?;
        Ok(WebSocket::new(shared))
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    server: Server,
    doors: Arc<Doors>,
}

/// Ends a server from any thread. Clones end the same server.
#[derive(Clone, Debug)]
pub struct Stop {
    doors: Arc<Doors>,
}

impl Stop {
    /// The server stops listening, answers openings in progress with 503 and closes all connections
    /// with 1001. Does not wait.
    pub fn stop(&self) {
        let mut inside = self.doors.inside.lock();
        if !std::mem::replace(&mut inside.closed, true) {
            self.doors.nudge.give();
            self.doors.left.notify_all();
        }
    }
}

/// What became of the connections that were open when a server was stopped.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How each of them ended.
    pub endings: Vec<(SocketAddr, Arc<Ending>)>,
    /// How many handlers were still busy after that. Their connections are over; a thread cannot be
    /// ended from outside.
    pub stuck: usize,
}

/// Who is inside, and whether more may come.
struct Doors {
    inside: Mutex<Inside>,
    left: Condvar,
    nudge: Nudge,
}

#[derive(Default)]
struct Inside {
    closed: bool,
    /// The next number of a guest.
    next: u64,
    guests: HashMap<u64, Guest>,
    endings: Vec<(SocketAddr, Arc<Ending>)>,
}

enum Guest {
    /// In its opening, reading from this socket.
    Enters(Arc<Socket>),
    Stays(SocketAddr, Arc<Shared>),
}

impl Doors {
    fn new() -> io::Result<Self> {
        Ok(Self { inside: Mutex::default(), left: Condvar::new(), nudge: Nudge::new()? })
    }

    /// Waits until there is a place; `false` when the doors are closed.
    fn wait_for_place(&self, limit: NonZeroUsize) -> bool {
        let mut inside = self.inside.lock();
        while !inside.closed && inside.guests.len() >= limit.get() {
            self.left.wait(&mut inside);
        }
        !inside.closed
    }

    fn enter(&self, guest: Guest) -> u64 {
        let mut inside = self.inside.lock();
        let number = inside.next;
        inside.next = inside.next.wrapping_add(1);
        inside.guests.insert(number, guest);
        number
    }

    fn are_closed(&self) -> bool {
        self.inside.lock().closed
    }
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inside = self.inside.lock();
        let mut doors = f.debug_struct("Doors");
        doors.field("closed", &inside.closed).field("guests", &inside.guests.len());
        doors.finish_non_exhaustive()
    }
}

impl Bound {
    /// Where it listens; tells the port if 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What ends it.
    pub fn stop_handle(&self) -> Stop {
        Stop { doors: Arc::clone(&self.doors) }
    }

    /// Serves each connection with `handler` until it is stopped; then waits for the connections and
    /// their handlers, never longer than `Config::close_timeout` and `Config::linger` together.
    ///
    /// # Errors
    /// When listening fails; what is transient (no descriptors left) is tried again.
    pub fn serve<F>(self, handler: F) -> io::Result<Report>
    where
        F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Self { listener, server, doors } = self;
        let limit = server.max_connections;
        let admission = Admission::of(&server);
        let patience = server.config.close_timeout + server.config.linger;
        let house = Arc::new(House { admission, handler, observer: server.observer, doors });
        let doors = &house.doors;
        while doors.wait_for_place(limit) {
            if !doors.nudge.wait_or_readable(&listener)? {
                continue;
            }
            match listener.accept() {
                Ok((stream, peer)) => house.welcome(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // Out of descriptors, mostly: those who are here go on, and some will leave.
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    let mut inside = doors.inside.lock();
                    let _ = doors.left.wait_for(&mut inside, ACCEPT_AGAIN);
                }
            }
        }
        drop(listener);
        Ok(house.see_off(now() + patience))
    }
}

struct House<F> {
    admission: Admission,
    handler: F,
    observer: Option<Observer>,
    doors: Arc<Doors>,
}

impl<F> House<F>
where
    F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    /// The whole life of an accepted stream, in a thread of its own.
    fn welcome(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let addresses = Addresses { local: stream.local_addr().ok(), peer: Some(peer) };
        let stream = match Socket::new(stream) {
            Ok(socket) => Stream::plain(socket),
            Err(error) => return self.observe(peer, Err(AcceptError::Lost(error))),
        };
        let number = self.doors.enter(Guest::Enters(Arc::clone(&stream.socket)));
        let house = Arc::clone(self);
        let name = format!("websocket {peer}");
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let result = house.host(stream, addresses, peer, number);
            house.leave(number, peer, &result);
            house.observe(peer, result);
        });
        if let Err(error) = spawned {
            self.doors.inside.lock().guests.remove(&number);
            self.observe(peer, Err(AcceptError::Lost(error)));
        }
    }

    fn host(
        &self,
        stream: Stream,
        addresses: Addresses,
        peer: SocketAddr,
        number: u64,
    ) -> Result<Arc<Ending>, AcceptError> {
        let shared = self.admission.admit(stream, addresses, || self.doors.are_closed())?;
        let closed = {
            let mut inside = self.doors.inside.lock();
            inside.guests.insert(number, Guest::Stays(peer, Arc::clone(&shared)));
            inside.closed
        };
        if closed {
            send_off(&shared);
        }
        let ws = WebSocket::new(Arc::clone(&shared));
        // Keeps the connection until it is known how the handler ended.
        let keep = ws.sender();
        let handled = catch_unwind(AssertUnwindSafe(|| (self.handler)(ws)));
        shared.request(|inner| match handled {
            Ok(Err(error)) if !is_of_connection(&*error) => {
                shared.in_span(|| tracing::error!(%error, "handler failed"));
                let failed = CloseFrame::truncated(CloseCode::INTERNAL_ERROR, "handler failed");
                inner.connection.close(Some(failed), now());
            }
            Ok(_) if keep.is_last() => {
                inner.connection.close(Some(CloseCode::NORMAL.into()), now())
            }
            // Others hold handles and go on.
            Ok(_) => {}
            Err(_) => {
                shared.in_span(|| tracing::error!("handler panicked"));
                inner.connection.leave(Leave::Panicked, now());
            }
        });
        // Whoever else holds a handle decides from here on.
        drop(keep);
        let over = shared.wait(None, |inner| inner.connection.ending().map(Arc::clone));
        Ok(over.unwrap_or_else(|| unreachable!("without a limit, it waits for the end")))
    }

    fn leave(&self, number: u64, peer: SocketAddr, result: &Result<Arc<Ending>, AcceptError>) {
        let mut inside = self.doors.inside.lock();
        inside.guests.remove(&number);
        if inside.closed
            && let Ok(ending) = result
        {
            inside.endings.push((peer, Arc::clone(ending)));
        }
        drop(inside);
        self.doors.left.notify_all();
    }

    fn observe(&self, peer: SocketAddr, result: Result<Arc<Ending>, AcceptError>) {
        if let Err(error) = &result {
            tracing::debug!(%peer, %error, "no connection");
        }
        if let Some(observer) = &self.observer {
            observer(Outcome { peer, result });
        }
    }

    /// Asks all to leave, and waits for them, until the deadline.
    fn see_off(&self, deadline: Instant) -> Report {
        let mut staying = Vec::new();
        let mut inside = self.doors.inside.lock();
        for guest in inside.guests.values() {
            match guest {
                // It comes back from reading, and sees that the doors are closed.
                Guest::Enters(socket) => socket.recall_reader(),
                Guest::Stays(_, shared) => staying.push(Arc::clone(shared)),
            }
        }
        parking_lot::MutexGuard::unlocked(&mut inside, || {
            staying.drain(..).for_each(|shared| send_off(&shared));
        });
        while !inside.guests.is_empty() {
            if self.doors.left.wait_until(&mut inside, deadline).timed_out() {
                break;
            }
        }
        let mut report = Report { endings: std::mem::take(&mut inside.endings), stuck: 0 };
        for guest in inside.guests.values() {
            report.stuck = report.stuck.saturating_add(1);
            if let Guest::Stays(peer, shared) = guest {
                let over = shared.wait(Some(now() + AFTERWARDS), |inner| {
                    inner.connection.ending().map(Arc::clone)
                });
                report.endings.extend(over.map(|ending| (*peer, ending)));
            }
        }
        report
    }
}

fn send_off(shared: &Shared) {
    let goodbye = CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down");
    shared.request(|inner| inner.connection.leave(Leave::Shutdown(goodbye), now()));
}

/// Whether a handler only passed on that its connection is at its end: no failure of its own.
fn is_of_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Ended>() || error.is::<SendError>() || error.is::<lastword_kit::ReceiveError>()
}

/// Leads streams to connections.
struct Admission {
    config: Arc<Config>,
    options: Arc<Options>,
    tls: Option<Arc<ServerConfig>>,
}

impl Admission {
    fn of(server: &Server) -> Self {
        Self {
            config: Arc::new(server.config.clone()),
            options: Arc::new(server.options.clone()),
            tls: server.tls.clone(),
        }
    }

    /// Establishes TLS, if that is asked for, answers the opening and starts the pump.
    fn admit(
        &self,
        mut stream: Stream,
        addresses: Addresses,
        closed: impl Fn() -> bool,
    ) -> Result<Arc<Shared>, AcceptError> {
        let limit = self.config.open_timeout;
        let deadline = now() + limit;
        if let Some(tls) = &self.tls {
            let session = ServerConnection::new(Arc::clone(tls));
            let session = session.map_err(|error| AcceptError::Tls(io::Error::other(error)))?;
            stream = stream.under(session.into());
            stream.establish(deadline).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => AcceptError::TimedOut { limit, phase: Phase::Tls },
                _ => AcceptError::Tls(error),
            })?;
        }
        let lost = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut => AcceptError::TimedOut { limit, phase: Phase::Handshake },
            _ => AcceptError::Lost(error),
        };
        let judged = self.read_request(&mut stream, deadline, closed, lost)?;
        let (answer, result) = match judged {
            Ok((answer, agreement)) => (answer, Ok(agreement)),
            Err(refusal) => (refusal.to_bytes(), Err(AcceptError::Refused(refusal))),
        };
        stream.write_all(&answer, deadline).map_err(lost)?;
        if result.is_err() {
            // The answer is out; how the peer takes leave changes nothing.
            let _ = leave_readable(&mut stream, now() + self.config.linger);
        }
        let config = Arc::clone(&self.config);
        let shared = Shared::new(stream, result?, addresses, config).map_err(AcceptError::Lost)?;
        pump::start(&shared).map_err(AcceptError::Lost)?;
        Ok(shared)
    }

    fn read_request(
        &self,
        stream: &mut Stream,
        deadline: Instant,
        closed: impl Fn() -> bool,
        lost: impl Fn(io::Error) -> AcceptError,
    ) -> Result<Result<(bytes::Bytes, Agreement), Box<Refusal>>, AcceptError> {
        let mut opening = Opening::new(Arc::clone(&self.options), Arc::clone(&self.config));
        let mut buffer = [0; READ];
        loop {
            let read = stream.read_until(&mut buffer, deadline);
            if closed() {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(Err(Refusal::application(status, "server is shutting down")));
            }
            let count = read.map_err(&lost)?;
            if count == 0 {
                return Err(AcceptError::Eof { bytes: opening.received() });
            }
            match opening.receive(buffer.get(..count).unwrap_or_default()) {
                Step::More => {}
                Step::Offer(offer) => return Ok(offer.accept()),
                Step::Refused(refusal) => return Ok(Err(refusal)),
            }
        }
    }
}

/// Ends our half of a refused stream and reads what the peer had sent behind its request: a reset
/// for unread bytes would take our answer with it.
fn leave_readable(stream: &mut Stream, deadline: Instant) -> io::Result<()> {
    stream.finish()?;
    let mut buffer = [0; 2048];
    let mut left = REFUSED_REST;
    while left > 0 {
        match stream.read_until(&mut buffer, deadline)? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// How much of a request is read at once: more than browsers send.
const READ: usize = 4096;

/// How much of what follows a refused request is read.
const REFUSED_REST: usize = 64 << 10;

/// How long to wait when the operating system has no descriptor for a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long the report waits for a connection whose handler is stuck: its own deadline is over.
const AFTERWARDS: Duration = Duration::from_millis(100);

const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1000).expect("it is not zero");
