//! The [`Ending`] of a connection: facts, and one sentence that a person can act on.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::cut::Cut;
use crate::ledger::Ledger;
use crate::violation::Violation;
use crate::wire::{CloseCode, Farewell, Role};

/// How a connection ended, and what became of its messages. Each connection has exactly one.
///
/// Its `Display` is one sentence, fit for a log line or a person.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use lastword_proto::{Agreement, Cause, Config, Connection, Loss, Role};
///
/// let (config, now) = (Arc::new(Config::default()), Instant::now());
/// let mut server = Connection::new(&Agreement::plain(Role::Server), config, [0; 32], now);
/// // The first three bytes of a frame, and then the end of the stream.
/// server.receive(&mut [0x81, 0x85, 0x12], now);
/// server.receive_eof(now);
/// let ending = server.ending().unwrap();
/// assert_eq!(ending.cause, Cause::Lost(Loss::Eof));
/// assert!(!ending.is_clean());
/// assert_eq!(
///     ending.to_string(),
///     "peer ended the stream without a close frame in the middle of a frame header \
///      (3 bytes had come)"
/// );
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// Which side we were.
    pub role: Role,
    /// Why it ended: the first cause that was known.
    pub cause: Cause,
    /// What else went wrong after that, oldest first.
    pub also: Vec<Cause>,
    /// Who began to end it; `None` where that cannot be said.
    pub first: Option<First>,
    /// Our close frame, if its last byte was handed to the operating system.
    pub sent: Farewell,
    /// The peer's close frame, if one came: the first.
    pub received: Farewell,
    /// Whether both close frames were across before the transport gave way.
    pub(super) agreed: bool,
    /// Where the incoming stream was cut, if not between messages; `None` after a violation, which
    /// says itself where it was.
    pub cut: Option<Cut>,
    /// What became of the messages.
    pub ledger: Ledger,
    /// Bytes that came after the end was decided, and were thrown away.
    pub discarded: u64,
    /// Bytes of frames that still waited to be written.
    pub waiting: usize,
    /// How the transport itself ended.
    pub transport: Transport,

    /// When the opening was done.
    pub opened_at: Instant,
    /// When the end began: the first close, end of stream, error or timeout.
    pub began_at: Instant,
    /// When it was over.
    pub ended_at: Instant,
    /// When the last byte came; `None` if none did.
    pub last_received: Option<Instant>,
    /// When the operating system last took a byte; `None` if it never did.
    pub last_sent: Option<Instant>,
    /// The last round-trip time of a ping; `None` if none was answered.
    pub latency: Option<Duration>,
}

impl Ending {
    /// Whether both sides said goodbye and nothing went wrong before (RFC 6455 section 7.1.4).
    pub const fn is_clean(&self) -> bool {
        self.agreed
            && matches!(
                self.cause,
                Cause::Closed
                    | Cause::Dropped
                    | Cause::Shutdown
                    | Cause::TimedOut(TimeOut::Idle { .. })
            )
    }

    /// The close code of the connection as RFC 6455 section 7.1.5 defines it: the one that the peer
    /// sent, 1005 if its close frame had none, 1006 if there was no close frame of the peer.
    pub const fn code(&self) -> u16 {
        self.received.code()
    }

    /// The reason that the peer gave; often empty.
    pub fn reason(&self) -> &str {
        self.received.reason()
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A side said close, and the closing handshake took its course.
    Closed,
    /// The transport ended, or failed, without a closing handshake.
    Lost(Loss),
    /// The peer broke the protocol, or ran into a limit of ours.
    Violation(Violation),
    /// Something took too long.
    TimedOut(TimeOut),
    /// We asked for the end at once.
    Aborted,
    /// The last handle of the application went away.
    Dropped,
    /// Our server shut down.
    Shutdown,
}

impl Cause {
    /// The kind of cause in a word, for reports and labels: `closed`, `lost`, `violation`, `timed_out`,
    /// `aborted`, `dropped` or `shutdown`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Lost(_) => "lost",
            Self::Violation(_) => "violation",
            Self::TimedOut(_) => "timed_out",
            Self::Aborted => "aborted",
            Self::Dropped => "dropped",
            Self::Shutdown => "shutdown",
        }
    }
}

/// How a transport went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The peer ended its stream without a close frame.
    Eof,
    /// The TCP stream ended without TLS's own end (close_notify): it may have been cut on the way.
    Truncated,
    /// The peer, or something on the way, reset the connection.
    Reset(OsError),
    /// Another error of the operating system or of TLS.
    Io(OsError),
}

/// An error of a transport, as far as it can be kept and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what std tells of an error")]
pub struct OsError {
    /// The kind that std made of it.
    pub kind: io::ErrorKind,
    /// The number that the operating system gave, such as 104 (Linux) or 10054 (Windows).
    pub code: Option<i32>,
}

/// What a driver was doing when the transport failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what can be done to a stream")]
pub enum Operation {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Flushing.
    Flush,
    /// Ending our half of the stream.
    Shutdown,
}

/// An error of the transport, as a driver reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    pub(super) operation: Operation,
    pub(super) error: OsError,
}

impl TransportError {
    /// What `operation` failed with.
    pub fn new(operation: Operation, error: &io::Error) -> Self {
        Self { operation, error: OsError { kind: error.kind(), code: error.raw_os_error() } }
    }

    /// What it says about the connection; `None` if it says nothing (try again).
    pub(super) const fn loss(self) -> Option<Loss> {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, NotConnected,
            UnexpectedEof, WouldBlock,
        };
        Some(match (self.error.kind, self.error.code) {
            (WouldBlock | Interrupted, _) => return None,
            (UnexpectedEof, _) => Loss::Truncated,
            (ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected, _)
            // Windows' ways to say it, one of which std knows no kind for. No Unix error has these
            // numbers, so that no `cfg` is needed.
            | (_, Some(WSAECONNABORTED | WSAECONNRESET | WSAESHUTDOWN)) => Loss::Reset(self.error),
            _ => Loss::Io(self.error),
        })
    }
}

const WSAECONNABORTED: i32 = 10053;
const WSAECONNRESET: i32 = 10054;
const WSAESHUTDOWN: i32 = 10058;

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeOut {
    /// No byte came after a ping (`Config::ping_timeout`).
    Pong {
        /// How long after the ping we waited.
        limit: Duration,
        /// How long nothing had come at all.
        silent: Duration,
        /// How much later than due this was noticed: a busy task of ours, or a machine that slept.
        late: Duration,
    },
    /// No message in either direction (`Config::idle_timeout`).
    Idle {
        /// The limit.
        limit: Duration,
    },
    /// Bytes waited to be written and the peer took none (`Config::write_timeout`).
    Write {
        /// The limit.
        limit: Duration,
    },
    /// The closing took too long (`Config::close_timeout`).
    Closing {
        /// The limit.
        limit: Duration,
    },
}

/// Who began to end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one, the other, or both")]
pub enum First {
    /// This side.
    Us,
    /// The peer, or the network on its side.
    Peer,
    /// Both: the close frames crossed on the way.
    Both,
}

/// How the two halves of the transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a stream has two halves")]
pub struct Transport {
    /// What came from the peer's side.
    pub peer: PeerSide,
    /// What we did.
    pub ours: OurSide,
}

/// How the peer's half of the transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerSide {
    /// It did not: it was still open at the end.
    Open,
    /// Finished properly.
    Finished,
    /// Ended without TLS's close_notify.
    Truncated,
    /// Reset.
    Reset(OsError),
    /// Failed otherwise.
    Failed(OsError),
}

/// How our half of the transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OurSide {
    /// It is still open; the driver closes it now.
    Open,
    /// Finished properly.
    Finished,
    /// It could not be finished.
    Failed(OsError),
    /// Given up: the driver resets what is left of it.
    Aborted,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_cause(f)?;
        if let Some(cut) = &self.cut
            && !self.is_clean()
        {
            write!(f, " {cut}")?;
        }
        match (&self.cause, &self.sent, &self.received) {
            (Cause::Closed | Cause::Shutdown | Cause::Dropped, _, _) if self.agreed => {}
            (_, Farewell::Silence, Farewell::Silence) => {}
            (_, sent, Farewell::Silence) => write!(f, "; we had said {sent}")?,
            (_, Farewell::Silence, received) => write!(f, "; the peer had said {received}")?,
            (_, sent, received) => {
                write!(f, "; we had said {sent}, the peer {received}")?;
            }
        }
        match self.ledger.unsent.messages {
            0 => Ok(()),
            1 => f.write_str("; 1 of our messages was not sent"),
            many => write!(f, "; {many} of our messages were not sent"),
        }
    }
}

impl Ending {
    fn fmt_cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Closed | Cause::Shutdown | Cause::Dropped if self.agreed => {
                self.fmt_agreement(f)
            }
            Cause::Closed => f.write_str("closing was not completed"),
            Cause::Lost(loss) => write!(f, "{loss}"),
            Cause::Violation(
                violation @ (Violation::TooManyMessages { .. } | Violation::TooManyBytes { .. }),
            ) => write!(f, "peer sent {violation}"),
            // A limit of ours is no rule of the protocol.
            Cause::Violation(violation) if violation.close_code() == CloseCode::MESSAGE_TOO_BIG => {
                write!(f, "peer sent too much: {violation}")
            }
            Cause::Violation(violation) if violation.is_peers_fault() => {
                write!(f, "peer broke the protocol: {violation}")
            }
            Cause::Violation(violation) => write!(f, "{violation}"),
            Cause::TimedOut(time_out) => {
                write!(f, "{time_out}")?;
                if let (TimeOut::Pong { .. } | TimeOut::Write { .. }, 1..) =
                    (time_out, self.waiting)
                {
                    write!(f, "; {} bytes waited to be written", self.waiting)?;
                }
                Ok(())
            }
            Cause::Aborted => f.write_str("aborted by us"),
            Cause::Dropped => f.write_str("dropped by us"),
            Cause::Shutdown => f.write_str("shut down by us"),
        }
    }

    fn fmt_agreement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = (&self.sent, &self.received);
        match (&self.cause, self.first) {
            (Cause::Shutdown, _) => write!(f, "shut down: we said {sent}, the peer {received}"),
            (Cause::Dropped, _) => {
                write!(f, "closed when the last handle was dropped: ")?;
                write!(f, "we said {sent}, the peer {received}")
            }
            (_, Some(First::Both)) => {
                write!(f, "closed by both at once: we said {sent}, the peer {received}")
            }
            (_, Some(First::Peer)) => write!(f, "closed by the peer: {received}"),
            (_, Some(First::Us) | None) if sent == received => write!(f, "closed by us: {sent}"),
            (_, Some(First::Us) | None) => {
                write!(f, "closed by us: {sent}; the peer answered {received}")
            }
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("peer ended the stream without a close frame"),
            Self::Truncated => {
                f.write_str("stream ended without TLS's close_notify: it may have been cut")
            }
            Self::Reset(error) => write!(f, "peer reset the connection{}", Code(error)),
            Self::Io(error) => write!(f, "transport failed: {}{}", error.kind, Code(error)),
        }
    }
}

/// ` (os error 104)`, if there is a number.
struct Code<'a>(&'a OsError);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.code {
            Some(code) => write!(f, " (os error {code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TimeOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pong { limit, silent, late } => {
                write!(f, "peer did not answer a ping within {limit:?} (ping_timeout)")?;
                write!(f, "; the last byte came {:.1} s ago", silent.as_secs_f64())?;
                if *late >= NOTABLY_LATE {
                    write!(f, "; our own task was {:.1} s late", late.as_secs_f64())?;
                }
                Ok(())
            }
            Self::Idle { limit } => {
                write!(f, "no message in either direction for {limit:?} (idle_timeout)")
            }
            Self::Write { limit } => {
                write!(f, "peer took none of our bytes for {limit:?} (write_timeout)")
            }
            Self::Closing { limit } => {
                write!(f, "closing was not completed within {limit:?} (close_timeout)")
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Lost(loss) => write!(f, "{loss}"),
            Self::Violation(violation) => write!(f, "{violation}"),
            Self::TimedOut(time_out) => write!(f, "{time_out}"),
            Self::Aborted => f.write_str("aborted"),
            Self::Dropped => f.write_str("dropped"),
            Self::Shutdown => f.write_str("shut down"),
        }
    }
}

/// A task of ours that is late by less is not worth a word.
const NOTABLY_LATE: Duration = Duration::from_secs(1);
