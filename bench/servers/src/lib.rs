//! What all servers have in common, so that a peer's file shows nothing but the peer: arguments, a
//! runtime of one thread, a listener. `SERVER PORT [echo|deflate|broadcast|tls|threads]`.

pub mod epoll;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// What a server does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sends it back.
    Echo,
    /// Sends it back, over connections that agreed on permessage-deflate.
    Deflate,
    /// Sends it to everybody, the one who said it too.
    Broadcast,
    /// Sends it back, over TLS.
    Tls,
    /// Sends it back, from a thread for each connection.
    Threads,
}

/// Where to listen, and what to do.
///
/// # Panics
/// When the arguments are others.
pub fn arguments() -> (u16, Mode) {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).expect("a port");
    let mode = match arguments.next().as_deref() {
        None | Some("echo") => Mode::Echo,
        Some("deflate") => Mode::Deflate,
        Some("broadcast") => Mode::Broadcast,
        Some("tls") => Mode::Tls,
        Some("threads") => Mode::Threads,
        Some(other) => panic!("no mode: {other}"),
    };
    (port, mode)
}

/// Runs on this thread.
///
/// # Panics
/// Without epoll.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a kernel with epoll").block_on(future)
}

/// Listens as `lastword` does.
///
/// # Panics
/// When the port is taken.
pub fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(([127, 0, 0, 1], port).into()).expect("a free port");
    socket.listen(1024).expect("a listener")
}

/// Serves each connection in a task of its own, for ever.
pub async fn serve<F>(port: u16, handler: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listen(port);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        stream.set_nodelay(true).expect("an option");
        tokio::spawn(handler(stream));
    }
}

/// Serves each connection in a task of its own, behind TLS.
///
/// # Panics
/// When the port is taken.
pub async fn serve_tls<F>(
    port: u16,
    handler: impl Fn(TlsStream<TcpStream>) -> F + Copy + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls());
    serve(port, |stream| {
        let accepted = acceptor.accept(stream);
        async move {
            if let Ok(stream) = accepted.await {
                handler(stream).await;
            }
        }
    })
    .await;
}

/// A key of the hour, and rustls as it comes.
///
/// # Panics
/// Without randomness.
pub fn tls() -> Arc<ServerConfig> {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let secret = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that it knows")
        .with_no_client_auth();
    Arc::new(config.with_single_cert(vec![key.cert.into()], secret).expect("a key that fits"))
}

/// A little more than the largest message that is ever sent, for limits that have to allow it.
pub const LARGEST: usize = 257 << 20;
