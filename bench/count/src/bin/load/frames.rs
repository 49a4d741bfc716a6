//! What is said and what has to come back. Knows no sockets; shares no code with any server.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::Args;

/// What a connection writes at once, and what answers it.
pub struct Burst {
    pub wire: Vec<u8>,
    pub expected: Expected,
}

/// What has to come back.
pub enum Expected {
    /// A response that switches protocols.
    Switching,
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// These messages, each in a frame, compressed or not: how, the server may choose.
    Messages(Vec<Vec<u8>>),
}

/// The request, short or with all that a browser sends.
pub fn opening(browser: bool, compressed: bool) -> Burst {
    let mut request = if browser { BROWSER } else { PLAIN }.to_owned();
    if compressed {
        request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    }
    request += "\r\n";
    Burst { wire: request.into_bytes(), expected: Expected::Switching }
}

/// 1000, and the same back.
pub fn closing() -> Burst {
    let wire = [&[0x88, 0x82][..], &KEY, &mask(&[3, 232])].concat();
    Burst { wire, expected: Expected::Bytes(vec![0x88, 2, 3, 232]) }
}

/// Several bursts, to be sent in turn: compression remembers, and would find one and the same
/// message in its window.
pub fn bursts(args: &Args) -> Vec<Burst> {
    let variants = if args.compressed { 16 } else { 1 };
    (0..variants)
        .map(|variant| {
            let messages: Vec<_> = (0..args.in_flight)
                .map(|index| payload(args, (variant * args.in_flight + index) as u32))
                .collect();
            let wire = messages.iter().flat_map(|message| sent(args, message)).collect();
            let expected = if args.compressed {
                Expected::Messages(messages)
            } else {
                let echo = |message: &Vec<u8>| frame(0x80 | opcode(args), message, Sender::Server);
                Expected::Bytes(messages.iter().flat_map(echo).collect())
            };
            Burst { wire, expected }
        })
        .collect()
}

/// Takes answers apart whose compression remembers what came before.
pub struct Inflater {
    window: Inflate,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { window: Inflate::new(false, 15) }
    }
}

impl Inflater {
    /// Whether all of `messages` have come in `wire`. Inflates nothing before: what was inflated
    /// cannot be inflated again.
    pub fn compare(&mut self, wire: &[u8], messages: &[Vec<u8>]) -> bool {
        let Some(frames) = split(wire, messages.len()) else { return false };
        for ((first_byte, body), message) in frames.into_iter().zip(messages) {
            let plain = if first_byte & 0x40 == 0 { body.to_vec() } else { self.inflate(body) };
            assert!(plain == *message, "an echo that is none");
        }
        true
    }

    fn inflate(&mut self, body: &[u8]) -> Vec<u8> {
        let input = [body, &[0, 0, 0xff, 0xff]].concat();
        let mut plain = vec![0; 64 << 10];
        let before = self.window.total_out();
        self.window
            .decompress(&input, &mut plain, InflateFlush::SyncFlush)
            .expect("a deflate stream");
        plain.truncate((self.window.total_out() - before) as usize);
        plain
    }
}

/// First byte and payload of each of `count` frames, if they have all come.
fn split(mut wire: &[u8], count: usize) -> Option<Vec<(u8, &[u8])>> {
    let mut frames = Vec::new();
    for _ in 0..count {
        let (header, size) = match *wire.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([*wire.get(2)?, *wire.get(3)?]))),
            short @ 0..126 => (2, usize::from(short)),
            _ => panic!("an answer larger than any message sent"),
        };
        frames.push((wire[0], wire.get(header..header + size)?));
        wire = &wire[header + size..];
    }
    assert!(wire.is_empty(), "more than was asked for");
    Some(frames)
}

#[derive(PartialEq)]
enum Sender {
    Client,
    Server,
}

/// One message as the client sends it.
fn sent(args: &Args, message: &[u8]) -> Vec<u8> {
    if args.compressed {
        return frame(0xc0 | opcode(args), &deflate(message), Sender::Client);
    }
    let pieces: Vec<_> = message.chunks(message.len().div_ceil(args.fragments)).collect();
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().flat_map(|(index, piece)| {
        let opcode = if index == 0 { opcode(args) } else { 0 };
        let fin = if index == last { 0x80 } else { 0 };
        frame(fin | opcode, piece, Sender::Client)
    });
    frames.collect()
}

fn opcode(args: &Args) -> u8 {
    if args.text { 1 } else { 2 }
}

fn frame(first_byte: u8, payload: &[u8], sender: Sender) -> Vec<u8> {
    let masked = if sender == Sender::Client { 0x80 } else { 0 };
    let mut wire = vec![first_byte];
    match payload.len() {
        short @ 0..126 => wire.push(masked | short as u8),
        long @ 126..0x1_0000 => {
            wire.push(masked | 126);
            wire.extend((long as u16).to_be_bytes());
        }
        long => {
            wire.push(masked | 127);
            wire.extend((long as u64).to_be_bytes());
        }
    }
    match sender {
        Sender::Client => {
            wire.extend(KEY);
            wire.extend(mask(payload));
        }
        Sender::Server => wire.extend(payload),
    }
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
fn payload(args: &Args, seed: u32) -> Vec<u8> {
    if args.compressed {
        let mut text = String::new();
        let mut number = seed.wrapping_mul(2_654_435_761);
        while text.len() < args.size {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (price, quantity) = (number >> 12, number & 0xff);
            text += &format!(r#"{{"e":"trade","s":"BTCUSDT","p":{price},"q":{quantity}}}"#);
        }
        text.truncate(args.size);
        return text.into_bytes();
    }
    if args.text {
        let sentence = "Plain words, größtenteils; ein paar Zeichen mehr: 漢字 🦀. ";
        let mut text = sentence.repeat(args.size / sentence.len() + 1);
        text.truncate(text.floor_char_boundary(args.size));
        text.push_str(&".".repeat(args.size - text.len()));
        return text.into_bytes();
    }
    (0..args.size).map(|index| index as u8).collect()
}

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
