//! What is sent, and what has to come back. A message differs from its neighbours and from those of
//! other connections, and yet none is made while the load runs: all are windows on one text.

use lastword::{Kind, Message, Utf8Bytes};

/// Messages of one size.
#[derive(Debug)]
pub(super) struct Payloads {
    all: Vec<Message>,
}

/// How many messages there are. A prime, so that two connections fall into step late.
const KINDS: usize = 61;
/// How far connections stand apart.
const STEP: u64 = 17;

impl Payloads {
    pub(super) fn new(kind: Kind, size: usize) -> Self {
        let random = Random::default();
        let all = match kind {
            Kind::Binary => {
                let text: Vec<u8> = random.map(|number| number as u8).take(size + KINDS).collect();
                let text = Message::binary(text).into_payload();
                (0..KINDS).map(|at| Message::Binary(text.slice(at..at + size))).collect()
            }
            Kind::Text => {
                let letter = |number: u64| char::from(LETTERS[number as usize % LETTERS.len()]);
                let text: String = random.map(letter).take(size + KINDS).collect();
                let text = Message::from(text).into_payload();
                let window = |at: usize| {
                    Utf8Bytes::try_from(text.slice(at..at + size))
                        .unwrap_or_else(|_| unreachable!("letters and digits are text"))
                };
                (0..KINDS).map(|at| Message::Text(window(at))).collect()
            }
        };
        Self { all }
    }

    /// The message of a connection that has this number, from 0 on.
    pub(super) fn of(&self, connection: usize, number: u64) -> &Message {
        let at = number.wrapping_add(STEP.wrapping_mul(connection as u64)) % KINDS as u64;
        &self.all[at as usize]
    }
}

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// In what an answer differs from what was sent.
pub(super) fn difference(sent: &Message, came: &Message) -> String {
    if sent.kind() != came.kind() {
        return format!("sent a {} message, and {} came", sent.kind(), came.kind());
    }
    if sent.len() != came.len() {
        return format!("sent {} bytes, and {} came", sent.len(), came.len());
    }
    let pairs = sent.payload().iter().zip(came.payload());
    let same = pairs.take_while(|(sent, came)| sent == came).count();
    format!("of {} bytes, byte {same} is the first that is another", sent.len())
}

/// Splitmix64: enough to look like nothing in particular, and the same each time.
#[derive(Debug, Default)]
struct Random(u64);

impl Iterator for Random {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ (mixed >> 31)) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_and_have_the_size_that_was_asked_for() {
        for kind in [Kind::Text, Kind::Binary] {
            for size in [0, 1, 2, 100, 5000] {
                let payloads = Payloads::new(kind, size);
                for number in 0..200 {
                    let message = payloads.of(3, number);
                    assert_eq!((message.len(), message.kind()), (size, kind));
                    if size > 1 {
                        assert_ne!(message, payloads.of(3, number + 1), "{size} bytes, {number}");
                        assert_ne!(message, payloads.of(4, number), "{size} bytes, {number}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_difference_is_told_where_it_is() {
        let sent = Message::from("abc");
        for (came, told) in [
            (Message::from(b"abc".to_vec()), "sent a text message, and binary came"),
            (Message::from("abcd"), "sent 3 bytes, and 4 came"),
            (Message::from("abd"), "of 3 bytes, byte 2 is the first that is another"),
        ] {
            assert_eq!(difference(&sent, &came), told);
        }
    }
}
