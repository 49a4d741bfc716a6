//! Any bytes as a request: an answer that is HTTP, and the same however the bytes were cut.

#![no_main]

use std::sync::Arc;

use lastword_proto::Config;
use lastword_proto::handshake::server::{Opening, Options, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, wire)) = data.split_first() else { return };
    let (a, b) = wire.split_at(usize::from(cut).min(wire.len()));
    assert_eq!(answer(&[wire]), answer(&[a, b]));
});

/// The answer, if there is one.
fn answer(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut opening = Opening::new(Arc::new(Options::default()), Arc::new(Config::default()));
    for piece in pieces {
        let bytes = match opening.receive(piece) {
            Step::More => continue,
            Step::Refused(refusal) => refusal.to_bytes(),
            Step::Offer(offer) => match offer.accept() {
                Ok((bytes, _)) => bytes,
                Err(refusal) => refusal.to_bytes(),
            },
        };
        assert!(bytes.starts_with(b"HTTP/1.1 "));
        return Some(bytes.to_vec());
    }
    None
}
