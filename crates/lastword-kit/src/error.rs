//! What can go wrong with a connection, whoever drives it. Each error says whose fault it was, and gives back what it can.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lastword_proto::handshake::{client, server};
use lastword_proto::{Ending, Message};

/// The connection is over, and did not end cleanly. Holds the [`Ending`] that tells how.
#[derive(Clone)]
pub struct Ended(pub Arc<Ending>);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ended({:?})", self.0.to_string())
    }
}

impl std::error::Error for Ended {}

/// A message that was not accepted for sending; it comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// `try_send` only: `Config::send_buffer` is full.
    #[error("not sent: the send buffer is full (send_buffer)")]
    Full(Message),
    /// The connection is closing: nothing may follow a close frame.
    #[error("not sent: the connection is closing")]
    Closing(Message),
    /// The connection is over.
    #[error("not sent: {0}")]
    Ended(Ended, Message),
}

impl SendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message) | Self::Closing(message) | Self::Ended(_, message) => message,
        }
    }
}

/// Why a client got no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one of a WebSocket server.
    #[error("invalid URL {url:?}: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The options contradict the handshake.
    #[error(transparent)]
    Request(#[from] client::InvalidRequest),
    /// The name of the host could not be resolved.
    #[error("cannot resolve {host:?}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host could be connected to; this is what the last one said.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// TLS could not be established.
    #[error("TLS with {host:?} failed")]
    Tls {
        /// The name that the certificate has to be for.
        host: String,
        /// What rustls said.
        source: io::Error,
    },
    /// The transport failed inside the handshake.
    #[error("connection lost in the opening handshake")]
    Lost(#[source] io::Error),
    /// The server refused, or its answer is not what the RFC asks for.
    #[error(transparent)]
    Handshake(#[from] client::Error),
    /// It all took too long.
    #[error("opening was not completed within {limit:?} (open_timeout), while {phase}")]
    TimedOut {
        /// `Config::open_timeout`.
        limit: Duration,
        /// What was going on.
        phase: Phase,
    },
}

/// What an opening is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the name and connecting.
    Connecting,
    /// Establishing TLS.
    Tls,
    /// Waiting for the other side's part of the handshake.
    Handshake,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Tls => "establishing TLS",
            Self::Handshake => "waiting for the handshake",
        })
    }
}

/// Why a server got no connection out of a stream that was accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The stream ended before the request was complete.
    #[error("stream ended inside the request ({bytes} bytes had come)")]
    Eof {
        /// How many bytes had come; a health check often sends none.
        bytes: usize,
    },
    /// The transport failed.
    #[error("connection lost in the opening handshake")]
    Lost(#[source] io::Error),
    /// TLS could not be established.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// The request was answered with a refusal.
    #[error("refused with {}: {}", .0.status(), .0.reason())]
    Refused(Box<server::Refusal>),
    /// It all took too long.
    #[error("opening was not completed within {limit:?} (open_timeout), while {phase}")]
    TimedOut {
        /// `Config::open_timeout`.
        limit: Duration,
        /// What was going on.
        phase: Phase,
    },
}
