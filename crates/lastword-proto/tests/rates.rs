//! How fast a peer may send: whoever keeps to it is never in danger, whoever does not is told by name.

mod support;

use std::time::{Duration, Instant};

use lastword_proto::{Bucket, Cause, Config, Rate, Role, Violation};
use proptest::prelude::*;
use support::{Driven, frame, goodbye};

fn limited(set: impl FnOnce(&mut Config)) -> Driven {
    let mut config = Config::default();
    (config.ping_interval, config.idle_timeout) = (None, None);
    set(&mut config);
    Driven::with(Role::Server, config)
}

fn message() -> Vec<u8> {
    frame(Role::Client, 0x82, b"1234")
}

const RATE: Rate = Rate::per_second(10).burst(20);

#[test]
fn as_many_come_at_once_as_may_and_then_as_many_a_second() {
    let mut driven = limited(|config| config.message_rate = Some(RATE));
    for _ in 0..20 {
        driven.receive(&message());
    }
    for _ in 0..50 {
        driven.now += Duration::from_millis(100);
        driven.receive(&message());
    }
    assert_eq!((driven.messages.len(), driven.written().len()), (70, 0));
    driven.receive(&message());
    let violation = Violation::TooManyMessages { limit: RATE };
    let reason = "more messages than 10 a second, 20 at once (message_rate)";
    assert_eq!(violation.to_string(), reason);
    assert_eq!(driven.written(), [(0x88, goodbye(1008, reason))]);
    // What came in the read that was too much came before it was.
    assert_eq!(driven.messages.len(), 71);
    driven.eof();
    assert_eq!(driven.ending().cause, Cause::Violation(violation));
    assert_eq!(
        driven.ending().to_string(),
        format!("peer sent {reason}; we had said 1008 (policy violation) {reason:?}")
    );
}

#[test]
fn bytes_are_counted_as_they_come_whatever_they_are() {
    let parts: [&[u8]; 3] = [&frame(Role::Client, 0x89, b"ping"), &message()[..3], &message()[3..]];
    let size: usize = parts.iter().map(|part| part.len()).sum();
    for (burst, passes) in [(size, true), (size - 1, false)] {
        let limit = Rate::per_second(1).burst(burst as u64);
        let mut driven = limited(|config| config.byte_rate = Some(limit));
        parts.iter().for_each(|part| driven.receive(part));
        assert_eq!(driven.messages.len(), 1);
        driven.eof();
        let is_violation =
            driven.ending().cause == Cause::Violation(Violation::TooManyBytes { limit });
        assert_eq!(is_violation, !passes, "{}", driven.ending());
    }
}

/// A large message is read straight to where it belongs, past the decoder.
#[test]
fn bytes_of_a_large_message_are_counted_too() {
    let limit = Rate::per_second(1).burst(100_000);
    let mut driven = limited(|config| config.byte_rate = Some(limit));
    let wire = frame(Role::Client, 0x82, &vec![1; 200_000]);
    let (head, mut rest) = wire.split_at(40_000);
    driven.receive(head);
    while let Some(mut target) = driven.connection.read_target() {
        let count = rest.len().min(40_000);
        bytes::BufMut::put_slice(&mut target, &rest[..count]);
        rest = &rest[count..];
        driven.connection.received(count, driven.now);
        driven.settle();
    }
    driven.eof();
    assert_eq!(driven.ending().cause, Cause::Violation(Violation::TooManyBytes { limit }));
    assert_eq!(rest.len(), 80_000 + 14);
}

#[test]
fn what_gathers_while_the_application_is_behind_is_not_held_against_the_peer() {
    let run = |receive_buffer| {
        let mut driven = limited(|config| {
            config.message_rate = Some(Rate::per_second(10));
            config.receive_buffer = receive_buffer;
        });
        driven.connection.receive(&mut message(), driven.now);
        let paused = !driven.connection.wants_read();
        // For ten seconds nobody reads, or nobody sends; then a hundred come at once.
        driven.now += Duration::from_secs(10);
        driven.fetch();
        driven.connection.receive(&mut message().repeat(100), driven.now);
        driven.settle();
        (paused, driven.written().is_empty())
    };
    assert_eq!(run(1), (true, true));
    assert_eq!(run(1 << 16), (false, false));
}

#[test]
fn a_peer_that_was_silent_has_not_saved_up_for_more_than_a_burst() {
    let mut driven = limited(|config| config.message_rate = Some(RATE));
    driven.receive(&message());
    driven.now += Duration::from_secs(3600);
    driven.receive(&message().repeat(21));
    assert_eq!(driven.written().len(), 1);
}

#[test]
fn none_at_all_is_a_rate_too() {
    let mut driven = limited(|config| config.message_rate = Some(Rate::per_second(0)));
    driven.receive(&frame(Role::Client, 0x89, b"ping"));
    assert_eq!(driven.written(), [(0x8a, b"ping".to_vec())]);
    driven.receive(&message());
    assert_eq!(driven.written().last().unwrap().0, 0x88);
}

#[test]
fn whoever_is_closing_is_not_too_fast() {
    let mut driven = limited(|config| config.message_rate = Some(Rate::per_second(1)));
    driven.close(1000, "");
    for _ in 0..5 {
        driven.receive(&message());
    }
    driven.receive(&frame(Role::Client, 0x88, &goodbye(1000, "")));
    driven.eof();
    assert!(driven.ending().is_clean());
}

proptest! {
    /// Whatever is taken in whichever steps, it is never more than the burst and what the time has
    /// brought; and whoever waits as long as he is told gets it.
    #[test]
    fn a_bucket_gives_what_its_rate_says(
        amount in 0_u64..1000,
        burst in 1_u64..1000,
        steps in prop::collection::vec((0_u64..3_000_000_000, 1_u64..400), 1..50),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::per_second(amount).burst(burst), start);
        let (mut now, mut taken) = (start, 0_u64);
        for (nanos, asked) in steps {
            now += Duration::from_nanos(nanos);
            let before = bucket;
            match bucket.take(asked, now) {
                Ok(()) => taken += asked,
                Err(too_fast) => {
                    let later = now.checked_add(too_fast.wait);
                    prop_assert_eq!(later.is_none(), amount == 0 || asked > burst);
                    if let Some(later) = later {
                        let mut waited = before;
                        prop_assert!(waited.take(asked, later - Duration::from_nanos(1)).is_err());
                        prop_assert!(waited.take(asked, later).is_ok());
                    }
                }
            }
            let may = burst as f64 + amount as f64 * (now - start).as_secs_f64();
            prop_assert!(taken as f64 <= may + 1e-3, "{taken} of {may}");
        }
        prop_assert!(amount == 0 || bucket.is_full(now + Duration::from_secs(1000)));
    }
}
