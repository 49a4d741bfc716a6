//! The ceiling: bytes come and go back, by epoll, with one read and one write for all that is there. No
//! WebSocket.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// One connection, and what its peer does not take yet.
struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
}

fn main() -> std::io::Result<()> {
    let (port, _) = lastword_peers::arguments();
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX))?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut buffer = vec![0; 512 << 10];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == u64::MAX {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                epoll.add(&stream, EpollEvent::new(flags, connections.len() as u64))?;
                connections.push(Some(Connection { stream, unsent: Vec::new() }));
                continue;
            }
            let slot = &mut connections[event.data() as usize];
            if slot.as_mut().is_some_and(|connection| !connection.turn(&mut buffer)) {
                *slot = None;
            }
        }
    }
}

impl Connection {
    /// Writes what waits, then echoes until nothing comes; `false` at the end of the stream.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
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
            let sent = match self.stream.write(&buffer[..came]) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return false,
            };
            self.unsent.extend(&buffer[sent..came]);
            // Less than there is room for: nothing more is there, and epoll tells when there is.
            if came < buffer.len() && self.unsent.is_empty() {
                return true;
            }
        }
    }
}
