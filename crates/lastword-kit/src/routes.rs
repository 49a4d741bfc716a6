//! Which handler a path leads to: known before there is a connection, so that a request for nothing
//! is answered with 404 and not with a connection that closes at once. What a handler is, drivers know.

use http::header::{HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use matchit::Router;

use crate::answer::Answer;

/// Handlers by their paths, which drivers give out as their `Routes`.
pub struct RouteTable<H> {
    router: Router<Destination<H>>,
}

enum Destination<H> {
    Handler(H),
    Elsewhere(HeaderValue),
}

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

impl<H> RouteTable<H> {
    /// Requests for `path` go to `handler`.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already.
    pub fn route(&mut self, path: &str, handler: H) -> Result<(), InvalidRoute> {
        self.insert(path, Destination::Handler(handler))
    }

    /// Requests for `path` are answered with 307, and with where to go instead: a path, or a whole
    /// URI.
    ///
    /// # Errors
    /// [`InvalidRoute`], when `path` is malformed or another route has it already, or `target` is no
    /// URI.
    pub fn redirect(&mut self, path: &str, target: &str) -> Result<(), InvalidRoute> {
        let location = target.parse::<Uri>().ok().and_then(|_| HeaderValue::try_from(target).ok());
        let Some(location) = location else {
            return Err(InvalidRoute::Target { target: target.to_owned() });
        };
        self.insert(path, Destination::Elsewhere(location))
    }

    fn insert(&mut self, path: &str, destination: Destination<H>) -> Result<(), InvalidRoute> {
        let invalid = |source: Box<dyn std::error::Error + Send + Sync>| InvalidRoute::Path {
            path: path.to_owned(),
            source,
        };
        if !path.starts_with('/') {
            return Err(invalid("it does not begin with a slash".into()));
        }
        self.router.insert(path, destination).map_err(|error| invalid(error.into()))
    }

    /// The answer to a request for this path, unless there is a handler for it.
    pub fn turn_away(&self, path: &str) -> Option<Answer> {
        match self.router.at(path).map(|found| found.value) {
            Ok(Destination::Handler(_)) => None,
            Ok(Destination::Elsewhere(location)) => {
                let answer = Answer::text(StatusCode::TEMPORARY_REDIRECT, "elsewhere\n");
                Some(answer.header(LOCATION, location.clone()))
            }
            Err(_) => Some(Answer::text(StatusCode::NOT_FOUND, "nothing is served here\n")),
        }
    }

    /// The handler for a path that was not turned away, and what stands in that path.
    pub fn find(&self, path: &str) -> Option<(&H, Params)> {
        let found = self.router.at(path).ok()?;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        match found.value {
            Destination::Handler(handler) => {
                Some((handler, Params(found.params.iter().map(owned).collect())))
            }
            Destination::Elsewhere(_) => None,
        }
    }
}

impl<H> Default for RouteTable<H> {
    fn default() -> Self {
        Self { router: Router::new() }
    }
}

impl<H> std::fmt::Debug for RouteTable<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteTable").finish_non_exhaustive()
    }
}
