//! Memory that many connections share: who gets none when it is used up, and that all of it comes back.

mod stamp;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::{
    AgreedExtension, Agreement, Budget, Cause, CloseCode, Compression, Config, Connection, Event,
    Leave, Message, Parameters, Part, Prepared, Role, Transmit, Violation,
};
use proptest::prelude::*;
use support::frame;

const STEP: usize = Budget::STEP;

/// Servers' ends that share a budget of so many steps.
fn connections<const N: usize>(steps: usize) -> (Budget, [Connection; N]) {
    let budget = Budget::new(steps * STEP);
    let mut config = Config::default();
    config.receive_buffer = 8 * STEP;
    config.send_buffer = 8 * STEP;
    config.memory_budget = Some(budget.clone());
    let config = Arc::new(config);
    let agreement = Agreement::plain(Role::Server);
    let new = |_| Connection::new(&agreement, Arc::clone(&config), [7; 32], Instant::now());
    (budget, std::array::from_fn(new))
}

fn binary(size: usize) -> Vec<u8> {
    frame(Role::Client, 0x82, &vec![1; size])
}

fn receive(connection: &mut Connection, bytes: &[u8]) {
    for read in bytes.to_vec().chunks_mut(STEP) {
        connection.receive(read, Instant::now());
    }
}

/// Takes all that is to be written, as a peer that reads would.
fn write_out(connection: &mut Connection) {
    while let Transmit::Bytes(lent) = connection.poll_transmit() {
        let count = lent.len();
        connection.wrote(count, Instant::now());
    }
}

fn message(connection: &mut Connection) -> Option<Message> {
    match connection.poll_event() {
        Some(Event::Message(message)) => Some(message),
        _ => None,
    }
}

#[test]
fn of_two_messages_that_do_not_both_fit_one_is_told_to_come_again_and_the_other_completes() {
    let (budget, [mut one, mut other]) = connections(10);
    let large = binary(8 * STEP);
    let (start, rest) = large.split_at(6 * STEP);
    receive(&mut one, start);
    receive(&mut other, start);
    let expected = Cause::Violation(Violation::OutOfMemory { limit: 10 * STEP });
    write_out(&mut other);
    other.receive_eof(Instant::now());
    let ending = other.ending().expect("it was failed");
    assert_eq!(ending.cause, expected);
    assert_eq!(
        ending.to_string().split(';').next().unwrap_or_default(),
        "no memory left for a message: all connections share 655360 bytes (memory_budget)"
    );
    let lastword_proto::Farewell::Said(said) = &ending.sent else { panic!("it was told") };
    assert_eq!(said.code(), CloseCode::TRY_AGAIN_LATER);

    receive(&mut one, rest);
    assert_eq!(message(&mut one).map(|message| message.len()), Some(8 * STEP));
    assert_eq!(budget.used(), 0);
}

#[test]
fn small_messages_pass_while_nothing_is_left() {
    let (budget, [mut greedy, mut modest]) = connections(2);
    (0..4).for_each(|_| receive(&mut greedy, &binary(STEP / 2)));
    assert!(budget.is_exhausted());
    for size in [0, 1, 1000, STEP / 2] {
        assert!(modest.wants_read() && modest.has_room());
        receive(&mut modest, &binary(size));
        assert_eq!(message(&mut modest).map(|message| message.len()), Some(size));
        modest.send(vec![1; size].into(), Compression::Auto).unwrap();
        write_out(&mut modest);
    }
    assert!(modest.is_open());
}

#[test]
fn while_nothing_is_left_reading_pauses_at_a_step_and_goes_on_when_messages_are_fetched() {
    let (budget, [mut connection]) = connections(3);
    let mut came = 0;
    while connection.wants_read() {
        receive(&mut connection, &binary(STEP / 4));
        came += 1;
    }
    // Without a budget eight steps would have been taken.
    assert!(budget.is_exhausted() && came <= 12, "{came} messages");
    for _ in 0..came - 3 {
        assert!(message(&mut connection).is_some());
    }
    assert!(connection.wants_read());
    while message(&mut connection).is_some() {}
    assert_eq!(budget.used(), 0);
}

#[test]
fn parts_and_messages_for_many_and_bursts_count_as_all_others_do() {
    let (budget, [mut server]) = connections(100);
    let some = || Message::binary(vec![1; 3 * STEP]);
    server.send_prepared(&Prepared::new(some()), Compression::Auto).unwrap();
    assert!(budget.used() >= 3 * STEP);
    server.send_part(Part { data: some(), last: false }, Compression::Auto).unwrap();
    assert!(budget.used() >= 6 * STEP);
    write_out(&mut server);
    assert_eq!(budget.used(), 0);

    let small: Vec<u8> = (0..4 * STEP / 100).flat_map(|_| binary(100)).collect();
    receive(&mut server, &small);
    let held = budget.used();
    assert!(held >= 4 * STEP);
    // Where a read ends, a message comes alone.
    loop {
        match server.poll_burst() {
            Some(burst) => burst.for_each(drop),
            None if server.poll_event().is_none() => break,
            None => {}
        }
    }
    assert_eq!(budget.used(), 0);

    // What is taken of an unfinished message counts no longer.
    let large = binary(4 * STEP);
    receive(&mut server, &large[..3 * STEP]);
    assert!(budget.used() >= 2 * STEP);
    assert!(server.take_part().is_some());
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_put_together_for_an_extension_counts_as_well() {
    let (budget, [_]) = connections(100);
    let mut config = Config::default();
    config.memory_budget = Some(budget.clone());
    let mut agreement = Agreement::plain(Role::Server);
    let stamp = AgreedExtension::new(Arc::new(stamp::STAMP), Parameters::default());
    agreement.extensions.push(stamp);
    let mut server = Connection::new(&agreement, Arc::new(config), [7; 32], Instant::now());
    let part = |last| Part { data: Message::binary(vec![1; 2 * STEP]), last };
    server.send_part(part(false), Compression::Auto).unwrap();
    server.send_part(part(false), Compression::Auto).unwrap();
    assert!(budget.used() >= 4 * STEP);
    server.send_part(part(true), Compression::Auto).unwrap();
    assert!(budget.used() >= 6 * STEP);
    write_out(&mut server);
    assert_eq!(budget.used(), 0);
}

#[test]
fn budgets_are_equal_that_are_the_same() {
    let (one, other) = (Budget::new(STEP), Budget::new(STEP));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
}

#[test]
fn while_nothing_is_left_a_sender_waits_and_goes_on_when_its_peer_reads() {
    let (budget, [mut connection]) = connections(3);
    let mut accepted = 0;
    while connection.has_room() {
        connection.send(vec![1; STEP / 4].into(), Compression::Auto).unwrap();
        accepted += 1;
    }
    assert!(budget.is_exhausted() && accepted <= 13, "{accepted} messages");
    write_out(&mut connection);
    assert!(connection.has_room());
    assert_eq!(budget.used(), 0);
}

#[derive(Clone, Debug)]
enum Deed {
    Receive(usize),
    ReceiveStart(usize),
    Fetch,
    Send(usize),
    Write(usize),
    Wait(u64),
    StopDelivery,
    Close,
    Drop,
    Eof,
    Abort,
}

fn deeds() -> impl Strategy<Value = Deed> {
    let size = || 0_usize..5 * STEP;
    prop_oneof![
        4 => size().prop_map(Deed::Receive),
        2 => size().prop_map(Deed::ReceiveStart),
        4 => Just(Deed::Fetch),
        4 => size().prop_map(Deed::Send),
        4 => size().prop_map(Deed::Write),
        1 => (0_u64..30).prop_map(Deed::Wait),
        1 => Just(Deed::StopDelivery),
        1 => Just(Deed::Close),
        1 => Just(Deed::Drop),
        1 => Just(Deed::Eof),
        1 => Just(Deed::Abort),
    ]
}

fn act(connection: &mut Connection, deed: &Deed, now: &mut Instant) {
    match *deed {
        Deed::Receive(size) => receive(connection, &binary(size)),
        Deed::ReceiveStart(size) => receive(connection, &binary(size)[..size / 2]),
        Deed::Fetch => drop(connection.poll_event()),
        Deed::Send(size) => drop(connection.send(vec![1; size].into(), Compression::Auto)),
        Deed::Write(size) => {
            if let Transmit::Bytes(lent) = connection.poll_transmit() {
                let count = lent.len().min(size);
                connection.wrote(count, *now);
            }
        }
        Deed::Wait(seconds) => {
            *now += Duration::from_secs(seconds);
            connection.handle_timeout(*now);
        }
        Deed::StopDelivery => connection.stop_delivery(),
        Deed::Close => connection.close(None, *now),
        Deed::Drop => connection.leave(Leave::Dropped, *now),
        Deed::Eof => connection.receive_eof(*now),
        Deed::Abort => connection.abort(*now),
    }
}

proptest! {
    /// Whatever is done, and in which order: what is counted is what is held, give or take a step, and
    /// when the connections are gone nothing is.
    #[test]
    fn all_of_it_comes_back(
        steps in 0_usize..12,
        script in proptest::collection::vec((0_usize..2, deeds()), 0..60),
    ) {
        let (budget, mut pair) = connections::<2>(steps);
        let mut now = Instant::now();
        for (which, deed) in &script {
            act(&mut pair[*which], deed, &mut now);
        }
        for connection in &mut pair {
            connection.abort(now);
            while connection.poll_event().is_some() {}
            connection.take_unsent();
        }
        prop_assert_eq!(budget.used(), 0, "after the ends");
        drop(pair);
        prop_assert_eq!(budget.used(), 0, "after all");
    }
}
