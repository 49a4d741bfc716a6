//! What a client says, in bytes, for the benchmarks.

/// Whether a payload is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Binary,
    /// In several scripts.
    Text,
}

/// `size` bytes.
pub fn payload(kind: Kind, size: usize) -> Vec<u8> {
    match kind {
        Kind::Binary => (0..=255).cycle().take(size).collect(),
        Kind::Text => {
            let line = "plain words, Grüße, привет, 你好, 🙂; ".repeat(size / 32 + 1);
            let mut text = line[..line.floor_char_boundary(size)].to_owned();
            text.extend(std::iter::repeat_n('a', size - text.len()));
            text.into_bytes()
        }
    }
}

/// One frame: masked, as a client sends it, if there is a key.
pub fn frame(first_byte: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut wire = vec![first_byte];
    match payload.len() {
        short @ 0..=125 => wire.push(mask | short as u8),
        long @ 126..=0xffff => {
            wire.push(mask | 126);
            wire.extend((long as u16).to_be_bytes());
        }
        long => {
            wire.push(mask | 127);
            wire.extend((long as u64).to_be_bytes());
        }
    }
    let key = key.inspect(|key| wire.extend(key)).unwrap_or_default();
    wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    wire
}

pub const KEY: [u8; 4] = [0x5a, 0x01, 0xff, 0x37];

/// The request of a browser.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Upgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
