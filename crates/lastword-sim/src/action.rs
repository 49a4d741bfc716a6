//! What can happen in a world, one thing at a time: as a value, as a line of a script, as three bytes
//! of a fuzzer.

use std::fmt;
use std::str::FromStr;

/// Something that one side does, or that happens to what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// Which side: 0 and 1 are the client and the server of the first link, 2 and 3 of the next.
    pub end: u8,
    /// What.
    pub act: Act,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Act {
    /// The application sends a message of the n-th size.
    Send(u8),
    /// The application sends a message of the n-th size that was made ready for many.
    SendPrepared(u8),
    /// The application sends a part of a message, of the n-th size.
    Part(u8),
    /// The application sends the last part of a message, of the n-th size.
    LastPart(u8),
    /// The application asks a ping.
    Ping,
    /// The application asks a ping with data of its own, the n-th.
    PingWith(u8),
    /// The application sends a pong that nobody asked for.
    Pong(u8),
    /// The application takes what has come of an unfinished message.
    TakePart,
    /// The application gives up the message that it took parts of.
    Abandon,
    /// The application changes keepalive, to the n-th pace.
    Keepalive(u8),
    /// The application asks for a confirmation of all that it sent.
    Confirm,
    /// The application closes, with the n-th farewell.
    Close(u8),
    /// The server shuts down.
    Shutdown,
    /// The application drops its last handle.
    Drop,
    /// The same, while it panics.
    Panic,
    /// The application aborts.
    Abort,
    /// The application receives no more.
    StopDelivery,
    /// The application fetches what came: up to n events, all for 255.
    Fetch(u8),
    /// What the application fetches it sends on, over the next link.
    Forward,
    /// The driver writes, at most n bytes (255: all it can).
    Write(u8),
    /// The driver reads, at most n bytes (255: all there is).
    Read(u8),
    /// A turn of the driver: reads and writes what it can, then reports a deadline that passed.
    Turn,
    /// What this side sent cannot be read for now.
    Stall,
    /// It can again.
    Flow,
    /// What this side sent ends early: so many quarters of what is in flight are kept.
    Cut(u8),
    /// A reset reaches this side.
    Reset,
    /// Bytes that had arrived at this side are lost to a reset.
    Lose,
    /// The link of this side dies without a sign.
    Vanish,
    /// A bit of what this side sent is flipped.
    Corrupt(u8),
    /// The n-th piece of garbage comes in as if this side had sent it.
    Garble(u8),
    /// Bytes that this side sent reach a closed socket.
    Bounce,
    /// Time passes until the soonest deadline of anybody.
    Wait,
    /// So many milliseconds pass.
    Pass(u8),
}

impl Act {
    const NAMES: [(&'static str, Self); 33] = [
        ("send", Self::Send(0)),
        ("part", Self::Part(0)),
        ("last-part", Self::LastPart(0)),
        ("ping", Self::Ping),
        ("confirm", Self::Confirm),
        ("close", Self::Close(0)),
        ("shutdown", Self::Shutdown),
        ("drop", Self::Drop),
        ("panic", Self::Panic),
        ("abort", Self::Abort),
        ("stop-delivery", Self::StopDelivery),
        ("fetch", Self::Fetch(0)),
        ("forward", Self::Forward),
        ("write", Self::Write(0)),
        ("read", Self::Read(0)),
        ("turn", Self::Turn),
        ("stall", Self::Stall),
        ("flow", Self::Flow),
        ("cut", Self::Cut(0)),
        ("reset", Self::Reset),
        ("lose", Self::Lose),
        ("vanish", Self::Vanish),
        ("corrupt", Self::Corrupt(0)),
        ("garble", Self::Garble(0)),
        ("bounce", Self::Bounce),
        ("wait", Self::Wait),
        ("pass", Self::Pass(0)),
        ("send-prepared", Self::SendPrepared(0)),
        ("ping-with", Self::PingWith(0)),
        ("pong", Self::Pong(0)),
        ("take-part", Self::TakePart),
        ("abandon", Self::Abandon),
        ("keepalive", Self::Keepalive(0)),
    ];

    /// How many kinds there are.
    pub const KINDS: usize = Self::NAMES.len();

    /// Which kind it is.
    pub fn kind(self) -> usize {
        let same = |other: Self| std::mem::discriminant(&other) == std::mem::discriminant(&self);
        Self::NAMES.iter().position(|(_, act)| same(*act)).unwrap_or_default()
    }

    /// The act of a kind, with its number, where it has one.
    pub fn of(kind: usize, number: u8) -> Self {
        let (_, act) = Self::NAMES[kind % Self::KINDS];
        act.with(number)
    }

    fn with(self, number: u8) -> Self {
        match self {
            Self::Send(_) => Self::Send(number),
            Self::SendPrepared(_) => Self::SendPrepared(number),
            Self::PingWith(_) => Self::PingWith(number),
            Self::Pong(_) => Self::Pong(number),
            Self::Keepalive(_) => Self::Keepalive(number),
            Self::Part(_) => Self::Part(number),
            Self::LastPart(_) => Self::LastPart(number),
            Self::Close(_) => Self::Close(number),
            Self::Fetch(_) => Self::Fetch(number),
            Self::Write(_) => Self::Write(number),
            Self::Read(_) => Self::Read(number),
            Self::Cut(_) => Self::Cut(number),
            Self::Corrupt(_) => Self::Corrupt(number),
            Self::Garble(_) => Self::Garble(number),
            Self::Pass(_) => Self::Pass(number),
            plain => plain,
        }
    }

    fn number(self) -> Option<u8> {
        match self {
            Self::Send(n)
            | Self::SendPrepared(n)
            | Self::PingWith(n)
            | Self::Pong(n)
            | Self::Keepalive(n)
            | Self::Part(n)
            | Self::LastPart(n)
            | Self::Close(n)
            | Self::Fetch(n)
            | Self::Write(n)
            | Self::Read(n)
            | Self::Cut(n)
            | Self::Corrupt(n)
            | Self::Garble(n)
            | Self::Pass(n) => Some(n),
            _ => None,
        }
    }
}

impl Action {
    /// Any three bytes are an action.
    pub fn from_bytes([end, kind, number]: [u8; 3]) -> Self {
        Self { end, act: Act::of(usize::from(kind), number) }
    }
}

impl fmt::Display for Action {
    /// Such as `0 send 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.end, Act::NAMES[self.act.kind()].0)?;
        match self.act.number() {
            Some(number) => write!(f, " {number}"),
            None => Ok(()),
        }
    }
}

/// A line that is no action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAction(String);

impl fmt::Display for NoAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected `END NAME [NUMBER]`, such as `0 send 3`, not {:?}", self.0)
    }
}

impl std::error::Error for NoAction {}

impl FromStr for Action {
    type Err = NoAction;

    fn from_str(line: &str) -> Result<Self, NoAction> {
        let error = || NoAction(line.to_owned());
        let mut words = line.split_whitespace();
        let end = words.next().and_then(|word| word.parse().ok()).ok_or_else(error)?;
        let name = words.next().ok_or_else(error)?;
        let known = Act::NAMES.iter().find(|(known, _)| *known == name);
        let (_, act) = known.ok_or_else(error)?;
        let act = match (act.number(), words.next()) {
            (None, None) => *act,
            (Some(_), Some(number)) => act.with(number.parse().map_err(|_| error())?),
            _ => return Err(error()),
        };
        if words.next().is_some() {
            return Err(error());
        }
        Ok(Self { end, act })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_a_script() {
        for kind in 0..Act::KINDS {
            for end in [0, 3] {
                let action = Action::from_bytes([end, kind as u8, 7]);
                assert_eq!(action.act.kind(), kind);
                assert_eq!(action.to_string().parse(), Ok(action));
            }
        }
        for nonsense in ["", "0", "x send 1", "0 send", "0 ping 1", "0 send 1 1", "0 dance"] {
            assert!(nonsense.parse::<Action>().is_err(), "{nonsense:?}");
        }
    }
}
