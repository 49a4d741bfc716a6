//! What a server tells of those who came: one by one, and of all who were there at its end.

use std::net::SocketAddr;
use std::sync::Arc;

use lastword_proto::Ending;

use crate::error::AcceptError;

/// What became of one accepted stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Who it was.
    pub peer: SocketAddr,
    /// How the connection ended, or why there was none.
    pub result: Result<Arc<Ending>, AcceptError>,
}

impl Outcome {
    /// What became of the stream from `peer`.
    pub const fn new(peer: SocketAddr, result: Result<Arc<Ending>, AcceptError>) -> Self {
        Self { peer, result }
    }
}

/// What became of the connections that were open when a server shut down.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How each of them ended.
    pub endings: Vec<(SocketAddr, Arc<Ending>)>,
    /// How many handlers were still busy after that. Those of tasks were dropped; a thread cannot be
    /// ended from outside.
    pub stuck: usize,
}

impl Report {
    /// Of these endings, and of so many who stayed.
    pub const fn new(endings: Vec<(SocketAddr, Arc<Ending>)>, stuck: usize) -> Self {
        Self { endings, stuck }
    }

    /// Takes over what another part of the same server reports.
    pub fn add(&mut self, other: Self) {
        self.endings.extend(other.endings);
        self.stuck = self.stuck.saturating_add(other.stuck);
    }
}
