//! A client that is nothing but a socket, and leaves as it likes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lastword::rustls::pki_types::ServerName;
use lastword::rustls::{ClientConnection, StreamOwned};
use lastword_faults::Certificates;
use socket2::SockRef;

pub(crate) const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub(crate) fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Past its opening.
pub(crate) fn open(server: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = connect(server)?;
    introduce(&mut stream)?;
    Ok(stream)
}

/// TLS over a socket, as the dropped end of both leaves it: without close_notify.
pub(crate) type Sealed = StreamOwned<ClientConnection, TcpStream>;

/// The same, inside TLS.
pub(crate) fn open_sealed(server: SocketAddr, tls: &Certificates) -> io::Result<Sealed> {
    let name = ServerName::try_from(Certificates::HOST).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(&tls.client), name);
    let connection = connection.map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(server)?);
    introduce(&mut stream)?;
    Ok(stream)
}

/// The opening handshake.
fn introduce(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(io::Error::other("no 101")) }
}

/// A frame with a mask of zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first];
    match payload.len() {
        short @ 0..=125 => wire.push(0x80 | short as u8),
        long => {
            wire.push(0x80 | 126);
            wire.extend((long as u16).to_be_bytes());
        }
    }
    wire.extend([0; 4]);
    wire.extend(payload);
    wire
}

pub(crate) fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Reads until the server ends it, one way or the other.
///
/// # Errors
/// When it does not, in time.
pub(crate) fn read_out(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
