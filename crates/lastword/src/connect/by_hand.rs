//! The way to a server and no further, for tools that say the opening and all else by hand: probes,
//! recorders. What comes of the stream is their business.

#[cfg(unix)]
use std::path::Path;

use lastword_kit::{ConnectError, Journey};
use lastword_proto::handshake::client;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;
use super::way::{self, Patience};

impl Client {
    /// Goes to the server, through the proxy and with TLS if they are asked for, and says nothing: a
    /// stream on which the opening is the next to be said.
    ///
    /// For tools that speak by hand; [`connect`](Self::connect) is what an application wants.
    /// [`options`](Self::options) has what would be asked for.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use lastword::proto::{Config, handshake::client::Opening};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let client = lastword::Client::new("wss://example.com/feed");
    /// let mut stream = client.dial().await?;
    /// let opening = Opening::new(client.options()?, &Config::default(), *b"the sample nonce")?;
    /// stream.write_all(opening.request_bytes()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing is left behind.
    pub async fn dial(
        &self,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, ConnectError> {
        let patience = Patience::of(&self.wishes);
        let (transport, _) = way::go(&self.wishes, &self.wishes.uri()?, patience).await?;
        Ok(transport)
    }

    /// The same over a Unix socket; `wss://` is TLS over it. No proxy is used.
    ///
    /// # Errors
    /// [`ConnectError`]: what failed, and whose fault it was.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing is left behind.
    #[cfg(unix)]
    pub async fn dial_unix(
        &self,
        path: &Path,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, ConnectError> {
        let patience = Patience::of(&self.wishes);
        way::go_unix(&self.wishes, &self.wishes.uri()?, path, patience).await
    }

    /// What is asked for in the opening: host, path, headers, subprotocols, credentials.
    ///
    /// # Errors
    /// [`ConnectError::Url`] if the URL is none.
    pub fn options(&self) -> Result<client::Options, ConnectError> {
        Ok(Journey::begin(&self.wishes)?.options())
    }
}
