//! What a connection runs over: any stream of bytes, both ways, with TLS in between or without.

use std::any::Any;
use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use lastword_kit::{Addresses, TlsDetails};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A stream that a connection owns. Implemented for what this crate opens itself; other streams come
/// in through [`Plain`].
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the coming drop a reset rather than an orderly end, where the stream can.
    fn abandon(&self) {}

    /// What TLS came to, if it is spoken here.
    fn tls(&self) -> Option<TlsDetails> {
        None
    }

    /// Whether what it has taken may still have to be flushed.
    fn buffers(&self) -> Buffers {
        Buffers::Perhaps
    }

    /// As one of any kind. Whatever only stands before another is taken away.
    fn boxed(self) -> Box<dyn Transport>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

/// Whether a stream keeps written bytes back until it is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    Never,
    Perhaps,
}

impl Transport for TcpStream {
    fn buffers(&self) -> Buffers {
        Buffers::Never
    }

    fn abandon(&self) {
        // Without a linger time, dropping the socket resets the connection: what the peer has not
        // read is worthless, and no memory of the kernel waits for it. A socket that refuses this
        // is closed in the ordinary way.
        let _ = self.set_zero_linger();
    }
}

#[cfg(unix)]
impl Transport for tokio::net::UnixStream {
    fn buffers(&self) -> Buffers {
        Buffers::Never
    }
}

/// A stream of the caller's own.
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for Plain<S> {
    fn abandon(&self) {
        // A socket is a socket, whoever connected it.
        if let Some(socket) = (&self.0 as &dyn Any).downcast_ref::<TcpStream>() {
            socket.abandon();
        }
    }
}

/// TLS over a stream.
pub(crate) struct Tls<S> {
    stream: TlsStream<S>,
    /// What reading failed with, to be told when all that came before it is read.
    failure: Option<io::Error>,
}

impl<S> Tls<S> {
    pub(crate) fn new(stream: impl Into<TlsStream<S>>) -> Self {
        Self { stream: stream.into(), failure: None }
    }

    /// Reads what is decrypted already.
    fn read_decrypted(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let unfilled = buffer.initialize_unfilled();
        let count = match &mut self.stream {
            TlsStream::Client(stream) => stream.get_mut().1.reader().read(unfilled)?,
            TlsStream::Server(stream) => stream.get_mut().1.reader().read(unfilled)?,
        };
        buffer.advance(count);
        Ok(())
    }
}

impl<S: Transport> Transport for Tls<S> {
    fn abandon(&self) {
        self.stream.get_ref().0.abandon();
    }

    fn tls(&self) -> Option<TlsDetails> {
        Some(match &self.stream {
            TlsStream::Client(stream) => TlsDetails::of(stream.get_ref().1, None),
            TlsStream::Server(stream) => {
                let session = stream.get_ref().1;
                TlsDetails::of(session, session.server_name())
            }
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.failure.is_none() {
            match std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) => self.failure = Some(error),
            }
        }
        // One bad record fails all that were read with it, but those before it are authentic.
        let _ = self.read_decrypted(buffer);
        match self.failure.take_if(|_| buffer.filled().len() == before) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The two addresses of a socket, as far as the operating system tells them.
pub(crate) fn addresses(stream: &TcpStream) -> Addresses {
    Addresses { local: stream.local_addr().ok(), peer: stream.peer_addr().ok() }
}
