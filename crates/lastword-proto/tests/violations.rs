//! How a peer may err: refused at the first byte that proves it, with its own code.

mod support;

use lastword_proto::{Cause, CloseCode, Config, Farewell, HeaderError, Role, Violation};
use support::{Driven, frame, goodbye};

/// The bytes, the violation that they are, and how many of them prove it.
fn offences(sender: Role) -> Vec<(Vec<u8>, Violation, usize)> {
    let mask = if sender == Role::Client { 0x80 } else { 0 };
    let key: &[u8] = if sender == Role::Client { &support::KEY } else { &[] };
    let whole = |first: u8, payload: &[u8]| frame(sender, first, payload);
    let header = |bytes: &[u8]| [bytes, key].concat();
    let head = if sender == Role::Client { 6 } else { 2 };
    let mut offences = vec![
        (vec![0xa1, mask], HeaderError::ReservedBits(0xa1).into(), 1),
        (vec![0x91, mask], HeaderError::ReservedBits(0x91).into(), 1),
        (vec![0xc1, mask], HeaderError::ReservedBit1(lastword_proto::Opcode::Text).into(), 1),
        (vec![0x09, mask], HeaderError::FragmentedControl(lastword_proto::Opcode::Ping).into(), 1),
        (
            vec![0x89, mask | 126],
            HeaderError::ControlTooLong(lastword_proto::Opcode::Ping).into(),
            2,
        ),
        (header(&[0x82, mask | 126, 0, 125]), HeaderError::LengthNotMinimal(125).into(), 4),
        (vec![0x82, mask | 127, 0x80], HeaderError::LengthTopBit.into(), 3),
        (whole(0x80, b"x"), Violation::LoneContinuation, head),
        (whole(0x81, b"ab\xffcd"), Violation::NotUtf8 { at: 2 }, head + 3),
        (whole(0x81, b"ab\xe2\x82"), Violation::NotUtf8 { at: 2 }, head + 4),
        (whole(0x88, b"x"), Violation::CloseTooShort, head + 1),
        (whole(0x88, &goodbye(1005, "")), Violation::CloseCode(1005), head + 2),
        (whole(0x88, &goodbye(999, "")), Violation::CloseCode(999), head + 2),
        (whole(0x88, b"\x03\xe8\xff"), Violation::CloseReasonNotUtf8 { code: 1000 }, head + 3),
    ];
    let unmasked = match sender {
        Role::Client => (vec![0x81, 0x01], HeaderError::Unmasked.into(), 2),
        Role::Server => (vec![0x81, 0x81], HeaderError::Masked.into(), 2),
    };
    offences.push(unmasked);
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        offences.push((vec![0x80 | opcode], HeaderError::ReservedOpcode(opcode).into(), 1));
    }
    let interrupted = [whole(0x01, b"a"), whole(0x81, b"b")].concat();
    let at = whole(0x01, b"a").len() + head;
    let violation = Violation::InterruptedMessage(lastword_proto::Opcode::Text);
    offences.push((interrupted, violation, at));
    offences
}

#[test]
fn each_violation_is_refused_at_the_byte_that_proves_it_with_its_own_code() {
    for role in [Role::Server, Role::Client] {
        for (wire, violation, proof) in offences(role.peer()) {
            let context = format!("{role:?} {violation:?} {wire:x?}");
            let mut driven = Driven::new(role);
            for (index, &byte) in wire.iter().enumerate() {
                assert_eq!(driven.written().is_empty(), index < proof, "{context} at {index}");
                driven.receive(&[byte]);
            }
            let reason = violation.to_string();
            let code = violation.close_code().get();
            assert_eq!(driven.written(), [(0x88, goodbye(code, &reason))], "{context}");
            assert!(driven.finished, "{context}");
            driven.eof();
            let ending = driven.ending();
            assert_eq!(ending.cause, Cause::Violation(violation), "{context}");
            assert!(!ending.is_clean());
            assert_eq!(ending.received, Farewell::Silence);
        }
    }
}

#[test]
fn sizes_are_judged_by_headers_alone_at_the_limit_and_one_above() {
    let mut config = Config::default();
    (config.max_frame_size, config.max_message_size) = (1000, 1500);
    let header = |first: u8, len: u64| {
        let mut wire = vec![first, 127];
        wire.extend(len.to_be_bytes());
        wire
    };
    let limits = [1001_u64, 65_536, 1 << 31, 1 << 32, (1 << 63) - 1];
    for size in limits {
        let mut driven = Driven::with(Role::Client, config.clone());
        let wire = if size < 65_536 {
            vec![0x82, 126, (size >> 8) as u8, size as u8]
        } else {
            header(0x82, size)
        };
        driven.receive(&wire);
        driven.eof();
        let cause = Cause::Violation(Violation::FrameTooBig { size, limit: 1000 });
        assert_eq!(driven.ending().cause, cause);
    }
    for (second, fits) in [(500, true), (501, false)] {
        let mut driven = Driven::with(Role::Client, config.clone());
        driven.receive(&frame(Role::Server, 0x02, &[0; 1000]));
        // Only the header of the second fragment.
        driven.receive(&frame(Role::Server, 0x80, &vec![0; second])[..4]);
        assert_eq!(driven.written().is_empty(), fits, "{second}");
    }
}

#[test]
fn empty_fragments_come_to_an_end() {
    let mut config = Config::default();
    config.max_fragments = Some(10);
    let mut driven = Driven::with(Role::Client, config);
    driven.receive(&frame(Role::Server, 0x01, b""));
    for _ in 1..10 {
        driven.receive(&frame(Role::Server, 0x00, b""));
    }
    assert!(driven.written().is_empty());
    driven.receive(&frame(Role::Server, 0x00, b""));
    driven.eof();
    let cause = Cause::Violation(Violation::TooManyFragments { limit: 10 });
    assert_eq!(driven.ending().cause, cause);
}

#[test]
fn the_close_of_a_violation_goes_ahead_of_queued_data_but_not_into_a_frame() {
    let mut driven = Driven::new(Role::Server);
    driven.send("first");
    driven.send("second");
    // Three bytes of the first frame have left.
    let lastword_proto::Transmit::Bytes(lent) = driven.connection.poll_transmit() else { panic!() };
    driven.wire.extend(&lent.to_vec()[..3]);
    driven.connection.wrote(3, driven.now);
    driven.receive(&[0x83]);
    let written = driven.written();
    assert_eq!(written[0], (0x81, b"first".to_vec()));
    assert_eq!(written[1].0, 0x88);
    assert_eq!(written.len(), 2);
    driven.eof();
    assert_eq!(driven.connection.take_unsent(), ["second".into()]);
    assert_eq!(driven.ending().ledger.unsent.messages, 1);
    assert_eq!(driven.ending().ledger.handed_over.messages, 1);
}

#[test]
fn messages_before_a_violation_are_delivered_and_their_answers_go_first() {
    let mut driven = Driven::new(Role::Server);
    let mut wire = frame(Role::Client, 0x81, b"question");
    wire.push(0x83);
    driven.connection.receive(&mut wire, driven.now);
    assert!(driven.connection.poll_event().is_some(), "the question");
    driven.send("answer");
    driven.settle();
    let firsts: Vec<u8> = driven.written().into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x81, 0x88]);
}

#[test]
fn an_application_that_does_not_fetch_delays_the_verdict_by_the_linger_time_at_most() {
    let mut driven = Driven::new(Role::Server);
    let mut wire = frame(Role::Client, 0x81, b"question");
    wire.push(0x83);
    driven.connection.receive(&mut wire, driven.now);
    driven.write();
    assert!(driven.wire.is_empty());
    driven.now += Config::default().linger;
    driven.connection.handle_timeout(driven.now);
    driven.write();
    assert_eq!(driven.written()[0].0, 0x88);
}

#[test]
fn what_follows_a_violation_is_counted_and_a_flood_is_cut_off() {
    let mut config = Config::default();
    config.max_discard = 1000;
    let mut driven = Driven::with(Role::Server, config);
    driven.receive(&[0x83]);
    driven.receive(&[0; 999]);
    assert!(driven.endings.is_empty());
    driven.receive(&[0; 999]);
    assert_eq!(driven.ending().discarded, 1999);
    assert_eq!(driven.ending().transport.ours, lastword_proto::OurSide::Aborted);
    assert_eq!(driven.ending().sent.code(), CloseCode::PROTOCOL_ERROR.get());
}
