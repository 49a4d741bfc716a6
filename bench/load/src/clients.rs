//! Many connections and one loop. Writes what is due as far as the kernel takes it, hands what came to
//! whoever judges it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use lastword_load::frames;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket,
};

use crate::Target;

/// All connections of a load.
pub struct Clients {
    epoll: Epoll,
    pub all: Vec<Client>,
    events: Vec<EpollEvent>,
    buffer: Vec<u8>,
}

/// One connection, and what it has yet to write.
pub struct Client {
    stream: TcpStream,
    due: Rc<[u8]>,
    written: usize,
}

impl Clients {
    /// So many connections, opened and ready.
    pub fn open(target: &Target, count: usize, compressed: bool) -> Self {
        let mut clients = Self {
            epoll: Epoll::new(EpollCreateFlags::empty()).expect("a kernel with epoll"),
            all: Vec::new(),
            events: vec![EpollEvent::empty(); 1024],
            buffer: vec![0; 256 << 10],
        };
        clients.grow(target, count, compressed);
        clients
    }

    /// Opens more, until there are `count`. Asks for few at once: a server's backlog is short.
    pub fn grow(&mut self, target: &Target, count: usize, compressed: bool) {
        const AT_ONCE: usize = 64;
        let request = frames::opening(compressed);
        while self.all.len() < count {
            let first = self.all.len();
            let streams = (first..count.min(first + AT_ONCE)).map(|number| {
                let mut stream = stream_to(target.port, number);
                if !target.raw {
                    stream.write_all(&request).expect("a server that listens");
                }
                stream
            });
            for (number, mut stream) in streams.collect::<Vec<_>>().into_iter().enumerate() {
                if !target.raw {
                    read_switching(&mut stream, compressed);
                }
                stream.set_nonblocking(true).expect("an option");
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                let event = EpollEvent::new(flags, (first + number) as u64);
                self.epoll.add(&stream, event).expect("a descriptor");
                self.all.push(Client { stream, due: Rc::default(), written: 0 });
            }
        }
    }

    /// Waits, writes what can go on, reads what came, and hands it to `take` with the number of its
    /// connection; what `take` gives back is written at once.
    pub fn turn(
        &mut self,
        timeout: Duration,
        mut take: impl FnMut(usize, &[u8]) -> Option<Rc<[u8]>>,
    ) {
        let timeout = EpollTimeout::try_from(timeout).expect("a short time");
        let ready = match self.epoll.wait(&mut self.events, timeout) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => panic!("{error}"),
        };
        for event in &self.events[..ready] {
            let number = event.data() as usize;
            let client = &mut self.all[number];
            if event.events().contains(EpollFlags::EPOLLOUT) {
                client.write();
            }
            if !event.events().contains(EpollFlags::EPOLLIN) {
                continue;
            }
            loop {
                match client.stream.read(&mut self.buffer) {
                    Ok(0) => panic!("the server ended"),
                    Ok(count) => {
                        if let Some(due) = take(number, &self.buffer[..count]) {
                            client.say(due);
                        }
                        if count < self.buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("reading failed: {error}"),
                }
            }
        }
    }
}

impl Client {
    /// Writes `due` as soon as the kernel takes it. What was due before has to be out.
    pub fn say(&mut self, due: Rc<[u8]>) {
        assert!(self.is_quiet(), "one word after the other");
        self.due = due;
        self.written = 0;
        self.write();
    }

    /// Whether all is written.
    pub fn is_quiet(&self) -> bool {
        self.written == self.due.len()
    }

    fn write(&mut self) {
        while self.written < self.due.len() {
            match self.stream.write(&self.due[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("writing failed: {error}"),
            }
        }
    }
}

/// A stream from one of many addresses, so that ports do not run out.
pub fn stream_to(port: u16, number: usize) -> TcpStream {
    let source = Ipv4Addr::new(127, 0, 1, (number % 32) as u8 + 1);
    let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .expect("a descriptor (`ulimit -n`)");
    setsockopt(&fd, IpBindAddressNoPort, &true).expect("an option");
    let address = |ip, port| SockaddrIn::from(SocketAddrV4::new(ip, port));
    use std::os::fd::AsRawFd;
    bind(fd.as_raw_fd(), &address(source, 0)).expect("an address of the loopback");
    connect(fd.as_raw_fd(), &address(Ipv4Addr::LOCALHOST, port)).expect("a server that listens");
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("an option");
    stream
}

/// Reads a response, which has to be a 101, and to agree on compression exactly if that was asked for.
pub fn read_switching(stream: &mut TcpStream, compressed: bool) {
    let mut response = Vec::new();
    let mut buffer = [0; 2048];
    while !response.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).expect("an answer to the opening");
        assert!(count > 0, "the server ended while it opened");
        response.extend(&buffer[..count]);
    }
    let response = String::from_utf8_lossy(&response).to_lowercase();
    assert!(response.starts_with("http/1.1 101"), "no 101: {response}");
    assert_eq!(response.contains("permessage-deflate"), compressed, "compression: {response}");
}
