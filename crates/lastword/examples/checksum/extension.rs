//! `x-checksum`: behind each message stands its CRC-32, and RSV2 says so. With the parameter `numbered`
//! the number of the message is part of it, so that one that is missing is noticed, too.
//!
//! TCP and TLS have checksums already: this is an example of an extension, not one that is needed.

use std::borrow::Cow;

use bytes::Bytes;
use lastword::proto::{Encoded, Extension, Parameters, ReservedBits, Transform, Undecodable};
use lastword::{CloseCode, Kind, Role};

/// The extension, for all connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum {
    /// What a client asks for; a server does as it is asked.
    pub(crate) covers: Covers,
}

/// What the checksum of a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Covers {
    Payload,
    NumberAndPayload,
}

impl Covers {
    /// What these parameters say; `None` if they say something else.
    fn from_parameters(parameters: &Parameters) -> Option<Self> {
        match parameters.iter().collect::<Vec<_>>()[..] {
            [] => Some(Self::Payload),
            [("numbered", None)] => Some(Self::NumberAndPayload),
            _ => None,
        }
    }
}

impl Extension for Checksum {
    fn name(&self) -> &str {
        "x-checksum"
    }

    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::RSV2
    }

    fn offer(&self) -> Parameters {
        let none = Parameters::default();
        match self.covers {
            Covers::Payload => none,
            Covers::NumberAndPayload => none.with_flag("numbered").expect("it is a token"),
        }
    }

    fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        Covers::from_parameters(offer).map(|_| offer.clone())
    }

    fn check(&self, answer: &Parameters) -> Result<(), Cow<'static, str>> {
        if Covers::from_parameters(answer) == Some(self.covers) {
            return Ok(());
        }
        Err(format!("expected {:?}, got {:?}", self.offer().to_string(), answer.to_string()).into())
    }

    fn begin(&self, _: Role, agreed: &Parameters) -> Box<dyn Transform> {
        let covers = Covers::from_parameters(agreed).unwrap_or(self.covers);
        Box::new(Checked { covers, sent: 0, received: 0 })
    }
}

/// One connection: how many messages went each way.
struct Checked {
    covers: Covers,
    sent: u64,
    received: u64,
}

impl Checked {
    fn checksum(&self, number: u64, payload: &[u8]) -> [u8; 4] {
        let crc = match self.covers {
            Covers::Payload => u32::MAX,
            Covers::NumberAndPayload => crc32(u32::MAX, &number.to_be_bytes()),
        };
        (!crc32(crc, payload)).to_be_bytes()
    }
}

impl Transform for Checked {
    fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
        let checksum = self.checksum(self.sent, &payload);
        self.sent += 1;
        let payload = [&payload[..], &checksum].concat().into();
        Encoded { payload, reserved: ReservedBits::RSV2 }
    }

    fn decode(&mut self, _: Kind, coded: Encoded, _: usize) -> Result<Bytes, Undecodable> {
        let Encoded { payload, reserved } = coded;
        let broken = |reason| Err(Undecodable::broken(CloseCode::INVALID_DATA, reason));
        let Some((message, came)) = payload.split_last_chunk().filter(|_| !reserved.is_none())
        else {
            return broken("no checksum");
        };
        if *came != self.checksum(self.received, message) {
            return broken("wrong checksum");
        }
        self.received += 1;
        Ok(payload.slice(..message.len()))
    }
}

/// Without tables, and so slowly.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        let mixed = crc ^ u32::from(*byte);
        (0..8).fold(mixed, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}
