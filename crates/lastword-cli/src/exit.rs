//! Exit codes: a function of how it ended, and of nothing else.

use std::process::ExitCode;

use lastword::{Cause, Ending, First};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Closed = 0,
    NoConnection = 1,
    /// As clap's own.
    Usage = 2,
    ClosedWithError = 3,
    Lost = 4,
    Violation = 5,
    TimedOut = 6,
    Aborted = 7,
    /// What came is not what was recorded.
    Different = 8,
    /// Standard output or a recording could not be written.
    Unwritten = 9,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}

impl From<&Ending> for Outcome {
    fn from(ending: &Ending) -> Self {
        match &ending.cause {
            Cause::TimedOut(_) => Self::TimedOut,
            Cause::Violation(_) => Self::Violation,
            Cause::Lost(_) => Self::Lost,
            _ if !ending.is_clean() => Self::Aborted,
            // What we say ourselves is as it was meant.
            _ if ending.first == Some(First::Us) => Self::Closed,
            _ if matches!(ending.code(), 1000 | 1001 | 1005) => Self::Closed,
            _ => Self::ClosedWithError,
        }
    }
}

/// What `--help` and the manual page say of them.
pub(crate) const TABLE: &str = "

Exit codes:
  0  closed properly (by us, or by the peer with 1000, 1001, or no code)
  1  no connection: refused, unreachable, not a WebSocket server
  2  wrong usage, a bad URL included
  3  closed properly by the peer, with another code
  4  connection lost: ended without a close frame, reset
  5  the peer broke the protocol, or exceeded a limit of ours
  6  timed out; or less came than was expected
  7  aborted, as by a second Ctrl-C, or by one before there was a connection
  8  what came differs from the recording (replay --compare)
  9  standard output, or the recording, could not be written";
