//! Any bytes as the answer to a client: the same verdict however they were cut.

#![no_main]

use lastword_proto::Config;
use lastword_proto::handshake::client::{Error, Opening, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, wire)) = data.split_first() else { return };
    let (a, b) = wire.split_at(usize::from(cut).min(wire.len()));
    assert_eq!(verdict(&[wire]), verdict(&[a, b]));
});

fn verdict(pieces: &[&[u8]]) -> String {
    let options = Options::new("a".parse().unwrap(), "/".parse().unwrap());
    let mut opening = Opening::new(options, &Config::default(), *b"the sample nonce").unwrap();
    for piece in pieces {
        match opening.receive(piece) {
            Ok(None) => {}
            Ok(Some(agreement)) => return format!("{:?}", agreement.deflate),
            // Of what is no answer, as much is told as has come.
            Err(Error::NotHttp { .. }) => return "no HTTP".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
    opening.receive_eof().to_string()
}
