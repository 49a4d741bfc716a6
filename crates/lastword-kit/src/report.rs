//! What a server tells of those who came: one by one, and of all who were there at its end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use lastword_proto::Ending;

use crate::error::AcceptError;
use crate::opening::{ConnectionId, Opening};

/// What became of one accepted stream. Its `Display` is one line, which begins with the peer's address if
/// there is one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Who it was, where the transport has addresses.
    pub peer: Option<SocketAddr>,
    /// The name of the connection; `None` if there was none.
    pub id: Option<ConnectionId>,
    /// How the connection ended, or why there was none.
    pub result: Result<Arc<Ending>, AcceptError>,
}

/// A connection that ended: which, and how. Its `Display` is one line, as that of an [`Outcome`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Departure {
    /// Its name, as [`Opening::id`] gave it to the handler.
    pub id: ConnectionId,
    /// Who it was, where the transport has addresses.
    pub peer: Option<SocketAddr>,
    /// How it ended.
    pub ending: Arc<Ending>,
}

impl Departure {
    /// The end of the connection that was opened so.
    pub const fn new(opening: &Opening, ending: Arc<Ending>) -> Self {
        Self { id: opening.id, peer: opening.peer_addr, ending }
    }
}

impl From<Departure> for Outcome {
    fn from(departure: Departure) -> Self {
        let Departure { id, peer, ending } = departure;
        Self { peer, id: Some(id), result: Ok(ending) }
    }
}

impl Outcome {
    /// There was no connection with `peer`, for this reason.
    pub const fn failed(peer: Option<SocketAddr>, error: AcceptError) -> Self {
        Self { peer, id: None, result: Err(error) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(ending) => write!(f, "{}{ending}", Front(self.peer)),
            Err(error) => write!(f, "{}no connection: {error}", Front(self.peer)),
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Front(self.peer), self.ending)
    }
}

/// How a line about a peer begins.
struct Front(Option<SocketAddr>);

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |peer| write!(f, "{peer}: "))
    }
}

/// What became of the connections that were open when a server shut down.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How each of them ended.
    pub endings: Vec<Departure>,
    /// How many handlers were still busy after that. Those of tasks were dropped; a thread cannot be
    /// ended from outside.
    pub stuck: usize,
}

impl Report {
    /// Of these endings, and of so many who stayed.
    pub const fn new(endings: Vec<Departure>, stuck: usize) -> Self {
        Self { endings, stuck }
    }

    /// Takes over what another part of the same server reports.
    pub fn add(&mut self, other: Self) {
        self.endings.extend(other.endings);
        self.stuck = self.stuck.saturating_add(other.stuck);
    }
}
