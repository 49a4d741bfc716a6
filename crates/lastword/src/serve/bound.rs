//! A server that listens: from its sockets to all that is served from them, in the caller's runtime or on
//! threads of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lastword_kit::{HandlerError, ListeningSocket, Report, Turnstile};
use tokio::sync::watch;

use super::Server;
use super::admission::{Admission, Doors};
use super::house::House;
use super::listener::Listeners;
use super::routes::Routes;
use super::worker::Worker;
use crate::websocket::WebSocket;

/// A server that listens.
#[derive(Debug)]
pub struct Bound {
    addresses: Vec<SocketAddr>,
    listening: Listening,
    server: Server,
}

/// Where connections are accepted and served.
#[derive(Debug)]
enum Listening {
    /// In the runtime that the server was bound in.
    Here(Listeners),
    /// On threads of the server's own.
    Threads(Vec<Worker>),
}

impl Bound {
    /// From these sockets, one row of them for each thread.
    pub(super) async fn new(
        server: Server,
        of_threads: Vec<Vec<ListeningSocket>>,
    ) -> io::Result<Self> {
        let first = of_threads.first().into_iter().flatten();
        let addresses = first.filter_map(ListeningSocket::address).collect();
        let listening = match server.threads {
            None => Listening::Here(Listeners::new(of_threads.into_iter().flatten().collect())?),
            Some(_) => {
                let mut workers = Vec::new();
                for sockets in of_threads {
                    workers.push(Worker::start(sockets).await?);
                }
                Listening::Threads(workers)
            }
        };
        Ok(Self { addresses, listening, server })
    }

    /// Where it listens, at the first of its addresses; tells the port if 0 was asked for.
    ///
    /// # Errors
    /// When it listens on Unix sockets only.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let no_address = || io::Error::new(io::ErrorKind::AddrNotAvailable, "Unix sockets only");
        self.addresses.first().copied().ok_or_else(no_address)
    }

    /// All addresses at which it listens. Unix sockets have none.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves each connection with `handler`, for ever; see [`serve`](crate::serve).
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

    /// Serves each connection with the handler that its path leads to, for ever; see [`Routes`].
    /// Requests for other paths are answered with 404, but only when
    /// [`Server::basic_auth`] and [`Server::on_request`] have let them in.
    ///
    /// # Cancel safety
    /// Dropping the future stops listening and drops all connections.
    pub async fn serve_routes(self, routes: Routes) {
        self.serve_routes_until(routes, std::future::pending()).await;
    }

    /// Does as [`serve_routes`](Self::serve_routes) until `shutdown` is ready, and then as
    /// [`serve_until`](Self::serve_until).
    ///
    /// # Cancel safety
    /// Dropping the future stops listening and drops all connections.
    pub async fn serve_routes_until(
        mut self,
        routes: Routes,
        shutdown: impl Future<Output = ()>,
    ) -> Report {
        let routes = Arc::new(routes);
        self.server.gate.routes = Some(Arc::clone(&routes));
        self.serve_until(move |ws| routes.handle(ws), shutdown).await
    }

    /// Serves each connection with `handler` until `shutdown` is ready; then stops listening,
    /// answers openings in progress with 503 (over TLS it hangs up on those without a request yet), says
    /// goodbye to all connections, and waits for them and their handlers: how, [`Server::shutdown`] says.
    /// Never longer than [`Shutdown::deadline`](lastword_kit::Shutdown::deadline) and twice `Config::linger` together, also for handlers
    /// that hold their thread.
    ///
    /// # Cancel safety
    /// Dropping the future stops listening and drops all connections.
    pub async fn serve_until<F, T>(self, handler: F, shutdown: impl Future<Output = ()>) -> Report
    where
        F: Fn(WebSocket) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let Self { listening, server, .. } = self;
        let Server { config, options, tls, reporter, gate, limits, shutdown: leave, .. } = server;
        let (open, doors) = watch::channel(Doors::Open);
        let (config, options) = (Arc::new(config), Arc::new(options));
        let admission = Admission { config, options, tls, doors, gate, shutdown: leave };
        let house = Arc::new(House {
            admission,
            handler,
            reporter,
            turnstile: Arc::new(Turnstile::new(limits)),
        });
        let shutdown = async {
            shutdown.await;
            open.send_replace(Doors::Closed);
        };
        match listening {
            Listening::Here(listeners) => tokio::join!(house.attend(listeners), shutdown).0,
            Listening::Threads(workers) => {
                let attend = |worker: Worker| {
                    let house = Arc::clone(&house);
                    worker.work(|listeners| house.attend(listeners))
                };
                let reports: Vec<_> = workers.into_iter().map(attend).collect();
                shutdown.await;
                let mut report = Report::default();
                for of_thread in reports {
                    // A thread reports whatever its handlers did.
                    report.add(of_thread.await.unwrap_or_default());
                }
                report
            }
        }
    }
}
