//! Servers: from a listening socket to a task for each connection, and to an orderly end.
//!
//! Accepts, establishes TLS, answers the opening, runs the handler beside the pump. What a
//! connection says and when it ends, the core decides; what the server adds is who is admitted and
//! when all have to leave.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use lastword_proto::handshake::server::{Opening, Options, Origins, Refusal, Step, Subprotocols};
use lastword_proto::{Agreement, CloseCode, CloseFrame, Config, Ending, Leave};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::error::{AcceptError, Ended, Phase, SendError};
use crate::pump::Pump;
use crate::shared::{Keeper, Shared, Writing, now};
use crate::transport::{Addresses, Plain, Tls, Transport};
use crate::websocket::WebSocket;

/// What a handler may fail with: anything that is an error.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Serves each connection to `address` with `handler`, for ever. [`Server`] has more.
///
/// A handler that returns `Ok` closes with 1000, one that fails or panics with 1011. The end of the
/// connection itself is no failure of the handler.
///
/// # Errors
/// When `address` cannot be listened on.
///
/// # Cancel safety
/// Dropping the future stops listening and drops all connections.
pub async fn serve<F, T>(address: impl ToSocketAddrs, handler: F) -> io::Result<()>
where
    F: Fn(WebSocket) -> T + Send + Sync + 'static,
    T: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    Server::new().bind(address).await?.serve(handler).await;
    Ok(())
}

/// Accepts one connection over a stream of the caller's own, with default settings.
///
/// # Errors
/// [`AcceptError`]: what failed, and whose fault it was.
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn accept<S>(stream: S) -> Result<WebSocket, AcceptError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Server::new().accept(stream).await
}

/// A server to be started, with its options.
///
/// ```
/// use lastword::{Client, CloseCode, Config, Server, Subprotocols};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut config = Config::default();
/// config.max_message_size = 1 << 20;
/// let server = Server::new()
///     .config(config)
///     .subprotocols(Subprotocols::Optional(vec!["v2.chat".into()]))
///     .observe(|outcome| println!("{}: {:?}", outcome.peer, outcome.result));
/// let bound = server.bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}", bound.local_addr()?);
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(bound.serve_until(
///     async |mut ws| {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok(())
///     },
///     async { drop(stopped.await) },
/// ));
///
/// let ws = Client::new(&url).subprotocol("v2.chat").connect().await.unwrap();
/// assert_eq!(ws.opening().subprotocol.as_deref(), Some("v2.chat"));
/// stop.send(()).unwrap();
/// // Everybody is told to leave, and the report says how each of them did.
/// assert_eq!(ws.ended().await.code(), 1001);
/// assert_eq!(running.await.unwrap().endings.len(), 1);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Server {
    config: Config,
    options: Options,
    tls: Option<TlsAcceptor>,
    observer: Option<Observer>,
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

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, options, .. } = self;
        f.debug_struct("Server").field("config", config).field("options", options).finish()
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
        self.tls = Some(config.into());
        self
    }

    /// Tells `observer` what became of each accepted stream, when it is known.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Listens.
    ///
    /// # Errors
    /// When `address` cannot be listened on.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Bound> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address");
        for address in tokio::net::lookup_host(address).await? {
            match listen(address) {
                Ok(listener) => return Ok(Bound { listener, server: self }),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Accepts one connection over a stream of the caller's own; speaks TLS over it, if that is
    /// asked for.
    ///
    /// # Errors
    /// [`AcceptError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn accept<S>(self, stream: S) -> Result<WebSocket, AcceptError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (config, options) = (Arc::new(self.config), Arc::new(self.options));
        let (_open, doors) = watch::channel(Doors::Open);
        let admission = Admission { config, options, tls: self.tls, doors };
        let (transport, agreement) = admission.admit(Plain(stream)).await?;
        let config = admission.config;
        let shared = Shared::new(transport, agreement, Addresses::default(), config, Keeper::Pump);
        tokio::spawn(Pump::new(Arc::clone(&shared)));
        Ok(WebSocket::new(shared))
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    server: Server,
}

/// What became of the connections that were open when a server shut down.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How each of them ended.
    pub endings: Vec<(SocketAddr, Arc<Ending>)>,
    /// How many handlers were still busy after that, and were dropped.
    pub stuck: usize,
}

impl Bound {
    /// Where it listens; tells the port if 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves each connection with `handler`, for ever; see [`serve`].
    ///
    /// # Cancel safety
    /// Dropping the future stops listening and drops all connections.
    pub async fn serve<F, T>(self, handler: F)
    where
        F: Fn(WebSocket) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.serve_until(handler, std::future::pending()).await;
    }

    /// Serves each connection with `handler` until `shutdown` is ready; then stops listening,
    /// answers openings in progress with 503, closes all connections with 1001, and waits for them
    /// and their handlers, never longer than `Config::close_timeout` and `Config::linger` together.
    ///
    /// # Cancel safety
    /// Dropping the future stops listening and drops all connections.
    pub async fn serve_until<F, T>(self, handler: F, shutdown: impl Future<Output = ()>) -> Report
    where
        F: Fn(WebSocket) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let Self { listener, server } = self;
        let (open, doors) = watch::channel(Doors::Open);
        let (config, options) = (Arc::new(server.config), Arc::new(server.options));
        let admission = Arc::new(Admission { config, options, tls: server.tls, doors });
        let (handler, guests) = (Arc::new(handler), Arc::new(Guests::default()));
        let mut tasks = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                // Finished tasks give their memory back.
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let (admission, guests) = (Arc::clone(&admission), Arc::clone(&guests));
                        let (handler, observer) = (Arc::clone(&handler), server.observer.clone());
                        tasks.spawn(async move {
                            welcome(stream, peer, &admission, &guests, &*handler, observer).await;
                        });
                    }
                    // One that left before we came to the door; the next may be behind it.
                    Err(error) if is_of_the_guest(&error) => {}
                    Err(error) => {
                        // Out of descriptors, mostly: those who are here go on, and some will leave.
                        tracing::warn!(%error, "cannot accept a connection; trying again");
                        tokio::task::yield_now().await;
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        drop(listener);
        open.send_replace(Doors::Closed);
        guests.see_off();
        let deadline = Instant::now() + admission.config.close_timeout + admission.config.linger;
        let all_gone = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout_at(deadline, all_gone).await;
        let stuck = tasks.len();
        tasks.shutdown().await;
        Report { endings: guests.farewells(), stuck }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again takes its port back from connections that linger. On Windows
    // the option means something else: to share the port with whoever holds it.
    socket.set_reuseaddr(cfg!(not(windows)))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether accepting failed because of the one connection that was to be accepted: on some systems
/// one that was reset while it waited is told like this.
fn is_of_the_guest(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Whether new connections are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doors {
    Open,
    Closed,
}

/// Leads streams to connections.
struct Admission {
    config: Arc<Config>,
    options: Arc<Options>,
    tls: Option<TlsAcceptor>,
    doors: watch::Receiver<Doors>,
}

impl Admission {
    /// Establishes TLS, if that is asked for, and answers the opening.
    async fn admit(
        &self,
        stream: impl Transport + 'static,
    ) -> Result<(Box<dyn Transport>, Agreement), AcceptError> {
        let limit = self.config.open_timeout;
        let deadline = Instant::now() + limit;
        let mut transport: Box<dyn Transport> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let accepted = timeout_at(deadline, tls.accept(stream)).await;
                let late = |_| AcceptError::TimedOut { limit, phase: Phase::Tls };
                Box::new(Tls::new(accepted.map_err(late)?.map_err(AcceptError::Tls)?))
            }
        };
        let agreement = self.open(&mut transport, deadline).await?;
        Ok((transport, agreement))
    }

    /// Reads the request and answers it. Nothing behind it is looked at before the answer is out.
    async fn open(
        &self,
        transport: &mut Box<dyn Transport>,
        deadline: Instant,
    ) -> Result<Agreement, AcceptError> {
        let limit = self.config.open_timeout;
        let late = |_| AcceptError::TimedOut { limit, phase: Phase::Handshake };
        let judged = timeout_at(deadline, self.read_request(transport)).await.map_err(late)?;
        let result = judged?;
        let (answer, result) = match result {
            Ok((answer, agreement)) => (answer, Ok(agreement)),
            Err(refusal) => (refusal.to_bytes(), Err(AcceptError::Refused(refusal))),
        };
        let write = async {
            transport.write_all(&answer).await?;
            transport.flush().await
        };
        timeout_at(deadline, write).await.map_err(late)?.map_err(AcceptError::Lost)?;
        if result.is_err() {
            let linger = Instant::now() + self.config.linger;
            // The answer is out; how the peer takes leave changes nothing.
            let _ = timeout_at(linger, leave_readable(transport)).await;
        }
        result
    }

    async fn read_request(
        &self,
        transport: &mut Box<dyn Transport>,
    ) -> Result<Result<(bytes::Bytes, Agreement), Box<Refusal>>, AcceptError> {
        let mut opening = Opening::new(Arc::clone(&self.options), Arc::clone(&self.config));
        let mut doors = self.doors.clone();
        let mut buffer = [0; 2048];
        loop {
            let read = tokio::select! {
                biased;
                _ = doors.wait_for(|doors| *doors == Doors::Closed) => {
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    return Ok(Err(Refusal::application(status, "server is shutting down")));
                }
                read = transport.read(&mut buffer) => read,
            };
            match read {
                Ok(0) => return Err(AcceptError::Eof { bytes: opening.received() }),
                Ok(count) => match opening.receive(buffer.get(..count).unwrap_or_default()) {
                    Step::More => {}
                    Step::Offer(offer) => return Ok(offer.accept()),
                    Step::Refused(refusal) => return Ok(Err(refusal)),
                },
                Err(error) => return Err(AcceptError::Lost(error)),
            }
        }
    }
}

/// Ends our half of a refused stream and reads what the peer had sent behind its request: a reset
/// for unread bytes would take our answer with it.
async fn leave_readable(transport: &mut Box<dyn Transport>) -> io::Result<()> {
    transport.shutdown().await?;
    let mut buffer = [0; 2048];
    let mut left = REFUSED_REST;
    while left > 0 {
        match transport.read(&mut buffer).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// The whole life of an accepted stream.
async fn welcome<F, T>(
    stream: TcpStream,
    peer: SocketAddr,
    admission: &Admission,
    guests: &Guests,
    handler: &F,
    observer: Option<Observer>,
) where
    F: Fn(WebSocket) -> T,
    T: Future<Output = Result<(), HandlerError>>,
{
    let observe = |result| {
        if let Some(observer) = &observer {
            observer(Outcome { peer, result });
        }
    };
    let addresses = Addresses::of(&stream);
    // Small messages must not wait for the acknowledgement of others.
    if let Err(error) = stream.set_nodelay(true) {
        return observe(Err(AcceptError::Lost(error)));
    }
    // In a box of its own, that goes when the opening is over: the task lives as long as the
    // connection, and would keep room for it.
    let (transport, agreement) = match Box::pin(admission.admit(stream)).await {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::debug!(%peer, %error, "no connection");
            return observe(Err(error));
        }
    };
    let config = Arc::clone(&admission.config);
    let shared = Shared::new(transport, agreement, addresses, config, Keeper::Server);
    let guest = guests.arrive(&shared);
    let websocket = WebSocket::new(Arc::clone(&shared));
    let mut served = Served::new(handler(websocket), shared);
    let ending = served.over().await;
    guests.depart(guest, peer, &ending);
    observe(Ok(ending));
    // A handler may have work left when its connection is over.
    served.handler_done().await;
}

/// A handler, and the pump of its connection, in one task: an echo costs no switch between two.
struct Served<T> {
    /// `None` when it is done.
    handler: Option<Pin<Box<T>>>,
    pump: Pump,
}

impl<T: Future<Output = Result<(), HandlerError>>> Served<T> {
    fn new(handler: T, shared: Arc<Shared>) -> Self {
        Self { handler: Some(Box::pin(handler)), pump: Pump::new(shared) }
    }

    /// Runs both until the connection is over.
    async fn over(&mut self) -> Arc<Ending> {
        poll_fn(|cx| {
            self.poll_handler(cx);
            Pin::new(&mut self.pump).poll(cx)
        })
        .await
    }

    /// Runs the handler until it is done.
    async fn handler_done(&mut self) {
        poll_fn(|cx| {
            self.poll_handler(cx);
            if self.handler.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Turns the handler, and takes note of how it ended, or that it let go of all its handles.
    fn poll_handler(&mut self, cx: &mut Context<'_>) {
        let shared = self.pump.shared();
        let Some(handler) = &mut self.handler else {
            // The handler had given its handles to others, and now they are gone, too.
            if shared.take_abandoned() {
                shared.lock().connection.leave(Leave::Dropped, now());
            }
            return;
        };
        // The pump takes its turn right behind the handler, in this same task.
        shared.attended.store(true, Ordering::Relaxed);
        let turn = AssertUnwindSafe(|| shared.in_span(|| handler.as_mut().poll(cx)));
        let turned = std::panic::catch_unwind(turn);
        shared.attended.store(false, Ordering::Relaxed);
        let abandoned = shared.take_abandoned();
        match turned {
            Ok(Poll::Pending) if abandoned => {
                shared.lock().connection.leave(Leave::Dropped, now());
            }
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(result)) => {
                self.conclude(result, abandoned);
                self.handler = None;
            }
            Err(_) => {
                shared.in_span(|| tracing::error!("handler panicked"));
                shared.lock().connection.leave(Leave::Panicked, now());
                self.handler = None;
            }
        }
    }

    fn conclude(&self, result: Result<(), HandlerError>, abandoned: bool) {
        let shared = self.pump.shared();
        let frame = match result {
            Err(error) if !is_of_connection(&*error) => {
                shared.in_span(|| tracing::error!(%error, "handler failed"));
                CloseFrame::truncated(CloseCode::INTERNAL_ERROR, "handler failed")
            }
            // Others hold handles and go on.
            _ if !abandoned => return,
            _ => CloseCode::NORMAL.into(),
        };
        shared.lock().connection.close(Some(frame), now());
    }
}

/// Whether a handler only passed on that its connection is at its end: no failure of its own.
fn is_of_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Ended>() || error.is::<SendError>()
}

/// The connections of a server.
#[derive(Default)]
struct Guests {
    inner: Mutex<GuestBook>,
    next: AtomicU64,
}

#[derive(Default)]
struct GuestBook {
    present: HashMap<u64, Arc<Shared>>,
    /// Set when all have to leave: then it matters how they do.
    farewells: Option<Vec<(SocketAddr, Arc<Ending>)>>,
}

impl Guests {
    fn arrive(&self, shared: &Arc<Shared>) -> u64 {
        let guest = self.next.fetch_add(1, Ordering::Relaxed);
        let mut book = self.lock();
        book.present.insert(guest, Arc::clone(shared));
        if book.farewells.is_some() {
            show_the_door(shared);
        }
        guest
    }

    fn depart(&self, guest: u64, peer: SocketAddr, ending: &Arc<Ending>) {
        let mut book = self.lock();
        book.present.remove(&guest);
        if let Some(farewells) = &mut book.farewells {
            farewells.push((peer, Arc::clone(ending)));
        }
    }

    fn see_off(&self) {
        let mut book = self.lock();
        book.farewells = Some(Vec::new());
        book.present.values().for_each(|shared| show_the_door(shared));
    }

    fn farewells(&self) -> Vec<(SocketAddr, Arc<Ending>)> {
        self.lock().farewells.take().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GuestBook> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show_the_door(shared: &Shared) {
    let mut inner = shared.lock();
    let frame = CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down");
    inner.connection.leave(Leave::Shutdown(frame), now());
    shared.after_request(&mut inner, Writing::Now);
}

/// How many connections may wait to be accepted; the kernel has a limit of its own, too. With the 128
/// of the standard library a burst that comes while all threads are busy is dropped without a word,
/// and tries again after a second.
const BACKLOG: u32 = 4096;

/// How long to wait before accepting again, when the operating system has nothing left to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// How much of what follows a refused request is read.
const REFUSED_REST: usize = 64 << 10;
