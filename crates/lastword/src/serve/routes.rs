//! Which handler a path leads to: known before there is a connection, so that a request for nothing
//! is answered with 404 and not with a connection that closes at once.

use std::future::Future;
use std::pin::Pin;

use http::header::{HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use matchit::Router;

use super::HandlerError;
use super::answer::Answer;
use crate::websocket::WebSocket;

/// A handler for each path, for [`Bound::serve_routes`](super::Bound::serve_routes).
///
/// A path may have parameters: `{room}` stands for one segment, `{*rest}` at the end for all that
/// follows. What is more exact goes before what is less. Paths are compared as they stand in the
/// request, without decoding `%20` and the like, and a slash at the end matters.
///
/// ```
/// use lastword::{Params, Routes, WebSocket};
///
/// # fn example() -> Result<Routes, lastword::InvalidRoute> {
/// let routes = Routes::new()
///     .route("/chat/{room}", async |ws: WebSocket, params: Params| {
///         let room = params.get("room").unwrap_or_default();
///         ws.send(format!("this is {room}")).await?;
///         Ok(())
///     })?
///     .redirect("/chat", "/chat/lobby")?;
/// # Ok(routes) }
/// # example().unwrap();
/// ```
#[derive(Default)]
pub struct Routes {
    router: Router<Destination>,
}

enum Destination {
    Handler(Box<dyn Fn(WebSocket, Params) -> Handling + Send + Sync>),
    Elsewhere(HeaderValue),
}

type Handling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// What stood in a path at the places of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The value of a parameter, as it stands in the request, if the route has that parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A route that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoute {
    /// Its path is malformed, or stands in the way of another.
    #[error("cannot route {path:?}: {source}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What it redirects to is no URI.
    #[error("cannot redirect to {target:?}: not a URI")]
    Target {
        /// What was given.
        target: String,
    },
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves requests for `path` with `handler`; see [`serve`](super::serve) for what its end means.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already.
    pub fn route<F, T>(self, path: &str, handler: F) -> Result<Self, InvalidRoute>
    where
        F: Fn(WebSocket, Params) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let handler = move |ws, params| -> Handling { Box::pin(handler(ws, params)) };
        self.insert(path, Destination::Handler(Box::new(handler)))
    }

    /// Answers requests for `path` with 307, and with where to go instead: a path, or a whole URI.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already, or `target` is no
    /// URI.
    pub fn redirect(self, path: &str, target: &str) -> Result<Self, InvalidRoute> {
        let location = target.parse::<Uri>().ok().and_then(|_| HeaderValue::try_from(target).ok());
        let Some(location) = location else {
            return Err(InvalidRoute::Target { target: target.to_owned() });
        };
        self.insert(path, Destination::Elsewhere(location))
    }

    fn insert(mut self, path: &str, destination: Destination) -> Result<Self, InvalidRoute> {
        let invalid = |source: Box<dyn std::error::Error + Send + Sync>| InvalidRoute::Path {
            path: path.to_owned(),
            source,
        };
        if !path.starts_with('/') {
            return Err(invalid("it does not begin with a slash".into()));
        }
        self.router.insert(path, destination).map_err(|error| invalid(error.into()))?;
        Ok(self)
    }

    /// The answer to a request for this path, unless there is a handler for it.
    pub(super) fn turn_away(&self, path: &str) -> Option<Answer> {
        match self.router.at(path).map(|found| found.value) {
            Ok(Destination::Handler(_)) => None,
            Ok(Destination::Elsewhere(location)) => {
                let answer = Answer::text(StatusCode::TEMPORARY_REDIRECT, "elsewhere\n");
                Some(answer.header(LOCATION, location.clone()))
            }
            Err(_) => Some(Answer::text(StatusCode::NOT_FOUND, "nothing is served here\n")),
        }
    }

    /// Runs the handler of a connection that was not turned away.
    pub(super) fn handle(&self, ws: WebSocket) -> Handling {
        let request = ws.opening().request();
        match self.router.at(request.uri().path()) {
            Ok(found) => {
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                let params = Params(found.params.iter().map(owned).collect());
                if let Destination::Handler(handler) = found.value {
                    return handler(ws, params);
                }
            }
            Err(error) => return Box::pin(std::future::ready(Err(error.into()))),
        }
        Box::pin(std::future::ready(Err("this path leads elsewhere".into())))
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
