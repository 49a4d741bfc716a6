//! Masking of WebSocket payloads: XOR with a four-byte key (RFC 6455 section 5.3).
//!
//! Bytes in, the same number of bytes out. Knows nothing of frames. Safe code only: over blocks of
//! 64 bytes the compiler makes vector instructions of it; `cargo bench -p lastword-mask` shows how
//! far that is from `memcpy`.

#![no_std]

/// XORs `payload` in place with `key`, as if `payload[0]` stood at position `offset` of its frame.
///
/// Masking is its own inverse.
///
/// ```
/// let mut payload = *b"Hello";
/// lastword_mask::apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn apply(key: [u8; 4], offset: usize, payload: &mut [u8]) {
    // The key as the payload's first byte meets it; a rotation, so that offsets cost nothing later.
    let turns = (offset % 4) as u32 * 8;
    let key = u32::from_ne_bytes(key);
    let key = if cfg!(target_endian = "little") {
        key.rotate_right(turns)
    } else {
        key.rotate_left(turns)
    };
    let wide = u64::from(key) << 32 | u64::from(key);

    let mut blocks = payload.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        xor_words(wide, block);
    }
    let rest = blocks.into_remainder();
    let words = rest.len() / 8 * 8;
    let (words, tail) = rest.split_at_mut(words);
    xor_words(wide, words);
    for (byte, mask) in tail.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// XORs each eight bytes; the length is a multiple of eight.
#[inline]
fn xor_words(wide: u64, words: &mut [u8]) {
    let (words, _) = words.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
}

/// Eight words at a time: a whole number of every vector register.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    fn reference(key: [u8; 4], offset: usize, payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[(offset + i) % 4]).collect()
    }

    #[test]
    fn every_length_alignment_and_offset_is_masked_as_the_rfc_says() {
        let bytes: Vec<u8> = (0..400_usize).map(|i| (i * 7 + 3) as u8).collect();
        let key = [0x12, 0x9a, 0xff, 0x40];
        for length in 0..300 {
            for start in 0..16 {
                for offset in 0..5 {
                    let plain = &bytes[start..start + length];
                    let mut masked = bytes.clone();
                    super::apply(key, offset, &mut masked[start..start + length]);
                    assert_eq!(masked[start..start + length], reference(key, offset, plain)[..]);
                    assert_eq!(masked[..start], bytes[..start]);
                    assert_eq!(masked[start + length..], bytes[start + length..]);
                }
            }
        }
    }

    #[test]
    fn masking_twice_and_in_pieces_gives_the_same_back() {
        let plain: Vec<u8> = (0..=255).collect();
        let key = [1, 2, 3, 4];
        for cut in 0..=plain.len() {
            let mut pieces = plain.clone();
            let (a, b) = pieces.split_at_mut(cut);
            super::apply(key, 0, a);
            super::apply(key, cut, b);
            assert_eq!(pieces, reference(key, 0, &plain));
            super::apply(key, 0, &mut pieces);
            assert_eq!(pieces, plain);
        }
    }
}
