//! Frame headers, both ways (RFC 6455 section 5.2).
//!
//! Bytes in, a [`Header`] out, or the first rule that the bytes prove broken: a reserved opcode is
//! refused at the first byte, an oversized control frame at the second, before any length is used.
//! Knows nothing of payloads or of the frames before.

use crate::wire::{Opcode, ReservedBits, Role};

/// The longest header: two bytes, eight of length, four of mask.
pub(crate) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether the message ends with this frame.
    pub(crate) fin: bool,
    /// What extensions say of the message. Only on its first frame.
    pub(crate) reserved: ReservedBits,
    pub(crate) opcode: Opcode,
    /// Length of the payload in bytes; below 2^63.
    pub(crate) len: u64,
    /// The masking key; present exactly on frames that a client sends.
    pub(crate) mask: Option<[u8; 4]>,
}

/// What the agreement lets headers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Who sends the frames.
    pub(crate) sender: Role,
    /// Which of the reserved bits the first frame of a message may set.
    pub(crate) reserved: ReservedBits,
}

impl Rules {
    /// Holds the reserved bits of a frame against what was agreed on.
    fn check_reserved(self, first: u8, opcode: Opcode) -> Result<(), HeaderError> {
        let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        let allowed = if starts_message { self.reserved } else { ReservedBits::NONE };
        let beyond = ReservedBits::of_first_byte(first).without(allowed);
        if beyond.is_none() {
            Ok(())
        } else if beyond == ReservedBits::RSV1 {
            Err(HeaderError::ReservedBit1(opcode))
        } else {
            Err(HeaderError::ReservedBits(first))
        }
    }
}

/// A rule of framing that a header broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// RSV1 where nothing gave it a meaning: without permessage-deflate, on a control frame or on a
    /// continuation.
    #[error("reserved bit 1 set on a {0:?} frame")]
    ReservedBit1(Opcode),
    /// RSV2 or RSV3 where no extension gave it a meaning.
    #[error("reserved bits set: {0:#04x} in the first byte")]
    ReservedBits(u8),
    /// One of the opcodes 3–7 and 11–15.
    #[error("reserved opcode {0:#x}")]
    ReservedOpcode(u8),
    /// A control frame without FIN (section 5.5).
    #[error("fragmented control frame ({0:?})")]
    FragmentedControl(Opcode),
    /// A control frame of more than 125 bytes (section 5.5).
    #[error("control frame of more than 125 bytes ({0:?})")]
    ControlTooLong(Opcode),
    /// A frame of a client that is not masked (section 5.1).
    #[error("unmasked frame from a client")]
    Unmasked,
    /// A frame of a server that is masked (section 5.1).
    #[error("masked frame from a server")]
    Masked,
    /// A length that would have fitted into fewer bytes (section 5.2).
    #[error("length {0} is not in its shortest form")]
    LengthNotMinimal(u64),
    /// A length with its most significant bit set (section 5.2).
    #[error("length with the most significant bit set")]
    LengthTopBit,
}

impl Header {
    /// Reads a header from the start of `bytes`: the header and its size, `None` if it needs more
    /// bytes, or the first rule that is already proven broken.
    #[inline]
    pub(crate) fn parse(bytes: &[u8], rules: Rules) -> Result<Option<(Self, usize)>, HeaderError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let opcode = Opcode::from_bits(first).ok_or(HeaderError::ReservedOpcode(first & 0x0f))?;
        let fin = first & 0x80 != 0;
        let reserved = ReservedBits::of_first_byte(first);
        if !reserved.is_none() {
            rules.check_reserved(first, opcode)?;
        }
        if opcode.is_control() && !fin {
            return Err(HeaderError::FragmentedControl(opcode));
        }

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let masked = second & 0x80 != 0;
        match (rules.sender, masked) {
            (Role::Client, false) => return Err(HeaderError::Unmasked),
            (Role::Server, true) => return Err(HeaderError::Masked),
            (Role::Client, true) | (Role::Server, false) => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() && short > 125 {
            return Err(HeaderError::ControlTooLong(opcode));
        }

        let (len, rest, size) = match short {
            126 => {
                let Some((&long, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes(long));
                if len < 126 {
                    return Err(HeaderError::LengthNotMinimal(len));
                }
                (len, rest, 4)
            }
            127 => {
                if rest.first().is_some_and(|&top| top & 0x80 != 0) {
                    return Err(HeaderError::LengthTopBit);
                }
                let Some((&long, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
                let len = u64::from_be_bytes(long);
                if len <= u64::from(u16::MAX) {
                    return Err(HeaderError::LengthNotMinimal(len));
                }
                (len, rest, 10)
            }
            short => (u64::from(short), rest, 2),
        };

        if !masked {
            return Ok(Some((Self { fin, reserved, opcode, len, mask: None }, size)));
        }
        let Some(&key) = rest.first_chunk::<4>() else { return Ok(None) };
        Ok(Some((Self { fin, reserved, opcode, len, mask: Some(key) }, size.saturating_add(4))))
    }

    /// Whether the message is compressed.
    #[inline]
    pub(crate) const fn is_compressed(&self) -> bool {
        self.reserved.contains(ReservedBits::RSV1)
    }

    /// The header as it stands on the wire, and its size.
    #[inline]
    pub(crate) fn encode(&self) -> Encoded {
        let mut encoded = Encoded { bytes: [0; MAX_HEADER], size: 2 };
        let [b0, b1, rest @ ..] = &mut encoded.bytes;
        *b0 = self.opcode.bits() | u8::from(self.fin) << 7 | self.reserved.bits();
        let masked = u8::from(self.mask.is_some()) << 7;
        let key = self.mask.unwrap_or_default();
        // The key stands right behind the length, whatever the length's form is.
        if let Ok(short @ 0..=125) = u8::try_from(self.len) {
            *b1 = masked | short;
            let [k0, k1, k2, k3, ..] = rest;
            [*k0, *k1, *k2, *k3] = key;
        } else if let Ok(long) = u16::try_from(self.len) {
            *b1 = masked | 126;
            let [l0, l1, k0, k1, k2, k3, ..] = rest;
            [*l0, *l1] = long.to_be_bytes();
            [*k0, *k1, *k2, *k3] = key;
            encoded.size = 4;
        } else {
            *b1 = masked | 127;
            let [l0, l1, l2, l3, l4, l5, l6, l7, k0, k1, k2, k3] = rest;
            [*l0, *l1, *l2, *l3, *l4, *l5, *l6, *l7] = self.len.to_be_bytes();
            [*k0, *k1, *k2, *k3] = key;
            encoded.size = 10;
        }
        if self.mask.is_some() {
            encoded.size = encoded.size.saturating_add(4);
        }
        encoded
    }
}

/// Appends the header of a message in one frame that is not compressed and shorter than 64 KiB, in
/// pieces of fixed size.
#[inline]
pub(crate) fn append_plain(opcode: Opcode, len: usize, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let first = opcode.bits() | 0x80;
    let masked = if mask.is_some() { 0x80 } else { 0 };
    // Longer ones are not asked for.
    let [high, low] = (len as u16).to_be_bytes();
    if len < 126 {
        out.extend_from_slice(&[first, low | masked]);
    } else {
        out.extend_from_slice(&[first, 126 | masked, high, low]);
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
}

/// A header in wire form.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: [u8; MAX_HEADER],
    size: usize,
}

impl Encoded {
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 12] =
        [0, 1, 2, 124, 125, 126, 127, 65_535, 65_536, 1 << 32, (1 << 63) - 2, (1 << 63) - 1];

    const ALL: ReservedBits = ReservedBits::of_first_byte(0xff);

    fn all_headers() -> impl Iterator<Item = (Header, Rules)> {
        let opcodes = (0..16).filter_map(Opcode::from_bits);
        opcodes.flat_map(|opcode| {
            (0..16_u8).flat_map(move |flags| {
                LENGTHS.into_iter().flat_map(move |len| {
                    [Role::Client, Role::Server].into_iter().map(move |sender| {
                        let mask = (sender == Role::Client).then_some([1, 2, 3, 4]);
                        let fin = flags & 8 != 0;
                        let reserved = ReservedBits::of_first_byte(flags << 4);
                        let header = Header { fin, reserved, opcode, len, mask };
                        (header, Rules { sender, reserved: ALL })
                    })
                })
            })
        })
    }

    #[test]
    fn a_plain_header_is_the_header_that_it_stands_for() {
        for len in 0..=u16::MAX {
            for opcode in [Opcode::Text, Opcode::Binary] {
                for mask in [None, Some([1, 2, 3, 4])] {
                    let mut wire = Vec::new();
                    append_plain(opcode, len.into(), mask, &mut wire);
                    let len = len.into();
                    let reserved = ReservedBits::NONE;
                    let header = Header { fin: true, reserved, opcode, len, mask };
                    assert_eq!(wire, header.encode().as_bytes());
                }
            }
        }
    }

    fn is_legal(header: &Header) -> bool {
        let control = header.opcode.is_control();
        let starts = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        (!control || (header.fin && header.len <= 125)) && (header.reserved.is_none() || starts)
    }

    #[test]
    fn every_legal_header_comes_back_as_it_went_and_every_prefix_of_it_wants_more() {
        for (header, rules) in all_headers() {
            let encoded = header.encode();
            let wire = encoded.as_bytes();
            let parsed = Header::parse(wire, rules);
            if !is_legal(&header) {
                assert!(parsed.is_err(), "{header:?}");
                continue;
            }
            assert_eq!(parsed, Ok(Some((header, wire.len()))));
            for cut in 0..wire.len() {
                assert_eq!(Header::parse(&wire[..cut], rules), Ok(None), "{header:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn every_first_two_bytes_are_judged_by_the_rules_of_the_rfc() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                for sender in [Role::Client, Role::Server] {
                    for allowed in 0..8_u8 {
                        let reserved = ReservedBits::of_first_byte(allowed << 4);
                        let rules = Rules { sender, reserved };
                        let opcode = first & 0x0f;
                        let control = opcode >= 8;
                        let set = first >> 4 & 0x7;
                        let fine_first = matches!(opcode, 0..=2 | 8..=10)
                            && (set == 0 || (set & !allowed == 0 && matches!(opcode, 1 | 2)))
                            && (!control || first & 0x80 != 0);
                        let masked = second & 0x80 != 0;
                        let fine = fine_first
                            && masked == (sender == Role::Client)
                            && (!control || second & 0x7f <= 125);
                        let alone = Header::parse(&[first], rules);
                        assert_eq!(alone.is_ok(), fine_first, "{first:#x} alone");
                        let both = Header::parse(&[first, second], rules);
                        assert_eq!(both.is_ok(), fine, "{first:#x} {second:#x} {rules:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_length_in_a_longer_form_than_needed_is_refused() {
        let rules = Rules { sender: Role::Server, reserved: ReservedBits::NONE };
        for len in 0..126_u16 {
            let [a, b] = len.to_be_bytes();
            let refused = Err(HeaderError::LengthNotMinimal(len.into()));
            assert_eq!(Header::parse(&[0x82, 126, a, b], rules), refused);
        }
        for len in [0_u64, 125, 126, 65_535] {
            let mut wire = vec![0x82, 127];
            wire.extend(len.to_be_bytes());
            assert_eq!(Header::parse(&wire, rules), Err(HeaderError::LengthNotMinimal(len)));
        }
    }

    #[test]
    fn a_length_with_its_top_bit_is_refused_at_its_first_byte() {
        let rules = Rules { sender: Role::Server, reserved: ReservedBits::NONE };
        assert_eq!(Header::parse(&[0x82, 127, 0x80], rules), Err(HeaderError::LengthTopBit));
    }
}
