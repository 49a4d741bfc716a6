//! What stands between two connections, and what the default makes of it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use lastword_kit::ConnectError;
use lastword_proto::Ending;
use lastword_retry::Verdict;
use tokio_rustls::rustls;
use tokio_rustls::rustls::AlertDescription;

/// Why there is no connection (any more).
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there was a connection, or there was none")]
pub enum Because {
    /// An attempt failed.
    Failed(Arc<ConnectError>),
    /// A connection ended.
    Ended(Arc<Ending>),
}

impl Because {
    /// Whether it is worth a retry, if nobody knows better: the table of [`Verdict`]. Beyond it, what TLS
    /// objects to (a certificate, a version) and what cannot be a request (a bad URL, a reserved header)
    /// is fatal; a server whose TLS breaks off is not.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Ended(ending) => Verdict::on_ending(ending),
            Self::Failed(error) => on_error(error),
        }
    }
}

fn on_error(error: &ConnectError) -> Verdict {
    match error {
        ConnectError::Resolve { source, .. }
        | ConnectError::Connect { source, .. }
        | ConnectError::Unix { source, .. }
        | ConnectError::ProxyLost { source, .. }
        | ConnectError::Lost(source) => Verdict::on_io(source),
        ConnectError::Tls { source, .. } => on_tls(source),
        ConnectError::Handshake(error) => Verdict::on_opening(error, wall_clock()),
        ConnectError::TimedOut { .. } => Verdict::Retry,
        ConnectError::Proxy { .. } if error.is_transient() => Verdict::Retry,
        // What the caller asked for cannot be; and whatever nobody has judged yet is not hammered at.
        _ => Verdict::Fatal,
    }
}

fn on_tls(error: &io::Error) -> Verdict {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        // The server has troubles of its own.
        (Some(rustls::Error::AlertReceived(AlertDescription::InternalError)), _) => Verdict::Retry,
        // Its certificate, our settings, or something that is not TLS; a name that is none.
        (Some(_), _) | (_, io::ErrorKind::Other) => Verdict::Fatal,
        _ => Verdict::on_io(error),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Retry-After may be a date, and nothing else here has a calendar"
)]
fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ending) => write!(f, "{ending}"),
            Self::Failed(error) => {
                write!(f, "{error}")?;
                let mut source = error.source();
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
        }
    }
}
