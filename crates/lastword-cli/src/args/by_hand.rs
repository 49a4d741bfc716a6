//! The target for whoever says the opening and all else by hand: a stream, and what would be asked for.

use http::Request;
use http::header::SEC_WEBSOCKET_KEY;
use lastword::ConnectError;
use lastword::proto::handshake::client::Options;
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::{Target, TargetArgs};

/// A stream to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    /// A stream on which nothing was said yet.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Stream>, ConnectError> {
        #[cfg(unix)]
        if let Some(path) = &self.unix {
            return Ok(Box::new(self.client.dial_unix(path).await?));
        }
        Ok(Box::new(self.client.dial().await?))
    }

    /// The request as it is said, but for its key, which is another one each time.
    pub(crate) fn request(&self) -> Option<Request<()>> {
        let mut request = self.opening()?.ok()?.request().clone();
        request.headers_mut().remove(SEC_WEBSOCKET_KEY);
        Some(request)
    }

    /// What is asked for.
    pub(crate) fn options(&self) -> Result<Options, ConnectError> {
        self.client.options()
    }
}

impl TargetArgs {
    /// Whether compression may be offered.
    pub(crate) const fn compresses(&self) -> bool {
        !self.no_compression
    }
}
