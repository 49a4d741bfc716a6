//! Connected sockets of the kernel, in pairs: one end for a peer, the other for the proxy.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::SockRef;

/// What two peers talk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what the suites go through")]
pub enum Transport {
    /// TCP on the loopback.
    Tcp,
    /// TLS over that.
    Tls,
    /// A stream of the Unix domain.
    Unix,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Unix];
}

/// How much the kernel holds for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "as it is, or as little as possible")]
pub enum Buffers {
    /// What it holds by default.
    Ordinary,
    /// As little as it can: a peer that does not read is soon felt.
    Small,
}

/// A connected socket.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "what a driver has to know what to do with")]
pub enum Stream {
    /// Of TCP.
    Tcp(TcpStream),
    /// Of the Unix domain.
    Unix(UnixStream),
}

impl Stream {
    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    /// When the operating system has none.
    pub fn pair(transport: Transport, buffers: Buffers) -> io::Result<(Self, Self)> {
        let (one, other) = if transport == Transport::Unix {
            let (one, other) = UnixStream::pair()?;
            (Self::Unix(one), Self::Unix(other))
        } else {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let one = TcpStream::connect(listener.local_addr()?)?;
            let (other, _) = listener.accept()?;
            // What was written is on its way: nothing waits behind an acknowledgement.
            one.set_nodelay(true)?;
            other.set_nodelay(true)?;
            (Self::Tcp(one), Self::Tcp(other))
        };
        if buffers == Buffers::Small {
            for stream in [&one, &other] {
                SockRef::from(stream).set_recv_buffer_size(4096)?;
                SockRef::from(stream).set_send_buffer_size(4096)?;
            }
        }
        Ok((one, other))
    }

    /// Whether calls return at once.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// Ends our half; a peer that is gone already needs no end.
    pub(crate) fn finish(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Resets the connection. The Unix domain knows no such thing: there a peer is reset when it
    /// had sent what nobody read.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
