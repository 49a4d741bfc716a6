//! Why a server takes on nobody right now. Who counts sockets, and knows the time, is a driver; here are
//! the names, so that a refusal can say which limit it was, and the statuses that go with them.

use http::StatusCode;

/// Why a server takes on nobody right now: limits that its driver keeps, and an end of its own.
///
/// ```
/// use lastword_proto::handshake::server::{Busy, Refusal};
/// let refusal = Refusal::busy(Busy::Openings, Some(std::time::Duration::from_secs(5)));
/// assert_eq!(refusal.status(), 503);
/// assert_eq!(refusal.reason().to_string(), "too many connections are opening (openings)");
/// assert_eq!(refusal.to_response().headers()["retry-after"], "5");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Busy {
    /// Too many connections.
    #[error("too many connections (connections)")]
    Connections,
    /// Too many connections from the peer's address.
    #[error("too many connections from this address (connections_per_address)")]
    ConnectionsPerAddress,
    /// Too many connections are opening.
    #[error("too many connections are opening (openings)")]
    Openings,
    /// Connections come too fast.
    #[error("connections come too fast (opening_rate)")]
    OpeningRate,
    /// Connections come too fast from the peer's address.
    #[error("connections come too fast from this address (opening_rate_per_address)")]
    OpeningRatePerAddress,
    /// The server shuts down.
    #[error("server is shutting down")]
    ShuttingDown,
}

impl Busy {
    /// The name of the limit, for reports and labels; `shutting_down` where it is none.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::Openings => "openings",
            Self::OpeningRate => "opening_rate",
            Self::OpeningRatePerAddress => "opening_rate_per_address",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// 429 where it is the peer's own doing, else 503.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ConnectionsPerAddress | Self::OpeningRatePerAddress => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Connections | Self::Openings | Self::OpeningRate | Self::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}
