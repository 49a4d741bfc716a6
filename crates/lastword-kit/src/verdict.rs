//! What stands between two connections, and whether it is worth a retry. The one place that judges: what
//! is transient and what a client comes back after is the same.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use lastword_dial::{ProxyError, SocksRefusal};
use lastword_proto::Ending;
use lastword_retry::Verdict;
use rustls::AlertDescription;

use crate::error::ConnectError;

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
    /// Whether it is worth a retry, if nobody knows better: [`ConnectError::verdict`], or
    /// [`Verdict::on_ending`].
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Ended(ending) => Verdict::on_ending(ending),
            Self::Failed(error) => error.verdict(),
        }
    }
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

impl ConnectError {
    /// Whether trying again later may help: names that do not resolve, connections that fail or are
    /// lost, waits that end, and the statuses 408, 425, 429, 500, 502, 503, 504 and 520 to 524, of the
    /// server or of a proxy. All else stays as it is until somebody changes it.
    /// [`verdict`](Self::verdict) says more.
    pub fn is_transient(&self) -> bool {
        self.verdict() != Verdict::Fatal
    }

    /// Whether it is worth a retry, and when: the table of [`Verdict`]. Beyond it, a proxy is judged as a
    /// server is; what TLS objects to (a certificate, a version) and what cannot be a request (a bad URL,
    /// a reserved header) is fatal; a server whose TLS breaks off is not.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Resolve { source, .. }
            | Self::Connect { source, .. }
            | Self::Unix { source, .. }
            | Self::ProxyLost { source, .. } => Verdict::on_io(source),
            // In TLS 1.3 a server that refuses our certificate says so when its handshake is over for us.
            Self::Tls { source, .. } | Self::Lost(source) => on_tls(source),
            Self::Handshake(error) => Verdict::on_opening(error, wall_clock()),
            Self::Proxy { source, .. } => on_proxy(source),
            Self::ProxyUnreachable { source, .. } => source.verdict(),
            Self::TimedOut { .. } => Verdict::Retry,
            Self::Url { .. }
            | Self::Request(_)
            | Self::InvalidProxy(_)
            | Self::Redirect(_)
            | Self::Cancelled { .. } => Verdict::Fatal,
        }
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

fn on_proxy(error: &ProxyError) -> Verdict {
    match error {
        ProxyError::Refused { status, headers } => {
            Verdict::on_answer(*status, headers, wall_clock())
        }
        ProxyError::Eof { .. } => Verdict::Retry,
        ProxyError::Socks(
            SocksRefusal::Failed
            | SocksRefusal::NetworkUnreachable
            | SocksRefusal::HostUnreachable
            | SocksRefusal::ConnectionRefused
            | SocksRefusal::TtlExpired,
        ) => Verdict::Retry,
        // Whatever nobody has judged yet is not hammered at.
        _ => Verdict::Fatal,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Retry-After may be a date, and nothing else here has a calendar"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
