//! A tower layer: requests for a WebSocket go to a handler, all others to the service below.

use std::future::{Future, Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapOk};
use http::header::UPGRADE;
use http::{Request, Response};
use http_body_util::{Either as Body, Full};
use lastword::{HandlerError, Upgrades, WebSocket};
use tower_layer::Layer;
use tower_service::Service;

use crate::upgrade::upgrade;

/// Serves all requests for a WebSocket, whatever their path, with one handler; the service below gets
/// the others. For servers that are made of tower's services.
///
/// ```
/// use http::{Request, Response};
/// use lastword::{Upgrades, WebSocket};
/// use lastword_hyper::UpgradeLayer;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let handler = async |mut ws: WebSocket| {
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok(())
/// };
/// let service = ServiceBuilder::new()
///     .layer(UpgradeLayer::new(&Upgrades::default(), handler))
///     .service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::from("healthy")))
///     });
/// let response = service.oneshot(Request::get("/health").body(()).unwrap()).await.unwrap();
/// assert_eq!(response.status(), 200);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct UpgradeLayer<F> {
    upgrades: Upgrades,
    handler: F,
}

/// What an [`UpgradeLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct UpgradeService<S, F> {
    inner: S,
    upgrades: Upgrades,
    handler: F,
}

impl<F> UpgradeLayer<F> {
    /// A layer that serves the connections of `upgrades` with `handler`.
    pub fn new(upgrades: &Upgrades, handler: F) -> Self {
        Self { upgrades: upgrades.clone(), handler }
    }
}

impl<S, F: Clone> Layer<S> for UpgradeLayer<F> {
    type Service = UpgradeService<S, F>;

    fn layer(&self, inner: S) -> UpgradeService<S, F> {
        let Self { upgrades, handler } = self.clone();
        UpgradeService { inner, upgrades, handler }
    }
}

impl<S, F, T, B, R> Service<Request<B>> for UpgradeService<S, F>
where
    S: Service<Request<B>, Response = Response<R>>,
    F: Fn(WebSocket) -> T + Clone + Send + 'static,
    T: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    type Response = Response<Body<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = Either<
        Ready<Result<Self::Response, S::Error>>,
        MapOk<S::Future, fn(Response<R>) -> Self::Response>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if asks_for_websocket(&request) {
            let handler = self.handler.clone();
            let response = upgrade(request, &self.upgrades, handler);
            return Either::Left(ready(Ok(response.map(Body::Left))));
        }
        let wrap: fn(Response<R>) -> Self::Response = |response| response.map(Body::Right);
        Either::Right(self.inner.call(request).map_ok(wrap))
    }
}

/// Whether a request is meant for us; whether it is valid is judged after that.
fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    let is_websocket = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"websocket");
    let mut values = request.headers().get_all(UPGRADE).into_iter();
    values.any(|value| value.as_bytes().split(|&byte| byte == b',').any(is_websocket))
}
