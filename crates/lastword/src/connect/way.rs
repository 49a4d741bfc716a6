//! The way to a server: names, sockets, the proxy in between, TLS. What all of it has together is one
//! deadline.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lastword_dial::{
    Endpoint, Progress, Proxy, ProxyProtocol, Resolution, Scheme, Tunnel, WebSocketUri,
};
use lastword_kit::{Addresses, ConnectError, Phase, TlsPeer, Wishes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::race::race;
use crate::transport::{Tls, Transport, addresses as addresses_of};

/// The deadline of an opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    deadline: Instant,
    limit: Duration,
}

impl Patience {
    pub(super) fn of(wishes: &Wishes) -> Self {
        let deadline = wishes.deadline(Instant::now().into_std());
        Self { deadline: deadline.into(), limit: wishes.config.open_timeout }
    }

    /// What comes of `work`, if it comes in time.
    pub(super) async fn within<T>(
        self,
        phase: Phase,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let late = |_| ConnectError::TimedOut { limit: self.limit, phase };
        timeout_at(self.deadline, work).await.map_err(late)?
    }
}

/// A stream to the server of `uri`, encrypted if it has to be.
pub(super) async fn go(
    wishes: &Wishes,
    uri: &WebSocketUri,
    patience: Patience,
) -> Result<(Box<dyn Transport>, Addresses), ConnectError> {
    let Some(proxy) = wishes.proxy(uri)? else {
        let stream = dial(wishes, uri.endpoint(), patience).await?;
        let addresses = addresses_of(&stream);
        return Ok((secure(wishes, uri, stream, patience).await?, addresses));
    };
    let unreachable = |error: ConnectError| error.on_the_way_to(&proxy);
    let stream = dial(wishes, proxy.endpoint(), patience).await;
    let mut stream = stream.map_err(unreachable)?;
    let addresses = addresses_of(&stream);
    let transport = if proxy.protocol() == ProxyProtocol::Https {
        let work = establish_tls(wishes.proxy_tls(&proxy).map_err(unreachable)?, stream);
        let mut stream = patience.within(Phase::Tls, work).await.map_err(unreachable)?;
        pass(wishes, &proxy, uri, &mut stream, patience).await?;
        secure(wishes, uri, stream, patience).await?
    } else {
        pass(wishes, &proxy, uri, &mut stream, patience).await?;
        secure(wishes, uri, stream, patience).await?
    };
    Ok((transport, addresses))
}

/// Over a Unix socket at this path; with TLS over it, if the URI asks for that.
#[cfg(unix)]
pub(super) async fn go_unix(
    wishes: &Wishes,
    uri: &WebSocketUri,
    path: &std::path::Path,
    patience: Patience,
) -> Result<Box<dyn Transport>, ConnectError> {
    let failed = |source| ConnectError::Unix { path: path.to_owned(), source };
    let connecting = async { tokio::net::UnixStream::connect(path).await.map_err(failed) };
    let stream = patience.within(Phase::Connecting, connecting).await?;
    secure(wishes, uri, stream, patience).await
}

/// TLS over `stream`, if the URI asks for it.
pub(super) async fn secure<S: Transport + 'static>(
    wishes: &Wishes,
    uri: &WebSocketUri,
    stream: S,
    patience: Patience,
) -> Result<Box<dyn Transport>, ConnectError> {
    if uri.scheme() == Scheme::Ws {
        return Ok(Box::new(stream));
    }
    let work = establish_tls(wishes.tls(uri)?, stream);
    Ok(Box::new(patience.within(Phase::Tls, work).await?))
}

async fn dial(
    wishes: &Wishes,
    endpoint: &Endpoint,
    patience: Patience,
) -> Result<TcpStream, ConnectError> {
    let addresses = resolve(wishes, endpoint, patience).await?;
    let race = async {
        race(addresses, |address| connect(address, wishes.local_address))
            .await
            .map_err(|attempts| ConnectError::unreachable(&endpoint.host, attempts))
    };
    patience.within(Phase::Connecting, race).await
}

/// Asks a proxy for a tunnel to the server.
async fn pass<S: Transport>(
    wishes: &Wishes,
    proxy: &Proxy,
    uri: &WebSocketUri,
    stream: &mut S,
    patience: Patience,
) -> Result<(), ConnectError> {
    let mut endpoint = uri.endpoint().clone();
    if proxy.resolution() == Resolution::Here || wishes.known(&endpoint).is_some() {
        let found = resolve(wishes, &endpoint, patience).await?;
        let target = proxy.target(&found);
        endpoint = target.ok_or_else(|| ConnectError::no_address(&endpoint.host))?;
    }
    let failed = |source| ConnectError::Proxy { proxy: Box::new(proxy.clone()), source };
    let tunnel = Tunnel::new(proxy, &endpoint).map_err(failed)?;
    patience.within(Phase::Proxy, converse(proxy, tunnel, stream)).await
}

/// Carries the bytes of a handshake with a proxy.
async fn converse<S: Transport>(
    proxy: &Proxy,
    mut tunnel: Tunnel,
    stream: &mut S,
) -> Result<(), ConnectError> {
    let lost = |source| ConnectError::ProxyLost { proxy: Box::new(proxy.clone()), source };
    let failed = |source| ConnectError::Proxy { proxy: Box::new(proxy.clone()), source };
    let mut buffer = [0; 1024];
    loop {
        while !tunnel.to_write().is_empty() {
            let count = stream.write(tunnel.to_write()).await.map_err(lost)?;
            if count == 0 {
                return Err(lost(io::ErrorKind::WriteZero.into()));
            }
            tunnel.wrote(count);
        }
        stream.flush().await.map_err(lost)?;
        let count = stream.read(&mut buffer).await.map_err(lost)?;
        if count == 0 {
            return Err(failed(tunnel.receive_eof()));
        }
        let came = buffer.get(..count).unwrap_or_default();
        if tunnel.receive(came).map_err(failed)? == Progress::Open {
            return Ok(());
        }
    }
}

async fn resolve(
    wishes: &Wishes,
    endpoint: &Endpoint,
    patience: Patience,
) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(known) = wishes.known(endpoint) {
        return Ok(known);
    }
    let look_up = async {
        let found = tokio::net::lookup_host((endpoint.host.bare(), endpoint.port)).await;
        found.map_err(|source| ConnectError::unresolved(&endpoint.host, source))
    };
    Ok(patience.within(Phase::Resolving, look_up).await?.collect())
}

async fn connect(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(address).await?;
    // Small messages must not wait for the acknowledgement of others.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn establish_tls<S: Transport>(peer: TlsPeer, stream: S) -> Result<Tls<S>, ConnectError> {
    let host = peer.host().to_owned();
    let stream = TlsConnector::from(peer.config).connect(peer.name, stream).await;
    stream.map(Tls::new).map_err(|source| ConnectError::Tls { host, source })
}
