//! A message that is made ready for many: whoever gets it gets the same as if it had been sent to
//! them alone, and the account is the same.

mod side;

use std::sync::Arc;
use std::time::Instant;

use lastword_proto::{
    Agreement, Compression, Config, Connection, ContextTakeover, DeflateAgreement, DeflateConfig,
    DeflateDirection, Event, Ledger, Message, Part, Prepared, Role, SendRefused, Transmit,
    Unconfirmed,
};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use proptest::prelude::*;
use side::*;

const TAKEOVERS: [ContextTakeover; 2] = [ContextTakeover::Kept, ContextTakeover::None];

/// All that can be agreed on, and no compression at all.
fn agreements() -> impl Iterator<Item = Option<DeflateDirection>> {
    let each =
        |takeover| (9..=15).map(move |window_bits| DeflateDirection { window_bits, takeover });
    TAKEOVERS.into_iter().flat_map(each).map(Some).chain([None])
}

fn connection(role: Role, direction: Option<DeflateDirection>, config: Config) -> Connection {
    let mut agreement = Agreement::plain(role);
    agreement.deflate =
        direction.map(|direction| DeflateAgreement { client: direction, server: direction });
    Connection::new(&agreement, Arc::new(config), [7; 32], Instant::now())
}

fn write(from: &mut Connection, most: usize) -> Vec<u8> {
    let Transmit::Bytes(lent) = from.poll_transmit() else { return Vec::new() };
    let mut bytes = lent.to_vec();
    bytes.truncate(most);
    from.wrote(bytes.len(), Instant::now());
    bytes
}

fn messages(from: &mut Connection) -> Vec<Message> {
    std::iter::from_fn(|| from.poll_event())
        .map(|event| match event {
            Event::Message(message) => message,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Text that shrinks, and that has much in common with what is sent next.
fn sample(seed: usize, size: usize) -> Message {
    let line = |i: usize| format!("{{\"sensor\":{},\"value\":{}}}", i % 7, (i * seed) % 1000);
    let mut text: String =
        (0..).map(line).flat_map(|line| line.into_bytes()).map(char::from).take(size).collect();
    if seed.is_multiple_of(3) {
        text.make_ascii_uppercase();
    }
    if seed.is_multiple_of(2) { Message::text(text) } else { Message::binary(text.into_bytes()) }
}

/// Bytes without a pattern, of which the upper bits are zero.
fn noise(size: usize, zeros: u32) -> Vec<u8> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(1), next);
    states.take(size).map(|state| (state >> (24 + zeros)) as u8).collect()
}

/// How one message of a conversation is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Alone,
    Prepared,
    Parts,
}

type Said = (Way, Compression, usize);

/// Sends, in writes of at most `most` bytes; what arrived, and both accounts.
fn talk(
    direction: Option<DeflateDirection>,
    config: &Config,
    said: &[Said],
    most: usize,
) -> (Vec<Message>, Ledger, Ledger) {
    let mut server = connection(Role::Server, direction, config.clone());
    let mut client = connection(Role::Client, direction, config.clone());
    let mut got = Vec::new();
    for (number, &(way, compression, size)) in said.iter().enumerate() {
        let message = sample(number, size);
        match way {
            Way::Alone => server.send(message, compression).unwrap(),
            Way::Prepared => server.send_prepared(&Prepared::new(message), compression).unwrap(),
            Way::Parts => {
                let first = Part { data: message.clone(), last: false };
                let rest = match message {
                    Message::Text(_) => Message::text(""),
                    Message::Binary(_) => Message::binary(""),
                };
                server.send_part(first, compression).unwrap();
                server.send_part(Part { data: rest, last: true }, compression).unwrap();
            }
        }
        if number % 3 == 0 {
            client.receive(&mut write(&mut server, most), Instant::now());
            got.extend(messages(&mut client));
        }
    }
    loop {
        let mut bytes = write(&mut server, most);
        if bytes.is_empty() {
            break;
        }
        client.receive(&mut bytes, Instant::now());
        got.extend(messages(&mut client));
    }
    (got, server.ledger(), client.ledger())
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let way = prop_oneof![2 => Just(Way::Alone), 4 => Just(Way::Prepared), 1 => Just(Way::Parts)];
    let compression = prop_oneof![
        3 => Just(Compression::Auto),
        2 => Just(Compression::Always),
        1 => Just(Compression::Never),
    ];
    let size = prop_oneof![0..700_usize, 2000..2100_usize, Just(20_000), 60_000..70_000_usize];
    prop::collection::vec((way, compression, size), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn prepared_or_not_the_peer_gets_the_same_under_every_agreement(
        said in said(), fragment in 500..100_000_usize, most in 1..100_000_usize,
    ) {
        let config = config(|c| c.fragment_size = fragment);
        let expected: Vec<Message> = said.iter().enumerate().map(|(i, s)| sample(i, s.2)).collect();
        let alone: Vec<Said> = said.iter().map(|&(_, c, size)| (Way::Alone, c, size)).collect();
        for direction in agreements() {
            let (got, sent, received) = talk(direction, &config, &said, most.max(64));
            prop_assert_eq!(&got, &expected, "{:?}", direction);
            let (_, as_ever, _) = talk(direction, &config, &alone, usize::MAX);
            prop_assert_eq!(sent, as_ever, "{:?}", direction);
            prop_assert_eq!(received.delivered, sent.handed_over);
        }
    }

    #[test]
    fn what_did_not_leave_comes_back_whole_and_in_order(
        said in said(), fragment in 500..100_000_usize, left in 0..200_000_usize, kept in any::<bool>(),
    ) {
        let said: Vec<Said> = said.into_iter().filter(|said| said.0 != Way::Parts).collect();
        let all: Vec<Message> = said.iter().enumerate().map(|(i, s)| sample(i, s.2)).collect();
        let direction = DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept };
        let config = config(|c| {
            c.fragment_size = fragment;
            if kept { c.unconfirmed = Unconfirmed::Kept }
        });
        let mut server = connection(Role::Server, Some(direction), config);
        for (message, (way, compression, _)) in all.iter().zip(said) {
            match way {
                Way::Prepared => server.send_prepared(&Prepared::new(message.clone()), compression),
                _ => server.send(message.clone(), compression),
            }.unwrap();
        }
        let mut more = left;
        while more > 0 {
            let count = write(&mut server, more).len();
            more -= count;
            if count == 0 {
                break;
            }
        }
        server.abort(Instant::now());
        let ledger = server.ledger();
        let gone = ledger.handed_over.messages as usize;
        prop_assert_eq!(ledger.unsent.messages as usize, all.len() - gone);
        prop_assert_eq!(server.take_unsent(), &all[gone..]);
        if kept {
            prop_assert_eq!(server.take_unconfirmed(), &all[..gone]);
        }
    }
}

/// A reader that shares no code with ours, and keeps one window for all messages.
struct Inflater(Box<InflateState>);

impl Inflater {
    fn read(&mut self, wire: &[u8]) -> Vec<u8> {
        let (mut plain, mut out) = (Vec::new(), vec![0; 1 << 16]);
        let wire = [wire, &[0, 0, 0xff, 0xff]].concat();
        let mut rest = &wire[..];
        loop {
            let result = inflate(&mut self.0, rest, &mut out, MZFlush::Sync);
            plain.extend(&out[..result.bytes_written]);
            rest = &rest[result.bytes_consumed..];
            if rest.is_empty() && result.bytes_written < out.len() {
                return plain;
            }
            assert!(result.bytes_consumed + result.bytes_written > 0, "stuck");
        }
    }
}

#[test]
fn a_peer_that_keeps_one_window_reads_shared_messages_between_our_own() {
    for window_bits in 9..=15 {
        let direction = DeflateDirection { window_bits, takeover: ContextTakeover::Kept };
        let mut server = connection(Role::Server, Some(direction), Config::default());
        let mut peer = Inflater(InflateState::new_boxed(DataFormat::Raw));
        for number in 0..40 {
            let message = sample(number, 600 + 97 * number);
            if number % 5 < 2 {
                let prepared = Prepared::new(message.clone());
                server.send_prepared(&prepared, Compression::Auto).unwrap();
            } else {
                server.send(message.clone(), Compression::Auto).unwrap();
            }
            let wire = write(&mut server, usize::MAX);
            let frame = parse(Role::Server, &wire).0.remove(0);
            assert_eq!(frame.first & 0xc0, 0xc0, "whole and compressed");
            assert!(frame.payload.len() < message.len() / 2);
            let plain = peer.read(&frame.payload);
            assert_eq!(&plain, message.payload(), "{window_bits} {number}");
        }
    }
}

#[test]
fn our_own_messages_find_their_window_again_behind_a_shared_one() {
    let direction = DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept };
    let mut server = connection(Role::Server, Some(direction), Config::default());
    let mut size = |prepared: Option<&Prepared>| {
        match prepared {
            Some(prepared) => server.send_prepared(prepared, Compression::Auto).unwrap(),
            None => server.send(sample(4, 900), Compression::Auto).unwrap(),
        }
        write(&mut server, usize::MAX).len()
    };
    let (first, second) = (size(None), size(None));
    assert!(second < first / 2, "the second refers to the first");
    size(Some(&Prepared::new(sample(5, 900))));
    assert_eq!((size(None), size(None)), (first, second));
    // One that goes as it is is in no window, and nothing has to be forgotten.
    size(Some(&Prepared::new("short")));
    assert!(size(None) <= second);
}

/// Where the bytes stand that are lent first.
fn place(connection: &mut Connection) -> (*const u8, usize) {
    let Transmit::Bytes(lent) = connection.poll_transmit() else { panic!("nothing") };
    let slices = lent.as_slices();
    assert_eq!(slices.len(), 1);
    (slices[0].as_ptr(), slices[0].len())
}

#[test]
fn all_receivers_share_one_frame_in_memory() {
    let kept = |window_bits| DeflateDirection { window_bits, takeover: ContextTakeover::Kept };
    let plain = Prepared::new(sample(1, 10_000));
    let compressible = Prepared::new(vec![7; 3_000_000]);
    // Without compression; and with windows that differ, but all hold less than the message.
    for (prepared, directions) in [(plain, [None; 3]), (compressible, [Some(kept(15)); 3])] {
        let places: Vec<_> = directions
            .into_iter()
            .map(|direction| {
                let mut connection = connection(Role::Server, direction, Config::default());
                connection.send_prepared(&prepared, Compression::Auto).unwrap();
                place(&mut connection)
            })
            .collect();
        assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
        assert!(places[0].1 > 2048, "{places:?}");
    }
}

#[test]
fn windows_larger_than_the_message_make_no_difference() {
    // Six bits a byte: it shrinks, and not so far that it would be copied.
    let prepared = Prepared::new(noise(3500, 2));
    let mut places = Vec::new();
    for window_bits in 12..=15 {
        for takeover in TAKEOVERS {
            let direction = Some(DeflateDirection { window_bits, takeover });
            let mut connection = connection(Role::Server, direction, Config::default());
            connection.send_prepared(&prepared, Compression::Auto).unwrap();
            places.push(place(&mut connection));
        }
    }
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
}

#[test]
fn a_large_one_is_sent_in_fragments_and_pongs_pass_between_them() {
    let mut side = Side::new(Role::Server, config(|c| c.fragment_size = 100_000));
    let prepared = Prepared::new(vec![5_u8; 300_000]);
    side.connection.send_prepared(&prepared, Compression::Auto).unwrap();
    side.write(10);
    side.peer(PING, b"a");
    side.flush();
    let shape: Vec<_> = side.frames().iter().map(|f| (f.first, f.payload.len())).collect();
    assert_eq!(shape, [(0x02, 100_000), (PONG, 1), (0x00, 100_000), (0x80, 100_000)]);
}

#[test]
fn each_client_masks_its_own() {
    let mut side = Side::new(Role::Client, Config::default());
    for message in [sample(0, 10), sample(1, 5000)] {
        side.connection.send_prepared(&Prepared::new(message), Compression::Auto).unwrap();
    }
    side.flush();
    let expected = [read(TEXT, sample(0, 10).payload()), read(BINARY, sample(1, 5000).payload())];
    assert_eq!(side.frames(), expected);
}

#[test]
fn what_is_not_accepted_comes_back() {
    for role in ROLES {
        let (message, prepared) = (sample(2, 10), Prepared::new(sample(2, 10)));
        let mut side = Side::new(role, Config::default());
        let part = Part { data: "a".into(), last: false };
        side.connection.send_part(part, Compression::Auto).unwrap();
        let refused = side.connection.send_prepared(&prepared, Compression::Auto);
        assert_eq!(refused, Err(SendRefused::Streaming(message.clone())));
        side.close(1000);
        let refused = side.connection.send_prepared(&prepared, Compression::Auto);
        assert_eq!(refused, Err(SendRefused::Closing(message)));
    }
}

#[test]
fn the_sender_decides_what_is_compressed() {
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
    let first = |size: usize, compression, threshold| {
        let config = config(|c| {
            let mut deflate = DeflateConfig::default();
            deflate.threshold = threshold;
            c.deflate = Some(deflate);
        });
        let mut server = connection(Role::Server, Some(direction), config);
        server.send_prepared(&Prepared::new(sample(1, size)), compression).unwrap();
        write(&mut server, usize::MAX)[0]
    };
    let (plain, compressed) = (0x82, 0xc2);
    assert_eq!(first(511, Compression::Auto, 128), plain);
    assert_eq!(first(512, Compression::Auto, 128), compressed);
    assert_eq!(first(512, Compression::Auto, 513), plain);
    assert_eq!(first(5000, Compression::Never, 128), plain);
    assert_eq!(first(1, Compression::Always, 128), compressed);
    // What does not shrink goes as it is, unless its sender insists.
    for (compression, expected) in [(Compression::Auto, plain), (Compression::Always, compressed)] {
        let mut server = connection(Role::Server, Some(direction), Config::default());
        server.send_prepared(&Prepared::new(noise(5000, 0)), compression).unwrap();
        assert_eq!(write(&mut server, usize::MAX)[0], expected, "{compression:?}");
    }
}

#[test]
fn one_message_reaches_all_however_each_of_them_compresses() {
    // Larger than the windows, so that each window makes a form of its own; and twice round, so that
    // each form is found again.
    let prepared = Prepared::new(sample(2, 60_000));
    assert!(!prepared.is_empty() && Prepared::new("").is_empty());
    for _ in 0..2 {
        for direction in agreements() {
            let mut server = connection(Role::Server, direction, Config::default());
            let mut client = connection(Role::Client, direction, Config::default());
            server.send_prepared(&prepared, Compression::Auto).unwrap();
            client.receive(&mut write(&mut server, usize::MAX), Instant::now());
            assert_eq!(messages(&mut client), [prepared.message().clone()], "{direction:?}");
        }
    }
}
