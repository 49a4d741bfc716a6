//! What the end of a handler means for its connection.

use std::time::Instant;

use lastword_proto::{CloseCode, CloseFrame, Connection, Leave};

use crate::error::{Ended, FlushError, PingError, ReceiveError, SendError, StreamError};

/// What a handler may fail with: anything that is an error.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// How a handler came to its end.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a function returns, or it does not")]
pub enum Handled {
    /// It returned this.
    Returned(Result<(), HandlerError>),
    /// It panicked.
    Panicked,
}

/// Whether a handler that is done has given handles of its connection to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "somebody has one, or nobody")]
pub enum Handles {
    /// Somebody has one, and goes on.
    Held,
    /// Nobody has one.
    LetGo,
}

/// What is to be done about the connection.
#[derive(Debug)]
pub struct Conclusion(Act);

#[derive(Debug)]
enum Act {
    Nothing,
    Close(CloseFrame),
    Panicked,
}

impl Handled {
    /// What it means: 1011 when the handler failed or panicked, which the log is told, 1000 when it is
    /// done and nobody else goes on. To be called without a lock: an error may print what it likes.
    pub fn concluded(self, handles: Handles) -> Conclusion {
        Conclusion(match self {
            Self::Panicked => {
                tracing::error!("handler panicked");
                Act::Panicked
            }
            Self::Returned(Err(error)) if !is_of_connection(&*error) => {
                tracing::error!(%error, "handler failed");
                Act::Close(CloseFrame::truncated(CloseCode::INTERNAL_ERROR, "handler failed"))
            }
            Self::Returned(_) if handles == Handles::Held => Act::Nothing,
            Self::Returned(_) => Act::Close(CloseCode::NORMAL.into()),
        })
    }
}

impl Conclusion {
    /// Does it.
    pub fn carry_out(self, connection: &mut Connection, now: Instant) {
        match self.0 {
            Act::Nothing => {}
            Act::Close(frame) => connection.close(Some(frame), now),
            Act::Panicked => connection.leave(Leave::Panicked, now),
        }
    }
}

/// Whether a handler only passed on that its connection is at its end: no failure of its own.
fn is_of_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Ended>()
        || error.is::<SendError>()
        || error.is::<StreamError>()
        || matches!(error.downcast_ref(), Some(ReceiveError::Ended(_)))
        || matches!(error.downcast_ref(), Some(PingError::Ended(_)))
        || matches!(error.downcast_ref(), Some(FlushError::Ended(_)))
}
