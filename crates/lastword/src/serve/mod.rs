//! Servers: from a listening socket to a task for each connection, and to an orderly end.
//!
//! Accepts, establishes TLS, answers the opening, runs the handler beside the pump. What a
//! connection says and when it ends, the core decides; what the server adds is who is admitted and
//! when all have to leave.
//!
//! Here stand the options and the doors; a [`house`] attends to one listener, [`worker`] is a thread
//! that has one, [`admission`] leads a stream to a connection and asks the application at the [`gate`],
//! [`routes`] lead to handlers, [`served`] runs it with its handler, and [`guests`] knows who is here.
//! [`upgrades`] is for those who come through an HTTP server of somebody else. What may be said to a
//! request, how many may be here and which certificate is shown, `lastword-kit` knows, for any driver.

mod admission;
mod bound;
mod gate;
mod guests;
mod house;
mod listener;
mod monitor;
mod routes;
mod served;
mod stream;
mod upgrades;
mod worker;

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;

use lastword_kit::{
    AcceptError, Addresses, Answer, Credentials, HandlerError, Incoming, Limits, Listen,
    ListeningSocket, Outcome, Reporter, ServerTls, Shutdown,
};
use lastword_proto::Config;
use lastword_proto::handshake::server::{Hosts, Options, Origins, Subprotocols};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::ToSocketAddrs;
use tokio::sync::watch;

use self::admission::{Admission, Doors};
pub use self::bound::Bound;
use self::gate::{Basic, Gate};
pub use self::monitor::{Departures, Monitor};
pub use self::routes::Routes;
pub use self::upgrades::{Carrier, Pending, Upgrades};
use crate::pump::Pump;
use crate::shared::{Keeper, Shared};
use crate::transport::Plain;
use crate::websocket::WebSocket;

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
///     .observe(|outcome| println!("{outcome}"));
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
    tls: Option<ServerTls>,
    reporter: Reporter,
    threads: Option<NonZeroUsize>,
    gate: Gate,
    limits: Limits,
    shutdown: Shutdown,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, options, threads, .. } = self;
        let mut server = f.debug_struct("Server");
        server.field("config", config).field("options", options).field("threads", threads);
        server.finish_non_exhaustive()
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

    /// Which origins it serves; requests from others are answered with 403.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.options.origins = origins;
        self
    }

    /// Under which names it may be addressed; requests to others are answered with 421.
    #[must_use]
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.options.hosts = hosts;
        self
    }

    /// How many connections it takes on, when it serves; [`accept`](Self::accept) takes each.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How it takes leave of those who are connected when it shuts down: with which code, spread over
    /// how long, within which deadline. By default all are told 1001 at once, and given
    /// `Config::close_timeout` and `Config::linger` to leave.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lastword::{Server, Shutdown};
    ///
    /// let mut shutdown = Shutdown::restart(); // 1012
    /// shutdown.spread = Duration::from_secs(20);
    /// shutdown.deadline = Some(Duration::from_secs(50));
    /// let server = Server::new().shutdown(shutdown);
    /// ```
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Lets `hook` decide about each request: accept it, perhaps with more headers or a subprotocol
    /// that it chooses, or answer over HTTP.
    ///
    /// It sees requests that are valid for a WebSocket, and have passed [`origins`](Self::origins),
    /// [`hosts`](Self::hosts) and [`basic_auth`](Self::basic_auth); and ordinary HTTP requests, such
    /// as health checks, which have passed nothing ([`Incoming::wants`] tells) and are refused when
    /// it accepts them. Bodies of requests are not read. What it takes counts in
    /// `Config::open_timeout`; the server shuts down without waiting for it. One that panics is
    /// answered for, with 500.
    ///
    /// ```
    /// use http::StatusCode;
    /// use lastword::{Answer, Server};
    ///
    /// let server = Server::new().on_request(async |incoming| match incoming.path() {
    ///     "/health" => Answer::text(StatusCode::OK, "OK\n"),
    ///     _ if incoming.header("cookie") == Some("session=42") => Answer::accept(),
    ///     _ => Answer::text(StatusCode::FORBIDDEN, "log in first\n"),
    /// });
    /// ```
    ///
    /// # Cancel safety
    /// The hook's future is dropped at an await when time is up, the server shuts down or is dropped.
    #[must_use]
    pub fn on_request<F, T>(mut self, hook: F) -> Self
    where
        F: Fn(Incoming) -> T + Send + Sync + 'static,
        T: Future<Output = Answer> + Send + 'static,
    {
        self.gate.hook = Some(Arc::new(move |incoming| Box::pin(hook(incoming))));
        self
    }

    /// Lets `hook` answer ordinary HTTP requests: health checks, a page. Unlike
    /// [`on_request`](Self::on_request), which is then not asked about them, it costs requests for a
    /// WebSocket nothing: those are not taken apart to be shown.
    ///
    /// ```
    /// use http::StatusCode;
    /// use lastword::{Answer, Server};
    ///
    /// let server = Server::new().on_http(async |incoming| match incoming.path() {
    ///     "/health" => Answer::text(StatusCode::OK, "OK\n"),
    ///     _ => Answer::text(StatusCode::NOT_FOUND, "there are WebSockets here\n"),
    /// });
    /// ```
    ///
    /// # Cancel safety
    /// As [`on_request`](Self::on_request).
    #[must_use]
    pub fn on_http<F, T>(mut self, hook: F) -> Self
    where
        F: Fn(Incoming) -> T + Send + Sync + 'static,
        T: Future<Output = Answer> + Send + 'static,
    {
        self.gate.http = Some(Arc::new(move |incoming| Box::pin(hook(incoming))));
        self
    }

    /// Asks each request for a WebSocket for a name and a password (RFC 7617); `check` says whether
    /// they are right. Others are answered with 401. `realm` tells people what the password is for;
    /// what is not printable ASCII in it is left out.
    ///
    /// Who it was, a handler learns by [`Credentials::from_headers`] from the request of its
    /// connection. Over anything but TLS, passwords can be read by those in between. Ordinary HTTP
    /// requests are not asked.
    ///
    /// ```
    /// use lastword::Server;
    /// let server = Server::new().basic_auth("staff", async |given| given.are("ada", "lovelace"));
    /// ```
    #[must_use]
    pub fn basic_auth<F, T>(mut self, realm: &str, check: F) -> Self
    where
        F: Fn(Credentials) -> T + Send + Sync + 'static,
        T: Future<Output = bool> + Send + 'static,
    {
        let check = Arc::new(move |credentials| -> Pin<Box<dyn Future<Output = bool> + Send>> {
            Box::pin(check(credentials))
        });
        self.gate.basic = Some(Basic { realm: realm.into(), check });
        self
    }

    /// Speaks TLS, with this configuration: an `Arc<rustls::ServerConfig>`, or a [`ServerTls`] through
    /// which it can be replaced while the server runs.
    #[must_use]
    pub fn tls(mut self, config: impl Into<ServerTls>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Tells `observer` what became of each stream, when it is known: how its connection ended, or why
    /// there was none. All are told: those that it serves, those of [`accept`](Self::accept) and of
    /// [`upgrades`](Self::upgrades).
    ///
    /// It is called where the connection is served, and holds that up: whoever has to wait for
    /// something is better served by [`Monitor::departures`].
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        self.reporter.observe(Arc::new(observer));
        self
    }

    /// Numbers of all streams of this server, and how its connections end, for whoever asks from
    /// wherever; see [`Monitor`]. Clones of a server, and its [`upgrades`](Self::upgrades), count
    /// together.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.reporter.outlook())
    }

    /// Serves on so many threads of its own, each with a listener and a single-threaded runtime,
    /// instead of the runtime that it is started in.
    ///
    /// A connection stays on the thread that accepted it, with its handler: nothing of it is handed
    /// from core to core, which is cheaper when connections are many and alike. Handlers that
    /// compute for long hold up the others of their thread, and no other thread helps out; where
    /// that matters, leave this away. On Linux the kernel spreads connections over the listeners
    /// (`SO_REUSEPORT`); elsewhere the threads accept from one socket.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let server = lastword::Server::new().threads(NonZeroUsize::new(2).unwrap());
    /// let bound = server.bind("127.0.0.1:0").await?;
    /// let shutdown = async { /* until somebody says so */ };
    /// let report = bound.serve_until(async |_ws| Ok(()), shutdown).await;
    /// assert_eq!(report.stuck, 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub const fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// For connections that come through an HTTP server of somebody else: hyper, axum, any. Takes the
    /// settings, subprotocols, origins, limits, the way to shut down, the observer and the monitor along;
    /// TLS, threads and what is asked about requests are for what this server accepts itself.
    pub fn upgrades(self) -> Upgrades {
        let Self { config, options, limits, shutdown, reporter, .. } = self;
        Upgrades::new(config, options, limits, shutdown, reporter)
    }

    /// Listens at this address, or the first of a name's that can be listened on; starts its threads, if
    /// it has some of its own. [`listen`](Self::listen) does more.
    ///
    /// # Errors
    /// When `address` cannot be listened on, or the operating system has no thread.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Bound> {
        let addresses = tokio::net::lookup_host(address).await?;
        let sockets = Listen::at_first_of(addresses, self.sockets())?;
        let of_threads = sockets.into_iter().map(|socket| vec![socket]).collect();
        Bound::new(self, of_threads).await
    }

    /// Listens at all of these places; see [`Listen`].
    ///
    /// # Errors
    /// When one of them cannot be listened on, which the error names, or the operating system has no
    /// thread.
    ///
    /// # Cancel safety
    /// Dropping the future closes all sockets.
    pub async fn listen(self, listen: Listen) -> io::Result<Bound> {
        let threads = self.sockets();
        let of_threads = if listen.asks_resolver() {
            let opened = tokio::task::spawn_blocking(move || listen.open(threads)).await;
            opened.map_err(io::Error::other)??
        } else {
            // Nobody has to wait, nor a thread to be kept for it.
            listen.open(threads)?
        };
        Bound::new(self, of_threads).await
    }

    /// Listens at a path in the file system; [`Listen::unix`] says what becomes of a file that is there
    /// already, and of ours. Peers have no addresses there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let path = std::env::temp_dir().join(format!("lastword-bind-{}", std::process::id()));
    /// let bound = lastword::Server::new().bind_unix(&path).await?;
    /// # drop(bound);
    /// # assert!(!path.exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// When it cannot be listened on: somebody does already, or a file is in the way that is no socket.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket and removes its file.
    #[cfg(unix)]
    pub async fn bind_unix(self, path: impl Into<std::path::PathBuf>) -> io::Result<Bound> {
        self.listen(Listen::new().unix(path)).await
    }

    /// How many sockets it needs for each address: one for each thread.
    const fn sockets(&self) -> NonZeroUsize {
        match self.threads {
            Some(threads) => threads,
            None => NonZeroUsize::MIN,
        }
    }

    /// Serves from a socket of the caller's own that listens already, of TCP or Unix: one that was
    /// inherited from systemd or from the process before, or has options that [`Listen`] does not set.
    /// The file of a Unix socket stays where it is.
    ///
    /// With [`threads`](Self::threads) all of them accept from this one socket.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = socket.local_addr()?;
    /// let bound = lastword::Server::new().listen_on(socket).await?;
    /// assert_eq!(bound.local_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// When the operating system refuses the socket to the runtime, or has no thread or descriptor.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub async fn listen_on(self, socket: impl Into<ListeningSocket>) -> io::Result<Bound> {
        let of_threads = socket.into().share(self.sockets())?;
        Bound::new(self, of_threads.into_iter().map(|socket| vec![socket]).collect()).await
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
        let Self { tls, gate, shutdown, .. } = self;
        let admission = Admission { config, options, tls, doors, gate, shutdown };
        let addresses = Addresses::default();
        let mut visit = self.reporter.enter();
        let admitted = admission.admit(Plain(stream), addresses).await;
        // Whoever called is told the error; here it is only counted.
        let (transport, agreement) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                visit.failed(&error);
                return Err(error);
            }
        };
        let config = admission.config;
        let shared = Shared::new(transport, agreement, addresses, config, Keeper::Pump);
        visit.opened();
        let (reporter, kept) = (self.reporter, Arc::clone(&shared));
        tokio::spawn(async move {
            let ending = Pump::new(Arc::clone(&kept)).await;
            reporter.ended(visit, &kept.opening, ending);
        });
        Ok(WebSocket::new(shared))
    }
}
