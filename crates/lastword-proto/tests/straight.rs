//! Large messages that a driver reads straight into their place, and when it cannot.

mod support;

use std::sync::Arc;
use std::time::Instant;

use bytes::BufMut;
use lastword_proto::{
    Agreement, Compression, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Delivery, Event, Leave, Message, Role, Transmit, Violation,
};
use support::frame;

const LARGE: usize = 100_000;

fn server(config: Config) -> Connection {
    let agreement = Agreement::plain(Role::Server);
    Connection::new(&agreement, Arc::new(config), [7; 32], Instant::now())
}

fn deflating(role: Role) -> Connection {
    let each = DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept };
    let mut agreement = Agreement::plain(role);
    agreement.deflate = Some(DeflateAgreement { client: each, server: each });
    Connection::new(&agreement, Arc::new(Config::default()), [7; 32], Instant::now())
}

/// The beginning of a large message is there.
fn begun(mut server: Connection, first: u8, fill: u8) -> (Connection, Vec<u8>) {
    let mut start = frame(Role::Client, first, &vec![fill; LARGE]);
    let rest = start.split_off(1000);
    server.receive(&mut start, Instant::now());
    (server, rest)
}

/// Reads straight as far as there is a place for it; how many bytes that were.
fn read_straight(server: &mut Connection, mut rest: &[u8]) -> usize {
    let all = rest.len();
    while let Some(mut target) = server.read_target() {
        let count = rest.len().min(target.remaining_mut()).min(20_000);
        target.put_slice(&rest[..count]);
        server.received(count, Instant::now());
        rest = &rest[count..];
    }
    let straight = all - rest.len();
    server.receive(&mut rest.to_vec(), Instant::now());
    straight
}

#[test]
fn most_of_a_large_message_is_never_copied() {
    for first in [0x81, 0x82] {
        let (mut server, rest) = begun(server(Config::default()), first, b'x');
        // A read of nothing changes nothing.
        assert!(server.read_target().is_some());
        server.received(0, Instant::now());
        assert!(read_straight(&mut server, &rest) > LARGE / 2);
        let Some(Event::Message(message)) = server.poll_event() else { panic!("it is whole") };
        assert_eq!(message.payload(), &vec![b'x'; LARGE]);
    }
}

#[test]
fn what_is_read_straight_is_judged_as_soon_as_all_else() {
    let (mut server, rest) = begun(server(Config::default()), 0x81, b'x');
    let mut bad = rest;
    bad[500] ^= 0x80;
    read_straight(&mut server, &bad[..LARGE / 2]);
    while let Transmit::Bytes(lent) = server.poll_transmit() {
        let count = lent.len();
        server.wrote(count, Instant::now());
    }
    server.receive_eof(Instant::now());
    let cause = &server.ending().unwrap().cause;
    let lastword_proto::Cause::Violation(Violation::NotUtf8 { at }) = cause else {
        panic!("{cause:?}")
    };
    // The header is of 14 bytes, of which the first read had brought 1000.
    assert_eq!(*at, 1000 - 14 + 500);
}

#[test]
fn there_is_no_place_where_bytes_are_needed_elsewhere_first() {
    let none = |server: Connection, first: u8, why: &str| {
        let (mut server, rest) = begun(server, first, b'x');
        assert!(server.read_target().is_none(), "{why}");
        server.receive(&mut rest.clone(), Instant::now());
        server
    };
    let mut by_parts = Config::default();
    by_parts.delivery = Delivery::Parts;
    none(server(by_parts), 0x82, "parts are handed out as they come");
    let mut recorded = server(Config::default());
    recorded.record(100);
    let recorded = none(recorded, 0x82, "a record sees each read");
    assert!(recorded.has_events());
    let mut left = server(Config::default());
    left.stop_delivery();
    let left = none(left, 0x82, "nobody wants it");
    assert_eq!(left.ledger().discarded.bytes, LARGE as u64);

    // Of a message that is compressed, what comes is inflated first. This one does not shrink.
    let mut noise = vec![0_u8; LARGE];
    noise.iter_mut().fold(1_u32, |state, byte| {
        *byte = (state >> 24) as u8;
        state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
    });
    let mut client = deflating(Role::Client);
    client.send(Message::binary(noise.clone()), Compression::Always).unwrap();
    let Transmit::Bytes(lent) = client.poll_transmit() else { panic!("it is sent") };
    let (mut wire, mut server) = (lent.to_vec(), deflating(Role::Server));
    let mut rest = wire.split_off(1000);
    server.receive(&mut wire, Instant::now());
    assert!(server.read_target().is_none());
    server.receive(&mut rest, Instant::now());
    assert!(
        matches!(server.poll_event(), Some(Event::Message(message)) if message == noise.into())
    );
}

#[test]
fn a_small_rest_between_frames_and_behind_the_end_has_no_place_either() {
    let mut open = server(Config::default());
    assert!(open.read_target().is_none(), "no frame");
    open.receive(&mut frame(Role::Client, 0x82, &[1; 1000])[..100], Instant::now());
    assert!(open.read_target().is_none(), "a small one");
    let (mut over, _) = begun(server(Config::default()), 0x82, b'x');
    over.leave(Leave::Dropped, Instant::now());
    over.abort(Instant::now());
    assert!(over.read_target().is_none());
    over.received(5, Instant::now());
    assert_eq!(over.ending().unwrap().ledger.delivered.messages, 0);
}
