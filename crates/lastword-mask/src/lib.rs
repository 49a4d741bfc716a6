//! Masking of WebSocket payloads: XOR with a four-byte key (RFC 6455 section 5.3).
//!
//! Bytes in, the same number of bytes out. Knows nothing of frames. Masking twice with the same
//! key and offset gives the bytes back, so the same functions mask and unmask.
//!
//! Uses `std` for one thing: only `std` can ask the processor at run time what it knows.

mod fresh;
mod wide;

use std::mem::MaybeUninit;

/// A byte of memory that nothing was written to yet.
type Room = MaybeUninit<u8>;

/// XORs `payload` in place with `key`, as if `payload[0]` stood at position `offset` of its frame.
///
/// ```
/// let mut payload = *b"Hello";
/// lastword_mask::apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
///
/// // The same in two pieces, as it comes from a socket.
/// lastword_mask::apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload[..2]);
/// lastword_mask::apply([0x37, 0xfa, 0x21, 0x3d], 2, &mut payload[2..]);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn apply(key: [u8; 4], offset: usize, payload: &mut [u8]) {
    apply_pattern(Pattern::starting_at(key, offset), payload);
}

/// Appends `source` to `target`, masked as [`apply`] would: copy and mask in one pass.
///
/// ```
/// let mut frame = vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d];
/// lastword_mask::append([0x37, 0xfa, 0x21, 0x3d], 0, b"Hello", &mut frame);
/// assert_eq!(frame[6..], [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn append(key: [u8; 4], offset: usize, source: &[u8], target: &mut Vec<u8>) {
    let pattern = Pattern::starting_at(key, offset);
    fresh::append(source.len(), target, |room| copy_pattern(pattern, source, room));
}

/// The key as it meets the bytes: its first byte is for the first byte of the payload.
///
/// Kept as a little-endian number, so that turning it by a byte is one instruction.
#[derive(Clone, Copy)]
struct Pattern(u32);

impl Pattern {
    #[inline]
    const fn starting_at(key: [u8; 4], offset: usize) -> Self {
        Self(u32::from_le_bytes(key)).after(offset)
    }

    /// The pattern for what follows `length` bytes.
    #[inline]
    const fn after(self, length: usize) -> Self {
        Self(self.0.rotate_right((length % 4) as u32 * 8))
    }

    #[inline]
    const fn mask_4(self, bytes: [u8; 4]) -> [u8; 4] {
        (u32::from_le_bytes(bytes) ^ self.0).to_le_bytes()
    }

    #[inline]
    const fn mask_8(self, bytes: [u8; 8]) -> [u8; 8] {
        let twice = self.0 as u64 | (self.0 as u64) << 32;
        (u64::from_le_bytes(bytes) ^ twice).to_le_bytes()
    }

    /// For copies, where the compiler would take one number of 16 bytes apart.
    #[inline]
    fn mask_twice_8(self, mut bytes: [u8; 16]) -> [u8; 16] {
        for eight in bytes.as_chunks_mut().0 {
            *eight = self.mask_8(*eight);
        }
        bytes
    }

    #[inline]
    const fn mask_16(self, bytes: [u8; 16]) -> [u8; 16] {
        let twice = self.0 as u64 | (self.0 as u64) << 32;
        (u128::from_le_bytes(bytes) ^ (twice as u128 | (twice as u128) << 64)).to_le_bytes()
    }
}

/// From this many bytes the processor is asked for wide registers; below, asking costs more than
/// they save (`cargo bench -p lastword-mask` shows both).
const WIDE: usize = 256;

#[inline]
fn apply_pattern(pattern: Pattern, payload: &mut [u8]) {
    if payload.len() < WIDE { apply_narrow(pattern, payload) } else { apply_long(pattern, payload) }
}

/// Out of line, so that the way of short payloads saves no registers for it.
#[inline(never)]
fn apply_long(pattern: Pattern, payload: &mut [u8]) {
    if !wide::apply(pattern, payload) {
        apply_narrow(pattern, payload);
    }
}

/// Heads and tails overlap instead of being walked byte by byte: the last chunk is read before
/// anything is written, and written last.
#[inline]
fn apply_narrow(pattern: Pattern, payload: &mut [u8]) {
    let to_end = pattern.after(payload.len());
    if let Some(&last) = payload.last_chunk() {
        for chunk in payload.as_chunks_mut().0 {
            *chunk = pattern.mask_16(*chunk);
        }
        write_last(payload, to_end.mask_16(last));
    } else if let (Some(&first), Some(&last)) = (payload.first_chunk(), payload.last_chunk()) {
        write_first(payload, pattern.mask_8(first));
        write_last(payload, to_end.mask_8(last));
    } else if let (Some(&first), Some(&last)) = (payload.first_chunk(), payload.last_chunk()) {
        write_first(payload, pattern.mask_4(first));
        write_last(payload, to_end.mask_4(last));
    } else {
        for (byte, key) in payload.iter_mut().zip(pattern.0.to_le_bytes()) {
            *byte ^= key;
        }
    }
}

/// Fills `room`, which is as long as `source`.
#[inline]
fn copy_pattern(pattern: Pattern, source: &[u8], room: &mut [Room]) {
    if source.len() < WIDE {
        copy_narrow(pattern, source, room);
    } else {
        copy_long(pattern, source, room);
    }
}

/// Out of line, as `apply_long` is.
#[inline(never)]
fn copy_long(pattern: Pattern, source: &[u8], room: &mut [Room]) {
    if !wide::copy(pattern, source, room) {
        copy_narrow(pattern, source, room);
    }
}

/// Overlaps as `apply_narrow` does. Leaves nothing out: `fresh` counts on it.
#[inline]
fn copy_narrow(pattern: Pattern, source: &[u8], room: &mut [Room]) {
    let to_end = pattern.after(source.len());
    if let Some(&last) = source.last_chunk() {
        let (runs, rest) = source.as_chunks::<64>();
        let (places, room_of_rest) = room.as_chunks_mut::<64>();
        for (from, to) in runs.iter().zip(places) {
            copy_chunks(pattern, from, to);
        }
        copy_chunks(pattern, rest, room_of_rest);
        fill_last(room, to_end.mask_twice_8(last));
    } else if let (Some(&first), Some(&last)) = (source.first_chunk(), source.last_chunk()) {
        fill_first(room, pattern.mask_8(first));
        fill_last(room, to_end.mask_8(last));
    } else if let (Some(&first), Some(&last)) = (source.first_chunk(), source.last_chunk()) {
        fill_first(room, pattern.mask_4(first));
        fill_last(room, to_end.mask_4(last));
    } else {
        for ((from, to), key) in source.iter().zip(room).zip(pattern.0.to_le_bytes()) {
            to.write(from ^ key);
        }
    }
}

/// Whole chunks only.
#[inline(always)]
fn copy_chunks(pattern: Pattern, source: &[u8], room: &mut [Room]) {
    for (from, to) in source.as_chunks().0.iter().zip(room.as_chunks_mut().0) {
        fill(to, pattern.mask_twice_8(*from));
    }
}

#[inline]
fn fill<const N: usize>(room: &mut [Room; N], chunk: [u8; N]) {
    room.write_copy_of_slice(&chunk);
}

#[inline]
fn fill_first<const N: usize>(room: &mut [Room], chunk: [u8; N]) {
    if let Some(first) = room.first_chunk_mut() {
        fill(first, chunk);
    }
}

#[inline]
fn fill_last<const N: usize>(room: &mut [Room], chunk: [u8; N]) {
    if let Some(last) = room.last_chunk_mut() {
        fill(last, chunk);
    }
}

#[inline]
fn write_first<const N: usize>(target: &mut [u8], chunk: [u8; N]) {
    if let Some(first) = target.first_chunk_mut() {
        *first = chunk;
    }
}

#[inline]
fn write_last<const N: usize>(target: &mut [u8], chunk: [u8; N]) {
    if let Some(last) = target.last_chunk_mut() {
        *last = chunk;
    }
}

#[cfg(test)]
mod tests;
