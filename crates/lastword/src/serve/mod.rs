//! Servers: from a listening socket to a task for each connection, and to an orderly end.
//!
//! Accepts, establishes TLS, answers the opening, runs the handler beside the pump. What a
//! connection says and when it ends, the core decides; what the server adds is who is admitted and
//! when all have to leave.

mod admission;
mod guests;
mod listener;
mod served;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lastword_proto::handshake::server::{Options, Origins, Subprotocols};
use lastword_proto::{Config, Ending};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use self::admission::{Admission, Doors};
use self::guests::Guests;
use self::listener::{is_of_the_guest, listen};
use self::served::Served;
use crate::error::AcceptError;
use crate::pump::Pump;
use crate::shared::{Keeper, Shared};
use crate::transport::{Addresses, Plain};
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

/// How long to wait before accepting again, when the operating system has nothing left to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
