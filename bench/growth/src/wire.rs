//! What the other side says, in bytes. Shares no code with the protocol.

use bytes::Bytes;
use lastword_proto::{Kind, Message, Role};

const KEY: [u8; 4] = [0x5a, 0x01, 0xff, 0x37];

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// Appends one frame as `sender` would put it on the wire.
pub(crate) fn push_frame(wire: &mut Vec<u8>, sender: Role, first_byte: u8, payload: &[u8]) {
    let mask = if sender == Role::Client { 0x80 } else { 0 };
    wire.push(first_byte);
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
    if sender == Role::Server {
        return wire.extend(payload);
    }
    wire.extend(KEY);
    let start = wire.len();
    wire.extend(payload);
    for chunk in wire[start..].chunks_mut(KEY.len()) {
        chunk.iter_mut().zip(KEY).for_each(|(byte, key)| *byte ^= key);
    }
}

pub(crate) fn frame(sender: Role, first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    push_frame(&mut wire, sender, first_byte, payload);
    wire
}

/// The payload of a ping that stands last on the wire of `sender`.
pub(crate) fn last_ping(sender: Role, wire: &[u8]) -> [u8; 8] {
    let (rest, payload) = wire.split_last_chunk::<8>().expect("a ping");
    let mut payload = *payload;
    if sender == Role::Client {
        let (_, key) = rest.split_last_chunk::<4>().expect("a key");
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    payload
}

/// `size` bytes of binary data, or of text in several scripts.
pub(crate) fn payload(kind: Kind, size: usize) -> Vec<u8> {
    let mut payload = match kind {
        Kind::Binary => (0..=255).cycle().take(size.min(BLOCK)).collect(),
        Kind::Text => {
            let line = "plain words, Grüße, привет, 你好, 🙂; ".repeat(BLOCK / 32);
            let mut text = line[..line.floor_char_boundary(size.min(BLOCK))].to_owned();
            text.extend(std::iter::repeat_n('a', size.min(BLOCK) - text.len()));
            text.into_bytes()
        }
    };
    if size > BLOCK {
        let rest = self::payload(kind, size % BLOCK);
        payload = payload.repeat(size / BLOCK);
        payload.extend(rest);
    }
    payload
}

pub(crate) fn message(kind: Kind, size: usize) -> Message {
    let payload = payload(kind, size);
    match kind {
        Kind::Binary => Message::Binary(Bytes::from(payload)),
        Kind::Text => String::from_utf8(payload).expect("text").into(),
    }
}

/// `size` bytes like those of a market feed, which compress as such things do.
pub(crate) fn feed(size: usize) -> String {
    let mut text = String::with_capacity(size + 100);
    let mut number = 1_u32;
    while text.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (price, quantity) = (number >> 12, number & 0xff);
        text += &format!(r#"{{"e":"trade","s":"BTCUSDT","p":{price},"q":{quantity}}}"#);
    }
    text.truncate(size);
    text
}

const BLOCK: usize = 4096;
