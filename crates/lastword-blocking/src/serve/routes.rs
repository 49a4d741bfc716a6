//! Handlers by their paths; which path leads where, [`RouteTable`] knows.

use lastword_kit::{Answer, HandlerError, InvalidRoute, Params, RouteTable};

use crate::websocket::WebSocket;

/// A handler for each path, for [`Bound::serve_routes`](super::Bound::serve_routes).
///
/// A path may have parameters: `{room}` stands for one segment, `{*rest}` at the end for all that
/// follows. What is more exact goes before what is less. Paths are compared as they stand in the
/// request, without decoding `%20` and the like, and a slash at the end matters.
///
/// ```
/// use lastword_blocking::Routes;
///
/// # fn example() -> Result<Routes, lastword_blocking::InvalidRoute> {
/// let routes = Routes::new()
///     .route("/chat/{room}", |ws, params| {
///         let room = params.get("room").unwrap_or_default();
///         ws.send(format!("this is {room}"))?;
///         Ok(())
///     })?
///     .redirect("/chat", "/chat/lobby")?;
/// # Ok(routes) }
/// # example().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct Routes {
    table: RouteTable<Handler>,
}

type Handler = Box<dyn Fn(WebSocket, Params) -> Result<(), HandlerError> + Send + Sync>;

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves requests for `path` with `handler`; see [`serve`](super::serve) for what its end means.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already.
    pub fn route<F>(mut self, path: &str, handler: F) -> Result<Self, InvalidRoute>
    where
        F: Fn(WebSocket, Params) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.table.route(path, Box::new(handler))?;
        Ok(self)
    }

    /// Answers requests for `path` with 307, and with where to go instead: a path, or a whole URI.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already, or `target` is no
    /// URI.
    pub fn redirect(mut self, path: &str, target: &str) -> Result<Self, InvalidRoute> {
        self.table.redirect(path, target)?;
        Ok(self)
    }

    /// The answer to a request for this path, unless there is a handler for it.
    pub(super) fn turn_away(&self, path: &str) -> Option<Answer> {
        self.table.turn_away(path)
    }

    /// Runs the handler of a connection that was not turned away.
    pub(super) fn handle(&self, ws: WebSocket) -> Result<(), HandlerError> {
        let request = ws.opening().request();
        match self.table.find(request.uri().path()) {
            Some((handler, params)) => handler(ws, params),
            None => Err("no handler for this path".into()),
        }
    }
}
