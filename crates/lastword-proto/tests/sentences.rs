//! What an ending says of itself: one plain sentence for each cause.

mod support;

use std::io;

use lastword_proto::{Config, Ending, Leave, Operation, Role, TransportError};
use support::{Driven, close_frame, frame, goodbye};

#[track_caller]
fn check(name: &str, sentence: &str, script: impl FnOnce(&mut Driven)) {
    check_role(Role::Server, name, sentence, script);
}

#[track_caller]
fn check_role(role: Role, name: &str, sentence: &str, script: impl FnOnce(&mut Driven)) {
    let mut driven = Driven::new(role);
    script(&mut driven);
    driven.wait_for_the_end();
    let ending: &Ending = driven.ending();
    assert_eq!(ending.to_string(), sentence, "{name}");
}

#[test]
fn each_ending_is_one_sentence_that_a_person_can_act_on() {
    let from_client = |first, payload: &[u8]| frame(Role::Client, first, payload);
    check("peer closes", r#"closed by the peer: 1000 (normal closure) "bye""#, |d| {
        d.receive(&from_client(0x88, &goodbye(1000, "bye")));
        d.eof();
    });
    check("peer closes without a code", "closed by the peer: a close frame without a code", |d| {
        d.receive(&from_client(0x88, b""));
        d.eof();
    });
    check("we close", "closed by us: 1000 (normal closure)", |d| {
        d.close(1000, "");
        d.receive(&from_client(0x88, &goodbye(1000, "")));
        d.eof();
    });
    check(
        "answered differently",
        "closed by us: 1000 (normal closure); the peer answered 4000",
        |d| {
            d.close(1000, "");
            d.receive(&from_client(0x88, &goodbye(4000, "")));
            d.eof();
        },
    );
    check(
        "both at once",
        "closed by both at once: we said 1000 (normal closure), the peer 1001 (going away)",
        |d| {
            d.connection.close(Some(close_frame(1000, "")), d.now);
            d.receive(&from_client(0x88, &goodbye(1001, "")));
            d.eof();
        },
    );
    check("end of stream", "peer ended the stream without a close frame", Driven::eof);
    check(
        "end inside a message",
        "peer ended the stream without a close frame in the middle of a 1024-byte binary message \
         (312 bytes had come); 2 of our messages were not sent",
        |d| {
            d.receive(&from_client(0x82, &[0; 1024])[..8 + 312]);
            d.connection.send("a".into(), Default::default()).unwrap();
            d.connection.send("b".into(), Default::default()).unwrap();
            d.connection.receive_eof(d.now);
            d.fetch();
        },
    );
    check(
        "end between fragments",
        "peer ended the stream without a close frame inside a text message \
         (2 fragments, 5 bytes had come)",
        |d| {
            d.receive(&from_client(0x01, b"abc"));
            d.receive(&from_client(0x00, b"de"));
            d.eof();
        },
    );
    check(
        "end in a header",
        "peer ended the stream without a close frame in the middle of a frame header \
         (1 bytes had come)",
        |d| {
            d.receive(&[0x81]);
            d.eof();
        },
    );
    check("reset", "peer reset the connection", |d| {
        d.fail(Operation::Read, io::ErrorKind::ConnectionReset);
    });
    check("reset with a number", "peer reset the connection (os error 10054)", |d| {
        let error = io::Error::from_raw_os_error(10054);
        d.connection.transport_error(TransportError::new(Operation::Read, &error), d.now);
        d.settle();
    });
    check(
        "reset while closing",
        "peer reset the connection; we had said 1000 (normal closure)",
        |d| {
            d.close(1000, "");
            d.fail(Operation::Read, io::ErrorKind::ConnectionReset);
        },
    );
    check("TLS cut", "stream ended without TLS's close_notify: it may have been cut", |d| {
        d.fail(Operation::Read, io::ErrorKind::UnexpectedEof)
    });
    check(
        "violation",
        "peer broke the protocol: reserved opcode 0x3; we had said 1002 (protocol error) \"reserved opcode 0x3\"",
        |d| {
            d.receive(&[0x83]);
            d.eof();
        },
    );
    check(
        "silence",
        "peer did not answer a ping within 20s (ping_timeout); the last byte came 30.3 s ago; \
         we had said 1011 (internal error) \"keepalive ping timeout\"",
        |_| {},
    );
    check(
        "silence while closing",
        "closing was not completed within 10s (close_timeout); we had said 1000 (normal closure)",
        |d| d.close(1000, ""),
    );
    check("abort", "aborted by us", |d| {
        d.connection.abort(d.now);
        d.settle();
    });
    check("dropped", "dropped by us; we had said 1001 (going away)", |d| {
        d.connection.leave(Leave::Dropped, d.now);
        d.settle();
    });
    check_role(
        Role::Client,
        "too big",
        "peer sent too much: frame of 4294967296 bytes exceeds our limit of 16777216 \
         (max_frame_size); we had said 1009 (message too big) \"frame of 4294967296 bytes exceeds \
         our limit of 16777216 (max_frame_size)\"",
        |d| {
            assert_eq!(Config::default().max_frame_size, 16_777_216);
            d.receive(&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]);
            d.eof();
        },
    );
}
