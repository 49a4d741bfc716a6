//! The way to a server: names, sockets, the proxy in between, TLS. What all of it has together is one
//! deadline.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lastword_dial::{
    Endpoint, Environment, Host, Progress, Proxy, ProxyProtocol, Resolution, Scheme, Tunnel,
    WebSocketUri,
};
use lastword_kit::{Addresses, ConnectError, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::race::race;
use crate::tls::{self, Identity, Trust};
use crate::transport::{Tls, Transport, addresses as addresses_of};

/// Which proxy a client goes through.
#[derive(Clone, Debug, Default)]
pub(super) enum Via {
    /// The one that the environment asks for.
    #[default]
    Environment,
    /// None.
    Nobody,
    /// This one.
    Proxy(Proxy),
}

/// How to get to a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    pub(super) via: Via,
    pub(super) local_address: Option<IpAddr>,
    pub(super) trust: Trust,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) server_name: Option<ServerName<'static>>,
    /// Whom we trust to be a proxy of HTTPS.
    pub(super) proxy_trust: Trust,
}

/// The deadline of an opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    deadline: Instant,
    limit: Duration,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit, limit }
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

impl Way {
    /// A stream to the server of `uri`, encrypted if it has to be.
    pub(super) async fn go(
        &self,
        uri: &WebSocketUri,
        patience: Patience,
    ) -> Result<(Box<dyn Transport>, Addresses), ConnectError> {
        let Some(proxy) = self.proxy(uri)? else {
            let stream = self.dial(uri.endpoint(), patience).await?;
            let addresses = addresses_of(&stream);
            return Ok((self.secure(uri, stream, patience).await?, addresses));
        };
        let stream = self.dial(proxy.endpoint(), patience).await?;
        let addresses = addresses_of(&stream);
        let transport = if proxy.protocol() == ProxyProtocol::Https {
            let host = &proxy.endpoint().host;
            let work = establish_tls(host, None, &self.proxy_trust, None, stream);
            let mut stream = patience.within(Phase::Tls, work).await?;
            self.pass(&proxy, uri, &mut stream, patience).await?;
            self.secure(uri, stream, patience).await?
        } else {
            let mut stream = stream;
            self.pass(&proxy, uri, &mut stream, patience).await?;
            self.secure(uri, stream, patience).await?
        };
        Ok((transport, addresses))
    }

    /// TLS over `stream`, if the URI asks for it.
    pub(super) async fn secure<S: Transport + 'static>(
        &self,
        uri: &WebSocketUri,
        stream: S,
        patience: Patience,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        if uri.scheme() == Scheme::Ws {
            return Ok(Box::new(stream));
        }
        let (name, identity) = (self.server_name.clone(), self.identity.as_deref());
        let work = establish_tls(uri.host(), name, &self.trust, identity, stream);
        Ok(Box::new(patience.within(Phase::Tls, work).await?))
    }

    fn proxy(&self, uri: &WebSocketUri) -> Result<Option<Proxy>, ConnectError> {
        match &self.via {
            Via::Nobody => Ok(None),
            Via::Proxy(proxy) => Ok(Some(proxy.clone())),
            Via::Environment => {
                let environment = Environment::read(|name| std::env::var(name).ok());
                environment.proxy_for(uri).map_err(ConnectError::InvalidProxy)
            }
        }
    }

    async fn dial(
        &self,
        endpoint: &Endpoint,
        patience: Patience,
    ) -> Result<TcpStream, ConnectError> {
        let addresses = patience.within(Phase::Resolving, resolve(endpoint)).await?;
        let race = async {
            race(addresses, |address| connect(address, self.local_address)).await.map_err(
                |mut attempts| match attempts.pop() {
                    Some(last) => ConnectError::Connect {
                        address: last.address.to_string(),
                        source: last.error,
                        before: attempts,
                    },
                    None => unresolved(&endpoint.host, no_address()),
                },
            )
        };
        patience.within(Phase::Connecting, race).await
    }

    /// Asks a proxy for a tunnel to the server.
    async fn pass<S: Transport>(
        &self,
        proxy: &Proxy,
        uri: &WebSocketUri,
        stream: &mut S,
        patience: Patience,
    ) -> Result<(), ConnectError> {
        let mut endpoint = uri.endpoint().clone();
        if proxy.resolution() == Resolution::Here {
            let found = patience.within(Phase::Resolving, resolve(&endpoint)).await?;
            // SOCKS4 has no form for IPv6. One address is all that a proxy takes.
            let fits = |address: &&SocketAddr| {
                proxy.protocol() != ProxyProtocol::Socks4 || address.is_ipv4()
            };
            let address = found.iter().find(fits).or(found.first());
            let address = address.ok_or_else(|| unresolved(&endpoint.host, no_address()))?;
            endpoint.host = Host::Address(address.ip());
        }
        let failed = |source| ConnectError::Proxy { proxy: Box::new(proxy.clone()), source };
        let tunnel = Tunnel::new(proxy, &endpoint).map_err(failed)?;
        patience.within(Phase::Proxy, converse(proxy, tunnel, stream)).await
    }
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

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ConnectError> {
    let name = match &endpoint.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, endpoint.port)]),
        Host::Name(name) => name.as_str(),
    };
    let found = tokio::net::lookup_host((name, endpoint.port)).await;
    Ok(found.map_err(|source| unresolved(&endpoint.host, source))?.collect())
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

async fn establish_tls<S: Transport>(
    host: &Host,
    name: Option<ServerName<'static>>,
    trust: &Trust,
    identity: Option<&Identity>,
    stream: S,
) -> Result<Tls<S>, ConnectError> {
    let failed = |source| ConnectError::Tls { host: host.bare(), source };
    let config = tls::client(trust, identity).map_err(|e| failed(io::Error::other(e)))?;
    let name = match name {
        Some(name) => name,
        // A certificate knows no dot at the end of a name.
        None => ServerName::try_from(host.bare().trim_end_matches('.').to_owned())
            .map_err(|e| failed(io::Error::other(e)))?,
    };
    TlsConnector::from(config).connect(name, stream).await.map(Tls::new).map_err(failed)
}

fn unresolved(host: &Host, source: io::Error) -> ConnectError {
    ConnectError::Resolve { host: host.bare(), source }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no address")
}
