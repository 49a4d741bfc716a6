//! An extension for tests: stamps each message with its number, and misbehaves when it is told to.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

use std::borrow::Cow;

use bytes::Bytes;
use lastword_proto::{
    CloseCode, Encoded, Extension, Kind, Parameters, ReservedBits, Role, Transform, Undecodable,
};

/// Two bytes in front of each message that is not empty: the extension's letter, and a number that
/// grows by one with each message, empty ones included.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub name: &'static str,
    pub bits: ReservedBits,
    /// The first number that is used.
    pub first: u8,
}

pub const STAMP: Stamp = Stamp { name: "x-stamp", bits: ReservedBits::RSV2, first: 0 };

impl Extension for Stamp {
    fn name(&self) -> &str {
        self.name
    }

    fn reserved_bits(&self) -> ReservedBits {
        self.bits
    }

    fn offer(&self) -> Parameters {
        let none = Parameters::default();
        if self.first == 0 { none } else { none.with("first", &self.first.to_string()).unwrap() }
    }

    fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        let known = |(name, value): (&str, Option<&str>)| {
            name == "first" && value.is_some_and(|value| value.parse::<u8>().is_ok())
        };
        offer.iter().all(known).then(|| offer.clone())
    }

    fn check(&self, answer: &Parameters) -> Result<(), Cow<'static, str>> {
        if *answer == self.offer() {
            return Ok(());
        }
        Err(format!("{answer:?} instead of {:?}", self.offer()).into())
    }

    fn begin(&self, _: Role, agreed: &Parameters) -> Box<dyn Transform> {
        let first = agreed.value("first").map_or(0, |first| first.parse().unwrap());
        let letter = self.name.as_bytes()[self.name.len() - 1];
        Box::new(Stamper { letter, bits: self.bits, sent: first, received: first })
    }
}

struct Stamper {
    letter: u8,
    bits: ReservedBits,
    sent: u8,
    received: u8,
}

impl Transform for Stamper {
    fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
        let number = self.sent;
        self.sent = number.wrapping_add(1);
        match &payload[..] {
            [] => payload.into(),
            b"panic in encode" => panic!("as it was told"),
            _ => {
                let payload = [&[self.letter, number], &payload[..]].concat().into();
                // What was not claimed is never sent.
                let reserved = self.bits | ReservedBits::RSV3;
                Encoded { payload, reserved }
            }
        }
    }

    fn decode(&mut self, _: Kind, coded: Encoded, limit: usize) -> Result<Bytes, Undecodable> {
        let number = self.received;
        self.received = number.wrapping_add(1);
        let Encoded { payload, reserved } = coded;
        assert!(self.bits.contains(reserved), "what was not claimed is never shown");
        if payload.is_empty() {
            return Ok(payload);
        }
        let expected = [self.letter, number];
        if !payload.starts_with(&expected) {
            let code = CloseCode::try_from(4000).unwrap();
            return Err(Undecodable::broken(code, format!("expected stamp {number}")));
        }
        match &payload[2..] {
            b"panic" => panic!("as it was told"),
            b"too big" => Err(Undecodable::TooBig),
            b"beyond the limit" => Ok(vec![b'x'; limit + 1].into()),
            b"not text" => Ok(Bytes::from_static(b"abc\xff")),
            _ => Ok(payload.slice(2..)),
        }
    }
}
