//! A connected socket, and what the kernel is asked of it: the only room that makes system calls.
//!
//! The socket itself blocks, so that a thread can read from it in one call; who must not wait says so
//! with each call.

use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use lastword_kit::Addresses;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::{SockRef, Socket as AnySocket};

use crate::cancel::Cancel;

/// A connected stream socket of any family.
pub(crate) struct Socket(AnySocket);

/// What a thread waits for, beside the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Socket {
    pub(crate) fn new(stream: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = AnySocket::from(stream.into());
        socket.set_nonblocking(false)?;
        // Small messages must not wait for the acknowledgement of others; the Unix domain knows no
        // such wait, and no such option.
        let _ = socket.set_tcp_nodelay(true);
        Ok(Self(socket))
    }

    /// Reads what is there, or waits until something is. A signal is no reason to return.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _)) => return Ok(count),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads what is there; `WouldBlock` if there is nothing.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count)?)
    }

    /// Reads what is there to the end of `buffer`, at most `limit` bytes; `WouldBlock` if there is
    /// nothing.
    pub(crate) fn try_read_into(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let spare = buffer.capacity().saturating_sub(buffer.len());
        if (1..=limit).contains(&spare) {
            return Ok(recv(&self.0, spare_capacity(buffer), RecvFlags::DONTWAIT)?.0);
        }
        // There is more room than may be read to.
        let before = buffer.len();
        buffer.resize(before.saturating_add(limit.min(PIECE)), 0);
        let read = self.try_read(buffer.get_mut(before..).unwrap_or_default());
        buffer.truncate(before.saturating_add(*read.as_ref().unwrap_or(&0)));
        read
    }

    /// Writes what the kernel takes; `WouldBlock` if it takes nothing.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(match slices {
            [one] => send(&self.0, one, flags)?,
            many => sendmsg(&self.0, many, &mut SendAncillaryBuffer::default(), flags)?,
        })
    }

    /// Ends our half of the stream.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Our address, if it has one.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()?.as_socket()
    }

    /// Our address and the peer's, as far as the operating system tells them.
    pub(crate) fn addresses(&self) -> Addresses {
        let peer = self.0.peer_addr().ok().and_then(|peer| peer.as_socket());
        Addresses { local: self.local_addr(), peer }
    }

    /// Ends both halves, whoever is reading or writing.
    pub(crate) fn hang_up(&self) {
        // One that is not connected any more needs no hanging up.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// Sends whoever reads from it back to us, with the end of the stream.
    pub(crate) fn recall_reader(&self) {
        // A socket that is not connected any more has no reader that waits.
        let _ = self.0.shutdown(Shutdown::Read);
    }

    /// Makes the coming drop a reset rather than an orderly end, where the socket can.
    pub(crate) fn abandon(&self) {
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }

    /// Waits for what is of interest, or for the deadline. Tells what has come.
    pub(crate) fn wait(
        &self,
        interest: Interest,
        deadline: Option<Instant>,
    ) -> io::Result<Interest> {
        wait_for(Some((self, interest)), None, deadline)
    }
}

/// How long an opening waits: until its deadline, or until another thread cancels it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until<'a> {
    pub(crate) deadline: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
}

impl From<Instant> for Until<'_> {
    fn from(deadline: Instant) -> Self {
        Self { deadline, cancel: None }
    }
}

impl Until<'_> {
    /// Whether it is over: `Interrupted` if it was cancelled, `TimedOut` behind the deadline.
    pub(crate) fn check(self) -> io::Result<()> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Waits for what is of interest of a socket.
    pub(crate) fn wait(self, socket: &Socket, interest: Interest) -> io::Result<Interest> {
        loop {
            let told = self.poll(vec![PollFd::new(&socket.0, interest.flags())], None)?;
            let ready = interest.of(told.first());
            if ready != Interest::default() {
                return Ok(ready);
            }
        }
    }

    /// Waits until one of these can be written to, or has failed; not beyond `sooner`.
    pub(crate) fn wait_to_write<'s>(
        self,
        sockets: impl IntoIterator<Item = &'s AnySocket>,
        sooner: Option<Instant>,
    ) -> io::Result<()> {
        let fds = sockets.into_iter().map(|socket| PollFd::new(socket, PollFlags::OUT)).collect();
        self.poll(fds, sooner).map(drop)
    }

    /// Waits until this pipe has something to read, or has ended.
    pub(crate) fn wait_for_pipe(self, pipe: &PipeReader) -> io::Result<()> {
        loop {
            let told = self.poll(vec![PollFd::new(pipe, PollFlags::IN)], None)?;
            if told.first().is_some_and(|told| !told.is_empty()) {
                return Ok(());
            }
        }
    }

    /// Waits for nothing, until `sooner`.
    pub(crate) fn sleep(self, sooner: Instant) -> io::Result<()> {
        self.poll(Vec::new(), Some(sooner)).map(drop)
    }

    /// One wait, which may end for no reason: what the kernel tells of each.
    fn poll(self, fds: Vec<PollFd<'_>>, sooner: Option<Instant>) -> io::Result<Vec<PollFlags>> {
        self.check()?;
        let count = fds.len();
        let pipe = self.cancel.map(Cancel::watch).transpose()?;
        let mut fds: Vec<PollFd<'_>> = fds;
        if let Some(pipe) = &pipe {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        let until = sooner.map_or(self.deadline, |sooner| sooner.min(self.deadline));
        wait_on(&mut fds, Some(until))?;
        Ok(fds.iter().take(count).map(PollFd::revents).collect())
    }
}

impl Interest {
    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.read);
        flags.set(PollFlags::OUT, self.write);
        flags
    }

    /// What has come of it, by what the kernel tells.
    fn of(self, told: Option<&PollFlags>) -> Self {
        let told = told.copied().unwrap_or(PollFlags::empty());
        let broken = told.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        Self {
            read: self.read && (broken || told.contains(PollFlags::IN)),
            write: self.write && (broken || told.contains(PollFlags::OUT)),
        }
    }
}

/// Lets a thread out of its wait.
pub(crate) struct Nudge {
    near: PipeReader,
    far: PipeWriter,
}

impl Nudge {
    pub(crate) fn new() -> io::Result<Self> {
        let (near, far) = io::pipe()?;
        Ok(Self { near, far })
    }

    /// To be called once for each wait, so that the pipe is never full.
    pub(crate) fn give(&self) {
        let _ = (&self.far).write(&[0]);
    }

    /// Takes back one that was given.
    pub(crate) fn take(&self) {
        let _ = (&self.near).read(&mut [0]);
    }

    /// Waits for what is of interest, for a nudge, or for the deadline.
    pub(crate) fn wait(
        &self,
        socket: Option<(&Socket, Interest)>,
        deadline: Option<Instant>,
    ) -> io::Result<Interest> {
        wait_for(socket, Some(&self.near), deadline)
    }

    /// Waits until one of `others` has something to read, for a nudge, or for the deadline.
    pub(crate) fn wait_or_readable<'fd>(
        &'fd self,
        others: impl Iterator<Item = BorrowedFd<'fd>>,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let mut fds: Vec<_> =
            others.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.near, PollFlags::IN));
        wait_on(&mut fds, deadline)
    }
}

fn wait_for(
    socket: Option<(&Socket, Interest)>,
    nudge: Option<&PipeReader>,
    deadline: Option<Instant>,
) -> io::Result<Interest> {
    let mut fds = Vec::with_capacity(2);
    // The kernel tells of a hang-up even where nothing is asked for; so what is of no interest is left
    // out.
    let socket = socket.filter(|(_, interest)| *interest != Interest::default());
    if let Some((socket, interest)) = socket {
        fds.push(PollFd::new(&socket.0, interest.flags()));
    }
    if let Some(near) = nudge {
        fds.push(PollFd::new(near, PollFlags::IN));
    }
    wait_on(&mut fds, deadline)?;
    let Some((_, interest)) = socket else { return Ok(Interest::default()) };
    Ok(interest.of(fds.first().map(PollFd::revents).as_ref()))
}

fn wait_on(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    let span = deadline.map(|deadline| deadline.saturating_duration_since(now()));
    let span = span.map(|span| Timespec::try_from(span).unwrap_or(FAR));
    match poll(fds, span.as_ref()) {
        // Whoever waits looks at the clock and at the connection again in any case.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The one place where this crate asks what time it is.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The end of a wait that may take so long, or as good as for ever.
pub(crate) fn within(limit: Duration) -> Instant {
    now() + limit.min(EVER)
}

/// Longer than anybody waits, and within what clocks know.
const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What is read at once where memory has to be cleared for it.
const PIECE: usize = 64 << 10;

const FAR: Timespec = Timespec { tv_sec: 1 << 20, tv_nsec: 0 };
