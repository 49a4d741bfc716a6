//! Any bytes as the payload of compressed messages: no more than the limit comes out, and what comes
//! out does not depend on how they were cut.

#![no_main]

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{
    Agreement, Config, Connection, ContextTakeover, DeflateAgreement, DeflateDirection, Event,
    Message, Role,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, payload)) = data.split_first() else { return };
    let mut wire = Vec::new();
    // Each quarter of the bytes is one compressed message from a server.
    for payload in payload.chunks((payload.len() / 4).max(1)) {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let payload = &payload[..usize::from(length)];
        match length {
            0..=125 => wire.extend([0xc2, length as u8]),
            _ => {
                wire.extend([0xc2, 126]);
                wire.extend(length.to_be_bytes());
            }
        }
        wire.extend(payload);
    }
    assert_eq!(run(&wire, wire.len().max(1)), run(&wire, usize::from(piece).max(1)));
});

fn run(wire: &[u8], piece: usize) -> Vec<Message> {
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
    let mut agreement = Agreement::plain(Role::Client);
    agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
    let mut config = Config::default();
    config.max_message_size = 10_000;
    let now = Instant::now();
    let mut connection = Connection::new(&agreement, Arc::new(config), [1; 32], now);
    let mut messages = Vec::new();
    for piece in wire.chunks(piece) {
        connection.receive(&mut piece.to_vec(), now);
        while let Some(event) = connection.poll_event() {
            if let Event::Message(message) = event {
                assert!(message.len() <= 10_000);
                messages.push(message);
            }
        }
    }
    messages
}
