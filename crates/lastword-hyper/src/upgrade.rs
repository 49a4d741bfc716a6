//! From a request of hyper's to a connection.
//!
//! Knows how hyper lets go of a stream, and finds the socket in what it hands over. Judges nothing.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use lastword::proto::Agreement;
use lastword::{Carrier, HandlerError, Pending, Refusal, Upgrades, WebSocket};
use tokio::net::TcpStream;

/// Answers `request`: with a 101 if it opens a WebSocket connection, which is then served with `handler`
/// in a task of its own, as [`Pending::serve`] says; otherwise with a refusal that says why.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn upgrade<B, F, T>(
    mut request: Request<B>,
    upgrades: &Upgrades,
    handler: F,
) -> Response<Full<Bytes>>
where
    F: FnOnce(WebSocket) -> T + Send + 'static,
    T: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    match Upgrade::new(&mut request, upgrades) {
        Ok(upgrade) => upgrade.serve(handler).map(|()| Full::default()),
        Err(refusal) => refusal.to_response().map(Full::new),
    }
}

/// A request that is accepted; for those who want to see what was agreed on before they answer.
#[derive(Debug)]
#[must_use = "a request wants to be answered"]
pub struct Upgrade {
    response: Response<()>,
    pending: Pending,
    on_upgrade: OnUpgrade,
}

impl Upgrade {
    /// Judges a request, and takes from it what hyper will let go of its stream with.
    ///
    /// # Errors
    /// A [`Refusal`], to be answered with [`Refusal::to_response`]: those of [`Upgrades::accept`], and
    /// 500 for a request that did not come from a hyper server, whose stream nobody could hand over.
    pub fn new<B>(request: &mut Request<B>, upgrades: &Upgrades) -> Result<Self, Box<Refusal>> {
        let (response, pending) = upgrades.accept(request)?;
        let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            tracing::error!("a request without hyper's OnUpgrade: something took it before");
            let why = "this server cannot hand over its stream";
            return Err(Refusal::application(StatusCode::INTERNAL_SERVER_ERROR, why));
        };
        Ok(Self { response, pending, on_upgrade })
    }

    /// What was agreed on: the subprotocol, the extensions, and what both sides said.
    pub const fn agreement(&self) -> &Agreement {
        self.pending.agreement()
    }

    /// The peer's address, where it is not that of the socket, or the stream is not known to be one:
    /// behind TLS, or a proxy that tells it.
    pub fn peer_addr(mut self, peer: SocketAddr) -> Self {
        self.pending = self.pending.peer_addr(peer);
        self
    }

    /// The response to send. The connection is served with `handler` in a task of its own, as
    /// [`Pending::serve`] says.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve<F, T>(self, handler: F) -> Response<()>
    where
        F: FnOnce(WebSocket) -> T + Send + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let Self { response, pending, on_upgrade } = self;
        pending.serve(async { on_upgrade.await.map(carrier).map_err(io::Error::other) }, handler);
        response
    }
}

/// What hyper hands over. A socket is taken out of its wrappings, so that it can be written to in one
/// call and be reset; what hyper has read from it already comes with it.
fn carrier(upgraded: Upgraded) -> Carrier {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Carrier::from(parts.io.into_inner()).read_ahead(parts.read_buf),
        Err(upgraded) => upgraded,
    };
    // The same under a server that finds out itself which HTTP is spoken, as axum's does.
    match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => Carrier::from(parts.io.into_inner()).read_ahead(parts.read_buf),
        Err(upgraded) => TokioIo::new(upgraded).into(),
    }
}
