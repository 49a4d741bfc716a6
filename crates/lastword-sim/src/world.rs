//! A world: links, each with a client and a server, and one clock; and what each [`Act`] does to it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lastword_proto::{CloseCode, CloseFrame, Event, Leave, Message, Role};

use crate::action::Act;
use crate::broken::Broken;
use crate::link::Reset;
use crate::setup::{Extended, Setup};
use crate::side::{Confirms, How, Side, garbage, message, size};

/// A world.
pub struct World {
    /// How it was made.
    pub setup: Setup,
    /// The sides: client and server of the first link, then of the next.
    pub sides: Vec<Side>,
    /// What time it is.
    pub now: Instant,
    /// How often the network did something to a link, or a process to its connection, that lets a
    /// connection end uncleanly.
    pub faults: u32,
    /// How many actions there were.
    pub steps: u64,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(setup: Setup) -> Self {
        let now = beginning();
        let sides = (0..setup.links * 2).map(|index| {
            let role = if index % 2 == 0 { Role::Client } else { Role::Server };
            Side::new(&setup, role, [index as u8; 32], now)
        });
        Self { sides: sides.collect(), setup, now, faults: 0, steps: 0 }
    }

    /// The two sides of a link, the one that acts first.
    pub fn pair(&mut self, index: usize) -> (&mut Side, &mut Side) {
        let (left, right) = self.sides.split_at_mut(index | 1);
        let (client, server) = (&mut left[index & !1], &mut right[0]);
        if index.is_multiple_of(2) { (client, server) } else { (server, client) }
    }

    /// Lets something happen at a side.
    ///
    /// # Errors
    /// When a message comes that was not sent, or not in that order.
    pub fn perform(&mut self, index: usize, act: Act) -> Result<(), Broken> {
        let now = self.now;
        let (side, peer) = self.pair(index);
        match act {
            Act::Send(_)
            | Act::SendPrepared(_)
            | Act::Part(_)
            | Act::LastPart(_)
            | Act::Ping
            | Act::PingWith(_)
            | Act::Pong(_)
            | Act::TakePart
            | Act::Abandon
            | Act::Keepalive(_)
            | Act::Confirm
            | Act::Close(_)
            | Act::Shutdown
            | Act::Drop
            | Act::Panic
            | Act::Abort
            | Act::StopDelivery
            | Act::Fetch(_)
            | Act::Forward
                if !side.has_application() => {}

            Act::Send(number) => side.send(size(number)),
            Act::SendPrepared(number) => side.send_prepared(size(number)),
            Act::Part(number) => side.send_part(size(number), false),
            Act::LastPart(number) => side.send_part(size(number), true),
            Act::Ping => side.ask(Confirms::Nothing),
            Act::PingWith(number) => side.ping_with(number),
            Act::Pong(number) => side.pong(number),
            Act::TakePart => {
                self.fetch_by(index, Side::take_part)?;
            }
            Act::Abandon => side.abandon(),
            Act::Keepalive(number) => side.set_keepalive(number, now),
            Act::Confirm => side.ask(Confirms::All),
            Act::Close(number) => side.close(number, now),
            Act::Shutdown => {
                let frame = CloseFrame::truncated(CloseCode::GOING_AWAY, "shutting down");
                side.leave(Leave::Shutdown(frame), now);
            }
            Act::Drop => side.leave(Leave::Dropped, now),
            Act::Panic => side.leave(Leave::Panicked, now),
            Act::Abort => {
                side.abort(now);
                side.let_go(peer);
                self.faults += 1;
            }
            Act::StopDelivery => side.stop_delivery(),
            Act::Fetch(most) => {
                let most = if most == u8::MAX { usize::MAX } else { usize::from(most) };
                for _ in 0..most {
                    if self.fetch(index)?.is_none() {
                        break;
                    }
                }
            }
            Act::Forward => self.forward(index)?,

            Act::Write(most) => {
                side.write(peer, amount(most), now);
            }
            Act::Read(most) => {
                side.read(peer, amount(most), now);
            }
            Act::Turn => self.turn(index)?,

            Act::Wait => {
                let soonest = self.sides.iter().filter_map(|s| s.connection.poll_timeout()).min();
                self.now = self.now.max(soonest.unwrap_or(self.now));
            }
            Act::Pass(milliseconds) => {
                self.now += Duration::from_millis(u64::from(milliseconds));
            }
            network => self.disturb(index, network),
        }
        Ok(())
    }

    /// What only a network does.
    fn disturb(&mut self, index: usize, act: Act) {
        let (side, peer) = self.pair(index);
        let (socket, other) = (&mut side.socket, &mut peer.socket);
        let fault = match act {
            Act::Stall => {
                socket.stalled = true;
                false
            }
            Act::Flow => {
                socket.stalled = false;
                false
            }
            Act::Cut(quarters) => {
                let kept = socket.flight.len() * usize::from(quarters % 5) / 4;
                socket.flight.truncate(kept);
                (socket.cut, socket.finished) = (true, true);
                true
            }
            Act::Reset if socket.reset == Reset::None => {
                socket.reset = Reset::Pending;
                // What the other side still sends, this side's kernel throws away.
                other.cut = true;
                true
            }
            Act::Lose if socket.reset != Reset::None => {
                other.flight.clear();
                true
            }
            Act::Vanish => {
                for socket in [socket, other] {
                    socket.dead = true;
                }
                true
            }
            Act::Corrupt(number) if !socket.flight.is_empty() => {
                let at = usize::from(number >> 3) % socket.flight.len();
                socket.flight[at] ^= 1 << (number & 7);
                peer.diary.tainted = true;
                true
            }
            Act::Garble(number) if !socket.finished => {
                socket.flight.extend(garbage(side.role, number));
                peer.diary.tainted = true;
                true
            }
            Act::Bounce => {
                socket.bounce(other);
                false
            }
            _ => false,
        };
        self.faults += u32::from(fault);
    }

    /// A turn of a driver: it reads and writes what it can, then reports the deadlines that passed.
    fn turn(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.now;
        for _ in 0..MANY {
            let (side, peer) = self.pair(index);
            while side.write(peer, usize::MAX, now) | side.read(peer, usize::MAX, now) {}
            if !side.report_deadline(peer, now) {
                return Ok(());
            }
        }
        Err(Broken::new("deadlines come to rest", "one is due again and again"))
    }

    /// The application fetches one event, and compares it with what the other side sent.
    fn fetch(&mut self, index: usize) -> Result<Option<Event>, Broken> {
        self.fetch_by(index, Side::fetch)
    }

    fn fetch_by(
        &mut self,
        index: usize,
        fetch: fn(&mut Side) -> Option<Event>,
    ) -> Result<Option<Event>, Broken> {
        let (side, peer) = self.pair(index);
        let (number, before) = (side.fetched + side.abandoned, side.parts.len());
        let ended = side.fetched_ending.is_some();
        let Some(event) = fetch(side) else { return Ok(None) };
        if ended {
            return Err(Broken::new("the ending is the last event", format!("{event:?} follows")));
        }
        let came = match &event {
            Event::Message(message) => Some((message, 0, true)),
            Event::Part(part) => Some((&part.data, before, part.last)),
            _ => None,
        };
        if let (Some((data, from, last)), false) = (came, side.diary.tainted) {
            let sent = peer.accepted.get(number as usize);
            let same = sent.is_some_and(|sent| {
                let whole = from + data.len() == sent.len && sent.how != How::Streaming;
                // Of a long message by parts only the length is compared, part by part.
                let content = from + data.len() > LONG || {
                    let expected = message(peer.role, number, from + data.len());
                    expected.kind() == data.kind()
                        && expected.payload()[from..] == data.payload()[..]
                };
                content && (whole || !last)
            });
            if !same {
                return Err(Broken::new(
                    "messages come once, whole and in order",
                    format!("{data:?} came as the {number}th, from byte {from}"),
                ));
            }
        }
        if matches!(&event, Event::Part(part) if part.last) {
            side.parts.clear();
        }
        Ok(Some(event))
    }

    /// Sends what came on one link over the next, as a proxy does.
    fn forward(&mut self, index: usize) -> Result<(), Broken> {
        let next = (index + 1) % self.sides.len();
        let event = self.fetch(index)?;
        if next == index ^ 1 {
            return Ok(());
        }
        match event {
            Some(Event::Message(message)) => self.sides[next].send(message.len()),
            Some(Event::Part(part)) => self.sides[next].send_part(part.data.len(), part.last),
            Some(Event::Ended(_)) => {
                let now = self.now;
                self.sides[next].close(3, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether `message` is the n-th of `index`'s application, and one that can come back.
    pub fn is_sent(&self, index: usize, number: usize, given: &Message) -> bool {
        let side = &self.sides[index];
        side.accepted.get(number).is_some_and(|sent| {
            self.comes_back(sent.how) && message(side.role, number as u64, sent.len) == *given
        })
    }

    /// Whether a message that was sent so is given back if it did not leave: parts are the
    /// application's own, but where an extension sees whole messages they were put together.
    pub fn comes_back(&self, how: How) -> bool {
        match how {
            How::Whole => true,
            How::Streaming => false,
            How::Streamed => self.setup.extended == Extended::Yes,
        }
    }
}

/// When every world of this process begins: two runs of the same actions are then alike in every
/// instant.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

fn amount(number: u8) -> usize {
    match number {
        u8::MAX => usize::MAX,
        few => usize::from(few).max(1),
    }
}

/// Messages up to this size are compared byte by byte.
const LONG: usize = 4000;

/// More turns than anything takes.
pub(crate) const MANY: usize = 10_000;
