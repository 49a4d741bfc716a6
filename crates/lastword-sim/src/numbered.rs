//! An extension for worlds that agree on one: each message carries its number in front, and every
//! second one is marked.
//!
//! What it is shown out of order, twice or not at all it cannot decode; and so a world without damage
//! in which it fails is one in which the core is wrong.

use std::borrow::Cow;

use bytes::Bytes;
use lastword_proto::{
    CloseCode, Encoded, Extension, Kind, Parameters, ReservedBits, Role, Transform, Undecodable,
};

/// The extension; it has no parameters.
#[derive(Clone, Copy, Debug)]
pub struct Numbered;

impl Extension for Numbered {
    fn name(&self) -> &str {
        "x-numbered"
    }

    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::RSV3
    }

    fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        offer.is_empty().then(Parameters::default)
    }

    fn check(&self, answer: &Parameters) -> Result<(), Cow<'static, str>> {
        if answer.is_empty() { Ok(()) } else { Err("no parameters are known".into()) }
    }

    fn begin(&self, _: Role, _: &Parameters) -> Box<dyn Transform> {
        Box::new(Numbers { sent: 0, received: 0 })
    }
}

/// How many messages passed, each way.
struct Numbers {
    sent: u8,
    received: u8,
}

const fn mark(number: u8) -> ReservedBits {
    if number % 2 == 1 { ReservedBits::RSV3 } else { ReservedBits::NONE }
}

impl Transform for Numbers {
    fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
        let number = self.sent;
        self.sent = number.wrapping_add(1);
        Encoded { payload: [&[number], &payload[..]].concat().into(), reserved: mark(number) }
    }

    fn decode(&mut self, _: Kind, coded: Encoded, _: usize) -> Result<Bytes, Undecodable> {
        let number = self.received;
        self.received = number.wrapping_add(1);
        let Encoded { payload, reserved } = coded;
        if payload.first() != Some(&number) || reserved != mark(number) {
            return Err(Undecodable::broken(CloseCode::INVALID_DATA, "not the next number"));
        }
        Ok(payload.slice(1..))
    }
}
