//! The way to a server: names, sockets, the proxy in between, TLS. What all of it has together is one
//! deadline.

use std::io;
use std::path::Path;
use std::time::Duration;

use lastword_dial::{
    Endpoint, Progress, Proxy, ProxyProtocol, Resolution, Scheme, Tunnel, WebSocketUri,
};
use lastword_kit::{Addresses, ConnectError, Phase, TlsPeer, Wishes};

use super::race::race;
use super::resolve::resolve;
use crate::connecting::{Connecting, stand};
use crate::socket::{Until, now};
use crate::stream::Stream;

/// The deadline of an opening, and whoever may cancel it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience<'a> {
    pub(super) until: Until<'a>,
    /// `Config::open_timeout`.
    pub(super) limit: Duration,
}

impl Patience<'_> {
    /// What came of work in this phase. A wait that is over is told as such, all else as `otherwise` says.
    pub(super) fn told<T>(
        self,
        phase: Phase,
        came: io::Result<T>,
        otherwise: impl FnOnce(io::Error) -> ConnectError,
    ) -> Result<T, ConnectError> {
        came.map_err(|error| match (error.kind(), self.until.check()) {
            (io::ErrorKind::Interrupted, Err(over)) if over.kind() == error.kind() => {
                ConnectError::Cancelled { phase }
            }
            // The network has waits of its own, which end before ours.
            (io::ErrorKind::TimedOut, Err(_)) => {
                ConnectError::TimedOut { limit: self.limit, phase }
            }
            _ => otherwise(error),
        })
    }
}

/// A stream to the server of `uri`, encrypted if it has to be.
pub(super) fn go(
    wishes: &Wishes,
    uri: &WebSocketUri,
    patience: Patience<'_>,
) -> Result<(Stream, Addresses), ConnectError> {
    let Some(proxy) = wishes.proxy(uri)? else {
        let (stream, addresses) = dial(wishes, uri.endpoint(), patience)?;
        return Ok((secure(wishes, uri, stream, patience)?, addresses));
    };
    let (mut stream, addresses) =
        reach(wishes, &proxy, patience).map_err(|error| error.on_the_way_to(&proxy))?;
    pass(wishes, &proxy, uri, &mut stream, patience)?;
    Ok((secure(wishes, uri, stream, patience)?, addresses))
}

/// A stream to a proxy, encrypted if it has to be.
fn reach(
    wishes: &Wishes,
    proxy: &Proxy,
    patience: Patience<'_>,
) -> Result<(Stream, Addresses), ConnectError> {
    let (stream, addresses) = dial(wishes, proxy.endpoint(), patience)?;
    let stream = match proxy.protocol() {
        ProxyProtocol::Https => establish_tls(wishes.proxy_tls(proxy)?, stream, patience)?,
        _ => stream,
    };
    Ok((stream, addresses))
}

/// A stream to a Unix socket.
pub(super) fn dial_unix(path: &Path, patience: Patience<'_>) -> Result<Stream, ConnectError> {
    let until = patience.until;
    let connected = loop {
        match Connecting::to_path(path).and_then(|connecting| stand(connecting, until)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // No call tells when those who wait have become fewer.
                if let Err(over) = until.sleep(now() + BUSY) {
                    break Err(over);
                }
            }
            done => break done.and_then(Connecting::into_socket),
        }
    };
    let failed = |source| ConnectError::Unix { path: path.to_owned(), source };
    let (socket, _) = patience.told(Phase::Connecting, connected, failed)?;
    Ok(Stream::plain(socket))
}

/// TLS over `stream`, if the URI asks for it.
pub(super) fn secure(
    wishes: &Wishes,
    uri: &WebSocketUri,
    stream: Stream,
    patience: Patience<'_>,
) -> Result<Stream, ConnectError> {
    match uri.scheme() {
        Scheme::Ws => Ok(stream),
        Scheme::Wss => establish_tls(wishes.tls(uri)?, stream, patience),
    }
}

fn dial(
    wishes: &Wishes,
    endpoint: &Endpoint,
    patience: Patience<'_>,
) -> Result<(Stream, Addresses), ConnectError> {
    let found = look_up(wishes, endpoint, patience)?;
    let raced = race(found, wishes.local_address, patience.until);
    let raced = patience.told(Phase::Connecting, raced, ConnectError::Lost)?;
    let stands = raced.map_err(|attempts| ConnectError::unreachable(&endpoint.host, attempts))?;
    let (socket, addresses) = stands.into_socket().map_err(ConnectError::Lost)?;
    Ok((Stream::plain(socket), addresses))
}

fn look_up(
    wishes: &Wishes,
    endpoint: &Endpoint,
    patience: Patience<'_>,
) -> Result<Vec<std::net::SocketAddr>, ConnectError> {
    if let Some(known) = wishes.known(endpoint) {
        return Ok(known);
    }
    let found = resolve(&endpoint.host.bare(), endpoint.port, patience.until);
    let unresolved = |source| ConnectError::unresolved(&endpoint.host, source);
    patience.told(Phase::Resolving, found, unresolved)
}

/// Asks a proxy for a tunnel to the server.
fn pass(
    wishes: &Wishes,
    proxy: &Proxy,
    uri: &WebSocketUri,
    stream: &mut Stream,
    patience: Patience<'_>,
) -> Result<(), ConnectError> {
    let mut endpoint = uri.endpoint().clone();
    if proxy.resolution() == Resolution::Here || wishes.known(&endpoint).is_some() {
        let target = proxy.target(&look_up(wishes, &endpoint, patience)?);
        endpoint = target.ok_or_else(|| ConnectError::no_address(&endpoint.host))?;
    }
    let lost = |source| ConnectError::ProxyLost { proxy: Box::new(proxy.clone()), source };
    let failed = |source| ConnectError::Proxy { proxy: Box::new(proxy.clone()), source };
    let mut tunnel = Tunnel::new(proxy, &endpoint).map_err(failed)?;
    let mut buffer = [0; READ];
    loop {
        let written = stream.write_all(tunnel.to_write(), patience.until);
        patience.told(Phase::Proxy, written, lost)?;
        tunnel.wrote(tunnel.to_write().len());
        let read = stream.read_until(&mut buffer, patience.until);
        let count = patience.told(Phase::Proxy, read, lost)?;
        if count == 0 {
            return Err(failed(tunnel.receive_eof()));
        }
        let came = buffer.get(..count).unwrap_or_default();
        if tunnel.receive(came).map_err(failed)? == Progress::Open {
            return Ok(());
        }
    }
}

fn establish_tls(
    peer: TlsPeer,
    stream: Stream,
    patience: Patience<'_>,
) -> Result<Stream, ConnectError> {
    let host = peer.host().to_owned();
    let mut stream = stream.under(peer.session()?.into());
    let established = stream.establish(patience.until);
    patience.told(Phase::Tls, established, |source| ConnectError::Tls { host, source })?;
    Ok(stream)
}

/// How much of an answer of a proxy is read at once.
const READ: usize = 1024;

/// How long a Unix socket is left alone that has too many who wait.
const BUSY: Duration = Duration::from_millis(10);
