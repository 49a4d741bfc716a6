//! Servers without a runtime: one loop over epoll, one read and one write for all that is there.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What a connection says to what came.
pub trait Answer: Default {
    /// The answer to `came`: a part of it, or of `scratch`.
    fn answer<'a>(&mut self, came: &'a mut [u8], scratch: &'a mut Vec<u8>) -> &'a [u8];
}

/// Serves for ever.
///
/// # Errors
/// When the port is taken.
pub fn serve<A: Answer>(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections: Vec<Option<Connection<A>>> = Vec::new();
    let mut events = vec![EpollEvent::empty(); 1024];
    let (mut buffer, mut scratch) = (vec![0; 512 << 10], Vec::new());
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                epoll.add(&stream, EpollEvent::new(flags, connections.len() as u64))?;
                let unsent = Vec::new();
                connections.push(Some(Connection { stream, unsent, answers: A::default() }));
                continue;
            }
            let slot = &mut connections[event.data() as usize];
            if slot.as_mut().is_some_and(|one| !one.turn(&mut buffer, &mut scratch)) {
                *slot = None;
            }
        }
    }
}

const LISTENER: u64 = u64::MAX;

/// One connection, and what its peer does not take yet.
struct Connection<A> {
    stream: TcpStream,
    unsent: Vec<u8>,
    answers: A,
}

impl<A: Answer> Connection<A> {
    /// Writes what waits, then answers until nothing comes; `false` at the end of the stream.
    fn turn(&mut self, buffer: &mut [u8], scratch: &mut Vec<u8>) -> bool {
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.unsent) {
                    Ok(count) => drop(self.unsent.drain(..count)),
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
            let came = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            let answer = self.answers.answer(&mut buffer[..came], scratch);
            if !answer.is_empty() {
                let sent = match self.stream.write(answer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) => return false,
                };
                self.unsent.extend(&answer[sent..]);
            }
            // Less than there is room for: nothing more is there, and epoll tells when there is.
            if came < buffer.len() && self.unsent.is_empty() {
                return true;
            }
        }
    }
}
