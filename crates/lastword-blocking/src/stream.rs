//! A socket with TLS over it, or without: bytes that were read become plain, plain ones are written. TLS
//! may lie over the TLS of a proxy.
//!
//! Reading from the socket is not in here: a thread may do that while others write. What it has read
//! is handed in.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use lastword_kit::TlsDetails;
use lastword_kit::rustls::Connection as Session;

use crate::socket::{Interest, Socket, Until};

pub(crate) struct Stream {
    pub(crate) socket: Arc<Socket>,
    tls: Option<Box<Session>>,
    /// TLS with a proxy, which `tls` lies over.
    proxy: Option<Box<Session>>,
    /// What decrypting failed with, to be told when all that came before it is read.
    failure: Option<io::Error>,
    /// Whether TLS has said its goodbye, and that of the proxy.
    notified: bool,
    proxy_notified: bool,
}

impl Stream {
    pub(crate) fn plain(socket: Socket) -> Self {
        Self {
            socket: Arc::new(socket),
            tls: None,
            proxy: None,
            failure: None,
            notified: false,
            proxy_notified: false,
        }
    }

    /// The stream with this session over it; [`Self::establish`] comes next. TLS that is there already is
    /// the proxy's.
    pub(crate) fn under(self, session: Session) -> Self {
        Self { tls: Some(Box::new(session)), proxy: self.tls, ..self }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// What TLS came to, if it is spoken.
    pub(crate) fn tls(&self) -> Option<TlsDetails> {
        Some(match &**self.tls.as_ref()? {
            Session::Client(session) => TlsDetails::of(session, None),
            Session::Server(session) => TlsDetails::of(session, session.server_name()),
        })
    }

    /// Establishes TLS.
    pub(crate) fn establish<'a>(&mut self, until: impl Into<Until<'a>>) -> io::Result<()> {
        let until = until.into();
        // What the proxy's TLS has decrypted already waits for no more bytes to come.
        self.take_in(&[])?;
        while let Some(session) = &self.tls
            && session.is_handshaking()
        {
            self.write_records()?;
            let write = self.holds_records();
            let Some(session) = &mut self.tls else { break };
            let interest = Interest { read: session.wants_read(), write };
            let ready = until.wait(&self.socket, interest)?;
            if ready.read {
                let mut buffer = [0; HANDSHAKE_READ];
                let count = self.socket.try_read(&mut buffer).map(Some).or_else(nothing_yet)?;
                match count {
                    None => {}
                    Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(count) => self.take_in(buffer.get(..count).unwrap_or_default())?,
                }
            }
        }
        self.write_all(&[], until)
    }

    /// Hands records to TLS.
    fn take_in(&mut self, read: &[u8]) -> io::Result<()> {
        let Some(proxy) = &mut self.proxy else { return self.take_in_own(read) };
        let mut between = Vec::new();
        let below = peel(proxy, read, &mut between);
        self.take_in_own(&between)?;
        match (below?, &mut self.tls) {
            (Goes::NoMore, Some(session)) if session.is_handshaking() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            (Goes::NoMore, Some(session)) => session.read_tls(&mut io::empty()).map(drop),
            _ => Ok(()),
        }
    }

    fn take_in_own(&mut self, mut read: &[u8]) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return Ok(()) };
        while !read.is_empty() {
            let taken = session.read_tls(&mut read)?;
            if let Err(error) = session.process_new_packets() {
                // The alert that says what was wrong.
                let _ = self.write_records();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Decrypts what was read from the socket, and hands the plain bytes on, piece by piece. The
    /// answer tells whether the stream goes on.
    pub(crate) fn decrypt(
        &mut self,
        read: &[u8],
        plain: &mut [u8],
        mut receive: impl FnMut(&mut [u8]),
    ) -> io::Result<Goes> {
        let Some(proxy) = &mut self.proxy else { return self.decrypt_own(read, plain, receive) };
        let mut between = Vec::new();
        let below = peel(proxy, read, &mut between);
        let goes = self.decrypt_own(&between, plain, &mut receive)?;
        match below {
            // Whoever has said goodbye needs nothing of the proxy any more.
            _ if goes == Goes::NoMore => Ok(goes),
            Ok(Goes::On) => Ok(goes),
            // Whether the end is a good one, the TLS with the server judges.
            Ok(Goes::NoMore) => self.decrypt_end(plain, receive),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.decrypt_end(plain, receive)
            }
            Err(error) => Err(error),
        }
    }

    fn decrypt_end(
        &mut self,
        plain: &mut [u8],
        receive: impl FnMut(&mut [u8]),
    ) -> io::Result<Goes> {
        if let Some(session) = &mut self.tls {
            session.read_tls(&mut io::empty())?;
        }
        self.decrypt_own(&[], plain, receive)
    }

    fn decrypt_own(
        &mut self,
        mut read: &[u8],
        plain: &mut [u8],
        mut receive: impl FnMut(&mut [u8]),
    ) -> io::Result<Goes> {
        loop {
            let before = read.len();
            let Some(session) = &mut self.tls else { return Ok(Goes::On) };
            if self.failure.is_none() {
                if !read.is_empty() {
                    session.read_tls(&mut read)?;
                }
                if let Err(error) = session.process_new_packets() {
                    self.failure = Some(io::Error::new(io::ErrorKind::InvalidData, error));
                    let _ = self.write_records();
                }
            }
            // One bad record fails all that were read with it, but those before it are authentic.
            let Some(session) = &mut self.tls else { return Ok(Goes::On) };
            let goes = loop {
                match session.reader().read(plain) {
                    Ok(0) => break Goes::NoMore,
                    Ok(count) => receive(plain.get_mut(..count).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Goes::On,
                    Err(error) => return Err(self.failure.take().unwrap_or(error)),
                }
            };
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if goes == Goes::NoMore || read.is_empty() || read.len() == before {
                return Ok(goes);
            }
        }
    }

    /// Tells TLS that the socket has come to its end: what follows in [`Self::decrypt`] is its judgement.
    pub(crate) fn end(&mut self) {
        if let Some(lowest) = self.proxy.as_mut().or(self.tls.as_mut()) {
            let _ = lowest.read_tls(&mut io::empty());
        }
    }

    /// Writes what the socket takes; `WouldBlock` if it takes nothing.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(session) = &mut self.tls else { return self.socket.try_write(slices) };
        let count = session.writer().write_vectored(slices)?;
        self.write_records()?;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    /// Whether TLS holds records that the socket has not taken yet.
    pub(crate) fn holds_records(&self) -> bool {
        let holds = |session: &Option<Box<Session>>| {
            session.as_ref().is_some_and(|session| session.wants_write())
        };
        holds(&self.tls) || holds(&self.proxy)
    }

    /// Writes the records that TLS holds, as far as the socket takes them.
    pub(crate) fn write_records(&mut self) -> io::Result<()> {
        let Self { socket, tls: Some(session), proxy, .. } = self else { return Ok(()) };
        match proxy {
            None => flush(session, &mut Records(socket)),
            Some(proxy) => {
                flush(session, &mut Nested { proxy: &mut *proxy, socket })?;
                flush(proxy, &mut Records(socket))
            }
        }
    }

    /// Ends our half: TLS's first, then the socket's. `WouldBlock` if that has to wait.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.say_goodbye();
        self.write_records()?;
        if let Some(proxy) = &mut self.proxy
            && self.tls.as_ref().is_none_or(|session| !session.wants_write())
            && !std::mem::replace(&mut self.proxy_notified, true)
        {
            proxy.send_close_notify();
            self.write_records()?;
        }
        if self.holds_records() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.socket.finish()
    }

    /// TLS's own end, where it can be said at once.
    pub(crate) fn say_goodbye(&mut self) {
        if let Some(session) = &mut self.tls
            && !std::mem::replace(&mut self.notified, true)
        {
            session.send_close_notify();
        }
    }

    /// Reads plain bytes, for an opening: waits, but not beyond the deadline.
    pub(crate) fn read_until<'a>(
        &mut self,
        buffer: &mut [u8],
        until: impl Into<Until<'a>>,
    ) -> io::Result<usize> {
        let until = until.into();
        loop {
            if let Some(session) = &mut self.tls {
                match session.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
            }
            until.wait(&self.socket, Interest { read: true, write: false })?;
            if self.is_plain() {
                match self.socket.try_read(buffer).map(Some).or_else(nothing_yet)? {
                    None => continue,
                    Some(count) => return Ok(count),
                }
            }
            let mut records = [0; HANDSHAKE_READ];
            match self.socket.try_read(&mut records).map(Some).or_else(nothing_yet)? {
                None => {}
                Some(0) => {
                    self.end();
                    self.take_in(&[])?;
                }
                Some(count) => self.take_in(records.get(..count).unwrap_or_default())?,
            }
        }
    }

    /// Writes all of it, for an opening: waits, but not beyond the deadline.
    pub(crate) fn write_all<'a>(
        &mut self,
        mut bytes: &[u8],
        until: impl Into<Until<'a>>,
    ) -> io::Result<()> {
        let until = until.into();
        while !bytes.is_empty() || self.holds_records() {
            let written = if bytes.is_empty() {
                self.write_records().map(|()| 0)
            } else {
                self.write(&[IoSlice::new(bytes)])
            };
            let count = written.map(Some).or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            })?;
            bytes = bytes.get(count.unwrap_or(0)..).unwrap_or_default();
            if count.is_none() || self.holds_records() {
                until.wait(&self.socket, Interest { read: false, write: true })?;
            }
        }
        Ok(())
    }
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    NoMore,
}

/// Takes off the TLS with a proxy: what was in the records that came, to the end of `between`.
fn peel(proxy: &mut Session, mut read: &[u8], between: &mut Vec<u8>) -> io::Result<Goes> {
    loop {
        let before = read.len();
        if !read.is_empty() {
            proxy.read_tls(&mut read)?;
        }
        let processed = proxy.process_new_packets();
        // What came ahead of a bad record is authentic.
        let goes = match proxy.reader().read_to_end(between) {
            Ok(_) => Goes::NoMore,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Goes::On,
            Err(error) => return Err(error),
        };
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if goes == Goes::NoMore || read.is_empty() || read.len() == before {
            return Ok(goes);
        }
    }
}

/// Writes the records that a session holds, as far as they are taken.
fn flush(session: &mut Session, to: &mut impl Write) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn nothing_yet(error: io::Error) -> io::Result<Option<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

struct Records<'a>(&'a Socket);

impl Write for Records<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records that go through the TLS with a proxy.
struct Nested<'a> {
    proxy: &'a mut Session,
    socket: &'a Socket,
}

impl Write for Nested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What the socket does not take now, the proxy's session holds; up to its limit.
        flush(self.proxy, &mut Records(self.socket))?;
        let count = self.proxy.writer().write(bytes)?;
        flush(self.proxy, &mut Records(self.socket))?;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much is read at once in an opening.
const HANDSHAKE_READ: usize = 4096;
