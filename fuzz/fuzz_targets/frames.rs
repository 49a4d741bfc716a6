//! Any bytes, in any pieces, at a server and at a client: one ending, within the limits, and the same
//! however the bytes were cut.

#![no_main]

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{Agreement, Config, Connection, Event, Message, Role, Transmit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, wire)) = data.split_first() else { return };
    for role in [Role::Server, Role::Client] {
        let whole = run(role, wire, wire.len().max(1));
        let pieces = run(role, wire, usize::from(piece).max(1));
        assert_eq!(whole, pieces);
    }
});

/// The messages, and the sentence of the ending.
fn run(role: Role, wire: &[u8], piece: usize) -> (Vec<Message>, String) {
    let mut config = Config::default();
    config.max_message_size = 1000;
    config.max_frame_size = 800;
    let now = Instant::now();
    let agreement = Agreement::plain(role);
    let mut connection = Connection::new(&agreement, Arc::new(config), [1; 32], now);
    let (mut messages, mut endings) = (Vec::new(), Vec::new());
    let mut settle = |connection: &mut Connection| loop {
        while let Transmit::Bytes(lent) = connection.poll_transmit() {
            let count = lent.len();
            connection.wrote(count, now);
        }
        if let Transmit::Finish = connection.poll_transmit() {
            connection.finished();
        }
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Message(message) => {
                    assert!(message.len() <= 1000);
                    messages.push(message);
                }
                Event::Ended(ending) => endings.push(ending.cause.to_string()),
                _ => {}
            }
        }
        match connection.poll_timeout() {
            Some(due) if due <= now => connection.handle_timeout(now),
            _ => return,
        }
    };
    for piece in wire.chunks(piece) {
        connection.receive(&mut piece.to_vec(), now);
        settle(&mut connection);
    }
    connection.receive_eof(now);
    settle(&mut connection);
    assert_eq!(endings.len(), 1);
    (messages, endings.remove(0))
}
