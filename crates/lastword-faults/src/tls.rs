//! Certificates of our own, and whoever trusts them.

use std::sync::Arc;

use lastword::rustls::pki_types::ServerName;
use lastword::rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection,
};

/// A server's certificate for [`Certificates::HOST`], and a client that trusts no other.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the two sides of TLS")]
pub struct Certificates {
    /// For whoever accepts.
    pub server: Arc<ServerConfig>,
    /// For whoever connects.
    pub client: Arc<ClientConfig>,
}

impl Certificates {
    /// Whom they are for.
    pub const HOST: &str = "localhost";

    /// Fresh ones.
    ///
    /// # Panics
    /// When the machine cannot make a key.
    pub fn new() -> Self {
        let (server, client) = lastword_fakes::certificates();
        Self { server, client }
    }

    /// One side of TLS without a socket, as the proxy needs it.
    pub(crate) fn accept(&self) -> Connection {
        let connection = ServerConnection::new(Arc::clone(&self.server));
        connection.expect("the configuration is whole").into()
    }

    /// The other side.
    pub(crate) fn connect(&self) -> Connection {
        let name = ServerName::try_from(Self::HOST).expect("it is a name");
        let connection = ClientConnection::new(Arc::clone(&self.client), name);
        connection.expect("the configuration is whole").into()
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
