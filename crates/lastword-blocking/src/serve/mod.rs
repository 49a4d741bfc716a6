//! Servers: from a listening socket to a thread for each connection, and to an orderly end.
//!
//! Accepts, establishes TLS, answers the opening, runs the handler. What a connection says and when
//! it ends, the core decides; what the server adds is who is admitted and when all have to leave.
//!
//! Here stand the options and the doors; a [`house`] attends to one row of them ([`listener`]), [`admission`] leads a
//! stream to a connection and asks the application at the [`gate`], [`routes`] lead to handlers, and
//! [`guests`] knows who is here, and [`monitor`] is for those who look on. What may be said to a request, how many may be here and which
//! certificate is shown, `lastword-kit` knows, for any driver.

mod admission;
mod gate;
mod guests;
mod house;
mod listener;
mod monitor;
mod routes;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use lastword_kit::{
    AcceptError, Answer, Credentials, HandlerError, Incoming, Limits, Listen, Outcome, Report,
    Reporter, ServerTls, Shutdown, Turnstile,
};
use lastword_proto::Config;
use lastword_proto::handshake::server::{Hosts, Options, Origins, Subprotocols};

use self::admission::Admission;
use self::gate::{Basic, Gate};
use self::guests::Guests;
use self::house::House;
use self::listener::Listeners;
pub use self::monitor::{Departures, Monitor};
pub use self::routes::Routes;
use crate::pump;
use crate::shared::Shared;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::websocket::WebSocket;

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
    tls: Option<ServerTls>,
    reporter: Reporter,
    gate: Gate,
    limits: Limits,
    shutdown: Shutdown,
}

impl Default for Server {
    fn default() -> Self {
        let mut limits = Limits::default();
        limits.connections = Some(CONNECTIONS);
        Self {
            config: Config::default(),
            options: Options::default(),
            tls: None,
            reporter: Reporter::default(),
            gate: Gate::default(),
            limits,
            shutdown: Shutdown::default(),
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, options, limits, shutdown, .. } = self;
        let mut server = f.debug_struct("Server");
        server.field("config", config).field("options", options);
        server.field("limits", limits).field("shutdown", shutdown);
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

    /// How many connections it takes on, when it serves; [`accept`](Self::accept) takes each. Unless
    /// this is called, [`Limits::connections`] is 1,000: each takes two threads.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets `hook` decide about each request: accept it, perhaps with more headers or a subprotocol
    /// that it chooses, or answer over HTTP.
    ///
    /// It sees requests that are valid for a WebSocket, and have passed [`origins`](Self::origins),
    /// [`hosts`](Self::hosts) and [`basic_auth`](Self::basic_auth); and ordinary HTTP requests, such
    /// as health checks, which have passed nothing ([`Incoming::wants`] tells) and are refused when
    /// it accepts them. Bodies of requests are not read. It runs in the thread of its connection and
    /// may wait there, for a database, say; others are not held up. When it takes longer than is left
    /// of `Config::open_timeout`, a server that [serves](Bound::serve) hangs up, and its answer is
    /// thrown away. One that panics is answered for, with 500.
    ///
    /// ```
    /// use http::StatusCode;
    /// use lastword_blocking::{Answer, Server};
    ///
    /// let server = Server::new().on_request(|incoming| match incoming.path() {
    ///     "/health" => Answer::text(StatusCode::OK, "OK\n"),
    ///     _ if incoming.header("cookie") == Some("session=42") => Answer::accept(),
    ///     _ => Answer::text(StatusCode::FORBIDDEN, "log in first\n"),
    /// });
    /// ```
    #[must_use]
    pub fn on_request<F>(mut self, hook: F) -> Self
    where
        F: Fn(Incoming) -> Answer + Send + Sync + 'static,
    {
        self.gate.hook = Some(Arc::new(hook));
        self
    }

    /// Lets `hook` answer ordinary HTTP requests: health checks, a page. Unlike
    /// [`on_request`](Self::on_request), which is then not asked about them, it costs requests for a
    /// WebSocket nothing: those are not taken apart to be shown.
    ///
    /// ```
    /// use http::StatusCode;
    /// use lastword_blocking::{Answer, Server};
    ///
    /// let server = Server::new().on_http(|incoming| match incoming.path() {
    ///     "/health" => Answer::text(StatusCode::OK, "OK\n"),
    ///     _ => Answer::text(StatusCode::NOT_FOUND, "there are WebSockets here\n"),
    /// });
    /// ```
    #[must_use]
    pub fn on_http<F>(mut self, hook: F) -> Self
    where
        F: Fn(Incoming) -> Answer + Send + Sync + 'static,
    {
        self.gate.http = Some(Arc::new(hook));
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
    /// use lastword_blocking::Server;
    /// let server = Server::new().basic_auth("staff", |given| given.are("ada", "lovelace"));
    /// ```
    #[must_use]
    pub fn basic_auth<F>(mut self, realm: &str, check: F) -> Self
    where
        F: Fn(Credentials) -> bool + Send + Sync + 'static,
    {
        self.gate.basic = Some(Basic { realm: realm.into(), check: Arc::new(check) });
        self
    }

    /// Speaks TLS, with this configuration: an `Arc<rustls::ServerConfig>`, or a [`ServerTls`] through
    /// which it can be replaced while the server runs.
    #[must_use]
    pub fn tls(mut self, config: impl Into<ServerTls>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// How it takes leave of those who are connected when it is stopped: with which code, spread over
    /// how long, within which deadline. By default all are told 1001 at once, and given
    /// `Config::close_timeout` and `Config::linger` to leave.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lastword_blocking::{Server, Shutdown};
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

    /// Tells `observer` what became of each accepted stream, when it is known. It is called in the thread
    /// that keeps the connection, or opens it, and should not keep that for long, nor take much of its
    /// stack (512 KiB): whoever has more to do is better served by [`Monitor::departures`].
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        self.reporter.observe(Arc::new(observer));
        self
    }

    /// Numbers of all streams of this server, and how its connections end, for whoever asks from
    /// wherever; see [`Monitor`]. Clones of a server count together.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.reporter.outlook())
    }

    /// Listens at this address, or the first of a name's that can be listened on.
    /// [`listen`](Self::listen) does more.
    ///
    /// # Errors
    /// When `address` cannot be listened on.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Bound> {
        let sockets = Listen::at_first_of(address.to_socket_addrs()?, NonZeroUsize::MIN)?;
        self.bound(Listeners::new(sockets)?)
    }

    /// Listens at all of these places; see [`Listen`].
    ///
    /// ```
    /// use lastword_blocking::{Listen, Server};
    ///
    /// let bound = Server::new().listen(Listen::new().tcp("127.0.0.1:0").tcp("127.0.0.1:0"))?;
    /// assert_eq!(bound.local_addrs().len(), 2);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When one of them cannot be listened on, which the error names.
    pub fn listen(self, listen: Listen) -> io::Result<Bound> {
        let of_threads = listen.open(NonZeroUsize::MIN)?;
        self.bound(Listeners::new(of_threads.into_iter().flatten().collect())?)
    }

    /// Listens at a path in the file system; [`Listen::unix`] says what becomes of a file that is there
    /// already, and of ours. Peers have no addresses there.
    ///
    /// # Errors
    /// When it cannot be listened on: somebody does already, or a file is in the way that is no socket.
    pub fn bind_unix(self, path: impl Into<PathBuf>) -> io::Result<Bound> {
        self.listen(Listen::new().unix(path))
    }

    /// Serves from a socket of the caller's own that listens already, of the internet or of Unix: one
    /// that was inherited from systemd or from the process before, or has options that
    /// [`bind`](Self::bind) does not set.
    ///
    /// ```
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = socket.local_addr()?;
    /// let bound = lastword_blocking::Server::new().listen_on(socket)?;
    /// assert_eq!(bound.local_addr()?, address);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the operating system refuses it, or has no descriptor.
    pub fn listen_on(self, listener: impl Into<OwnedFd>) -> io::Result<Bound> {
        self.bound(Listeners::own(listener.into())?)
    }

    fn bound(self, listeners: Listeners) -> io::Result<Bound> {
        let guests = Arc::new(Guests::new(self.shutdown.clone())?);
        Ok(Bound { listeners, server: self, guests })
    }

    /// Accepts one connection over a socket of the caller's own; speaks TLS over it, if that is asked
    /// for.
    ///
    /// # Errors
    /// [`AcceptError`]: what failed, and whose fault it was.
    pub fn accept(self, socket: impl Into<OwnedFd>) -> Result<WebSocket, AcceptError> {
        let stream = Stream::plain(Socket::new(socket).map_err(AcceptError::Lost)?);
        let addresses = stream.socket.addresses();
        let reporter = self.reporter.clone();
        let mut visit = reporter.enter();
        let shared = match self.admission().admit(stream, addresses, None) {
            Ok(shared) => shared,
            Err(error) => {
                // Whoever called is told the error; here it is only counted.
                visit.failed(&error);
                return Err(error);
            }
        };
        visit.opened();
        let tell = move |shared: &Shared, ending| reporter.ended(visit, &shared.opening, ending);
        pump::start(&shared, tell).map_err(AcceptError::Lost)?;
        Ok(WebSocket::new(shared))
    }

    fn admission(self) -> Admission {
        let Self { config, options, tls, gate, .. } = self;
        Admission { config: Arc::new(config), options: Arc::new(options), tls, gate }
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Bound {
    listeners: Listeners,
    server: Server,
    guests: Arc<Guests>,
}

/// Ends a server from any thread. Clones end the same server.
#[derive(Clone, Debug)]
pub struct Stop {
    guests: Arc<Guests>,
}

impl Stop {
    /// The server stops listening, answers openings in progress with 503 and says goodbye to all
    /// connections, as [`Server::shutdown`] says. Does not wait.
    pub fn stop(&self) {
        self.guests.close_doors();
    }
}

impl Bound {
    /// Where it listens, at the first of its addresses; tells the port if 0 was asked for.
    ///
    /// # Errors
    /// When it listens at Unix sockets only.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let none = || io::Error::new(io::ErrorKind::Unsupported, "a Unix socket has no address");
        self.local_addrs().first().copied().ok_or_else(none)
    }

    /// Where it listens, at all of its addresses; Unix sockets have none.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.local_addrs()
    }

    /// What ends it.
    pub fn stop_handle(&self) -> Stop {
        Stop { guests: Arc::clone(&self.guests) }
    }

    /// Serves each connection with `handler` until it is stopped; then says goodbye to the connections,
    /// and waits for them and their handlers: how, [`Server::shutdown`] says. Never longer than
    /// [`Shutdown::deadline`] and `Config::linger` together; a handler that is still busy then is counted,
    /// and its thread goes on.
    ///
    /// # Errors
    /// When listening fails; what is transient (no descriptors left) is tried again.
    pub fn serve<F>(self, handler: F) -> io::Result<Report>
    where
        F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Self { listeners, server, guests } = self;
        let reporter = server.reporter.clone();
        let turnstile = Arc::new(Turnstile::new(server.limits.clone()));
        let (admission, partings) = (server.admission(), Arc::new(()));
        let house = House { admission, handler, reporter, turnstile, guests, partings };
        Arc::new(house).attend(listeners)
    }

    /// Serves each connection with the handler that its path leads to, as [`serve`](Self::serve) does;
    /// see [`Routes`]. Requests for other paths are answered with 404, but only when
    /// [`Server::basic_auth`] and [`Server::on_request`] have let them in.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_routes(mut self, routes: Routes) -> io::Result<Report> {
        let routes = Arc::new(routes);
        self.server.gate.routes = Some(Arc::clone(&routes));
        self.serve(move |ws| routes.handle(ws))
    }
}

/// How many connections there may be unless something else is asked for.
const CONNECTIONS: usize = 1000;
