//! The two streams of a connection: TCP from the client, TCP or TLS to the target.

use std::io;
use std::time::Duration;

use lastword::dial::WebSocketUri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::args::TlsTarget;

/// A stream over TCP, whatever is spoken in it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&mut self) -> &mut TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&mut self) -> &mut TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }
}

/// Connects to the target.
pub(super) async fn connect(
    target: &WebSocketUri,
    tls: Option<&TlsTarget>,
) -> io::Result<Box<dyn Wire>> {
    let (host, port) = (target.host().bare(), target.endpoint().port);
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    // What comes in one piece goes on in one, and at once.
    let _ = tcp.set_nodelay(true);
    Ok(match tls {
        None => Box::new(tcp),
        Some(TlsTarget { config, name }) => {
            Box::new(TlsConnector::from(config.clone()).connect(name.clone(), tcp).await?)
        }
    })
}

/// Resets the connection (RST).
pub(super) fn reset(wire: &mut dyn Wire) {
    // A socket that is gone needs no more.
    let _ = wire.tcp().set_zero_linger();
}

/// Ends the stream (FIN), TLS without a word, and waits a little for the other side to do so, too: closed
/// with bytes unread, it would be reset.
pub(super) async fn cut(wire: &mut dyn Wire) {
    let tcp = wire.tcp();
    let _ = tcp.shutdown().await;
    let mut nowhere = [0; 4096];
    let rest = async { while tcp.read(&mut nowhere).await.is_ok_and(|size| size > 0) {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// How long an end is waited for.
const LINGER: Duration = Duration::from_secs(2);
