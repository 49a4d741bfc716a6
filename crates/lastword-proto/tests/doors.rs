//! What a driver asks beside bytes and messages: whether there is something to write, or room, or more
//! of a message that is taken by parts; and what it says of that when it is over.

mod stamp;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::{
    AgreedExtension, Agreement, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Event, Exchange, Leave, NotAToken, Parameters, ReservedBits, Role, Transmit,
};
use support::{Driven, frame};

#[test]
fn silence_is_told_without_lending_anything() {
    let mut driven = Driven::new(Role::Server);
    let mut told = 0;
    let mut check = |driven: &mut Driven| {
        let silent = driven.connection.is_silent();
        assert_eq!(silent, matches!(driven.connection.poll_transmit(), Transmit::Idle));
        told += usize::from(!silent);
    };
    check(&mut driven);
    driven.send("data");
    check(&mut driven);
    driven.settle();
    check(&mut driven);
    driven.connection.ping();
    check(&mut driven);
    driven.settle();
    driven.receive(&frame(Role::Client, 0x88, &[]));
    check(&mut driven);
    driven.connection.abort(driven.now);
    check(&mut driven);
    assert_eq!(told, 2);
}

#[test]
fn half_of_the_send_buffer_is_ample_room() {
    let mut config = Config::default();
    config.send_buffer = 1000;
    let mut driven = Driven::with(Role::Server, config);
    driven.send(vec![0; 490]);
    assert!(driven.connection.has_ample_room() && driven.connection.has_room());
    driven.send(vec![0; 490]);
    assert!(!driven.connection.has_ample_room() && driven.connection.has_room());
    driven.send(vec![0; 490]);
    assert!(!driven.connection.has_room());
    driven.settle();
    assert!(driven.connection.has_ample_room());
}

#[test]
fn what_is_given_up_of_a_message_behind_the_end_changes_no_account() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.receive(&mut frame(Role::Client, 0x82, &[1; 100])[..50], driven.now);
    let part = driven.connection.take_part().expect("something has come");
    driven.connection.receive_eof(driven.now);
    driven.settle();
    let told = driven.ending().ledger;
    driven.connection.discard_part(&part);
    driven.connection.abandon_message();
    assert_eq!((driven.ending().ledger, driven.connection.ledger()), (told, told));
    assert_eq!(driven.connection.take_part(), None);
}

#[test]
fn a_message_that_is_given_up_when_the_peer_has_said_goodbye_hides_no_goodbye() {
    let mut driven = Driven::new(Role::Server);
    let now = driven.now;
    driven.connection.receive(&mut frame(Role::Client, 0x02, b"begun"), now);
    assert!(driven.connection.take_part().is_some());
    driven.connection.receive(&mut frame(Role::Client, 0x00, b"more"), now);
    driven.connection.receive(&mut frame(Role::Client, 0x88, &[]), now);
    driven.connection.abandon_message();
    assert_eq!(driven.connection.ledger().discarded.bytes, 4);
    assert!(matches!(driven.connection.poll_event(), Some(Event::PeerClosing(_))));
    driven.settle();
    driven.eof();
    // Clean, though the peer left in the middle of a message: the sentence tells of the goodbye alone.
    let ending = driven.ending();
    assert!(ending.is_clean() && ending.cut.is_some());
    assert_eq!(ending.to_string(), "closed by the peer: a close frame without a code");
}

#[test]
fn a_stream_that_is_cut_in_a_ping_inside_a_message_says_so_of_the_message() {
    let mut driven = Driven::new(Role::Server);
    driven.receive(&frame(Role::Client, 0x01, b"begun"));
    driven.receive(&frame(Role::Client, 0x89, b"a ping")[..8]);
    driven.eof();
    let told = driven.ending().to_string();
    assert!(told.ends_with("inside a text message (1 fragment, 5 bytes had come)"), "{told}");
}

#[test]
fn a_limit_beyond_all_time_is_none() {
    let mut config = Config::default();
    (config.close_timeout, config.linger) = (Duration::MAX, Duration::MAX);
    let mut driven = Driven::with(Role::Client, config);
    driven.connection.leave(Leave::Dropped, driven.now);
    driven.settle();
    assert_eq!(driven.connection.poll_timeout(), None);
    driven.receive(&frame(Role::Server, 0x88, &[3, 233]));
    driven.eof();
    assert!(driven.ending().is_clean());
}

#[test]
fn what_is_lent_is_never_nothing() {
    let mut driven = Driven::new(Role::Server);
    driven.send("data");
    let Transmit::Bytes(lent) = driven.connection.poll_transmit() else { panic!("there is some") };
    assert!(!lent.is_empty());
    assert_eq!(lent.len(), 6);
}

#[test]
fn what_an_extension_has_in_hand_counts_in_what_a_connection_may_take_up() {
    let plain = Config::default();
    let mut extended = plain.clone();
    extended.extensions.add(stamp::STAMP).unwrap();
    assert_eq!(extended.memory_bound() - plain.memory_bound(), plain.max_message_size);
}

#[test]
fn all_of_a_connection_can_be_looked_at_its_extensions_by_name() {
    let mut agreement = Agreement::plain(Role::Server);
    let stamp = AgreedExtension::new(Arc::new(stamp::STAMP), Parameters::default());
    agreement.extensions.push(stamp);
    let each = DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept };
    agreement.deflate = Some(DeflateAgreement { client: each, server: each });
    let config = Arc::new(Config::default());
    let connection = Connection::new(&agreement, config, [7; 32], Instant::now());
    let anatomy = format!("{:?}", connection.anatomy());
    assert!(anatomy.contains(r#"["x-stamp"]"#), "{anatomy}");
    assert!(anatomy.len() < 4000, "windows are not shown");
}

#[test]
fn parameters_are_read_by_name_and_made_of_tokens_only() {
    let parameters = Parameters::default().with("a", "1").unwrap().with_flag("b").unwrap();
    let parameters = parameters.with("a", "2").unwrap();
    assert_eq!((parameters.len(), parameters.is_empty()), (3, false));
    assert_eq!((parameters.value("a"), parameters.value("b")), (Some("1"), None));
    assert!(parameters.has("b") && !parameters.has("c"));
    assert_eq!(parameters.to_string(), "; a=1; b; a=2");
    for bad in ["", "two words", "a;b", "a=b", "\"", "ü", "a\n"] {
        for refused in [
            Parameters::default().with(bad, "1"),
            Parameters::default().with("a", bad),
            Parameters::default().with_flag(bad),
        ] {
            let refused: Result<_, NotAToken> = refused;
            assert_eq!(refused.unwrap_err().to_string(), format!("{bad:?} is not a token"));
        }
    }
}

#[test]
fn reserved_bits_are_a_set() {
    let both = ReservedBits::RSV2 | ReservedBits::RSV3;
    assert_eq!(both.without(ReservedBits::RSV2), ReservedBits::RSV3);
    assert_eq!(both.and(ReservedBits::RSV2), ReservedBits::RSV2);
    assert!(ReservedBits::RSV2.and(ReservedBits::RSV3).is_none());
    assert!(both.contains(ReservedBits::NONE) && !ReservedBits::NONE.contains(both));
    assert_eq!(format!("{both:?}"), "RSV2 | RSV3");
}

#[test]
fn an_exchange_that_is_not_http_says_nothing() {
    let nothing = Exchange::new(b"\x16\x03\x01", b"no answer at all\r\n\r\n");
    assert_eq!(nothing.request().uri(), "/");
    assert!(nothing.request().headers().is_empty());
    assert_eq!(nothing.response().status(), 200);
    // What `http` has no type for is left out as well.
    let odd = Exchange::new(b"GET http://[::1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 099 Odd\r\n\r\n");
    assert_eq!((odd.request().uri().path(), odd.response().status().as_u16()), ("/", 200));
    let shown = format!("{:?}", Exchange::new(b"GET /x HTTP/1.1\r\n\r\n", b""));
    assert!(shown.contains("/x") && shown.contains("request"), "{shown}");
}
