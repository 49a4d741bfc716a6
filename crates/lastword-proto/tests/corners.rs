//! Where few come by: leftovers of an opening, parts of the wrong kind, calls behind the end, pings
//! beyond number, records of everything.

mod support;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::{
    Agreement, Cause, Compression, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Delivery, Event, Leave, Loss, Message, Operation, Part, Role, SendRefused,
    Transmit,
};
use support::{Driven, close_frame, error, frame, goodbye};

#[test]
fn bytes_that_came_behind_the_opening_are_received_first() {
    let mut agreement = Agreement::plain(Role::Server);
    agreement.leftover = frame(Role::Client, 0x81, b"early").into();
    let config = Arc::new(Config::default());
    let mut connection = Connection::new(&agreement, config, [0; 32], Instant::now());
    assert!(connection.has_events() && connection.role() == Role::Server);
    assert!(matches!(connection.poll_event(), Some(Event::Message(m)) if m == "early".into()));
    assert!(format!("{connection:?}").contains("Open"));
}

#[test]
fn a_part_of_another_kind_is_refused_and_comes_back() {
    let mut driven = Driven::new(Role::Server);
    let part = |data: Message, last| Part { data, last };
    driven.connection.send_part(part("a".into(), false), Compression::Auto).unwrap();
    let refused = driven.connection.send_part(part(vec![1].into(), true), Compression::Auto);
    let refused = refused.unwrap_err();
    assert!(matches!(refused, SendRefused::KindChanged(_)), "{refused}");
    assert_eq!(refused.into_message(), Message::binary(vec![1]));
    // In the middle of a message nothing can be confirmed, and no other message is taken.
    assert!(driven.connection.confirm().is_none());
    let refused = driven.connection.send("b".into(), Compression::Auto).unwrap_err();
    assert_eq!(refused.into_message(), "b".into());
    driven.connection.send_part(part("c".into(), true), Compression::Auto).unwrap();
    driven.settle();
    assert_eq!(driven.written(), [(0x01, b"a".to_vec()), (0x80, b"c".to_vec())]);
    driven.close(1000, "");
    let refused = driven.connection.send_part(part("d".into(), true), Compression::Auto);
    assert_eq!(refused.unwrap_err().into_message(), "d".into());
}

#[test]
fn nothing_that_is_called_behind_the_end_changes_it() {
    let mut driven = Driven::new(Role::Client);
    driven.eof();
    let told = format!("{:?}", driven.ending());
    let now = driven.now + Duration::from_secs(1);
    let connection = &mut driven.connection;
    connection.receive(&mut [0x81, 0], now);
    connection.receive(&mut [], now);
    connection.receive_eof(now);
    connection.wrote(5, now);
    connection.finished();
    connection.handle_timeout(now);
    connection.transport_error(error(Operation::Read, io::ErrorKind::ConnectionReset), now);
    connection.close(Some(close_frame(1000, "")), now);
    connection.leave(Leave::Dropped, now);
    connection.abort(now);
    connection.stop_delivery();
    assert!(connection.ping().is_none() && connection.confirm().is_none());
    assert!(!connection.wants_read() && connection.poll_timeout().is_none());
    assert!(matches!(connection.poll_transmit(), Transmit::Idle));
    assert!(connection.poll_event().is_none());
    assert_eq!(format!("{:?}", connection.ending().unwrap()), told);
}

#[test]
fn an_end_of_the_stream_that_is_reported_as_an_error_of_that_kind_is_told_as_truncated() {
    let mut driven = Driven::new(Role::Server);
    driven.fail(Operation::Read, io::ErrorKind::UnexpectedEof);
    assert_eq!(driven.ending().cause, Cause::Lost(Loss::Truncated));
}

#[test]
fn more_pings_than_are_remembered_lose_only_the_oldest_answers() {
    let mut driven = Driven::new(Role::Server);
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(driven.connection.ping().unwrap());
        driven.settle();
    }
    let pings: Vec<_> = driven.written().into_iter().map(|(_, payload)| payload).collect();
    driven.receive(&frame(Role::Client, 0x8a, &pings[0]));
    assert_eq!((driven.connection.answers(), driven.connection.answered(ids[0])), (0, None));
    driven.receive(&frame(Role::Client, 0x8a, &pings[299]));
    assert_eq!(driven.connection.answers(), 1);
    assert!(ids.iter().all(|&id| driven.connection.answered(id).is_some()));
}

#[test]
fn a_write_that_failed_behind_our_close_does_not_hide_that_the_peer_answered_it() {
    let mut driven = Driven::new(Role::Client);
    driven.receive(&frame(Role::Server, 0x89, b"?"));
    driven.close(1000, "");
    driven.fail(Operation::Write, io::ErrorKind::BrokenPipe);
    driven.receive(&frame(Role::Server, 0x88, &goodbye(1000, "")));
    let ending = driven.ending();
    assert!(ending.is_clean(), "{ending}");
    assert!(matches!(ending.also[..], [Cause::Lost(Loss::Reset(_))]), "{:?}", ending.also);
}

#[test]
fn a_flood_of_causes_is_kept_to_a_few() {
    let mut driven = Driven::new(Role::Server);
    driven.close(1000, "");
    let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut, io::ErrorKind::OutOfMemory];
    for kind in kinds.into_iter().cycle().take(30) {
        driven.connection.transport_error(error(Operation::Write, kind), driven.now);
    }
    driven.eof();
    assert!(driven.ending().also.len() <= 4);
}

#[test]
fn a_record_names_every_state_timer_and_kind_of_frame() {
    let mut lines = Vec::new();
    let mut take = |driven: &mut Driven| {
        lines.extend(std::iter::from_fn(|| driven.connection.take_record()).map(|e| e.to_string()));
    };
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
    let mut agreement = Agreement::plain(Role::Server);
    agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
    let mut config = Config::default();
    config.idle_timeout = Some(Duration::from_secs(5));
    let mut driven = Driven::with(Role::Server, config.clone());
    driven.connection = Connection::new(&agreement, Arc::new(config), [7; 32], driven.now);
    driven.connection.record(1000);
    // A fragment of a compressed message, then silence until the idle timer closes.
    driven.receive(&frame(Role::Client, 0x41, &[0xf2, 0x48]));
    driven.receive(&frame(Role::Client, 0x89, b"p"));
    driven.wait_for_the_end();
    take(&mut driven);

    let mut driven = Driven::new(Role::Server);
    driven.connection.record(1000);
    driven.receive(&frame(Role::Client, 0x88, b""));
    take(&mut driven);

    // A peer that takes nothing, and one whose violation waits for the application.
    let mut driven = Driven::new(Role::Server);
    driven.connection.record(1000);
    driven.send(vec![0; 10]);
    driven.connection.wrote(0, driven.now);
    driven.now += Duration::from_secs(31);
    driven.connection.handle_timeout(driven.now);
    driven.settle();
    take(&mut driven);
    let mut driven = Driven::new(Role::Server);
    driven.connection.record(1000);
    let wire = [frame(Role::Client, 0x81, b"x"), frame(Role::Client, 0x83, b"")].concat();
    driven.connection.receive(&mut wire.clone(), driven.now);
    driven.now += Duration::from_secs(2);
    driven.connection.handle_timeout(driven.now);
    driven.settle();
    take(&mut driven);
    let mut driven = Driven::new(Role::Server);
    driven.connection.record(1000);
    driven.fail(Operation::Write, io::ErrorKind::BrokenPipe);
    take(&mut driven);

    let all = lines.join("\n");
    for expected in [
        "compressed, more follows",
        "% idle timer",
        "% closing timer",
        "% write timer",
        "% verdict timer",
        "= closing",
        "= close sent",
        "= answering",
        "= failing",
        "= draining",
        "= over",
        "< Close",
    ] {
        let known =
            all.contains(expected) || expected == "Close no code" && all.contains("< Close");
        assert!(known, "{expected:?} in\n{all}");
    }
}

#[test]
fn a_compressed_message_that_is_cut_says_so() {
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::None };
    let mut agreement = Agreement::plain(Role::Server);
    agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
    for (delivery, fragments) in [(Delivery::Whole, 1), (Delivery::Parts, 2)] {
        let mut config = Config::default();
        config.delivery = delivery;
        let now = Instant::now();
        let mut connection = Connection::new(&agreement, Arc::new(config), [7; 32], now);
        connection.receive(&mut frame(Role::Client, 0x41, &[0xf2, 0x48]), now);
        if fragments == 2 {
            connection.receive(&mut frame(Role::Client, 0x00, &[0xcd]), now);
        }
        connection.receive(&mut frame(Role::Client, 0x8a, b"pong")[..8], now);
        connection.receive_eof(now);
        let said = connection.ending().unwrap().to_string();
        let plural = if fragments == 1 { "1 fragment," } else { "2 fragments," };
        assert!(
            said.contains("inside a compressed text message") && said.contains(plural),
            "{said}"
        );
    }
    // And a control frame that is cut between messages.
    let mut driven = Driven::new(Role::Server);
    driven.receive(&frame(Role::Client, 0x89, b"ping")[..8]);
    driven.eof();
    let said = driven.ending().to_string();
    assert!(said.contains("in the middle of a Ping frame (2 of 4 bytes had come)"), "{said}");
}

#[test]
fn a_message_alone_that_would_grow_by_compression_goes_as_it_is() {
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::None };
    let mut agreement = Agreement::plain(Role::Server);
    agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
    let mut driven = Driven::new(Role::Server);
    let config = Arc::new(Config::default());
    driven.connection = Connection::new(&agreement, config, [7; 32], driven.now);
    // Noise, from a generator that anyone can repeat.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(2000)
    .collect();
    driven.send(noise.clone());
    driven.send(vec![0; 2000]);
    driven.settle();
    let written = driven.written();
    assert_eq!(written[0], (0x82, noise));
    assert_eq!(written[1].0, 0xc2);
    assert!(written[1].1.len() < 50);
}

#[test]
fn a_peer_that_died_says_how_much_waited_for_it() {
    let mut driven = Driven::new(Role::Server);
    driven.send(vec![0; 1000]);
    driven.connection.wrote(0, driven.now);
    driven.now += Duration::from_secs(31);
    driven.connection.handle_timeout(driven.now);
    driven.now += Duration::from_secs(31);
    driven.connection.handle_timeout(driven.now);
    driven.fetch();
    let said = driven.ending().to_string();
    assert!(said.contains("; 1004 bytes waited to be written"), "{said}");
    assert!(said.ends_with("1 of our messages was not sent"), "{said}");
}

#[test]
fn a_record_shows_each_read_of_a_frame_that_comes_in_several() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.record(100);
    let wire = frame(Role::Client, 0x82, &[1, 2, 3, 4]);
    for piece in [&wire[..6], &wire[6..8], &wire[8..]] {
        driven.receive(piece);
    }
    let lines = std::iter::from_fn(|| driven.connection.take_record()).map(|e| e.to_string());
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["< Binary empty [4 bytes]", "< Binary 01 02 [4 bytes]", "< Binary 03 04 [4 bytes]"]
    );
    assert!(matches!(driven.connection.poll_transmit(), Transmit::Idle));
}

#[test]
fn masking_keys_follow_from_the_seed_alone_and_never_repeat() {
    let keys = |seed: [u8; 32]| {
        let agreement = Agreement::plain(Role::Client);
        let config = Arc::new(Config::default());
        let mut connection = Connection::new(&agreement, config, seed, Instant::now());
        let keys = (0..1000).map(|_| {
            connection.send("".into(), Compression::Auto).unwrap();
            let Transmit::Bytes(lent) = connection.poll_transmit() else { panic!("a frame") };
            let wire = lent.to_vec();
            connection.wrote(wire.len(), Instant::now());
            wire[2..6].to_vec()
        });
        keys.collect::<Vec<_>>()
    };
    let (one, other) = (keys([1; 32]), keys([2; 32]));
    assert_ne!(one, other);
    let distinct: std::collections::HashSet<_> = one.iter().chain(&other).collect();
    assert_eq!(distinct.len(), 2000);
}
