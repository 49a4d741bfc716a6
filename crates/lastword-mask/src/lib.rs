//! Masking of WebSocket payloads: XOR with a four-byte key (RFC 6455 section 5.3).
//!
//! Bytes in, the same number of bytes out. Knows nothing of frames.

/// XORs `payload` in place with `key`, as if `payload[0]` stood at position `offset` of its frame.
pub fn apply(key: [u8; 4], offset: usize, payload: &mut [u8]) {
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[(offset + index) % 4];
    }
}
