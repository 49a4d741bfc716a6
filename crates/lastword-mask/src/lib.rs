//! Masking of WebSocket payloads: XOR with a four-byte key (RFC 6455 section 5.3).
//!
//! Bytes in, the same number of bytes out. Knows nothing of frames. Masking twice with the same
//! key and offset gives the bytes back, so the same functions mask and unmask.
//!
//! Uses `std` for one thing: only `std` can ask the processor at run time what it knows.

mod wide;

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

/// Writes `source` to `target`, masked as [`apply`] would: copy and mask in one pass.
///
/// # Panics
///
/// When the two differ in length, as [`slice::copy_from_slice`] does.
///
/// ```
/// let mut scratch = [0; 16];
/// lastword_mask::copy([0x37, 0xfa, 0x21, 0x3d], 0, b"Hello", &mut scratch[..5]);
/// assert_eq!(scratch[..5], [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn copy(key: [u8; 4], offset: usize, source: &[u8], target: &mut [u8]) {
    assert_eq!(source.len(), target.len(), "a masked copy is as long as its source");
    copy_pattern(Pattern::starting_at(key, offset), source, target);
}

/// Appends `source` to `target`, masked as [`apply`] would.
///
/// ```
/// let mut frame = vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d];
/// lastword_mask::append([0x37, 0xfa, 0x21, 0x3d], 0, b"Hello", &mut frame);
/// assert_eq!(frame[6..], [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn append(key: [u8; 4], offset: usize, source: &[u8], target: &mut Vec<u8>) {
    let start = target.len();
    if source.len() <= BLOCK {
        target.extend_from_slice(source);
        apply(key, offset, &mut target[start..]);
    } else {
        append_blocks(Pattern::starting_at(key, offset), source, target);
    }
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

/// Large appends go in blocks, so that each is masked while it is still in the nearest cache.
const BLOCK: usize = 4096;

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

/// Fused, and nowhere wide: a copy waits for its stores, not for its XORs.
fn copy_pattern(pattern: Pattern, source: &[u8], target: &mut [u8]) {
    let to_end = pattern.after(source.len());
    if let Some(&last) = source.last_chunk() {
        for (from, to) in source.as_chunks().0.iter().zip(target.as_chunks_mut().0) {
            *to = pattern.mask_twice_8(*from);
        }
        write_last(target, to_end.mask_twice_8(last));
    } else if let (Some(&first), Some(&last)) = (source.first_chunk(), source.last_chunk()) {
        write_first(target, pattern.mask_8(first));
        write_last(target, to_end.mask_8(last));
    } else if let (Some(&first), Some(&last)) = (source.first_chunk(), source.last_chunk()) {
        write_first(target, pattern.mask_4(first));
        write_last(target, to_end.mask_4(last));
    } else {
        for ((from, to), key) in source.iter().zip(target).zip(pattern.0.to_le_bytes()) {
            *to = from ^ key;
        }
    }
}

#[inline(never)]
fn append_blocks(pattern: Pattern, source: &[u8], target: &mut Vec<u8>) {
    target.reserve(source.len());
    for block in source.chunks(BLOCK) {
        let start = target.len();
        target.extend_from_slice(block);
        apply_pattern(pattern, &mut target[start..]);
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
