//! What a connection runs over: any stream of bytes, both ways.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A stream that a connection owns. Implemented for what this crate opens itself; other streams come
/// in through [`Plain`].
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the coming drop a reset rather than an orderly end, where the stream can.
    fn abandon(&self) {}
}

impl Transport for TcpStream {
    fn abandon(&self) {
        // Without a linger time, dropping the socket resets the connection: what the peer has not
        // read is worthless, and no memory of the kernel waits for it. A socket that refuses this
        // is closed in the ordinary way.
        let _ = self.set_zero_linger();
    }
}

impl Transport for client::TlsStream<TcpStream> {
    fn abandon(&self) {
        self.get_ref().0.abandon();
    }
}

impl Transport for server::TlsStream<TcpStream> {
    fn abandon(&self) {
        self.get_ref().0.abandon();
    }
}

/// Any other stream.
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Transport for Plain<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The two addresses of a connection, where its transport has addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
}

impl Addresses {
    pub(crate) fn of(stream: &TcpStream) -> Self {
        Self { local: stream.local_addr().ok(), peer: stream.peer_addr().ok() }
    }
}
