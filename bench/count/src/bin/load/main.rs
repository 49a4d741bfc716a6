//! The load on an echo server, in turns: while the server stands still (SIGSTOP), all that came is
//! read and all that is due is written; then the server goes on until it sleeps. So it finds the
//! same bytes at each waking, however fast the machine is, and what it costs can be counted.
//!
//! Checks each byte that comes back, and prints how many messages (or connections) that were.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use lastword_load::answers::Answers;
use lastword_load::frames::{self, Shape};
use rustix::process::{Pid, Signal, kill_process};

/// A load whose every byte is known.
#[derive(Parser)]
struct Args {
    /// Where the server listens on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The server's process, which is held while the load writes.
    #[arg(long)]
    server: i32,
    /// How often each connection sends its burst.
    #[arg(long)]
    rounds: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[command(flatten)]
    shape: Shape,
    /// Open and close a connection in each round, as a browser would, instead of sending.
    #[arg(long)]
    handshakes: bool,
}

fn main() {
    let args = Args::parse();
    let server = Server::listening(&args);
    let opening = if args.handshakes {
        frames::opening_of_a_browser()
    } else {
        frames::opening(args.shape.compressed)
    };
    let opening = Rc::new(Turn { wire: opening, expected: Expected::Switching });
    let bursts: Vec<_> = frames::bursts(&args.shape)
        .into_iter()
        .map(|burst| {
            Rc::new(Turn { wire: burst.wire, expected: Expected::Messages(burst.messages) })
        })
        .collect();
    let closed = Expected::Bytes(frames::CLOSED.to_vec());
    let closing = Rc::new(Turn { wire: frames::closing(), expected: closed });
    let (sessions, rounds) = if args.handshakes { (args.rounds, 0) } else { (1, args.rounds) };
    for _ in 0..sessions {
        server.hold();
        let mut connections: Vec<_> = (0..args.connections)
            .map(|_| {
                let bursts = (0..rounds).map(|round| &bursts[round % bursts.len()]);
                let script = [&opening].into_iter().chain(bursts).chain([&closing]);
                Connection::new(&args, script.cloned().collect())
            })
            .collect();
        loop {
            connections.retain_mut(Connection::goes_on);
            if connections.is_empty() {
                break;
            }
            server.let_go();
            server.hold();
        }
        server.let_go();
    }
    let messages = if args.handshakes { 1 } else { args.shape.in_flight };
    println!("{}", args.rounds * args.connections * messages);
}

/// What a connection writes at once, and what answers it.
struct Turn {
    wire: Vec<u8>,
    expected: Expected,
}

/// What has to come back.
enum Expected {
    /// A response that switches protocols.
    Switching,
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// These messages, in frames of the server's choice.
    Messages(Vec<Vec<u8>>),
}

/// One connection and what is said over it.
struct Connection {
    stream: TcpStream,
    /// Bursts that were not wholly answered, the next one last.
    script: Vec<Rc<Turn>>,
    written: usize,
    came: Vec<u8>,
    answers: Answers,
}

impl Connection {
    fn new(args: &Args, mut script: Vec<Rc<Turn>>) -> Self {
        // The server stands still, but its kernel accepts.
        let stream = TcpStream::connect(("127.0.0.1", args.port)).expect("a server that listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        script.reverse();
        let answers =
            if args.shape.compressed { Answers::compressed() } else { Answers::default() };
        Self { stream, script, written: 0, came: Vec::new(), answers }
    }

    /// Reads what came and writes what is due, as far as that goes; `false` when all is said.
    fn goes_on(&mut self) -> bool {
        let ended = self.read();
        while let Some(burst) = self.script.last() {
            let burst = Rc::clone(burst);
            if self.written == burst.wire.len() && self.is_answered(&burst.expected) {
                self.came.clear();
                self.written = 0;
                self.script.pop();
                continue;
            }
            assert!(!ended, "the server ended with {} bursts to go", self.script.len());
            match self.stream.write(&burst.wire[self.written..]) {
                Ok(0) => return true,
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) => panic!("writing failed: {error}"),
            }
        }
        !ended
    }

    /// Takes all that is there; `true` at its end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(count) => self.came.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("reading failed: {error}"),
            }
        }
    }

    fn is_answered(&mut self, expected: &Expected) -> bool {
        match expected {
            Expected::Bytes(bytes) => {
                let so_far = self.came.len().min(bytes.len());
                assert!(self.came[..so_far] == bytes[..so_far], "an answer that is none");
                assert!(self.came.len() <= bytes.len(), "more than was asked for");
                self.came.len() == bytes.len()
            }
            Expected::Switching => {
                let complete = self.came.ends_with(b"\r\n\r\n");
                assert!(!complete || self.came.starts_with(b"HTTP/1.1 101"), "no 101");
                complete
            }
            Expected::Messages(messages) => {
                self.answers.take(&self.came, messages);
                self.came.clear();
                let complete = self.answers.came() == messages.len();
                if complete {
                    self.answers.again();
                }
                complete
            }
        }
    }
}

/// The server's process, as the kernel sees it.
struct Server {
    pid: Pid,
    stat: String,
}

impl Server {
    /// A server under valgrind takes its time to start.
    fn listening(args: &Args) -> Self {
        let pid = Pid::from_raw(args.server).expect("a process");
        let listener = format!(":{:04X} 00000000:0000 0A", args.port);
        let patience = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string("/proc/net/tcp").is_ok_and(|table| table.contains(&listener)) {
            assert!(Instant::now() < patience, "nobody listens on port {}", args.port);
            sleep(Duration::from_millis(5));
        }
        let server = Self { pid, stat: format!("/proc/{}/stat", args.server) };
        server.wait_until_it_sleeps();
        server
    }

    fn hold(&self) {
        self.signal(Signal::STOP);
        while !matches!(self.state(), 'T' | 't' | 'Z') {
            sleep(GLANCE);
        }
    }

    fn let_go(&self) {
        self.signal(Signal::CONT);
        self.wait_until_it_sleeps();
    }

    fn wait_until_it_sleeps(&self) {
        let mut held = Instant::now();
        loop {
            match self.state() {
                // Asleep, or at its own end: a server may leave with its last connection.
                'S' | 'Z' => return,
                // A tracer may have passed our STOP on behind our CONT.
                'T' | 't' if held.elapsed() > Duration::from_millis(100) => {
                    self.signal(Signal::CONT);
                    held = Instant::now();
                }
                'T' | 't' => {}
                _ => held = Instant::now(),
            }
            sleep(GLANCE);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the server is alive");
    }

    fn state(&self) -> char {
        let stat = fs::read_to_string(&self.stat).expect("the server is alive");
        let (_, rest) = stat.rsplit_once(") ").expect("a state behind the name");
        rest.chars().next().expect("a state")
    }
}

/// How long we look away from the server's state.
const GLANCE: Duration = Duration::from_micros(20);
