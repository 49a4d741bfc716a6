//! WebSocket connections of [`lastword`] in an [axum](https://docs.rs/axum) application.
//!
//! [`Upgrade`] is an extractor: a handler that has it runs for valid openings only, and answers with
//! [`Upgrade::serve`].
//!
//! ```
//! use axum::{Extension, Router, response::Response, routing::any};
//! use lastword::Server;
//! use lastword_axum::Upgrade;
//!
//! async fn echo(upgrade: Upgrade) -> Response {
//!     upgrade.serve(async |mut ws| {
//!         while let Some(message) = ws.recv().await? {
//!             ws.send(message).await?;
//!         }
//!         Ok(())
//!     })
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let upgrades = Server::new().upgrades();
//! let app = Router::new().route("/echo", any(echo)).layer(Extension(upgrades.clone()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/echo", listener.local_addr()?);
//! tokio::spawn(async { axum::serve(listener, app).await });
//!
//! let mut ws = lastword::connect(url).await?;
//! ws.send("hello").await?;
//! assert_eq!(ws.recv().await?.unwrap().as_text(), Some("hello"));
//!
//! // axum's graceful shutdown does not know connections that it has let go of; this does.
//! let (farewells, ending) = tokio::join!(upgrades.shut_down(), ws.ended());
//! assert_eq!(farewells.endings.len(), 1);
//! assert_eq!(ending.code(), 1001);
//! # Ok::<_, lastword::HandlerError>(()) }).unwrap();
//! ```
//!
//! Where a [`tower` layer](UpgradeLayer) is wanted instead, `Router::layer` takes it.

use std::future::Future;
use std::mem;
use std::net::SocketAddr;
use std::sync::LazyLock;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::Request;
use http::request::Parts;
use lastword::proto::Agreement;
use lastword::{HandlerError, Refusal, Upgrades, WebSocket};
pub use lastword_hyper::UpgradeLayer;

/// A request for a WebSocket that is valid and waits for its answer.
///
/// It is judged by the [`Upgrades`] that stand in the request's extensions, where `Router::layer` with
/// axum's `Extension` puts them; without that, by those that have default settings and that all of the
/// process share.
///
/// Extract it before what takes the request's body. Use a route for any method (`any`): a wrong one is
/// then told so by us, as everything else that is wrong with a request.
#[derive(Debug)]
#[must_use = "a request wants to be answered"]
pub struct Upgrade(lastword_hyper::Upgrade);

/// Why a request is no opening of a WebSocket; as a response it says so, in HTTP and in a line of text.
#[derive(Debug)]
pub struct Refused(Box<Refusal>);

impl Upgrade {
    /// What was agreed on: the subprotocol, the extensions, and what both sides said.
    pub const fn agreement(&self) -> &Agreement {
        self.0.agreement()
    }

    /// The peer's address, where it is not that of the socket, or the stream is not known to be one:
    /// behind TLS, or a proxy that tells it.
    pub fn peer_addr(self, peer: SocketAddr) -> Self {
        Self(self.0.peer_addr(peer))
    }

    /// The response to send. The connection is served with `handler` in a task of its own, which also
    /// answers pings and completes a close while the handler waits for something else. A handler that
    /// returns `Ok` closes with 1000, one that fails or panics with 1011.
    pub fn serve<F, T>(self, handler: F) -> Response
    where
        F: FnOnce(WebSocket) -> T + Send + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.0.serve(handler).map(|()| Body::empty())
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let upgrades = parts.extensions.get::<Upgrades>().cloned();
        let upgrades = upgrades.as_ref().unwrap_or_else(|| &*DEFAULT);
        // Lent as the request that they are the parts of.
        let (blank, ()) = Request::new(()).into_parts();
        let mut request = Request::from_parts(mem::replace(parts, blank), ());
        let judged = lastword_hyper::Upgrade::new(&mut request, upgrades);
        (*parts, ()) = request.into_parts();
        judged.map(Self).map_err(Refused)
    }
}

impl Refused {
    /// What will be answered, and why.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.to_response().map(Body::from)
    }
}

/// For applications that have no [`Upgrades`] of their own.
static DEFAULT: LazyLock<Upgrades> = LazyLock::new(Upgrades::default);
