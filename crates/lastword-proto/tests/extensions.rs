//! Messages of connections that agreed on extensions of the application's own (RFC 6455 section 9).

mod side;
mod stamp;

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{
    AgreedExtension, Agreement, Cause, Compression, Config, Connection, ContextTakeover,
    DeflateAgreement, DeflateDirection, Delivery, Event, Extension, Message, Parameters, Part,
    Prepared, ReservedBits, Role, SendRefused, Tally, Transmit, Unconfirmed, Violation,
};
use side::{BINARY, CLOSE, PING, ROLES, Read, TEXT, close_body, config, frame, parse, read};
use stamp::{STAMP, Stamp};

const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;

/// A connection that agreed on these, and on deflate if there is a direction.
fn connection(
    role: Role,
    extensions: &[Stamp],
    deflate: Option<DeflateDirection>,
    config: Config,
) -> Connection {
    let mut agreement = Agreement::plain(role);
    agreement.extensions = extensions
        .iter()
        .map(|extension| AgreedExtension::new(Arc::new(extension.clone()), extension.offer()))
        .collect();
    agreement.deflate = deflate.map(|each| DeflateAgreement { client: each, server: each });
    Connection::new(&agreement, Arc::new(config), [7; 32], Instant::now())
}

fn stamped(role: Role) -> Connection {
    connection(role, &[STAMP], None, Config::default())
}

/// A receiver of the peer that ends with this violation when it gets this frame.
#[track_caller]
fn check_fails(first: u8, payload: &[u8], code: u16, reason: &str) {
    for role in ROLES {
        let mut receiver = stamped(role);
        receiver.receive(&mut frame(role.peer(), first, payload), Instant::now());
        let (frames, _) = parse(role, &write(&mut receiver, usize::MAX));
        assert_eq!(frames, [read(CLOSE, close_body(code, reason))], "{first:#x} {payload:?}");
        assert!(messages(&mut receiver).is_empty());
    }
}

fn write(from: &mut Connection, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while let Transmit::Bytes(lent) = from.poll_transmit() {
        let mut bytes = lent.to_vec();
        bytes.truncate(most - all.len());
        from.wrote(bytes.len(), Instant::now());
        if bytes.is_empty() {
            break;
        }
        all.extend(bytes);
    }
    all
}

/// What `sender` writes, frame by frame.
fn written(sender: &mut Connection) -> Vec<Read> {
    let (frames, rest) = parse(sender.role(), &write(sender, usize::MAX));
    assert_eq!(rest, 0);
    frames
}

fn messages(from: &mut Connection) -> Vec<Message> {
    let events = std::iter::from_fn(|| from.poll_event());
    let messages = events.filter_map(|event| match event {
        Event::Message(message) => Some(message),
        Event::Part(Part { data, last: true }) => Some(data),
        Event::Part(part) => panic!("a message that an extension sees is whole: {part:?}"),
        _ => None,
    });
    messages.collect()
}

fn send(sender: &mut Connection, message: impl Into<Message>) {
    sender.send(message.into(), Compression::Auto).unwrap();
}

fn deflated() -> Option<DeflateDirection> {
    Some(DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept })
}

/// Short and long, text and not, empty and one that shrinks.
fn conversation() -> Vec<Message> {
    vec![
        "grüezi".into(),
        Message::binary(vec![0, 255, 254]),
        "".into(),
        "{\"key\":\"value\"}".repeat(40).into(),
        Message::binary(Vec::new()),
        "x".into(),
    ]
}

#[test]
fn messages_go_out_through_the_extensions_in_the_order_of_the_answer() {
    let second = Stamp { name: "x-b", bits: ReservedBits::RSV3, first: 0 };
    let extensions = [STAMP, second];
    for role in ROLES {
        let mut sender = connection(role, &extensions, None, Config::default());
        send(&mut sender, "hello");
        send(&mut sender, "");
        send(&mut sender, Message::binary(vec![1]));
        let frames = written(&mut sender);
        // 9.1: "operations on the data will be made as bar(foo(data))".
        let expected = [
            read(TEXT | RSV2 | RSV3, b"b\0p\0hello"),
            read(TEXT, b""),
            read(BINARY | RSV2 | RSV3, b"b\x02p\x02\x01"),
        ];
        assert_eq!(frames, expected);
        let mut receiver = connection(role.peer(), &extensions, None, Config::default());
        for Read { first, payload } in frames {
            receiver.receive(&mut frame(role, first, &payload), Instant::now());
        }
        let came = messages(&mut receiver);
        assert_eq!(came, ["hello".into(), "".into(), Message::binary(vec![1])]);
    }
}

#[test]
fn bits_that_an_extension_has_not_claimed_are_never_sent() {
    let claims_none = Stamp { bits: ReservedBits::NONE, ..STAMP };
    let mut sender = connection(Role::Server, &[claims_none], None, Config::default());
    send(&mut sender, "hello");
    assert_eq!(written(&mut sender), [read(TEXT, b"p\0hello")]);
}

#[test]
fn what_is_encoded_is_then_compressed_and_the_other_way_round() {
    for role in ROLES {
        let mut sender = connection(role, &[STAMP], deflated(), Config::default());
        let mut alone = connection(role, &[], deflated(), Config::default());
        let long = "to be or not to be, ".repeat(20);
        send(&mut sender, &*long);
        send(&mut alone, Message::binary([b"p\0", long.as_bytes()].concat()));
        let (sent, expected) = (written(&mut sender), written(&mut alone));
        assert_eq!(sent, [read(TEXT | RSV1 | RSV2, &expected[0].payload)]);
        // A part of it may go as it is: that is for the one behind to say.
        sender.send("never".into(), Compression::Never).unwrap();
        assert_eq!(written(&mut sender), [read(TEXT | RSV2, b"p\x01never")]);
    }
}

#[test]
fn a_conversation_cut_at_any_two_points_comes_as_it_was_sent() {
    for deflate in [None, deflated()] {
        for (role, fragment_size) in ROLES.into_iter().flat_map(|role| [(role, 7), (role, 1 << 20)])
        {
            let small = |config: &mut Config| config.fragment_size = fragment_size;
            let mut sender = connection(role, &[STAMP], deflate, config(small));
            let conversation = conversation();
            for message in &conversation {
                send(&mut sender, message.clone());
            }
            let wire = write(&mut sender, usize::MAX);
            for cut in 0..wire.len() {
                let second = (cut + wire.len()) / 2;
                for delivery in [Delivery::Whole, Delivery::Parts] {
                    let config = config(|config| config.delivery = delivery);
                    let mut receiver = connection(role.peer(), &[STAMP], deflate, config);
                    for piece in [&wire[..cut], &wire[cut..second], &wire[second..]] {
                        receiver.receive(&mut piece.to_vec(), Instant::now());
                        assert_eq!(receiver.take_part(), None, "nothing is shown before its end");
                    }
                    assert_eq!(messages(&mut receiver), conversation, "cut at {cut}");
                    let bytes = conversation.iter().map(|message| message.len() as u64).sum();
                    let all = Tally { messages: conversation.len() as u64, bytes };
                    assert_eq!(receiver.ledger().delivered, all);
                }
            }
        }
    }
}

#[test]
fn only_the_first_frame_of_a_message_is_marked() {
    let small = |config: &mut Config| config.fragment_size = 4;
    let mut sender = connection(Role::Client, &[STAMP], None, config(small));
    send(&mut sender, "hello");
    let first_bytes: Vec<_> = written(&mut sender).iter().map(|frame| frame.first).collect();
    assert_eq!(first_bytes, [0x01 | RSV2, 0x80]);
    // So it is held against a peer, too.
    let mut receiver = stamped(Role::Server);
    let now = Instant::now();
    receiver.receive(&mut frame(Role::Client, 0x01 | RSV2, b"p\0he"), now);
    receiver.receive(&mut frame(Role::Client, 0x80 | RSV2, b"llo"), now);
    let (frames, _) = parse(Role::Server, &write(&mut receiver, usize::MAX));
    assert_eq!(
        frames,
        [read(CLOSE, close_body(1002, "reserved bits set: 0xa0 in the first byte"))]
    );
}

#[test]
fn bits_that_nobody_claimed_and_marked_control_frames_break_the_protocol() {
    check_fails(TEXT | RSV3, b"x", 1002, "reserved bits set: 0x91 in the first byte");
    check_fails(TEXT | RSV2 | RSV3, b"x", 1002, "reserved bits set: 0xb1 in the first byte");
    check_fails(TEXT | RSV1, b"x", 1002, "reserved bit 1 set on a Text frame");
    check_fails(PING | RSV2, b"x", 1002, "reserved bits set: 0xa9 in the first byte");
}

#[test]
fn what_an_extension_cannot_decode_ends_the_connection_in_its_name() {
    let told = "message that extension x-stamp cannot decode: expected stamp 0";
    check_fails(TEXT, b"hello", 4000, told);
    check_fails(TEXT | RSV2, b"p\x01hello", 4000, told);
    let panicked = "extension x-stamp panicked over a message";
    check_fails(BINARY, b"p\0panic", 1011, panicked);
    check_fails(TEXT, b"p\0not text", 1007, "text that is not UTF-8, at byte 3 of the message");
}

#[test]
fn a_message_that_grows_beyond_the_limit_is_refused_whether_or_not_the_extension_minds() {
    let too_big = "message exceeds our limit of 16777216 bytes when decoded by extension x-stamp \
        (max_message_size)";
    check_fails(BINARY, b"p\0too big", 1009, too_big);
    check_fails(BINARY, b"p\0beyond the limit", 1009, too_big);
    // What comes counts before it is decoded, too.
    let small = config(|config| config.max_message_size = 5);
    let mut receiver = connection(Role::Client, &[STAMP], None, small);
    receiver.receive(&mut frame(Role::Server, TEXT, b"p\0abc"), Instant::now());
    assert_eq!(messages(&mut receiver), ["abc".into()]);
    receiver.receive(&mut frame(Role::Server, TEXT, b"p\x01abcd"), Instant::now());
    let (frames, _) = parse(Role::Client, &write(&mut receiver, usize::MAX));
    let told = "message of at least 6 bytes exceeds our limit of 5 (max_message_size)";
    assert_eq!(frames, [read(CLOSE, close_body(1009, told))]);
}

#[test]
fn the_ending_says_which_extension_failed_and_blames_the_peer_only_for_its_messages() {
    for (payload, sentence) in [
        (&b"hello"[..], "peer broke the protocol: message that extension x-stamp cannot decode"),
        (b"p\0panic", "extension x-stamp panicked over a message"),
    ] {
        let mut receiver = stamped(Role::Server);
        let now = Instant::now();
        receiver.receive(&mut frame(Role::Client, TEXT, payload), now);
        write(&mut receiver, usize::MAX);
        receiver.receive_eof(now);
        let ending = receiver.ending().unwrap();
        assert!(ending.to_string().starts_with(sentence), "{ending}");
        let Cause::Violation(Violation::Extension(failed)) = &ending.cause else { panic!("so") };
        assert_eq!(&*failed.extension, "x-stamp");
    }
}

#[test]
fn the_account_and_what_comes_back_are_of_the_messages_as_they_were() {
    for (role, unconfirmed) in
        ROLES.into_iter().flat_map(|role| [(role, Unconfirmed::Dropped), (role, Unconfirmed::Kept)])
    {
        let all = conversation();
        let size = |messages: &[Message]| Tally {
            messages: messages.len() as u64,
            bytes: messages.iter().map(|message| message.len() as u64).sum(),
        };
        let mut wire = 0;
        // Wherever it stops, what left and what did not are all of it, in order.
        for most in 0.. {
            let kept = config(|config| {
                config.unconfirmed = unconfirmed;
                config.send_buffer = 1 << 20;
                config.fragment_size = 40;
            });
            let mut sender = connection(role, &[STAMP], deflated(), kept);
            let mut receiver = connection(role.peer(), &[STAMP], deflated(), Config::default());
            for message in &all {
                send(&mut sender, message.clone());
            }
            assert_eq!(sender.ledger().unsent, size(&all));
            let mut left = write(&mut sender, most);
            sender.abort(Instant::now());
            receiver.receive(&mut left, Instant::now());
            let came = messages(&mut receiver);
            assert_eq!(sender.ledger().handed_over, size(&came), "cut at {most}");
            assert_eq!([came.clone(), sender.take_unsent()].concat(), all, "cut at {most}");
            let handed_over = if unconfirmed == Unconfirmed::Kept { came } else { Vec::new() };
            assert_eq!(sender.take_unconfirmed(), handed_over);
            if left.len() < most {
                break;
            }
            wire = left.len();
        }
        assert!(wire > 50);
    }
}

#[test]
fn a_message_for_many_goes_through_the_extension_of_each() {
    let prepared = Prepared::new("good morning, ".repeat(100));
    for role in ROLES {
        let mut sender = connection(role, &[STAMP], deflated(), Config::default());
        send(&mut sender, "first");
        sender.send_prepared(&prepared, Compression::Auto).unwrap();
        send(&mut sender, "last");
        let mut receiver = connection(role.peer(), &[STAMP], deflated(), Config::default());
        receiver.receive(&mut write(&mut sender, usize::MAX), Instant::now());
        let expected = ["first".into(), prepared.message().clone(), "last".into()];
        assert_eq!(messages(&mut receiver), expected);
    }
}

#[test]
fn a_message_that_is_sent_by_parts_is_put_together_first() {
    let part = |data: &str, last| Part { data: data.into(), last };
    for role in ROLES {
        let mut sender = connection(role, &[STAMP], deflated(), Config::default());
        sender.send_part(part("hel", false), Compression::Auto).unwrap();
        assert!(sender.is_streaming());
        assert_eq!(written(&mut sender), []);
        assert!(sender.has_room(), "what is put together does not wait to be written");
        let refused = sender.send("other".into(), Compression::Auto);
        assert_eq!(refused, Err(SendRefused::Streaming("other".into())));
        sender.send_part(part("lo", true), Compression::Auto).unwrap();
        assert!(!sender.is_streaming());
        assert_eq!(sender.ledger().unsent, Tally { messages: 1, bytes: 5 });
        assert_eq!(written(&mut sender), [read(TEXT | RSV2, b"p\0hello")]);
        assert_eq!(sender.ledger().handed_over, Tally { messages: 1, bytes: 5 });
        assert_eq!(sender.ledger().unsent, Tally::default());
    }
}

#[test]
fn a_message_by_parts_that_is_whole_and_has_not_left_comes_back() {
    let mut sender = stamped(Role::Server);
    for (data, last) in [("hel", false), ("lo", true)] {
        sender.send_part(Part { data: data.into(), last }, Compression::Auto).unwrap();
    }
    sender.send_part(Part { data: "beg".into(), last: false }, Compression::Auto).unwrap();
    sender.abort(Instant::now());
    assert_eq!(sender.take_unsent(), ["hello".into()]);
    assert_eq!(sender.ledger().unsent, Tally { messages: 2, bytes: 8 });
}

#[test]
fn no_more_is_put_together_than_a_message_may_be_large() {
    let small = config(|config| config.max_message_size = 5);
    let mut sender = connection(Role::Server, &[STAMP], None, small);
    let part = |data: &str, last| Part { data: data.into(), last };
    let too_big = |data: &str| Err(SendRefused::TooBig { part: data.into(), limit: 5 });
    assert_eq!(sender.send_part(part("123456", true), Compression::Auto), too_big("123456"));
    assert!(!sender.is_streaming(), "a message that was refused has not begun");
    sender.send_part(part("123", false), Compression::Auto).unwrap();
    let refused = sender.send_part(part("456", false), Compression::Auto);
    assert_eq!(refused, too_big("456"));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "not sent: a message by parts is put together for an extension, up to 5 bytes \
         (max_message_size)"
    );
    sender.send_part(part("45", true), Compression::Auto).unwrap();
    assert_eq!(written(&mut sender), [read(TEXT | RSV2, b"p\x0012345")]);
}

#[test]
fn a_message_that_is_read_straight_into_its_place_goes_through_the_extension() {
    let message = Message::binary(vec![7_u8; 100_000]);
    let mut sender = stamped(Role::Client);
    send(&mut sender, message.clone());
    let wire = write(&mut sender, usize::MAX);
    let mut receiver = stamped(Role::Server);
    let (start, mut rest) = wire.split_at(100);
    receiver.receive(&mut start.to_vec(), Instant::now());
    let mut straight = 0;
    while let Some(mut target) = receiver.read_target() {
        let count = rest.len().min(bytes::BufMut::remaining_mut(&target)).min(10_000);
        bytes::BufMut::put_slice(&mut target, &rest[..count]);
        receiver.received(count, Instant::now());
        rest = &rest[count..];
        straight += count;
    }
    receiver.receive(&mut rest.to_vec(), Instant::now());
    assert!(straight > 50_000);
    assert_eq!(messages(&mut receiver), [message]);
}

#[test]
fn a_message_over_which_an_extension_panics_is_not_accepted() {
    let mut sender = stamped(Role::Server);
    send(&mut sender, "before");
    let sending = std::panic::AssertUnwindSafe(|| send(&mut sender, "panic in encode"));
    assert!(std::panic::catch_unwind(sending).is_err());
    assert_eq!(sender.ledger().unsent.messages, 1);
    let frames = written(&mut sender);
    assert_eq!(frames, [read(TEXT | RSV2, b"p\0before")]);
}

#[test]
fn what_both_agreed_on_reaches_the_transform() {
    let later = Stamp { first: 200, ..STAMP };
    let mut sender =
        connection(Role::Client, std::slice::from_ref(&later), None, Config::default());
    send(&mut sender, "x");
    assert_eq!(written(&mut sender), [read(TEXT | RSV2, b"p\xc8x")]);
    let agreed = AgreedExtension::new(Arc::new(later), Parameters::default());
    assert_eq!(agreed.extension().name(), "x-stamp");
    assert_eq!(agreed.parameters(), &Parameters::default());
}

#[test]
fn pings_and_records_of_a_stamped_connection_are_as_ever() {
    let mut receiver = stamped(Role::Client);
    receiver.record(10);
    let now = Instant::now();
    receiver.receive(&mut frame(Role::Server, PING, b"are you there"), now);
    receiver.receive(&mut frame(Role::Server, TEXT | RSV2, b"p\0hello"), now);
    send(&mut receiver, "answer");
    let first: Vec<_> = written(&mut receiver).iter().map(|frame| frame.first).collect();
    assert_eq!(first, [0x8a, TEXT | RSV2]);
    let lines: Vec<_> =
        std::iter::from_fn(|| receiver.take_record()).map(|entry| entry.to_string()).collect();
    assert_eq!(
        lines,
        [
            "< Ping 61 72 65 20 79 6f 75 20 74 68 65 72 65 [13 bytes]",
            "< Text \"p\\0hello\" [7 bytes]",
            "> Pong 61 72 65 20 79 6f 75 20 74 68 65 72 65 [13 bytes]",
            "> Text \"answer\" [6 bytes]",
        ]
    );
    assert_eq!(messages(&mut receiver), ["hello".into()]);
}
