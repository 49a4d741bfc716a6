//! What became of all streams of a server, in numbers: each is counted when it comes, and once when it is
//! known what became of it, also when the server is dropped before that.

use std::sync::Arc;

use lastword_proto::handshake::server::Busy;
use lastword_proto::{Cause, Ending, Violation};
use parking_lot::Mutex;

use crate::error::{AcceptError, AcceptErrorKind};

/// What became of all streams of a server so far: a snapshot.
///
/// Each stream that was accepted is opening, was turned away, refused or lost, or was opened; each that
/// was opened is open, or has ended: the numbers add up in every snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Streams that were accepted; of an HTTP server, requests that it handed over.
    pub accepted: u64,
    /// Those for whom there was no room, by limit.
    pub turned_away: TurnedAway,
    /// Those whose request was answered with something else than a connection, by who said so.
    pub refused: Refused,
    /// Those who got no answer, by what went wrong.
    pub failed: Failed,
    /// Those who became connections.
    pub opened: u64,
    /// Connections that ended, by cause.
    pub ended: EndedBy,
}

/// How many were turned away by each limit; see [`Busy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named as the option that it counts for")]
pub struct TurnedAway {
    pub connections: u64,
    pub connections_per_address: u64,
    pub openings: u64,
    pub opening_rate: u64,
    pub opening_rate_per_address: u64,
    /// Those who came while the server was shutting down.
    pub shutting_down: u64,
}

/// How many requests were refused, by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// By the protocol: no valid request for a WebSocket, or one that exceeds a limit of ours.
    pub request: u64,
    /// By `Server::origins`.
    pub origin: u64,
    /// By `Server::hosts`.
    pub host: u64,
    /// By the application: answered over HTTP (as health checks are), by authentication or by routes.
    pub application: u64,
}

/// How many openings came to nothing without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// The peer ended its stream inside the request, or before it.
    pub eof: u64,
    /// The transport failed.
    pub lost: u64,
    /// TLS could not be established.
    pub tls: u64,
    /// They took too long (`Config::open_timeout`).
    pub timed_out: u64,
    /// The server was dropped, or did not wait for them when it shut down.
    pub torn_down: u64,
}

/// How many connections ended by each cause; see [`Cause`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedBy {
    /// A side said close.
    pub closed: u64,
    /// The transport ended or failed.
    pub lost: u64,
    /// The peer broke the protocol, or ran into a limit of ours that is no rate.
    pub violation: u64,
    /// The peer was too fast (`Config::message_rate`, `Config::byte_rate`).
    pub too_fast: u64,
    /// Something took too long.
    pub timed_out: u64,
    /// Our application aborted.
    pub aborted: u64,
    /// Our application let go of its last handle.
    pub dropped: u64,
    /// The server shut down.
    pub shutdown: u64,
    /// The server was dropped with its connections: nobody is left to know how they ended.
    pub torn_down: u64,
}

impl Counts {
    /// Streams that are opening now.
    pub const fn opening(&self) -> u64 {
        let Self { turned_away, refused, failed, .. } = self;
        let over = turned_away.total() + refused.total() + failed.total();
        self.accepted.saturating_sub(self.opened).saturating_sub(over)
    }

    /// Connections that are open now.
    pub const fn open(&self) -> u64 {
        self.opened.saturating_sub(self.ended.total())
    }

    const fn came_to_nothing(&mut self, error: &AcceptError) {
        let Self { turned_away, refused, failed, .. } = self;
        let count = match error.kind() {
            AcceptErrorKind::Busy(busy) => match busy {
                Busy::Connections => &mut turned_away.connections,
                Busy::ConnectionsPerAddress => &mut turned_away.connections_per_address,
                Busy::Openings => &mut turned_away.openings,
                Busy::OpeningRate => &mut turned_away.opening_rate,
                Busy::OpeningRatePerAddress => &mut turned_away.opening_rate_per_address,
                _ => &mut turned_away.shutting_down,
            },
            AcceptErrorKind::Request => &mut refused.request,
            AcceptErrorKind::Origin => &mut refused.origin,
            AcceptErrorKind::Host => &mut refused.host,
            AcceptErrorKind::Application => &mut refused.application,
            AcceptErrorKind::Eof => &mut failed.eof,
            AcceptErrorKind::Lost => &mut failed.lost,
            AcceptErrorKind::Tls => &mut failed.tls,
            AcceptErrorKind::TimedOut => &mut failed.timed_out,
        };
        *count += 1;
    }

    const fn end(&mut self, ending: &Ending) {
        let ended = &mut self.ended;
        let count = match &ending.cause {
            Cause::Violation(
                Violation::TooManyMessages { .. } | Violation::TooManyBytes { .. },
            ) => &mut ended.too_fast,
            Cause::Violation(_) => &mut ended.violation,
            Cause::Lost(_) => &mut ended.lost,
            Cause::TimedOut(_) => &mut ended.timed_out,
            Cause::Aborted => &mut ended.aborted,
            Cause::Dropped => &mut ended.dropped,
            Cause::Shutdown => &mut ended.shutdown,
            _ => &mut ended.closed,
        };
        *count += 1;
    }
}

impl TurnedAway {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let Self { connections, connections_per_address, openings, .. } = self;
        let Self { opening_rate, opening_rate_per_address, shutting_down, .. } = self;
        *connections
            + *connections_per_address
            + *openings
            + *opening_rate
            + *opening_rate_per_address
            + *shutting_down
    }
}

impl Refused {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let Self { request, origin, host, application } = self;
        *request + *origin + *host + *application
    }
}

impl Failed {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let Self { eof, lost, tls, timed_out, torn_down } = self;
        *eof + *lost + *tls + *timed_out + *torn_down
    }
}

impl EndedBy {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let Self { closed, lost, violation, too_fast, timed_out, .. } = self;
        let Self { aborted, dropped, shutdown, torn_down, .. } = self;
        *closed
            + *lost
            + *violation
            + *too_fast
            + *timed_out
            + *aborted
            + *dropped
            + *shutdown
            + *torn_down
    }
}

/// Who counts, for all threads of a server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Census(Arc<Mutex<Counts>>);

impl Census {
    /// What became of all so far.
    pub fn counts(&self) -> Counts {
        *self.0.lock()
    }

    /// A stream has come.
    pub fn enter(&self) -> Visit {
        self.0.lock().accepted += 1;
        Visit { census: self.clone(), stage: Stage::Opening }
    }
}

/// A stream that has come, and what became of it: told once, or at the latest when this is dropped.
#[derive(Debug)]
pub struct Visit {
    census: Census,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Over,
}

impl Visit {
    /// It became no connection.
    pub fn failed(mut self, error: &AcceptError) {
        self.stage = Stage::Over;
        self.census.0.lock().came_to_nothing(error);
    }

    /// It became a connection.
    pub fn opened(&mut self) {
        self.stage = Stage::Open;
        self.census.0.lock().opened += 1;
    }

    /// The connection ended.
    pub fn ended(mut self, ending: &Ending) {
        self.stage = Stage::Over;
        self.census.0.lock().end(ending);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        match self.stage {
            Stage::Opening => self.census.0.lock().failed.torn_down += 1,
            Stage::Open => self.census.0.lock().ended.torn_down += 1,
            Stage::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use http::StatusCode;
    use lastword_proto::handshake::server::Refusal;

    use super::*;
    use crate::error::Phase;

    /// Each error, and where it is counted.
    #[test]
    fn whatever_became_of_a_stream_is_counted_once_under_its_own_name() {
        let io = || io::Error::from(io::ErrorKind::ConnectionReset);
        let late = AcceptError::TimedOut { limit: Duration::ZERO, phase: Phase::Tls };
        let busy = [
            Busy::Connections,
            Busy::ConnectionsPerAddress,
            Busy::Openings,
            Busy::OpeningRate,
            Busy::OpeningRatePerAddress,
            Busy::ShuttingDown,
        ];
        let busy = busy.map(|busy| AcceptError::Refused(Refusal::busy(busy, None)));
        let said_no = Refusal::application(StatusCode::FORBIDDEN, "no");
        let others = [
            AcceptError::Refused(said_no),
            AcceptError::Eof { bytes: 0 },
            AcceptError::Lost(io()),
            AcceptError::Tls(io()),
            late,
        ];
        let census = Census::default();
        for error in busy.into_iter().chain(others) {
            let before = census.counts();
            census.enter().failed(&error);
            let counts = census.counts();
            assert_eq!((counts.accepted, counts.opening()), (before.accepted + 1, 0));
            let name = error.kind().name();
            // All numbers by their names, in which exactly this one has grown.
            let grown =
                format!("{before:?}").replacen(&format!("{name}: 0"), &format!("{name}: 1"), 1);
            let accepted = [before.accepted, counts.accepted].map(|n| format!("accepted: {n}"));
            assert_eq!(
                format!("{counts:?}"),
                grown.replacen(&accepted[0], &accepted[1], 1),
                "{name}"
            );
        }
        let counts = census.counts();
        assert_eq!(counts.turned_away.total(), 6);
        assert_eq!(counts.refused.total() + counts.failed.total(), 5);
    }

    #[test]
    fn whoever_is_dropped_with_the_server_is_counted_too() {
        let census = Census::default();
        let (opening, mut open) = (census.enter(), census.enter());
        open.opened();
        let counts = census.counts();
        assert_eq!((counts.opening(), counts.open()), (1, 1));
        drop((opening, open));
        let counts = census.counts();
        assert_eq!((counts.opening(), counts.open()), (0, 0));
        assert_eq!((counts.failed.torn_down, counts.ended.torn_down), (1, 1));
    }
}
