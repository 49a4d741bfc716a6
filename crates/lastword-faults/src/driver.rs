//! What a suite asks of a driver: connections over sockets that are handed to it, and calls that
//! return. A driver made of threads implements this with its own calls, one of tasks by waiting.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lastword::proto::handshake::client::Error as HandshakeError;
use lastword::{AcceptError, CloseCode, Config, ConnectError, Ending, Message};

use crate::stream::Stream;
use crate::tls::Certificates;

/// Makes connections.
pub trait Driver: Sync {
    /// Opens the server's side over `stream`; returns when that is done.
    ///
    /// # Errors
    /// [`NoConnection`] when there is none.
    fn accept(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection>;

    /// Opens the client's side over `stream`; returns when that is done.
    ///
    /// # Errors
    /// [`NoConnection`] when there is none.
    fn connect(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection>;
}

/// How a peer is set up.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by the suites only")]
pub struct Setup {
    /// Limits and timeouts.
    pub config: Config,
    /// TLS, if it is to be spoken.
    pub tls: Option<Certificates>,
}

/// One side of an open connection. Dropping it drops the last handle of the application.
pub trait Peer: Send + Sync {
    /// Sends a message.
    ///
    /// # Errors
    /// Gives the message back when it was not accepted.
    fn send(&self, message: Message) -> Result<(), Message>;

    /// What comes next, at most `within` from now.
    fn recv(&mut self, within: Duration) -> Received;

    /// Begins to close.
    fn close(&self, code: CloseCode, reason: &str);

    /// Ends it at once.
    fn abort(&self) -> Arc<Ending>;

    /// How it ended, `None` if it has not `within` from now.
    fn ending(&self, within: Duration) -> Option<Arc<Ending>>;

    /// After the end: the messages that did not leave.
    fn take_unsent(&self) -> Vec<Message>;
}

/// What came next.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "something, nothing, or the end")]
pub enum Received {
    /// A message.
    Message(Message),
    /// The end.
    End(Arc<Ending>),
    /// Nothing, for as long as was waited.
    Nothing,
}

/// Why there is no connection, in words that all drivers share.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoConnection {
    /// The stream ended after so many bytes of the handshake.
    Eof(usize),
    /// TLS's own end was missing.
    Truncated,
    /// The connection was reset.
    Reset,
    /// TLS was not established.
    Tls(String),
    /// It took too long.
    TimedOut,
    /// We refused, or the server did, with this status.
    Refused(u16),
    /// The other side does not speak as it should, or something else.
    Other(String),
}

impl NoConnection {
    /// What the transport said.
    fn lost(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<AcceptError> for NoConnection {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Eof { bytes } => Self::Eof(bytes),
            AcceptError::Lost(error) => Self::lost(&error),
            AcceptError::Tls(error) => Self::Tls(error.to_string()),
            AcceptError::Refused(refusal) => Self::Refused(refusal.status().as_u16()),
            AcceptError::TimedOut { .. } => Self::TimedOut,
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ConnectError> for NoConnection {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Handshake(HandshakeError::Eof { bytes }) => Self::Eof(bytes),
            ConnectError::Handshake(HandshakeError::Refused(answer)) => {
                Self::Refused(answer.status().as_u16())
            }
            ConnectError::Lost(error) => Self::lost(&error),
            ConnectError::Tls { source, .. } => Self::Tls(source.to_string()),
            ConnectError::TimedOut { .. } => Self::TimedOut,
            other => Self::Other(other.to_string()),
        }
    }
}
