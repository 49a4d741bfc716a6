//! Waits and limits: whatever the settings, the dice and the past are.

use std::time::{Duration, Instant};

use lastword_retry::{Backoff, Limit, Next, Schedule, Verdict};
use proptest::prelude::*;

const YEAR: Duration = Duration::from_hours(365 * 24);

fn wait(next: Next) -> Duration {
    match next {
        Next::Wait(delay) => delay,
        Next::GiveUp(limit) => panic!("gave up: {limit}"),
    }
}

fn any_duration() -> impl Strategy<Value = Duration> {
    let nanos = 0u32..1_000_000_000;
    prop_oneof![
        (0u64..100, nanos.clone()).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        (any::<u64>(), nanos).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
}

prop_compose! {
    fn any_backoff()(
        (min, first, max) in (any_duration(), any_duration(), any_duration()),
        (healthy, from, to, after) in (any_duration(), any_duration(), any_duration(), any_duration()),
        factor in prop_oneof![0u32..4, any::<u32>()],
    ) -> Backoff {
        let mut backoff = Backoff::default();
        (backoff.delay_min, backoff.delay_first, backoff.delay_max) = (min, first, max);
        (backoff.healthy_after, backoff.delay_restart) = (healthy, from..=to);
        (backoff.max_retry_after, backoff.factor) = (after, factor);
        backoff
    }
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Retry),
        Just(Verdict::RetrySlowly),
        any_duration().prop_map(Verdict::RetryAfter),
    ]
}

proptest! {
    #[test]
    fn a_wait_is_never_shorter_than_the_least_and_any_clock_can_add_it(
        backoff in any_backoff(),
        past in prop::collection::vec((any_verdict(), any::<u64>(), any_duration()), 1..50),
    ) {
        let now = Instant::now();
        let mut schedule = Schedule::new(backoff.clone());
        for (number, (verdict, random, lived)) in past.into_iter().enumerate() {
            schedule.attempt(now);
            let next = if number % 2 == 0 {
                schedule.failed(verdict, random, now)
            } else {
                schedule.ended(lived, verdict, random, now)
            };
            let delay = wait(next);
            prop_assert!(delay >= backoff.delay_min.min(YEAR));
            prop_assert!(delay <= YEAR);
            prop_assert!(now.checked_add(delay).is_some());
        }
    }

    #[test]
    fn ceilings_never_fall_and_never_pass_the_most(backoff in any_backoff(), failures in 1u32..100) {
        let mut growing = backoff.clone();
        growing.factor = backoff.factor.max(1);
        prop_assert!(growing.ceiling(failures) <= growing.ceiling(failures + 1));
        for backoff in [backoff, growing] {
            prop_assert!(backoff.ceiling(failures) <= backoff.delay_max.max(backoff.delay_min));
            prop_assert!(backoff.ceiling(failures) >= backoff.delay_min);
        }
    }

    #[test]
    fn a_wait_lies_between_the_least_and_the_ceiling_of_its_turn(randoms in prop::collection::vec(any::<u64>(), 1..20)) {
        let (backoff, now) = (Backoff::default(), Instant::now());
        let mut schedule = Schedule::new(backoff.clone());
        for (failures, random) in (1..).zip(randoms) {
            schedule.attempt(now);
            let delay = wait(schedule.failed(Verdict::Retry, random, now));
            prop_assert!((backoff.delay_min..=backoff.ceiling(failures)).contains(&delay));
        }
    }

    #[test]
    fn a_server_is_not_visited_before_it_asks_us_to_nor_kept_waiting_for_beyond_the_bound(
        asked in any_duration(), random in any::<u64>(),
    ) {
        let (backoff, now) = (Backoff::default(), Instant::now());
        let mut schedule = Schedule::new(backoff.clone());
        schedule.attempt(now);
        let delay = wait(schedule.failed(Verdict::RetryAfter(asked), random, now));
        let honoured = asked.min(backoff.max_retry_after);
        prop_assert!(delay >= honoured + backoff.delay_min);
        prop_assert!(delay <= honoured + backoff.ceiling(1));
    }

    #[test]
    fn no_dice_make_ten_attempts_in_three_seconds_of_a_server_that_closes_at_once(
        randoms in prop::collection::vec(prop_oneof![any::<u64>(), Just(0)], 9),
        lived in 0u64..300,
        verdict in any_verdict(),
    ) {
        let begun = Instant::now();
        let (mut schedule, mut now) = (Schedule::new(Backoff::default()), begun);
        for random in randoms {
            schedule.attempt(now);
            let lived = Duration::from_millis(lived);
            now += lived;
            now += wait(schedule.ended(lived, verdict, random, now));
        }
        // Now the tenth would begin.
        prop_assert!(now - begun > Duration::from_secs(3));
    }
}

#[test]
fn jitter_is_spread_evenly_over_the_whole_range() {
    let (backoff, now) = (Backoff::default(), Instant::now());
    let mut schedule = Schedule::new(backoff.clone());
    for _ in 0..10 {
        schedule.failed(Verdict::Retry, 0, now);
    }
    let (from, width) = (backoff.delay_min, backoff.delay_max - backoff.delay_min);
    let mut buckets = [0; 16];
    for step in 0..1024u64 {
        let delay = wait(schedule.clone().failed(Verdict::Retry, step << 54, now));
        let place = (delay - from).as_nanos() * 16 / width.as_nanos();
        buckets[place as usize] += 1;
    }
    assert_eq!(buckets, [64; 16]);
    let last = wait(schedule.failed(Verdict::Retry, u64::MAX, now));
    assert!(backoff.delay_max - last <= Duration::from_nanos(1));
}

#[test]
fn waits_grow_until_a_connection_was_healthy_and_not_before() {
    let (backoff, now) = (Backoff::default(), Instant::now());
    let longest = |schedule: &mut Schedule, lived| {
        schedule.attempt(now);
        wait(schedule.ended(Duration::from_millis(lived), Verdict::Retry, u64::MAX, now))
            .as_secs_f64()
            .round()
    };
    let mut schedule = Schedule::new(backoff);
    // Milliseconds that each connection lived, and the seconds that we wait at most.
    let past = [
        (0, 1.0),
        (0, 2.0),
        (9_999, 4.0),
        (0, 8.0),
        (0, 16.0),
        (0, 30.0),
        (0, 30.0),
        (10_000, 1.0),
        (0, 2.0),
        (60_000, 1.0),
        (60_000, 1.0),
    ];
    for (lived, expected) in past {
        assert_eq!(longest(&mut schedule, lived), expected, "after {lived} ms");
    }
}

#[test]
fn a_service_that_restarts_is_given_time() {
    let now = Instant::now();
    for (random, seconds) in [(0, 5), (1 << 63, 17), (u64::MAX, 29)] {
        let mut schedule = Schedule::new(Backoff::default());
        schedule.attempt(now);
        assert_eq!(wait(schedule.failed(Verdict::RetrySlowly, random, now)).as_secs(), seconds);
    }
}

#[test]
fn attempts_are_limited_in_a_row_not_in_total() {
    let now = Instant::now();
    let mut backoff = Backoff::default();
    backoff.max_attempts = Some(3);
    let mut schedule = Schedule::new(backoff);
    for _ in 0..5 {
        for number in 1..=2 {
            assert_eq!(schedule.attempt(now), number);
            wait(schedule.failed(Verdict::Retry, 0, now));
        }
        assert_eq!(schedule.attempt(now), 3);
        wait(schedule.ended(Duration::from_secs(60), Verdict::Retry, 0, now));
    }
    for _ in 1..=2 {
        schedule.attempt(now);
        wait(schedule.failed(Verdict::Retry, 0, now));
    }
    schedule.attempt(now);
    let next = schedule.ended(Duration::from_secs(1), Verdict::Retry, 0, now);
    assert_eq!(next, Next::GiveUp(Limit::Attempts(3)));
}

#[test]
fn no_wait_begins_that_would_end_beyond_the_limit() {
    let begun = Instant::now();
    let mut backoff = Backoff::default();
    backoff.max_elapsed = Some(Duration::from_secs(60));
    let mut schedule = Schedule::new(backoff);
    schedule.attempt(begun);
    let now = begun + Duration::from_secs(58);
    assert_eq!(wait(schedule.failed(Verdict::Retry, u64::MAX, now)).as_millis(), 999);
    let limit = Next::GiveUp(Limit::Elapsed(Duration::from_secs(60)));
    assert_eq!(
        schedule.clone().failed(Verdict::Retry, u64::MAX, now + Duration::from_secs(1)),
        limit
    );
    assert_eq!(schedule.clone().failed(Verdict::RetryAfter(Duration::from_secs(9)), 0, now), limit);
    // The time of a healthy connection does not count.
    let later = begun + Duration::from_hours(1);
    wait(schedule.ended(Duration::from_secs(10), Verdict::Retry, 0, later));
    wait(schedule.failed(Verdict::Retry, 0, later + Duration::from_secs(50)));
    assert_eq!(schedule.failed(Verdict::Retry, 0, later + Duration::from_secs(60)), limit);
}

#[test]
fn what_is_fatal_ends_it_at_once() {
    let now = Instant::now();
    let mut schedule = Schedule::new(Backoff::default());
    schedule.attempt(now);
    assert_eq!(schedule.failed(Verdict::Fatal, 0, now), Next::GiveUp(Limit::Fatal));
}
