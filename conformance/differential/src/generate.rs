//! Cases by chance: mostly valid, with one or two faults each, so that judges get far into them.
//!
//! All comes from a seed: the same seed gives the same case on every machine.

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};

use crate::Takeover;
use crate::case::{Case, FRAGMENTS, LIMITS};

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    Script::new(seed).run()
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

struct Script {
    chance: Chance,
    flags: u8,
    cutter: u8,
    limit: usize,
    takeover: Option<Takeover>,
    compressor: Box<CompressorOxide>,
    /// How rare faults are in this case: one in so many chances; 0 for never.
    rarity: usize,
    wire: Vec<u8>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut flags = chance.next() as u8;
        if chance.one_in(2) {
            // The usual limit, half of the time.
            flags &= !0x30;
        }
        let cutter = if chance.one_in(2) { 0 } else { chance.next() as u8 };
        let knobs = Case::from_bytes(&[flags, cutter]);
        Self {
            flags,
            cutter,
            limit: knobs.limit(),
            takeover: knobs.deflate(),
            compressor: compressor(),
            rarity: chance.of(&[0, 5, 15, 40]),
            wire: Vec::new(),
            chance,
        }
    }

    fn run(mut self) -> Case {
        for _ in 0..1 + self.chance.below(7) {
            match self.chance.below(24) {
                0..=14 => self.message(),
                15..=18 => self.control(),
                19 => (0..self.chance.below(24)).for_each(|_| self.control()),
                20..=21 => self.close(),
                22 => {
                    let count = self.chance.below(FRAGMENTS * 2);
                    self.fragments(1, &vec![Vec::new(); count.max(2)], false);
                }
                _ => {
                    let count = self.chance.below(20);
                    let garbage = self.chance.bytes(count);
                    self.frame(0x82, &garbage);
                }
            }
        }
        if self.fault() && self.chance.one_in(2) && !self.wire.is_empty() {
            let at = self.chance.below(self.wire.len());
            self.wire[at] = self.chance.next() as u8;
        }
        if self.chance.one_in(4) {
            let left = self.chance.below(self.wire.len() + 1);
            self.wire.truncate(left);
        }
        if self.fault() && self.chance.one_in(4) {
            let count = self.chance.below(30);
            let garbage = self.chance.bytes(count);
            self.wire.extend(garbage);
        }
        Case::from_bytes(&[&[self.flags, self.cutter], &self.wire[..]].concat())
    }

    fn fault(&mut self) -> bool {
        self.rarity > 0 && self.chance.one_in(self.rarity)
    }

    fn message(&mut self) {
        let text = self.chance.one_in(2);
        let len = self.length();
        let mut payload = if text { self.text(len) } else { self.binary(len) };
        if text && self.fault() {
            let at = self.chance.below(payload.len() + 1);
            let bad: &[u8] = self.chance.of(&[
                &b"\xff"[..],
                b"\x80",
                b"\xc0\x80",
                b"\xed\xa0\x80",
                b"\xf4\x90\x80\x80",
                b"\xe2\x82",
                b"\xf0\x9f\x98",
            ]);
            payload.splice(at..at, bad.iter().copied());
        }
        let compressed = self.takeover.is_some() && !self.chance.one_in(4);
        if compressed {
            payload = self.compress(&payload);
        }
        let mut pieces = Vec::new();
        if self.chance.one_in(3) {
            for _ in 0..self.chance.below(5) {
                let at = self.chance.below(payload.len() + 1);
                let rest = payload.split_off(at);
                pieces.push(std::mem::replace(&mut payload, rest));
            }
        }
        pieces.push(payload);
        self.fragments(if text { 1 } else { 2 }, &pieces, compressed);
    }

    fn fragments(&mut self, opcode: u8, pieces: &[Vec<u8>], compressed: bool) {
        for (index, piece) in pieces.iter().enumerate() {
            let opcode = if index == 0 { opcode } else { 0 };
            let mark = if index == 0 && compressed { 0x40 } else { 0 };
            let fin = if index + 1 == pieces.len() { 0x80 } else { 0 };
            self.frame(fin | mark | opcode, piece);
            if fin == 0 && self.chance.one_in(6) {
                self.control();
            }
            if fin == 0 && self.fault() {
                self.close();
            }
        }
    }

    fn control(&mut self) {
        let len = self.chance.of(&[0, 1, 4, 30, 125]);
        let len = if self.fault() { 126 } else { len };
        let payload = self.chance.bytes(len);
        let opcode = self.chance.of(&[9, 9, 10]);
        self.frame(0x80 | opcode, &payload);
    }

    fn close(&mut self) {
        let code = match self.chance.below(4) {
            0 => self.chance.next() as u16,
            1 => self.chance.of(&[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]),
            _ => self.chance.of(&[1000, 1001, 1002, 1003, 1007, 1011, 1013, 1014, 3000, 4999]),
        };
        let len = self.chance.of(&[0, 0, 3, 40, 123]);
        let mut body = [&code.to_be_bytes()[..], &self.text(len)].concat();
        match self.chance.below(8) {
            0 => body.clear(),
            1 if self.fault() => body.truncate(1),
            2 if self.fault() => body.push(0xff),
            _ => {}
        }
        self.frame(0x88, &body);
    }

    /// One frame, with a fault now and then.
    fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut first = first;
        let mut len = payload.len() as u64;
        let mut form = match len {
            0..=125 => 0,
            126..=0xffff => 1,
            _ => 2,
        };
        let mut masked = self.flags & 1 == 0;
        if self.fault() {
            match self.chance.below(8) {
                0 => first ^= 1 << (4 + self.chance.below(3)),
                1 => first ^= 0x80,
                2 => first = first & 0xf0 | self.chance.next() as u8 & 0x0f,
                3 => masked = !masked,
                4 => form = (form + 1).min(2),
                5 => (form, len) = (2, len | 1 << (32 + self.chance.below(32))),
                6 => len = self.chance.of(&[0, 1, 126, 65_536, self.limit as u64 + 1]),
                _ => first ^= 0x40,
            }
            form = match len {
                0..=125 => form,
                126..=0xffff => form.max(1),
                _ => 2,
            };
        }
        let mark = if masked { 0x80 } else { 0 };
        self.wire.push(first);
        match form {
            0 => self.wire.push(mark | len as u8),
            1 => {
                self.wire.push(mark | 126);
                self.wire.extend((len as u16).to_be_bytes());
            }
            _ => {
                self.wire.push(mark | 127);
                self.wire.extend(len.to_be_bytes());
            }
        }
        let key = if masked { self.chance.bytes(4) } else { Vec::new() };
        self.wire.extend(&key);
        let key = if masked { key } else { vec![0] };
        self.wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }

    fn length(&mut self) -> usize {
        match self.chance.below(40) {
            0..=25 => self.chance.below(20),
            26..=29 => self.chance.of(&[0, 1, 124, 125, 126, 127]),
            30..=33 => self.chance.below(400),
            34..=38 if self.limit == LIMITS[2] || self.limit == LIMITS[3] => {
                self.limit - 1 + self.chance.below(if self.rarity == 0 { 2 } else { 3 })
            }
            39 if self.chance.one_in(8) => self.chance.of(&[65_535, 65_536, 70_000]),
            _ => self.chance.below(3000),
        }
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        let pool = ['a', 'b', ' ', '{', '\0', 'é', '\u{7ff}', '€', '\u{d7ff}', '\u{e000}', '😀'];
        let pool = if self.chance.one_in(2) { &pool[..5] } else { &pool[..] };
        let mut text = String::new();
        while text.len() < len {
            let next = self.chance.of(pool);
            text.push(if text.len() + next.len_utf8() > len { 'x' } else { next });
        }
        text.into_bytes()
    }

    fn binary(&mut self, len: usize) -> Vec<u8> {
        if self.chance.one_in(2) {
            vec![self.chance.next() as u8; len]
        } else {
            self.chance.bytes(len)
        }
    }

    /// The payload of a compressed message, in one of the forms that RFC 7692 section 7.2.3 shows,
    /// or broken.
    fn compress(&mut self, plain: &[u8]) -> Vec<u8> {
        if self.takeover == Some(Takeover::None) {
            self.compressor = compressor();
        }
        let mut payload = match self.chance.below(8) {
            0 => stored(plain, 0),
            1 if self.chance.one_in(2) => {
                // A final block: the next message refers to nothing behind it.
                self.compressor = compressor();
                [stored(plain, 1), vec![0]].concat()
            }
            2 => {
                let (a, b) = plain.split_at(self.chance.below(plain.len() + 1));
                let mut two = self.deflate(a);
                two.extend(self.deflate(b));
                two
            }
            _ => self.deflate(plain),
        };
        if payload.ends_with(&[0, 0, 0xff, 0xff]) && !self.chance.one_in(10) {
            payload.truncate(payload.len() - 4);
        }
        if self.fault() {
            match self.chance.below(4) {
                0 => payload.clear(),
                1 => payload.truncate(self.chance.below(payload.len() + 1)),
                2 => payload.push(self.chance.next() as u8),
                _ if payload.is_empty() => {}
                _ => {
                    let at = self.chance.below(payload.len());
                    payload[at] ^= 1 << self.chance.below(8);
                }
            }
        }
        payload
    }

    fn deflate(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() * 2 + 200];
        let flush = if self.chance.one_in(6) { MZFlush::Full } else { MZFlush::Sync };
        let result = deflate(&mut self.compressor, plain, &mut out, flush);
        assert_eq!(result.bytes_consumed, plain.len(), "there is room enough");
        out.truncate(result.bytes_written);
        out
    }
}

fn compressor() -> Box<CompressorOxide> {
    let mut compressor = Box::<CompressorOxide>::default();
    compressor.set_format_and_level(DataFormat::Raw, 6);
    compressor
}

/// A stored block, its final bit as told, with the flush behind it if it is not the last.
fn stored(plain: &[u8], last: u8) -> Vec<u8> {
    let plain = plain.get(..0xffff).unwrap_or(plain);
    let len = plain.len() as u16;
    [&[last][..], &len.to_le_bytes(), &(!len).to_le_bytes(), plain].concat()
}
