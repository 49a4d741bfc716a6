//! A proxy between two peers that lets every byte through, up to the one at which it does what a
//! network may do.
//!
//! One thread holds both sockets. It waits for the kernel and for what it is told, never for a
//! clock, but for the ticks in which it drips. With [`Layer::Inside`] it ends TLS on both sides and
//! counts the bytes inside; otherwise it counts what crosses the wire. Knows nothing of WebSocket.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use lastword::Role;
use lastword::rustls::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stream::{Buffers, Stream, Transport};
use crate::tls::Certificates;

/// What happens at the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// Both streams are ended, inside TLS with its close_notify.
    Finish,
    /// Both streams are ended, TLS's without a word.
    Truncate,
    /// The stream towards the receiver is ended; the other way goes on.
    HalfClose,
    /// Both streams are reset. The Unix domain knows no such thing: there they end.
    Reset,
    /// Nothing passes any more, either way, and nothing ends.
    Silence,
    /// The rest comes byte by byte.
    Drip,
    /// The sender is not read from any more: its window closes.
    StopReading,
    /// Bytes that nobody sent.
    Insert(Vec<u8>),
    /// The bits that are set here are turned over in the next byte.
    Flip(u8),
}

/// Which bytes the proxy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "inside TLS, or outside")]
pub enum Layer {
    /// Those on the wire.
    Wire,
    /// Those inside TLS, if that is spoken.
    Inside,
}

/// What is to happen, and where.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by the suites only")]
pub struct Plan {
    /// Whose bytes are counted: those that this side sends.
    pub sender: Role,
    /// How many of them pass before the fault.
    pub at: u64,
    /// How many have to have come before any passes: then the sender has said all of its script,
    /// and what it is told of afterwards does not depend on how fast it was.
    pub hold: u64,
    /// What happens then.
    pub fault: Fault,
    /// What becomes of what the receiver says until then.
    pub answers: Answers,
}

/// What becomes of the bytes that the side under test sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "passed on, thrown away, or left where they are")]
pub enum Answers {
    /// They pass.
    Pass,
    /// They are thrown away: nothing that they ask for comes back to be counted.
    Lost,
    /// They are left unread: that makes a reset of the end of a Unix socket.
    Unread,
}

/// A running proxy. Dropping it ends its thread and both connections.
#[derive(Debug)]
pub struct Proxy {
    orders: Option<Sender<Order>>,
    bell: UnixStream,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    /// Counts from here on, and does what the plan says. The answer: how much each had sent so far.
    Plan(Plan, Sender<Traffic>),
}

/// How many bytes each side has sent, since the last plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) client: u64,
    pub(crate) server: u64,
}

impl Traffic {
    pub(crate) const fn said_by(self, role: Role) -> u64 {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }
}

impl Proxy {
    /// A proxy, and the sockets for the client and for the server.
    ///
    /// # Errors
    /// When the operating system has no more sockets.
    pub fn between(
        transport: Transport,
        layer: Layer,
        buffers: Buffers,
        tls: &Certificates,
    ) -> io::Result<(Self, Stream, Stream)> {
        let (client, near) = Stream::pair(transport, buffers)?;
        let (far, server) = Stream::pair(transport, buffers)?;
        let inside = transport == Transport::Tls && layer == Layer::Inside;
        let near = Leg::new(near, inside.then(|| tls.accept()))?;
        let far = Leg::new(far, inside.then(|| tls.connect()))?;
        let (bell, door) = UnixStream::pair()?;
        door.set_nonblocking(true)?;
        let (sender, orders) = channel();
        let mut relay =
            Relay { legs: [near, far], flows: Default::default(), orders, door, silent: false };
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || relay.run())?;
        Ok((Self { orders: Some(sender), bell, thread: Some(thread) }, client, server))
    }

    /// Counts from here on, and does what the plan says.
    pub fn plan(&self, plan: Plan) {
        self.traffic_until(plan);
    }

    /// The same, and how much each side had sent before.
    pub(crate) fn traffic_until(&self, plan: Plan) -> Traffic {
        let (answer, answered) = channel();
        let orders = self.orders.as_ref().expect("only the drop takes it");
        // A proxy whose two connections are over has nothing left to do.
        if orders.send(Order::Plan(plan, answer)).is_err() {
            return Traffic::default();
        }
        let _ = (&self.bell).write_all(&[1]);
        answered.recv().unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.orders = None;
        let _ = (&self.bell).write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread. Leg 0 leads to the client, leg 1 to the server; flow 0 comes from the client.
struct Relay {
    legs: [Leg; 2],
    flows: [Flow; 2],
    orders: Receiver<Order>,
    door: UnixStream,
    /// Not even ends pass.
    silent: bool,
}

/// The bytes that one side sends.
#[derive(Default)]
struct Flow {
    came: u64,
    held: Vec<u8>,
    plan: Option<Plan>,
    passing: Passing,
    /// Comes byte by byte.
    dripping: VecDeque<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Passing {
    #[default]
    All,
    /// Byte by byte.
    Drops,
    /// What comes is thrown away.
    Nothing,
    /// What comes is not even read.
    Unread,
}

/// How a stream is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finish,
    Truncate,
    Reset,
}

/// What a read came to.
enum Came {
    Bytes(Vec<u8>),
    Nothing,
    End(End),
}

impl Relay {
    fn run(&mut self) {
        loop {
            for index in 0..2 {
                self.drip(index);
                self.legs[index].write();
            }
            if self.legs.iter().all(|leg| leg.stream.is_none()) {
                return;
            }
            let Ok(ready) = self.wait() else { return };
            for (index, ready) in ready.into_iter().enumerate() {
                if ready {
                    self.carry(index);
                }
            }
            // What was held may have its way now.
            (0..2).for_each(|index| self.pass(index, &[]));
            if self.listen().is_err() {
                return;
            }
        }
    }

    /// Waits for something to do: which legs may be read.
    fn wait(&self) -> io::Result<[bool; 2]> {
        let mut waiting = vec![PollFd::new(&self.door, PollFlags::IN)];
        let mut legs = Vec::new();
        for (index, leg) in self.legs.iter().enumerate() {
            let Some(stream) = &leg.stream else { continue };
            let mut flags = PollFlags::empty();
            if self.wants_read(index) {
                flags |= PollFlags::IN;
            }
            if leg.wants_write() {
                flags |= PollFlags::OUT;
            }
            // A leg that is not read is left alone wholly: it would report its end for ever.
            if !flags.is_empty() {
                waiting.push(PollFd::new(stream, flags));
                legs.push(index);
            }
        }
        let dripping = self.flows.iter().any(|flow| !flow.dripping.is_empty());
        let tick = Timespec { tv_sec: 0, tv_nsec: 200_000 };
        match poll(&mut waiting, dripping.then_some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = [false; 2];
        for (slot, index) in waiting[1..].iter().zip(legs) {
            ready[index] = self.wants_read(index) && slot.revents() != PollFlags::empty();
        }
        Ok(ready)
    }

    fn wants_read(&self, index: usize) -> bool {
        let crowded = self.legs[1 - index].waiting.len() > CROWD;
        let unread = self.flows[index].passing == Passing::Unread;
        !self.legs[index].heard_end && !unread && !crowded
    }

    /// Takes what one side sent to the other.
    fn carry(&mut self, index: usize) {
        match self.legs[index].read() {
            Came::Nothing => {}
            Came::Bytes(bytes) => self.pass(index, &bytes),
            Came::End(end) => {
                self.legs[index].heard_end = true;
                if self.silent {
                    return;
                }
                self.legs[1 - index].end(end);
                if end == End::Reset {
                    self.legs[index].stream = None;
                } else if self.legs[1 - index].heard_end {
                    // Both have said all they had.
                    self.legs[index].end(End::Finish);
                }
            }
        }
    }

    fn pass(&mut self, index: usize, bytes: &[u8]) {
        let established = !self.legs.iter().any(Leg::is_handshaking);
        let flow = &mut self.flows[index];
        flow.came += bytes.len() as u64;
        if let Some(plan) = &flow.plan {
            flow.held.extend_from_slice(bytes);
            if flow.came < plan.hold || !established {
                return;
            }
            let (at, held) = (plan.at as usize, std::mem::take(&mut flow.held));
            if held.len() < at {
                // Not there yet; the byte that the fault is at has to come.
                flow.held = held;
                return;
            }
            let fault = plan.fault.clone();
            flow.plan = None;
            self.legs[1 - index].say(&held[..at]);
            self.strike(index, fault, held[at..].to_vec());
            return;
        }
        match flow.passing {
            Passing::All => self.legs[1 - index].say(bytes),
            Passing::Drops => flow.dripping.extend(bytes),
            Passing::Nothing | Passing::Unread => {}
        }
    }

    /// Does it. `rest` are the bytes that had come behind the place.
    fn strike(&mut self, index: usize, fault: Fault, mut rest: Vec<u8>) {
        let mut both = |end, flows: &mut [Flow; 2]| {
            flows.iter_mut().for_each(|flow| flow.passing = Passing::Nothing);
            self.legs.iter_mut().for_each(|leg| leg.end(end));
        };
        match fault {
            Fault::None => self.legs[1 - index].say(&rest),
            Fault::Finish => both(End::Finish, &mut self.flows),
            Fault::Truncate => both(End::Truncate, &mut self.flows),
            Fault::Reset => both(End::Reset, &mut self.flows),
            Fault::HalfClose => {
                self.flows[index].passing = Passing::Nothing;
                self.legs[1 - index].end(End::Finish);
            }
            Fault::Silence => {
                self.silent = true;
                self.flows.iter_mut().for_each(|flow| flow.passing = Passing::Nothing);
            }
            Fault::Drip => {
                self.flows[index].passing = Passing::Drops;
                self.flows[index].dripping.extend(rest);
            }
            Fault::StopReading => self.flows[index].passing = Passing::Unread,
            Fault::Insert(bytes) => {
                self.legs[1 - index].say(&bytes);
                self.legs[1 - index].say(&rest);
            }
            Fault::Flip(bits) => {
                if let Some(byte) = rest.first_mut() {
                    *byte ^= bits;
                }
                self.legs[1 - index].say(&rest);
            }
        }
    }

    fn drip(&mut self, index: usize) {
        if let Some(drop) = self.flows[index].dripping.pop_front() {
            self.legs[1 - index].say(&[drop]);
        }
    }

    /// Takes orders; an error when there will be none any more.
    fn listen(&mut self) -> Result<(), ()> {
        let mut rings = [0; 64];
        let _ = self.door.read(&mut rings);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Plan(plan, answer)) => {
                    let traffic =
                        Traffic { client: self.flows[0].came, server: self.flows[1].came };
                    self.flows.iter_mut().for_each(|flow| flow.came = 0);
                    let sender = usize::from(plan.sender == Role::Server);
                    let reverse = match plan.answers {
                        Answers::Pass => Passing::All,
                        Answers::Lost => Passing::Nothing,
                        Answers::Unread => Passing::Unread,
                    };
                    self.flows[1 - sender].passing = reverse;
                    self.flows[sender].plan = Some(plan);
                    // A plan without bytes strikes at once.
                    self.pass(sender, &[]);
                    let _ = answer.send(traffic);
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => return Ok(()),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Err(()),
            }
        }
    }
}

/// The way to one of the peers.
struct Leg {
    stream: Option<Stream>,
    tls: Option<Connection>,
    /// For the wire, not yet taken by it.
    waiting: Vec<u8>,
    /// How it is to be ended when that is written.
    ending: Option<End>,
    finished: bool,
    heard_end: bool,
    /// Whether TLS's own end has come.
    said_goodbye: bool,
}

impl Leg {
    fn new(stream: Stream, tls: Option<Connection>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: Some(stream),
            tls,
            waiting: Vec::new(),
            ending: None,
            finished: false,
            heard_end: false,
            said_goodbye: false,
        })
    }

    fn read(&mut self) -> Came {
        let Some(stream) = &mut self.stream else { return Came::End(End::Reset) };
        let mut buffer = [0; 16 << 10];
        let count = match stream.read(&mut buffer) {
            Ok(0) if self.tls.is_some() && !self.said_goodbye => return Came::End(End::Truncate),
            Ok(0) => return Came::End(End::Finish),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Came::Nothing,
            Err(_) => return Came::End(End::Reset),
        };
        let mut raw = &buffer[..count];
        let Some(tls) = &mut self.tls else { return Came::Bytes(raw.to_vec()) };
        let mut bytes = Vec::new();
        while !raw.is_empty() {
            let failed = tls.read_tls(&mut raw).is_err();
            let Ok(state) = tls.process_new_packets() else { return Came::End(End::Reset) };
            self.said_goodbye |= state.peer_has_closed();
            let mut inside = vec![0; state.plaintext_bytes_to_read()];
            if tls.reader().read_exact(&mut inside).is_err() || failed {
                return Came::End(End::Reset);
            }
            bytes.append(&mut inside);
        }
        self.seal();
        // TLS's own end is passed on when the stream ends, too: both belong together.
        if bytes.is_empty() { Came::Nothing } else { Came::Bytes(bytes) }
    }

    /// Whether TLS is still being established.
    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.ending.is_some() || self.finished {
            return;
        }
        match &mut self.tls {
            None => self.waiting.extend_from_slice(bytes),
            Some(tls) => {
                // Its buffer is unlimited below: it takes all.
                let _ = tls.writer().write_all(bytes);
                self.seal();
            }
        }
    }

    /// What TLS has to say goes to the wire.
    fn seal(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.set_buffer_limit(None);
            while tls.wants_write() && tls.write_tls(&mut self.waiting).is_ok() {}
        }
    }

    /// Ends it when all is written.
    fn end(&mut self, end: End) {
        if self.ending.is_some() || (self.finished && end != End::Reset) {
            return;
        }
        if let (Some(tls), End::Finish) = (&mut self.tls, end) {
            tls.send_close_notify();
            self.seal();
        }
        self.ending = Some(end);
    }

    fn wants_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what the wire takes, and ends it behind the last byte.
    fn write(&mut self) {
        self.seal();
        let Some(stream) = &mut self.stream else { return };
        while !self.waiting.is_empty() {
            match stream.write(&self.waiting) {
                Ok(count) => {
                    self.waiting.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer is gone; reading tells how.
                Err(_) => self.waiting.clear(),
            }
        }
        match self.ending.take() {
            None => {}
            Some(End::Reset) => {
                if let Some(stream) = self.stream.take() {
                    stream.reset();
                }
            }
            Some(End::Finish | End::Truncate) => {
                stream.finish();
                self.finished = true;
            }
        }
        if self.finished && self.heard_end {
            self.stream = None;
        }
    }
}

/// How much waits for one side before the other is not read any more.
const CROWD: usize = 64 << 10;
