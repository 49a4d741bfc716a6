//! Proxies that lead to one server, whatever they are asked for.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::place::{Place, read_head};

/// After so many bytes have come, this is said.
pub type Turn = (usize, &'static [u8]);

/// A proxy of HTTP that leads to `server`. Notes the request.
pub fn http_proxy(server: SocketAddr) -> Place {
    Place::new(move |stream, here| tunnel(stream, server, here))
}

/// A proxy of HTTPS that leads to `server`. Notes the request.
pub fn https_proxy(server: SocketAddr, tls: Arc<ServerConfig>) -> Place {
    Place::new(move |stream, here| {
        if let Ok(session) = ServerConnection::new(Arc::clone(&tls)) {
            tunnel(StreamOwned::new(session, stream), server, here);
        }
    })
}

/// A proxy of SOCKS that takes its turns, and then leads to `server`. Notes all that came in the turns.
pub fn socks_proxy(server: SocketAddr, turns: &'static [Turn]) -> Place {
    Place::new(move |mut stream, here| {
        let mut asked = Vec::new();
        for (count, answer) in turns {
            let mut came = vec![0; *count];
            if stream.read_exact(&mut came).is_err() {
                return;
            }
            asked.extend(came);
            if stream.write_all(answer).is_err() {
                return;
            }
        }
        here.note(asked);
        relay(stream, server);
    })
}

/// Answers `CONNECT` byte by byte, as far as the network lets it be.
fn tunnel(mut stream: impl Near, server: SocketAddr, here: &Place) {
    here.note(read_head(&mut stream));
    for byte in b"HTTP/1.1 200 OK\r\n\r\n" {
        if stream.write_all(&[*byte]).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
    relay(stream, server);
}

/// The side of the client.
trait Near: Read + Write {
    fn socket(&self) -> &TcpStream;

    /// Ends our half.
    fn finish(&mut self) {
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Near for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Near for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.sock.shutdown(Shutdown::Write);
    }
}

/// Passes on what comes, both ways, until both have ended.
fn relay(mut near: impl Near, server: SocketAddr) {
    let Ok(mut far) = TcpStream::connect(server) else { return };
    for socket in [near.socket(), &far] {
        if socket.set_nonblocking(true).is_err() {
            return;
        }
    }
    let mut buffer = vec![0; 16 << 10];
    let (mut there, mut back) = (Came::Nothing, Came::Nothing);
    while there != Came::End || back != Came::End {
        if there != Came::End {
            there = pass(&mut near, &mut far, &mut buffer);
            if there == Came::End {
                let _ = far.shutdown(Shutdown::Write);
            }
        }
        if back != Came::End {
            back = pass(&mut far, &mut near, &mut buffer);
            if back == Came::End {
                near.finish();
            }
        }
        if there != Came::Something && back != Came::Something {
            thread::sleep(LOOK);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Nothing,
    Something,
    End,
}

fn pass(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> Came {
    match from.read(buffer) {
        Ok(count @ 1..) => match push(to, buffer.get(..count).unwrap_or_default()) {
            Ok(()) => Came::Something,
            Err(_) => Came::End,
        },
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Came::Nothing,
        Ok(_) | Err(_) => Came::End,
    }
}

/// Writes all of it to what does not wait.
fn push(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let done =
            if bytes.is_empty() { to.flush().map(|()| None) } else { to.write(bytes).map(Some) };
        match done {
            Ok(None) => return Ok(()),
            Ok(Some(count)) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
    }
}

/// How long nothing is done after nothing has come.
const LOOK: Duration = Duration::from_millis(1);

/// How a proxy of SOCKS is asked in one of its versions.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a case of a test")]
pub struct SocksCase {
    /// The scheme of the proxy, and who we are to it.
    pub scheme: &'static str,
    /// The server that the client is told to go to.
    pub server: &'static str,
    /// What the proxy says when.
    pub turns: &'static [Turn],
}

/// All versions of SOCKS, and both kinds of addresses.
pub const SOCKS: [SocksCase; 5] = [
    SocksCase { scheme: "socks4://", server: "127.0.0.9:7", turns: &[(9, GRANTED_4)] },
    SocksCase { scheme: "socks4a://me@", server: "a.invalid:7", turns: &[(21, GRANTED_4)] },
    SocksCase {
        scheme: "socks5://",
        server: "127.0.0.9:7",
        turns: &[(3, &[5, 0]), (10, GRANTED_5)],
    },
    SocksCase { scheme: "socks5://", server: "[::9]:7", turns: &[(3, &[5, 0]), (22, GRANTED_5)] },
    SocksCase {
        scheme: "socks5h://u:p@",
        server: "a.invalid:7",
        turns: &[(4, &[5, 2]), (5, &[1, 0]), (16, GRANTED_5)],
    },
];

impl SocksCase {
    /// Whether the proxy has to learn the server's name, and whether it did.
    pub fn told_name(&self, asked: &[u8]) -> [bool; 2] {
        [self.server.starts_with('a'), asked.windows(9).any(|some| some == b"a.invalid")]
    }
}

const GRANTED_4: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
const GRANTED_5: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
