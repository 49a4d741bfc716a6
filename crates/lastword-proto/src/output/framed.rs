//! Frames that are in wire form already, since others send them, too: they join what waits.

use bytes::Bytes;

use super::{COPIED, Chunk, Completes, Frame, Output};

impl Output {
    /// Appends a data frame. One that is large is not copied.
    pub(crate) fn put_framed(&mut self, wire: &Bytes, completes: Completes) {
        self.close_run();
        if wire.len() <= COPIED {
            self.tail.extend_from_slice(wire);
        } else {
            if !self.tail.is_empty() {
                self.chunks.push_back(Chunk::Bytes(std::mem::take(&mut self.tail).into()));
            }
            self.chunks.push_back(Chunk::Bytes(wire.clone()));
        }
        self.end = self.end.saturating_add(wire.len() as u64);
        self.frames.push_back(Frame { end: self.end, completes });
    }

    /// Appends a small message of `len` bytes, in one frame and not compressed, to the run at the
    /// end.
    pub(crate) fn put_framed_small(&mut self, wire: &[u8], len: usize) {
        self.tail.extend_from_slice(wire);
        self.end = self.end.saturating_add(wire.len() as u64);
        self.run.add(len);
    }
}
