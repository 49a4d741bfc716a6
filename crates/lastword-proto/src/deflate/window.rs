//! What a sleeping codec is woken with: the plain bytes that its stream may still refer to.

use std::collections::VecDeque;

/// The last plain bytes of a direction, no more than its window.
#[derive(Debug)]
pub(super) struct Window {
    bytes: VecDeque<u8>,
    size: usize,
}

impl Window {
    pub(super) const fn new(bits: u8) -> Self {
        Self { bytes: VecDeque::new(), size: 1 << bits }
    }

    /// These bytes went by.
    pub(super) fn push(&mut self, plain: &[u8]) {
        let start = plain.len().saturating_sub(self.size);
        let plain = plain.get(start..).unwrap_or_default();
        let room = self.size.saturating_sub(plain.len());
        let excess = self.bytes.len().saturating_sub(room);
        self.bytes.drain(..excess);
        // Doubled as it fills, and never beyond its size.
        let needed = self.bytes.len().saturating_add(plain.len());
        let target = needed.next_power_of_two().min(self.size);
        self.bytes.reserve_exact(target.saturating_sub(self.bytes.len()));
        self.bytes.extend(plain);
    }

    /// Nothing that went by can be referred to any more.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What went by, in one piece.
    pub(super) fn as_slice(&mut self) -> &[u8] {
        self.bytes.make_contiguous()
    }
}
