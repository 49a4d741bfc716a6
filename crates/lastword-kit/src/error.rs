//! What can go wrong with a connection, whoever drives it. Each error says whose fault it was, and gives
//! back what it can.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lastword_dial::{Host, InvalidProxy, InvalidUri, Proxy, ProxyError, RedirectRefused};
use lastword_proto::handshake::server::{Busy, RefusalReason};
use lastword_proto::handshake::{client, server};
use lastword_proto::{ControlRefused, Ending, Message, SendRefused};

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
    /// `send_timeout` only: there was no room within the time that it was given.
    #[error("not sent: no room in the send buffer (send_buffer) within {limit:?}")]
    TimedOut {
        /// How long was waited.
        limit: Duration,
        /// The message.
        message: Message,
    },
    /// `send_confirmed_timeout` only: it was accepted, but no answer proved within the time given that it
    /// was read. It may be all the same, now or later: the ledger tells.
    #[error("not confirmed within {limit:?}")]
    Unconfirmed {
        /// How long was waited.
        limit: Duration,
        /// The message.
        message: Message,
    },
    /// `try_send` only: a message is being sent by parts, which no other may interrupt
    /// (RFC 6455 section 5.4).
    #[error("not sent: another message is being sent by parts")]
    Streaming(Message),
    /// Of a message by parts only: the part is of another kind than its message.
    #[error("not sent: the part is of another kind than its message")]
    KindChanged(Message),
    /// The connection is closing: nothing may follow a close frame.
    #[error("not sent: the connection is closing")]
    Closing(Message),
    /// The connection is over.
    #[error("not sent: {0}")]
    Ended(Ended, Message),
    /// With an extension agreed on, a message by parts is put together before it is sent; with this
    /// part it would be too large for that. The parts before it wait for a smaller one, or for the end.
    #[error(
        "not sent: a message by parts is put together for an extension, up to {limit} bytes \
         (max_message_size)"
    )]
    PartsTooBig {
        /// `Config::max_message_size`.
        limit: usize,
        /// The part.
        part: Message,
    },
}

impl SendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message)
            | Self::Streaming(message)
            | Self::KindChanged(message)
            | Self::Closing(message)
            | Self::TimedOut { message, .. }
            | Self::PartsTooBig { part: message, .. }
            | Self::Unconfirmed { message, .. }
            | Self::Ended(_, message) => message,
        }
    }
}

/// Why the core refused a message, given how the connection ended, if it has.
pub fn not_sent(refused: SendRefused, ending: Option<&Arc<Ending>>) -> SendError {
    match (refused, ending) {
        (SendRefused::Streaming(message), None) => SendError::Streaming(message),
        (SendRefused::KindChanged(message), None) => SendError::KindChanged(message),
        (SendRefused::TooBig { part, limit }, None) => SendError::PartsTooBig { limit, part },
        (refused, None) => SendError::Closing(refused.into_message()),
        (refused, Some(ending)) => {
            SendError::Ended(Ended(Arc::clone(ending)), refused.into_message())
        }
    }
}

/// What a connection fails with as a `Stream` and a `Sink`, which know one error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The connection is over, and did not end cleanly.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// A message was not accepted for sending; it comes back.
    #[error(transparent)]
    NotSent(#[from] SendError),
}

/// Why `recv_timeout` gave no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// None came within the time that it was given. The connection goes on.
    #[error("no message within {limit:?}")]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection is over, and did not end cleanly.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why `flush` came back before all was handed to the operating system; of calls that have a limit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// It took longer than the time that it was given. The connection goes on.
    #[error("not flushed within {limit:?}")]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended before.
    #[error("not flushed: {0}")]
    Ended(Ended),
}

/// Why a ping was not sent, or not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PingError {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] ControlRefused),
    /// No answer came within the time that it was given; of calls that have a limit. The connection goes
    /// on.
    #[error("not answered within {limit:?}")]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended before the answer.
    #[error("not answered: {0}")]
    Ended(Ended),
}

/// Why a client got no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one of a WebSocket server.
    #[error("invalid URL {url:?}: {why}")]
    Url {
        /// What was given, without its user information.
        url: String,
        /// What is wrong with it.
        why: InvalidUri,
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
    /// No address of the host could be connected to.
    #[error("cannot connect to {address}{}", Before(.before))]
    Connect {
        /// The address that failed last.
        address: String,
        /// What the operating system said about it.
        source: io::Error,
        /// What failed before, in this order.
        before: Vec<Attempt>,
    },
    /// The Unix socket could not be connected to.
    #[error("cannot connect to {}", .path.display())]
    Unix {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The environment names a proxy that is none (`http_proxy`, `https_proxy`, `all_proxy`).
    #[error("invalid proxy in the environment")]
    InvalidProxy(#[source] InvalidProxy),
    /// The proxy itself was not reached: its name, its port, or TLS with it.
    #[error("cannot reach the proxy {proxy}")]
    ProxyUnreachable {
        /// The proxy.
        proxy: Box<Proxy>,
        /// What failed on the way to it.
        source: Box<Self>,
    },
    /// The proxy refused, or does not speak its protocol.
    #[error("no connection through the proxy {proxy}")]
    Proxy {
        /// The proxy.
        proxy: Box<Proxy>,
        /// What it did.
        source: ProxyError,
    },
    /// The transport failed inside the handshake with the proxy.
    #[error("connection to the proxy {proxy} lost in its handshake")]
    ProxyLost {
        /// The proxy.
        proxy: Box<Proxy>,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server sent us elsewhere, and we did not go.
    #[error("redirect not followed")]
    Redirect(#[from] RedirectRefused),
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
    /// Another thread cancelled it (`lastword-blocking`, whose calls cannot be dropped).
    #[error("opening was cancelled, while {phase}")]
    Cancelled {
        /// What was going on.
        phase: Phase,
    },
}

impl ConnectError {
    /// The name of `host` could not be resolved, or has no address.
    pub fn unresolved(host: &Host, source: io::Error) -> Self {
        Self::Resolve { host: host.bare(), source }
    }

    /// Of the addresses of `host` none could be connected to; in the order in which they failed.
    pub fn unreachable(host: &Host, mut attempts: Vec<Attempt>) -> Self {
        match attempts.pop() {
            Some(last) => Self::Connect {
                address: last.address.to_string(),
                source: last.error,
                before: attempts,
            },
            None => Self::no_address(host),
        }
    }

    /// The transport failed inside the handshake. TLS that ended without a word is told in ours.
    pub fn lost(source: io::Error) -> Self {
        Self::Lost(match source.kind() {
            kind @ io::ErrorKind::UnexpectedEof => {
                io::Error::new(kind, "the server ended TLS without close_notify")
            }
            _ => source,
        })
    }

    /// This error, said of the way to a proxy. What the caller did itself is no proxy's doing.
    #[must_use]
    pub fn on_the_way_to(self, proxy: &Proxy) -> Self {
        match self {
            Self::Cancelled { .. } => self,
            _ => Self::ProxyUnreachable { proxy: Box::new(proxy.clone()), source: Box::new(self) },
        }
    }

    /// The name of `host` could be resolved, and has no address.
    pub fn no_address(host: &Host) -> Self {
        Self::unresolved(host, io::Error::new(io::ErrorKind::NotFound, "no address"))
    }
}

/// An address that could not be connected to.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "an address and its error are all there is to it")]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said.
    pub error: io::Error,
}

/// The attempts before the last one, in brackets.
struct Before<'a>(&'a [Attempt]);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Attempt { address, error }) in self.0.iter().enumerate() {
            let front = if index == 0 { " (before: " } else { ", " };
            write!(f, "{front}{address}: {error}")?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

/// What an opening is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving a name.
    Resolving,
    /// Connecting.
    Connecting,
    /// Waiting for the proxy to open a tunnel.
    Proxy,
    /// Establishing TLS.
    Tls,
    /// Waiting for the other side's part of the handshake.
    Handshake,
    /// Waiting for our own application's word on the request.
    Application,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "resolving the name",
            Self::Connecting => "connecting",
            Self::Proxy => "waiting for the proxy",
            Self::Tls => "establishing TLS",
            Self::Handshake => "waiting for the handshake",
            Self::Application => "waiting for the application to decide",
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

/// Why a server got no connection, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptErrorKind {
    /// It takes on nobody right now.
    Busy(Busy),
    /// Refused by the protocol: no valid request for a WebSocket, or one that exceeds a limit of ours.
    Request,
    /// Refused because of its origin.
    Origin,
    /// Refused because of the name under which it was addressed.
    Host,
    /// Answered by the application, by authentication or by routes.
    Application,
    /// The stream ended before the request was complete.
    Eof,
    /// The transport failed.
    Lost,
    /// TLS could not be established.
    Tls,
    /// It took too long.
    TimedOut,
}

impl AcceptError {
    /// The kind of it, for reports and counters.
    pub const fn kind(&self) -> AcceptErrorKind {
        match self {
            Self::Refused(refusal) => match refusal.reason() {
                RefusalReason::Busy(busy) => AcceptErrorKind::Busy(*busy),
                RefusalReason::Origin(_) | RefusalReason::NoOrigin => AcceptErrorKind::Origin,
                RefusalReason::Misdirected(_) => AcceptErrorKind::Host,
                RefusalReason::Application(_)
                | RefusalReason::Answered { .. }
                | RefusalReason::NotOffered(_) => AcceptErrorKind::Application,
                _ => AcceptErrorKind::Request,
            },
            Self::Eof { .. } => AcceptErrorKind::Eof,
            Self::Lost(_) => AcceptErrorKind::Lost,
            Self::Tls(_) => AcceptErrorKind::Tls,
            Self::TimedOut { .. } => AcceptErrorKind::TimedOut,
        }
    }
}

impl AcceptErrorKind {
    /// The word; of [`Busy`] the name of the limit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy(busy) => busy.name(),
            Self::Request => "request",
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Application => "application",
            Self::Eof => "eof",
            Self::Lost => "lost",
            Self::Tls => "tls",
            Self::TimedOut => "timed_out",
        }
    }
}
