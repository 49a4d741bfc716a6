//! The key of a handshake and the proof that the server read it (RFC 6455 sections 4.1, 4.2.2).

use data_encoding::BASE64;

/// What the server appends to the key before hashing (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Key` for 16 random bytes.
pub fn new_key(nonce: [u8; 16]) -> String {
    BASE64.encode(&nonce)
}

/// The `Sec-WebSocket-Accept` that answers a key.
///
/// ```
/// use lastword_proto::handshake::accept_key;
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    String::from_utf8_lossy(&accept(key.as_bytes())).into_owned()
}

/// The same, in the 28 letters that it always has.
pub(super) fn accept(key: &[u8]) -> [u8; 28] {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let mut letters = [0; 28];
    BASE64.encode_mut(&hash.digest().bytes(), &mut letters);
    letters
}

/// Whether a key is the base64 of 16 bytes.
pub(super) fn is_valid(key: &[u8]) -> bool {
    // 16 bytes are 24 letters; what is longer or shorter needs no decoding.
    let mut nonce = [0; 18];
    key.len() == 24 && BASE64.decode_mut(key, &mut nonce).is_ok_and(|size| size == 16)
}
