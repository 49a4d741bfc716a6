//! One side's socket and the stream that flows out of it, as a kernel and a network treat them.
//!
//! Bytes leave in order; an end of the stream stands behind them; a reset overtakes nothing that has
//! arrived, but may destroy it. Knows nothing of WebSocket.

use std::collections::VecDeque;
use std::io;

/// A socket of one side, with the bytes that this side sent and the other has not read.
#[derive(Clone, Debug, Default)]
pub struct Socket {
    /// Sent and not read by the peer.
    pub flight: VecDeque<u8>,
    /// How many bytes may be in flight: the buffers of both kernels.
    pub window: usize,
    /// Whether an end of the stream stands behind the bytes in flight.
    pub finished: bool,
    /// Whether what is in flight cannot be read for now.
    pub stalled: bool,
    /// Whether the link is dead: what is sent goes nowhere, and nobody says so.
    pub dead: bool,
    /// Whether the network has cut the stream: what is sent goes nowhere, its reader saw an end.
    pub cut: bool,
    /// A reset that arrived.
    pub reset: Reset,
    /// Whether this side's process still holds the socket.
    pub held: Held,
}

/// A reset, as this side's kernel knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// None came.
    #[default]
    None,
    /// The next call fails.
    Pending,
    /// It was told once; what follows is an end of the stream, or a broken pipe.
    Told,
}

/// Whether a process holds its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// It does.
    #[default]
    Yes,
    /// It was closed: what still comes is answered by a reset.
    No,
}

/// What a read gave.
#[derive(Debug)]
pub enum Read {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end of the stream.
    End,
    /// Nothing for now.
    Nothing,
    /// A failure.
    Failed(io::Error),
}

impl Socket {
    /// A socket whose stream holds up to `window` bytes.
    pub fn new(window: usize) -> Self {
        Self { window, ..Self::default() }
    }

    /// Writes the start of `bytes`: how many were taken, 0 if it would block.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fail_write()?;
        if self.cut {
            return Ok(bytes.len());
        }
        let taken = &bytes[..self.room().min(bytes.len())];
        self.flight.extend(taken);
        Ok(taken.len())
    }

    /// Ends the stream.
    pub fn finish(&mut self) -> io::Result<()> {
        self.fail_write()?;
        self.finished = true;
        Ok(())
    }

    /// How many bytes a write would take, at most.
    pub fn room(&self) -> usize {
        if self.cut { usize::MAX } else { self.window.saturating_sub(self.flight.len()) }
    }

    fn fail_write(&mut self) -> io::Result<()> {
        match self.reset {
            Reset::None => Ok(()),
            Reset::Pending => {
                self.reset = Reset::Told;
                Err(io::Error::from_raw_os_error(ECONNRESET))
            }
            Reset::Told => Err(io::Error::from_raw_os_error(EPIPE)),
        }
    }

    /// Reads up to `most` of what `peer` sent.
    pub fn read(&mut self, peer: &mut Self, most: usize) -> Read {
        let blocked = peer.stalled || peer.dead;
        if !peer.flight.is_empty() && !blocked {
            let count = most.min(peer.flight.len());
            return Read::Bytes(peer.flight.drain(..count).collect());
        }
        match self.reset {
            Reset::Pending => {
                self.reset = Reset::Told;
                Read::Failed(io::Error::from_raw_os_error(ECONNRESET))
            }
            Reset::Told => Read::End,
            Reset::None if peer.finished && !blocked => Read::End,
            Reset::None => Read::Nothing,
        }
    }

    /// The process closes the socket, in order or not; `peer`'s kernel hears of it, if the link
    /// lives.
    pub fn close(&mut self, peer: &mut Self, orderly: Orderly) {
        self.held = Held::No;
        let unread = !peer.flight.is_empty();
        if orderly == Orderly::Yes && !unread {
            self.finished = true;
        } else {
            self.reset_peer(peer);
        }
    }

    /// Bytes that reach a closed socket are answered by a reset.
    pub fn bounce(&mut self, peer: &mut Self) {
        if peer.held == Held::No && !self.flight.is_empty() && !self.stalled && !self.dead {
            self.flight.clear();
            peer.reset_peer(self);
        }
    }

    fn reset_peer(&self, peer: &mut Self) {
        if peer.reset == Reset::None && !self.dead && !self.cut {
            peer.reset = Reset::Pending;
        }
    }
}

/// Whether a socket is closed in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orderly {
    /// A close, after which the stream ends behind its last byte.
    Yes,
    /// A close without a linger time.
    No,
}

const ECONNRESET: i32 = 104;
const EPIPE: i32 = 32;
