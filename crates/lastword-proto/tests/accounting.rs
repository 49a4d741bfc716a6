//! What leaves, in which order, and what the ledger says of it.

mod side;

use lastword_proto::{
    Compression, Message, Operation, Part, Role, SendRefused, Transmit, Unconfirmed,
};
use proptest::prelude::*;
use side::*;

#[test]
fn a_frame_may_be_taken_byte_by_byte_and_is_the_same() {
    for role in ROLES {
        let talk = |most: usize| {
            let mut side = Side::new(role, config(|c| c.fragment_size = 3000));
            for size in [0, 1, 125, 126, 2048, 2049, 3000, 3001, 9000] {
                side.send(vec![7_u8; size]);
            }
            side.connection.confirm();
            side.close(1000);
            loop {
                // An attempt that would block is an attempt, too.
                side.connection.wrote(0, side.now);
                if side.write(most) == 0 {
                    break;
                }
            }
            assert_eq!(side.connection.ledger().unsent.messages, 0);
            side.sent
        };
        let whole = talk(usize::MAX);
        for most in [1, 2, 3, 7, 1000] {
            assert!(talk(most) == whole, "{role:?} by {most}");
        }
    }
}

#[test]
fn control_frames_go_between_data_frames_and_never_into_one() {
    for role in ROLES {
        let data_len = frame(role, BINARY, &[1; 300]).len();
        for written in 0..=data_len {
            let mut side = Side::new(role, config(|_| {}));
            side.send(vec![1_u8; 300]);
            side.send(vec![2_u8; 3000]);
            if written > 0 {
                side.write(written);
            }
            side.peer(PING, b"who");
            side.flush();
            let pong = usize::from(written > 0);
            let mut expected = vec![read(BINARY, [1; 300]), read(BINARY, [2; 3000])];
            expected.insert(pong, read(PONG, b"who"));
            assert_eq!(side.frames(), expected, "{role:?} {written}");
        }
    }
}

#[test]
fn pongs_pass_between_the_fragments_of_a_large_message() {
    let mut side = Side::new(Role::Server, config(|c| c.fragment_size = 100_000));
    side.send(vec![5_u8; 300_000]);
    side.write(10);
    side.peer(PING, b"a");
    side.flush();
    let shape: Vec<_> = side.frames().iter().map(|f| (f.first, f.payload.len())).collect();
    assert_eq!(shape, [(0x02, 100_000), (PONG, 1), (0x00, 100_000), (0x80, 100_000)]);
}

#[test]
fn small_messages_are_cut_at_the_fragment_size_as_well() {
    let mut side = Side::new(Role::Server, config(|c| c.fragment_size = 2));
    side.send("abcde");
    side.flush();
    let expected = [read(0x01, "ab"), read(0x00, "cd"), read(0x80, "e")];
    assert_eq!(side.frames(), expected);
}

fn sample(n: usize) -> Vec<Message> {
    // Small and large ones, whose frames stand in different places.
    (0..n).map(|i| Message::from(vec![i as u8; [10, 5000, 0, 70_000][i % 4]])).collect()
}

#[test]
fn what_did_not_wholly_leave_comes_back_whole_and_in_order_however_it_ends() {
    type End = fn(&mut Side);
    let ends: [(&str, End); 7] = [
        ("abort", |s| s.connection.abort(s.now)),
        ("eof", Side::eof),
        ("reset on read", |s| s.fails(Operation::Read, &reset())),
        ("reset on write", |s| {
            s.fails(Operation::Write, &reset());
            s.eof();
        }),
        ("violation, then silence", |s| {
            s.peer(0x83, b"");
            s.wait(seconds(100), false);
        }),
        ("close, then silence", |s| {
            s.close(1000);
            s.wait(seconds(100), false);
        }),
        ("keepalive", |s| s.wait(seconds(100), false)),
    ];
    let messages = sample(6);
    let sizes: Vec<usize> =
        messages.iter().map(|m| frame(Role::Server, BINARY, m.payload()).len()).collect();
    let mut points = vec![];
    let mut at = 0;
    for size in &sizes {
        points.extend([at, at + 1, at + size / 2, at + size - 1]);
        at += size;
    }
    points.push(at);
    for (name, end) in ends {
        for &point in &points {
            let mut side = Side::new(Role::Server, config(|_| {}));
            for message in &messages {
                side.send(message.clone());
            }
            let mut left = point;
            while left > 0 {
                left -= side.write(left);
            }
            end(&mut side);
            let mut position = 0;
            let gone = sizes.iter().take_while(|&&size| {
                position += size;
                position <= point
            });
            let gone = gone.count();
            let ending = side.ending();
            assert_eq!(side.connection.take_unsent(), messages[gone..], "{name} at {point}");
            assert_eq!(ending.ledger.handed_over.messages as usize, gone, "{name} at {point}");
            assert_eq!(ending.ledger.unsent.messages as usize, 6 - gone, "{name} at {point}");
            assert!(side.connection.take_unsent().is_empty(), "once");
        }
    }
}

#[test]
fn a_pong_confirms_what_stood_before_its_ping_and_nothing_else() {
    let mut side = Side::new(Role::Server, config(|c| c.unconfirmed = Unconfirmed::Kept));
    side.send("one");
    side.flush();
    // A ping of the control lane overtakes the messages that wait.
    side.send("two");
    side.connection.ping();
    side.flush();
    let frames = side.frames();
    assert_eq!(frames[1].first, PING);
    side.peer(PONG, &frames[1].payload);
    assert_eq!(side.connection.ledger().confirmed.messages, 1);
    assert_eq!(side.connection.ledger().handed_over.messages, 1);
    side.send("three");
    side.connection.confirm();
    side.send("four");
    side.flush();
    let frames = side.frames();
    assert_eq!(frames[4].first, PING);
    side.peer(PONG, b"nobody asked");
    assert_eq!(side.connection.ledger().confirmed.messages, 1);
    side.peer(PONG, &frames[4].payload);
    assert_eq!(side.connection.ledger().confirmed.messages, 3);
    assert_eq!(side.connection.take_unconfirmed(), [Message::from("four")]);
}

#[test]
fn a_message_sent_by_parts_does_not_confirm_the_one_behind_it() {
    let mut side = Side::new(Role::Server, config(|c| c.unconfirmed = Unconfirmed::Kept));
    side.send("a");
    side.connection
        .send_part(Part { data: "parts".into(), last: true }, Compression::Auto)
        .unwrap();
    side.connection.confirm();
    side.send("b");
    side.flush();
    let ping = side.frames().into_iter().find(|f| f.first == PING).unwrap();
    side.peer(PONG, &ping.payload);
    assert_eq!(side.connection.ledger().confirmed.messages, 2);
    assert_eq!(side.connection.take_unconfirmed(), [Message::from("b")]);
}

#[test]
fn a_message_sent_by_parts_is_not_interrupted() {
    let mut side = Side::new(Role::Client, config(|_| {}));
    let part = |text: &str, last| Part { data: text.into(), last };
    side.connection.send_part(part("a", false), Compression::Auto).unwrap();
    let refused = side.connection.send("x".into(), Compression::Auto);
    assert_eq!(refused, Err(SendRefused::Streaming("x".into())));
    assert_eq!(side.connection.confirm(), None);
    side.peer(PING, b"");
    side.connection.send_part(part("b", true), Compression::Auto).unwrap();
    side.flush();
    let expected = [read(PONG, b""), read(0x01, "a"), read(0x80, "b")];
    assert_eq!(side.frames(), expected);
}

#[test]
fn no_pong_follows_when_both_close_frames_are_across() {
    for role in ROLES {
        let mut side = Side::new(role, config(|_| {}));
        side.close(1000);
        side.flush();
        side.peer(PING, b"late");
        side.peer(CLOSE, &close_body(1000, ""));
        side.flush();
        assert_eq!(side.frames(), [read(CLOSE, close_body(1000, ""))], "{role:?}");
    }
}

#[test]
fn output_that_never_runs_dry_does_not_grow() {
    // Seen through the bytes that a lent slice can reach: what is lent stays small, and so does
    // the time for it. A tail that kept what was written would take gigabytes here.
    let mut side = Side::new(Role::Client, config(|_| {}));
    let message = Message::from(vec![1_u8; 2000]);
    side.send(message.clone());
    for _ in 0..200_000 {
        side.send(message.clone());
        let Transmit::Bytes(lent) = side.connection.poll_transmit() else { panic!("waits") };
        assert!(lent.len() < 10_000);
        side.connection.wrote(2008, side.now);
    }
    let resident = std::fs::read_to_string("/proc/self/statm").ok();
    if let Some(pages) = resident.and_then(|s| s.split(' ').nth(1)?.parse::<usize>().ok()) {
        assert!(pages < 50_000, "{pages} pages for one message in flight");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Send(usize),
    Write(usize),
    Ping,
    Confirm,
    Answer,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = prop_oneof![0..200_usize, 2000..2100_usize, 60_000..90_000_usize];
    let act = prop_oneof![
        size.prop_map(Act::Send),
        prop_oneof![0..20_usize, 0..100_000_usize].prop_map(Act::Write),
        Just(Act::Ping),
        Just(Act::Confirm),
        Just(Act::Answer),
    ];
    prop::collection::vec(act, 0..40)
}

/// What the peer has wholly read: whole messages before each ping, in the order of the wire.
fn pings_and_messages(role: Role, wire: &[u8]) -> (Vec<(Vec<u8>, u64)>, u64) {
    let (mut pings, mut messages) = (Vec::new(), 0);
    for read in parse(role, wire).0 {
        match read.first {
            PING => pings.push((read.payload, messages)),
            first if first & 0x88 == 0x80 => messages += 1,
            _ => {}
        }
    }
    (pings, messages)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_ledger_says_what_the_wire_shows(
        acts in acts(), client in any::<bool>(), end in 0..4_usize, fragment in 1000..100_000_usize,
    ) {
        let role = if client { Role::Client } else { Role::Server };
        let mut side = Side::new(role, config(|c| {
            c.unconfirmed = Unconfirmed::Kept;
            c.fragment_size = fragment;
        }));
        let (mut accepted, mut answered) = (Vec::new(), 0);
        for act in acts {
            match act {
                Act::Send(size) => {
                    let message = Message::from(vec![accepted.len() as u8; size]);
                    side.send(message.clone());
                    accepted.push(message);
                }
                Act::Write(most) => { side.write(most); }
                Act::Ping => { side.connection.ping(); }
                Act::Confirm => { side.connection.confirm(); }
                Act::Answer => {
                    let (pings, _) = pings_and_messages(role, &side.sent);
                    if let Some((payload, position)) = pings.last() {
                        side.peer(PONG, payload);
                        answered = answered.max(*position);
                    }
                }
            }
            let (_, left) = pings_and_messages(role, &side.sent);
            let ledger = side.connection.ledger();
            prop_assert_eq!(ledger.confirmed.messages, answered);
            prop_assert_eq!(ledger.handed_over.messages, left - answered);
            prop_assert_eq!(ledger.unsent.messages, accepted.len() as u64 - left);
        }
        match end {
            0 => side.connection.abort(side.now),
            1 => side.fails(Operation::Read, &reset()),
            2 => { side.fails(Operation::Write, &reset()); side.eof(); }
            _ => { side.peer(0x83, b""); side.fails(Operation::Flush, &reset()); }
        }
        let (_, left) = pings_and_messages(role, &side.sent);
        let ledger = side.ending().ledger;
        let bytes = |messages: &[Message]| messages.iter().map(|m| m.len() as u64).sum::<u64>();
        let (confirmed, left) = (answered as usize, left as usize);
        prop_assert_eq!(ledger.confirmed.bytes, bytes(&accepted[..confirmed]));
        prop_assert_eq!(ledger.handed_over.bytes, bytes(&accepted[confirmed..left]));
        prop_assert_eq!(ledger.unsent.bytes, bytes(&accepted[left..]));
        prop_assert_eq!(side.connection.take_unconfirmed(), &accepted[confirmed..left]);
        prop_assert_eq!(side.connection.take_unsent(), &accepted[left..]);
    }
}
