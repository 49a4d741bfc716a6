//! Where a server listens, and how: places become sockets that listen, one of each for every thread.
//!
//! All of them or none: a server that listens at half of its addresses would be found out by those who
//! come to the other half.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::path::PathBuf;
#[cfg(unix)]
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use crate::listening::BACKLOG;
#[cfg(unix)]
use crate::socket_file::SocketFile;

/// Where a server listens, and how, for its `listen`: any number of addresses, names, Unix sockets, and
/// sockets that listen already.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use lastword_kit::Listen;
///
/// let listen = Listen::new().tcp("127.0.0.1:0").tcp("localhost:0").backlog(1024);
/// // For one thread: what a server does with it.
/// let of_threads = listen.open(NonZeroUsize::MIN)?;
/// assert!(of_threads[0].len() >= 2);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Listen {
    places: Vec<Place>,
    how: How,
}

#[derive(Debug)]
enum Place {
    /// All addresses of a name, or one.
    Tcp(String),
    #[cfg(unix)]
    Unix(PathBuf),
    Socket(ListeningSocket),
}

/// How sockets listen that are made here.
#[derive(Clone, Copy, Debug)]
struct How {
    backlog: u32,
    port: Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Ours,
    Shared,
}

impl How {
    fn backlog(self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}

impl Default for How {
    fn default() -> Self {
        Self { backlog: BACKLOG, port: Port::Ours }
    }
}

impl Listen {
    /// Nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// At this address and port: `127.0.0.1:8765`, `[::1]:8765`, a `SocketAddr`, or at all addresses of a
    /// name, as in `localhost:8765`. If the port is 0, all addresses of the name get the same free one.
    pub fn tcp(mut self, address: impl ToString) -> Self {
        self.places.push(Place::Tcp(address.to_string()));
        self
    }

    /// At this path in the file system. A socket that is left there from a server that is gone is
    /// replaced; one where somebody listens, or a file that is no socket, is an error. The socket is
    /// removed when the server stops listening. Who may connect, the permissions of its
    /// directory say, and its own, which are what the umask of this process leaves of them.
    #[cfg(unix)]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.places.push(Place::Unix(path.into()));
        self
    }

    /// At a socket that listens already; see the server's `listen_on`.
    pub fn socket(mut self, socket: impl Into<ListeningSocket>) -> Self {
        self.places.push(Place::Socket(socket.into()));
        self
    }

    /// How many connections may wait to be accepted, at each address; 4096. The operating system has a
    /// limit of its own, too (`net.core.somaxconn`).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.how.backlog = connections;
        self
    }

    /// Shares its ports with other processes of the same user that do so, too (`SO_REUSEPORT`): the
    /// next version of a server, say, before this one stops. Linux spreads connections over all of them.
    /// Not on Windows and Solaris, where it is an error.
    pub fn share_port(mut self) -> Self {
        self.how.port = Port::Shared;
        self
    }

    /// Whether a name is to be resolved, by a call that waits.
    ///
    /// ```
    /// use lastword_kit::Listen;
    ///
    /// let addresses = Listen::new().tcp("127.0.0.1:0").tcp("[::1]:0");
    /// assert!(!addresses.asks_resolver());
    /// assert!(addresses.tcp("localhost:0").asks_resolver());
    /// ```
    pub fn asks_resolver(&self) -> bool {
        let is_name = |place: &Place| match place {
            Place::Tcp(address) => address.parse::<SocketAddr>().is_err(),
            _ => false,
        };
        self.places.iter().any(is_name)
    }

    /// Sockets for `threads`, each with one for each place. Waits for nothing but the resolver of names.
    ///
    /// # Errors
    /// When one of the places cannot be listened on, which the error names.
    pub fn open(self, threads: NonZeroUsize) -> io::Result<Vec<Vec<ListeningSocket>>> {
        let Self { places, how } = self;
        let mut of_threads: Vec<Vec<_>> = (0..threads.get()).map(|_| Vec::new()).collect();
        for place in places {
            let name = place.to_string();
            // Of several places it has to be said which it was.
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot listen on {name}: {error}"))
            };
            let opened = place.open(how, threads).map_err(named)?;
            for sockets in opened {
                of_threads.iter_mut().zip(sockets).for_each(|(all, socket)| all.push(socket));
            }
        }
        if of_threads.first().is_none_or(Vec::is_empty) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "nowhere to listen"));
        }
        Ok(of_threads)
    }

    /// Sockets for `threads`, at the first of these addresses that can be listened on.
    ///
    /// # Errors
    /// Why the last of them cannot be.
    pub fn at_first_of(
        addresses: impl IntoIterator<Item = SocketAddr>,
        threads: NonZeroUsize,
    ) -> io::Result<Vec<ListeningSocket>> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address");
        for address in addresses {
            match listen(address, How::default(), threads) {
                Ok(sockets) => return Ok(sockets),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Socket(_) => f.write_str("a socket of the application's own"),
        }
    }
}

impl Place {
    /// Sockets for `threads`, for each address.
    fn open(self, how: How, threads: NonZeroUsize) -> io::Result<Vec<Vec<ListeningSocket>>> {
        match self {
            Self::Tcp(name) => {
                let (mut opened, mut known) = (Vec::new(), Vec::new());
                let mut port = 0;
                for mut address in name.to_socket_addrs()? {
                    // Some resolvers name an address once for each kind of socket.
                    if known.contains(&address) {
                        continue;
                    }
                    known.push(address);
                    if address.port() == 0 {
                        address.set_port(port);
                    }
                    let sockets = listen(address, how, threads)?;
                    let bound = sockets.first().and_then(ListeningSocket::address);
                    port = bound.map_or(port, |bound| bound.port());
                    opened.push(sockets);
                }
                Ok(opened)
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let (socket, file) = SocketFile::make_way(path)?.bind(how.backlog())?;
                let socket = ListeningSocket(Kind::Unix(socket.into(), Some(Arc::new(file))));
                Ok(vec![socket.share(threads)?])
            }
            Self::Socket(socket) => Ok(vec![socket.share(threads)?]),
        }
    }
}

/// A socket that listens already, of TCP or (on Unix) of the file system: from a `TcpListener` or a
/// `UnixListener` of the standard library.
#[derive(Debug)]
pub struct ListeningSocket(Kind);

/// What a [`ListeningSocket`] is.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "of the internet, or of the file system")]
pub enum Kind {
    /// Of the internet.
    Tcp(TcpListener),
    /// Of the file system, with its file, if that is ours to remove.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener, Option<Arc<SocketFile>>),
}

impl From<std::net::TcpListener> for ListeningSocket {
    fn from(socket: std::net::TcpListener) -> Self {
        Self(Kind::Tcp(socket))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for ListeningSocket {
    /// Its file stays where it is.
    fn from(socket: std::os::unix::net::UnixListener) -> Self {
        Self(Kind::Unix(socket, None))
    }
}

impl ListeningSocket {
    /// What it is.
    pub fn into_kind(self) -> Kind {
        self.0
    }

    /// Its address, if it has one that is known.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(..) => None,
        }
    }

    /// The same socket for all of `threads`; it does not wait any more.
    ///
    /// # Errors
    /// When the operating system has no descriptor.
    pub fn share(self, threads: NonZeroUsize) -> io::Result<Vec<Self>> {
        match &self.0 {
            Kind::Tcp(socket) => socket.set_nonblocking(true)?,
            #[cfg(unix)]
            Kind::Unix(socket, _) => socket.set_nonblocking(true)?,
        }
        let clones = (1..threads.get()).map(|_| self.try_clone());
        let mut sockets = clones.collect::<io::Result<Vec<_>>>()?;
        sockets.push(self);
        Ok(sockets)
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            Kind::Tcp(socket) => Kind::Tcp(socket.try_clone()?),
            #[cfg(unix)]
            Kind::Unix(socket, file) => Kind::Unix(socket.try_clone()?, file.clone()),
        }))
    }
}

/// Sockets for `threads` that listen on the same address. Linux spreads connections over them; where
/// that is not so, they are one socket that all threads accept from.
fn listen(
    address: SocketAddr,
    how: How,
    threads: NonZeroUsize,
) -> io::Result<Vec<ListeningSocket>> {
    let socket = new_socket(address)?;
    if how.port == Port::Shared {
        share_port(&socket)?;
    }
    socket.bind(&address.into())?;
    if SPREADS && threads.get() > 1 {
        // Only now: whoever has this port to himself keeps it, and we are told.
        share_port(&socket)?;
    }
    let first = listening(socket, how)?;
    if !SPREADS {
        return first.share(threads);
    }
    let address = first.address().unwrap_or(address);
    let mut sockets = vec![first];
    while sockets.len() < threads.get() {
        let socket = new_socket(address)?;
        share_port(&socket)?;
        socket.bind(&address.into())?;
        sockets.push(listening(socket, how)?);
    }
    Ok(sockets)
}

/// Whether the kernel spreads connections over sockets that share a port. Elsewhere the last takes all.
const SPREADS: bool = cfg!(any(target_os = "linux", target_os = "android"));

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
)))]
fn share_port(_socket: &Socket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "ports cannot be shared on this system"))
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A server that is started again takes its port back from connections that linger. On Windows
    // the option means something else: to share the port with whoever holds it.
    socket.set_reuse_address(cfg!(not(windows)))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn listening(socket: Socket, how: How) -> io::Result<ListeningSocket> {
    socket.listen(how.backlog())?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from(socket).into())
}
