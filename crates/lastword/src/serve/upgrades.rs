//! Openings that come through an HTTP server of somebody else.
//!
//! A parsed request comes in; a response goes out, for that server to send; then the stream comes in,
//! and is a connection. Who is here, and how all are asked to leave, is kept as for a server of ours.
//! Refuses to know which HTTP server it was, and how it lets go of its stream.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use http::{Request, Response};
use lastword_kit::{
    AcceptError, Addresses, HandlerError, Limits, OpeningTicket, Phase, Report, Reporter, Shutdown,
    Ticket, Turnstile, Visit,
};
use lastword_proto::handshake::server::{Offer, Options, Refusal};
use lastword_proto::{Agreement, Config, Ending};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::guests::{Guests, Place};
use super::served::Served;
use crate::pump::Pump;
use crate::shared::{Keeper, Shared, now};
use crate::transport::{Plain, Transport, addresses as addresses_of};
use crate::websocket::WebSocket;

/// Where requests that an HTTP server has parsed become WebSocket connections; made by
/// [`Server::upgrades`](super::Server::upgrades). Clones are the same.
///
/// The crates `lastword-hyper` and `lastword-axum` do all of this in two lines; here is what any other
/// HTTP server needs:
///
/// ```
/// use lastword::{CloseCode, Client, Server, Upgrades};
/// use tokio::io::{AsyncWriteExt, DuplexStream};
///
/// /// An HTTP server has read `request` from `stream`.
/// async fn upgrade(request: http::Request<()>, mut stream: DuplexStream, upgrades: Upgrades) {
///     match upgrades.accept(&request) {
///         Ok((response, pending)) => {
///             send(response, &mut stream).await;
///             let mut ws = pending.upgrade(stream);
///             while let Ok(Some(message)) = ws.recv().await {
///                 let _ = ws.send(message).await;
///             }
///         }
///         Err(refusal) => send(refusal.to_response().map(drop), &mut stream).await,
///     }
/// }
/// # async fn send(response: http::Response<()>, stream: &mut DuplexStream) {
/// #     let mut head = format!("HTTP/1.1 {}\r\n", response.status());
/// #     for (name, value) in response.headers() {
/// #         head += &format!("{name}: {}\r\n", value.to_str().unwrap());
/// #     }
/// #     head += "\r\n";
/// #     stream.write_all(head.as_bytes()).await.unwrap();
/// # }
/// # async fn parse(stream: &mut DuplexStream) -> http::Request<()> {
/// #     let mut head = Vec::new();
/// #     while !head.ends_with(b"\r\n\r\n") {
/// #         head.push(tokio::io::AsyncReadExt::read_u8(stream).await.unwrap());
/// #     }
/// #     lastword::proto::Exchange::new(&head, b"").request()
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
///
/// let upgrades = Server::new().upgrades();
/// let (near, mut far) = tokio::io::duplex(4096);
/// # let upgrading = upgrades.clone();
/// # tokio::spawn(async move { let request = parse(&mut far).await; upgrade(request, far, upgrading).await });
/// let mut ws = Client::new("ws://in.memory/").connect_over(near).await.unwrap();
/// ws.send("hello").await.unwrap();
/// assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("hello"));
///
/// // Everybody is told to leave; what comes later is refused with 503.
/// let (farewells, ending) = tokio::join!(upgrades.shut_down(), ws.ended());
/// assert_eq!(farewells.endings.len(), 1);
/// assert_eq!(ending.code(), 1001);
/// # });
/// ```
#[derive(Clone)]
pub struct Upgrades {
    gate: Arc<Gate>,
}

/// What all connections of one [`Upgrades`] share; each of them keeps it.
struct Gate {
    config: Arc<Config>,
    options: Arc<Options>,
    reporter: Reporter,
    turnstile: Arc<Turnstile>,
    shutdown: Shutdown,
    guests: Guests,
}

/// A request that is accepted, and waits for its stream.
#[must_use = "a response that was sent promises a connection"]
pub struct Pending {
    gate: Arc<Gate>,
    agreement: Agreement,
    peer: Option<SocketAddr>,
    place: Admitted,
}

/// That it counts among all: as one that has come, as one that is here, as one that is opening.
struct Admitted {
    visit: Visit,
    ticket: Ticket,
    opening: OpeningTicket,
}

/// What a connection is to run over: a stream, and what was read from it already.
///
/// Anything that reads and writes turns into one. A [`TcpStream`] is seen to be one: its addresses are
/// known to the connection, it is written to in one call whatever the number of slices, and an abort
/// resets it.
pub struct Carrier {
    transport: Box<dyn Transport>,
    addresses: Addresses,
    read_ahead: Bytes,
}

impl Default for Upgrades {
    /// Those of a server with default settings.
    fn default() -> Self {
        super::Server::new().upgrades()
    }
}

impl Upgrades {
    pub(super) fn new(
        config: Config,
        options: Options,
        limits: Limits,
        shutdown: Shutdown,
        reporter: Reporter,
    ) -> Self {
        let (config, options) = (Arc::new(config), Arc::new(options));
        let turnstile = Arc::new(Turnstile::new(limits));
        let guests = Guests::default();
        Self { gate: Arc::new(Gate { config, options, reporter, turnstile, shutdown, guests }) }
    }

    /// Judges a request: the 101 response to send before anything else, and what makes a connection
    /// of the stream when that is done.
    ///
    /// The response has all that the handshake says (RFC 6455 section 4.2.2), and more headers may be
    /// added to it.
    ///
    /// # Errors
    /// A [`Refusal`], by the same rules and limits that a [`Server`](super::Server) of this crate has,
    /// and with 503 after [`shut_down`](Self::shut_down); [`Refusal::to_response`] is to be sent.
    ///
    /// Limits per address hold where the peer's address is known: where a [`SocketAddr`] stands in the
    /// extensions of the request, which is then the connection's address, too.
    pub fn accept<B>(&self, request: &Request<B>) -> Result<(Response<()>, Pending), Box<Refusal>> {
        let gate = Arc::clone(&self.gate);
        let visit = gate.reporter.enter();
        let peer = request.extensions().get::<SocketAddr>().copied();
        match gate.judge(request, peer) {
            Ok((agreement, ticket, opening)) => {
                let response = agreement.exchange.response();
                let place = Admitted { visit, ticket, opening };
                Ok((response, Pending { gate, agreement, peer, place }))
            }
            Err(refusal) => {
                let addresses = Addresses { local: None, peer };
                let error = AcceptError::Refused(refusal.clone());
                gate.reporter.failed(visit, addresses, error);
                Err(refusal)
            }
        }
    }

    /// How many connections and handlers there are.
    pub fn count(&self) -> usize {
        self.gate.guests.count()
    }

    /// Refuses further requests with 503, says goodbye to all connections, and waits for them and their
    /// handlers, as [`Server::shutdown`](super::Server::shutdown) says and as
    /// [`Bound::serve_until`](super::Bound::serve_until) does. An HTTP server does not wait for
    /// connections that it has let go of: call this when it is done, or with it.
    ///
    /// # Cancel safety
    /// Nothing is lost: those who were told to leave do; a second call tells the others, and waits on.
    pub async fn shut_down(&self) -> Report {
        let Gate { config, guests, shutdown, .. } = &*self.gate;
        guests.clear(shutdown, config).await
    }
}

impl Pending {
    /// What was agreed on: the subprotocol, the extensions, and what both sides said.
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The peer's address, where the HTTP server knows it and the stream will not: behind TLS, or a
    /// proxy that tells it.
    pub fn peer_addr(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The connection over `stream`, on which the response was sent. Pings are answered and a close is
    /// completed from now on, in a task of its own, also while nobody calls the [`WebSocket`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn upgrade(self, stream: impl Into<Carrier>) -> WebSocket {
        let gate = Arc::clone(&self.gate);
        let (shared, visit, ticket) = self.connect(stream.into(), Keeper::Pump);
        let kept = Arc::clone(&shared);
        let at = Arc::clone(&gate);
        gate.guests.spawn(|place| async move {
            let _ticket = ticket;
            place.connected(&kept);
            let ending = Pump::new(Arc::clone(&kept)).await;
            at.ended(&place, visit, &kept, ending);
        });
        WebSocket::new(shared)
    }

    /// Serves the connection with `handler`, as [`serve`](crate::serve) does, once `stream` is ready:
    /// it is what the HTTP server lets go of when it has sent the response, and waited for as long as
    /// `Config::open_timeout`. Handler and connection run in one task that is spawned here.
    ///
    /// A handler that returns `Ok` closes with 1000, one that fails or panics with 1011. The end of the
    /// connection itself is no failure of the handler.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve<C, F, T>(
        self,
        stream: impl Future<Output = io::Result<C>> + Send + 'static,
        handler: F,
    ) where
        C: Into<Carrier> + 'static,
        F: FnOnce(WebSocket) -> T + Send + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let gate = Arc::clone(&self.gate);
        // In a box of its own, that goes when the opening is over; see `House::welcome`.
        let entrance = Box::pin(self.enter(stream));
        let at = Arc::clone(&gate);
        gate.guests.spawn(|place| async move {
            // The ticket is given back when all is over, the handler included.
            let Some((shared, visit, _ticket)) = entrance.await else { return };
            place.connected(&shared);
            let handler = pin!(Some(handler(WebSocket::new(Arc::clone(&shared)))));
            let mut served = Served::new(handler, Arc::clone(&shared));
            let ending = served.over().await;
            at.ended(&place, visit, &shared, ending);
            drop(shared);
            // A handler may have work left when its connection is over.
            served.handler_done().await;
        });
    }

    /// Waits for the stream.
    async fn enter<C: Into<Carrier>>(
        self,
        stream: impl Future<Output = io::Result<C>>,
    ) -> Option<(Arc<Shared>, Visit, Ticket)> {
        let limit = self.gate.config.open_timeout;
        let failure = match timeout(limit, stream).await {
            Ok(Ok(stream)) => return Some(self.connect(stream.into(), Keeper::Server)),
            Ok(Err(error)) => AcceptError::Lost(error),
            Err(_) => AcceptError::TimedOut { limit, phase: Phase::Handshake },
        };
        let addresses = Addresses { local: None, peer: self.peer };
        self.gate.reporter.failed(self.place.visit, addresses, failure);
        None
    }

    fn connect(self, carrier: Carrier, keeper: Keeper) -> (Arc<Shared>, Visit, Ticket) {
        let Self { gate, mut agreement, peer, place: Admitted { mut visit, ticket, opening } } =
            self;
        let Carrier { transport, mut addresses, read_ahead } = carrier;
        agreement.leftover = read_ahead;
        addresses.peer = peer.or(addresses.peer);
        let config = Arc::clone(&gate.config);
        let shared = Shared::new(transport, agreement, addresses, config, keeper);
        visit.opened();
        drop(opening);
        (shared, visit, ticket)
    }
}

impl Gate {
    fn judge<B>(
        &self,
        request: &Request<B>,
        peer: Option<SocketAddr>,
    ) -> Result<(Agreement, Ticket, OpeningTicket), Box<Refusal>> {
        if self.guests.are_seen_off() {
            return Err(self.shutdown.refusal());
        }
        let (ticket, opening) = self.turnstile.enter(peer.map(|peer| peer.ip()), now())?;
        let (options, config) = (Arc::clone(&self.options), Arc::clone(&self.config));
        let (_, agreement) = Offer::of_request(request, options, config)?.accept()?;
        Ok((agreement, ticket, opening))
    }

    fn ended(&self, place: &Place, visit: Visit, shared: &Shared, ending: Arc<Ending>) {
        place.ended(&shared.opening, &ending);
        self.reporter.ended(visit, &shared.opening, ending);
    }
}

impl Carrier {
    /// Bytes that were read from the stream behind the request: the first frames of the peer.
    #[must_use]
    pub fn read_ahead(mut self, bytes: Bytes) -> Self {
        self.read_ahead = bytes;
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> From<S> for Carrier {
    fn from(stream: S) -> Self {
        let mut stream = Some(stream);
        let socket = (&mut stream as &mut dyn Any).downcast_mut::<Option<TcpStream>>();
        if let Some(socket) = socket.and_then(Option::take) {
            // As on a listener of ours: a small frame does not wait for others. A socket that refuses
            // is slower, and works.
            let _ = socket.set_nodelay(true);
            let addresses = addresses_of(&socket);
            return Self { transport: Box::new(socket), addresses, read_ahead: Bytes::new() };
        }
        let Some(stream) = stream else { unreachable!("only a socket was taken") };
        let addresses = Addresses::default();
        Self { transport: Box::new(Plain(stream)), addresses, read_ahead: Bytes::new() }
    }
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate { config, options, guests, .. } = &*self.gate;
        let mut upgrades = f.debug_struct("Upgrades");
        upgrades.field("config", config).field("options", options).field("count", &guests.count());
        upgrades.finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pending = f.debug_struct("Pending");
        pending.field("agreement", &self.agreement).field("peer", &self.peer);
        pending.finish_non_exhaustive()
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut carrier = f.debug_struct("Carrier");
        carrier.field("addresses", &self.addresses).field("read_ahead", &self.read_ahead.len());
        carrier.finish_non_exhaustive()
    }
}
