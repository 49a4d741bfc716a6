//! What is said: requests, bursts of messages, the close.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

/// What a connection says again and again.
#[derive(clap::Args, Clone)]
pub struct Shape {
    /// Bytes of a message.
    #[arg(long, default_value_t = 128)]
    pub size: usize,
    /// Messages in a burst; the next burst waits for all answers.
    #[arg(long, default_value_t = 16)]
    pub in_flight: usize,
    /// Send text, a part of it beyond ASCII.
    #[arg(long)]
    pub text: bool,
    /// Send ASCII text.
    #[arg(long, conflicts_with = "text")]
    pub ascii: bool,
    /// Send each message in so many frames.
    #[arg(long, default_value_t = 1)]
    pub fragments: usize,
    /// Agree on permessage-deflate, and compress.
    #[arg(long)]
    pub compressed: bool,
}

/// What a connection writes at once, and the messages that answer it.
pub struct Burst {
    pub wire: Vec<u8>,
    pub messages: Vec<Vec<u8>>,
}

/// The shortest request.
pub fn opening(compressed: bool) -> Vec<u8> {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    [PLAIN, if compressed { offer } else { "" }, "\r\n"].concat().into_bytes()
}

/// With all that a browser sends.
pub fn opening_of_a_browser() -> Vec<u8> {
    [BROWSER, "\r\n"].concat().into_bytes()
}

/// 1000.
pub fn closing() -> Vec<u8> {
    [&[0x88, 0x82][..], &KEY, &mask(&[3, 232])].concat()
}

/// 1000, as a server says it.
pub const CLOSED: [u8; 4] = [0x88, 2, 3, 232];

/// Several bursts, to be sent in turn: compression remembers, and would find one and the same
/// message in its window.
pub fn bursts(shape: &Shape) -> Vec<Burst> {
    let variants = if shape.compressed { 16 } else { 1 };
    (0..variants)
        .map(|variant| {
            let messages: Vec<_> = (0..shape.in_flight)
                .map(|index| payload(shape, (variant * shape.in_flight + index) as u32))
                .collect();
            let wire = messages.iter().flat_map(|message| sent(shape, message)).collect();
            Burst { wire, messages }
        })
        .collect()
}

/// One message as the client sends it.
fn sent(shape: &Shape, message: &[u8]) -> Vec<u8> {
    if shape.compressed {
        return frame(0xc0 | opcode(shape), &deflate(message));
    }
    let pieces: Vec<_> = message.chunks(message.len().div_ceil(shape.fragments).max(1)).collect();
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().flat_map(|(index, piece)| {
        let opcode = if index == 0 { opcode(shape) } else { 0 };
        let fin = if index == last { 0x80 } else { 0 };
        frame(fin | opcode, piece)
    });
    frames.collect()
}

fn opcode(shape: &Shape) -> u8 {
    if shape.text || shape.ascii { 1 } else { 2 }
}

fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first_byte];
    match payload.len() {
        short @ 0..126 => wire.push(MASKED | short as u8),
        long @ 126..0x1_0000 => {
            wire.push(MASKED | 126);
            wire.extend((long as u16).to_be_bytes());
        }
        long => {
            wire.push(MASKED | 127);
            wire.extend((long as u64).to_be_bytes());
        }
    }
    wire.extend(KEY);
    wire.extend(mask(payload));
    wire
}

fn mask(payload: &[u8]) -> Vec<u8> {
    payload.iter().enumerate().map(|(index, byte)| byte ^ KEY[index % 4]).collect()
}

/// Compressed by itself: it refers to no message before it.
fn deflate(message: &[u8]) -> Vec<u8> {
    let parameters = DeflateConfig { level: 6, window_bits: -15, ..Default::default() };
    let mut codec = Deflate::new_with_config(parameters);
    let mut out = vec![0; message.len() * 2 + 64];
    codec.compress(message, &mut out, DeflateFlush::SyncFlush).expect("room for all of it");
    out.truncate(codec.total_out() as usize - 4);
    out
}

/// Bytes of all values; text in several scripts; or, to be compressed, events of a market.
fn payload(shape: &Shape, seed: u32) -> Vec<u8> {
    if shape.compressed {
        let mut text = String::new();
        let mut number = seed.wrapping_mul(2_654_435_761);
        while text.len() < shape.size {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (price, quantity) = (number >> 12, number & 0xff);
            text += &format!(r#"{{"e":"trade","s":"BTCUSDT","p":{price},"q":{quantity}}}"#);
        }
        text.truncate(shape.size);
        return text.into_bytes();
    }
    if shape.ascii {
        return b"The quick brown fox. ".iter().copied().cycle().take(shape.size).collect();
    }
    if shape.text {
        let sentence = "Plain words, größtenteils; ein paar Zeichen mehr: 漢字 🦀. ";
        let mut text = sentence.repeat(shape.size / sentence.len() + 1);
        text.truncate(text.floor_char_boundary(shape.size));
        text.push_str(&".".repeat(shape.size - text.len()));
        return text.into_bytes();
    }
    (0..shape.size).map(|index| index as u8).collect()
}

const MASKED: u8 = 0x80;
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// As Chromium sends it.
const BROWSER: &str = "GET /chat?room=7 HTTP/1.1\r\nHost: 127.0.0.1:8765\r\n\
    Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/131.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://127.0.0.1:8765\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7\r\n\
    Cookie: session=4f1c2a9be07d4c55b6a1; theme=dark; consent=all\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
