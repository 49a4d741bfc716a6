//! Frames by hand (RFC 6455 section 5.2): written with any bits, right or wrong, and read without being
//! judged. Knows nothing of connections, and believes nobody.

/// The first byte of frames.
pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
pub(super) const MORE: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// Which bit of the second byte says that there is a mask.
const MASKED: u8 = 0x80;
/// Not as random as section 5.3 asks for: what is sent here is known, and no script's.
const KEY: [u8; 4] = [0x1D, 0xA7, 0x5C, 0xE3];
/// How much is kept of a payload that comes.
const KEPT: usize = 72 << 10;

/// Whether a frame is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    Yes,
    No,
}

/// How a frame says its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Shortest,
    In16Bits,
    In64Bits,
    /// A length that is not the payload's, in 64 bits.
    Claims(u64),
}

/// A frame to be sent, as it is written in the table of probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    first: u8,
    mask: Mask,
    length: Length,
    pub(super) payload: &'static [u8],
}

/// A frame of a client as it should be, if `first` is right.
pub(super) const fn frame(first: u8, payload: &'static [u8]) -> Frame {
    Frame { first, mask: Mask::Yes, length: Length::Shortest, payload }
}

impl Frame {
    pub(super) const fn unmasked(self) -> Self {
        Self { mask: Mask::No, ..self }
    }

    pub(super) const fn with_length(self, length: Length) -> Self {
        Self { length, ..self }
    }

    pub(super) const fn is_close(&self) -> bool {
        self.first == FIN | CLOSE
    }

    /// As it crosses the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        written(self.first, self.mask, self.length, self.payload)
    }
}

/// A frame of a client.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    written(first, Mask::Yes, Length::Shortest, payload)
}

fn written(first: u8, mask: Mask, length: Length, payload: &[u8]) -> Vec<u8> {
    let bit = if mask == Mask::Yes { MASKED } else { 0 };
    let mut bytes = vec![first];
    let size = payload.len();
    match (length, u8::try_from(size), u16::try_from(size)) {
        (Length::Shortest, Ok(short @ 0..=125), _) => bytes.push(bit | short),
        (Length::Shortest | Length::In16Bits, _, Ok(size)) => {
            bytes.push(bit | 126);
            bytes.extend(size.to_be_bytes());
        }
        (length, ..) => {
            bytes.push(bit | 127);
            let claimed = if let Length::Claims(claimed) = length { claimed } else { size as u64 };
            bytes.extend(claimed.to_be_bytes());
        }
    }
    if mask == Mask::Yes {
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) first: u8,
    pub(super) mask: Mask,
    /// The shortest form of the length that there is.
    pub(super) shortest: bool,
    pub(super) length: u64,
    /// Unmasked, and no more than [`KEPT`] bytes of it.
    pub(super) payload: Vec<u8>,
}

impl Came {
    pub(super) const fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    pub(super) const fn is_last(&self) -> bool {
        self.first & FIN != 0
    }

    pub(super) const fn is_control(&self) -> bool {
        self.first & 0x08 != 0
    }

    /// The code of a close frame; `None` if there is none.
    pub(super) fn close_code(&self) -> Option<u16> {
        close_code(&self.payload)
    }
}

/// The code in the payload of a close frame.
pub(super) fn close_code(payload: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*payload.first_chunk()?))
}

/// Bytes in, frames out.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// How many of them were read already.
    read: usize,
    /// A frame whose payload is still coming: its key, and how much of it came.
    begun: Option<(Came, [u8; 4], u64)>,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if all of it came.
    pub(super) fn next(&mut self) -> Option<Came> {
        let (mut came, key_of, mut done) = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let (came, key, size) = header(&self.bytes[self.read..])?;
                self.read += size;
                (came, key, 0)
            }
        };
        let there = &self.bytes[self.read..];
        let left = usize::try_from(came.length - done).unwrap_or(usize::MAX).min(there.len());
        let room = KEPT.saturating_sub(came.payload.len());
        let key = key_of.iter().cycle().skip(came.payload.len() % key_of.len());
        came.payload.extend(there[..left.min(room)].iter().zip(key).map(|(byte, key)| byte ^ key));
        self.read += left;
        done += left as u64;
        if done == came.length {
            return Some(came);
        }
        self.begun = Some((came, key_of, done));
        None
    }
}

/// The header of a frame, its key, and how many bytes it takes up.
fn header(bytes: &[u8]) -> Option<(Came, [u8; 4], usize)> {
    let &[first, second, ..] = bytes else { return None };
    let mask = if second & MASKED != 0 { Mask::Yes } else { Mask::No };
    let (length, mut size, shortest) = match second & !MASKED {
        126 => {
            let length = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (u64::from(length), 4, length > 125)
        }
        127 => {
            let length = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (length, 10, length > u64::from(u16::MAX))
        }
        short => (u64::from(short), 2, true),
    };
    let mut key = [0; 4];
    if mask == Mask::Yes {
        key = *bytes.get(size..)?.first_chunk()?;
        size += key.len();
    }
    if bytes.len() < size {
        return None;
    }
    Some((Came { first, mask, shortest, length, payload: Vec::new() }, key, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_wherever_it_is_cut() {
        let long: &'static [u8] = &[7; 70_000];
        for (written, shortest, length) in [
            (frame(FIN | TEXT, b"hi"), true, 2),
            (frame(FIN | PING, b"").unmasked(), true, 0),
            (frame(FIN | TEXT, b"hi").with_length(Length::In16Bits), false, 2),
            (frame(FIN | TEXT, b"hi").with_length(Length::In64Bits), false, 2),
            (frame(FIN | BINARY, &[1; 200]), true, 200),
            (frame(BINARY, long), true, 70_000),
        ] {
            let bytes = written.bytes();
            for cut in (0..bytes.len()).take(300) {
                let mut reader = Reader::default();
                reader.push(&bytes[..cut]);
                assert_eq!(reader.next(), None, "cut at {cut}");
                reader.push(&bytes[cut..]);
                let came = reader.next().expect("a whole frame");
                assert_eq!((came.first, came.length), (written.first, length));
                assert_eq!((came.mask, came.shortest), (written.mask, shortest));
                assert_eq!(came.payload, written.payload);
                assert_eq!(reader.next(), None);
            }
        }
    }

    #[test]
    fn a_claim_reserves_nothing() {
        let mut reader = Reader::default();
        reader.push(&frame(FIN | TEXT, b"x").with_length(Length::Claims(1 << 62)).bytes());
        assert_eq!(reader.next(), None);
        assert_eq!(reader.bytes.capacity() >> 20, 0);
    }
}
