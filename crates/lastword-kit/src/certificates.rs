//! What a server shows of itself over TLS, and a way to change it while the server runs.
//!
//! In goes a rustls configuration, out comes the one that holds at the moment. Where certificates
//! come from, and when they are renewed, is the caller's affair.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ServerConfig;

/// The TLS configuration of a server, that can be replaced while it runs: for a certificate that was
/// renewed, say. Clones share one configuration.
///
/// ```
/// # use std::sync::Arc;
/// # use lastword_kit::ServerTls;
/// # use lastword_kit::rustls::ServerConfig;
/// # fn example(first: Arc<ServerConfig>, renewed: Arc<ServerConfig>) {
/// let tls = ServerTls::from(first);
/// let given_to_the_server = tls.clone();
/// // … and later, while it serves:
/// tls.replace(renewed);
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<Mutex<Arc<ServerConfig>>>);

impl ServerTls {
    /// Uses `config` from now on, in all servers that were given this or a clone of it.
    ///
    /// Connections that are open go on as they are, and so do TLS handshakes that have begun. A
    /// client that resumes a session does so only if `config` shares the tickets or the session
    /// storage of the one before; else it makes a whole handshake.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.lock() = config;
    }

    /// The configuration that the next TLS handshake will use.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.lock())
    }
}

impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(Mutex::new(config)))
    }
}

/// Says nothing of what is inside: keys are.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
