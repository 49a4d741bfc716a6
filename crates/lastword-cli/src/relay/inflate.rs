//! Compressed messages made plain, to be looked at (permessage-deflate, RFC 7692 section 7.2).
//!
//! It keeps the window of deflate and nothing else: what comes out is handed on piece by piece.

use zlib_rs::{InflateFlush, Status};

/// What one side compresses.
pub(super) struct Inflater {
    codec: Box<zlib_rs::Inflate>,
    room: Box<[u8]>,
    broken: bool,
    /// Behind a final block, or before any byte of a message: no tail was taken off.
    tailless: bool,
}

/// How much comes out at once.
const ROOM: usize = 16 << 10;

/// The end of a flush, which does not go over the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The window of those who agreed on none; it reads what any smaller one wrote.
const WINDOW_BITS: u8 = 15;

impl Inflater {
    pub(super) fn new() -> Self {
        Self {
            codec: Box::new(zlib_rs::Inflate::new(false, WINDOW_BITS)),
            room: vec![0; ROOM].into_boxed_slice(),
            broken: false,
            tailless: true,
        }
    }

    /// Hands on what comes out of a piece. Once that is no deflate stream, nothing more does.
    pub(super) fn inflate(&mut self, piece: &[u8], mut plain: impl FnMut(&[u8])) {
        let mut rest = piece;
        while !self.broken && !rest.is_empty() {
            let (read, written) = (self.codec.total_in(), self.codec.total_out());
            let status = self.codec.decompress(rest, &mut self.room, InflateFlush::SyncFlush);
            let read = (self.codec.total_in() - read) as usize;
            let written = (self.codec.total_out() - written) as usize;
            plain(&self.room[..written]);
            rest = &rest[read..];
            self.tailless = false;
            match status {
                // What follows is a new stream.
                Ok(Status::StreamEnd) => {
                    self.codec.reset(false);
                    self.tailless = true;
                }
                Ok(Status::Ok | Status::BufError) => self.broken = read == 0 && written == 0,
                Err(_) => self.broken = true,
            }
        }
        // What was read may have more to say than there was room for.
        while !self.broken {
            let written = self.codec.total_out();
            let status = self.codec.decompress(&[], &mut self.room, InflateFlush::SyncFlush);
            let written = (self.codec.total_out() - written) as usize;
            plain(&self.room[..written]);
            if written == 0 || status.is_err() {
                return;
            }
        }
    }

    /// The message ends.
    pub(super) fn finish(&mut self, plain: impl FnMut(&[u8])) {
        if !self.tailless {
            self.inflate(&TAIL, plain);
            self.tailless = true;
        }
    }

    /// Whether what came could not be read.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }
}
