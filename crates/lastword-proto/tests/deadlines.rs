//! Every wait has a deadline, and only the right things move it.

mod support;

use std::time::Duration;

use lastword_proto::{Cause, Config, Leave, OurSide, Role, TimeOut, Transmit};
use support::{Driven, close_frame, frame};

const SECOND: Duration = Duration::from_secs(1);

/// Lets `seconds` pass, with all deadlines in between kept.
fn pass(driven: &mut Driven, seconds: u64) {
    let end = driven.now + SECOND * seconds as u32;
    while let Some(due) = driven.connection.poll_timeout().filter(|&due| due <= end) {
        driven.now = driven.now.max(due);
        driven.settle();
    }
    driven.now = end;
}

#[test]
fn whoever_asks_all_the_time_has_time_for_other_things() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::ZERO);
    let mut driven = Driven::with(Role::Server, config);
    for at_run_time in [false, true] {
        if at_run_time {
            driven.connection.set_keepalive(Some(Duration::ZERO), None, driven.now);
        }
        for _ in 0..10 {
            let due = driven.connection.poll_timeout().unwrap();
            assert!(due > driven.now, "{due:?}");
            driven.now = due;
            driven.settle();
        }
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut driven = Driven::new(Role::Server);
    // A message that comes a byte every ten seconds, and no pong ever.
    for byte in frame(Role::Client, 0x81, b"slow but alive") {
        pass(&mut driven, 10);
        driven.receive(&[byte]);
    }
    assert!(driven.endings.is_empty());
    assert_eq!(driven.messages, ["slow but alive".into()]);
}

#[test]
fn a_silent_peer_dies_within_interval_and_timeout_and_is_told_so() {
    for role in [Role::Server, Role::Client] {
        let mut driven = Driven::new(role);
        driven.receive(&frame(role.peer(), 0x82, b"x"));
        pass(&mut driven, 40);
        let ending = driven.ending();
        let Cause::TimedOut(TimeOut::Pong { limit, silent, late }) = ending.cause else {
            panic!("{ending}")
        };
        assert_eq!(limit, SECOND * 20);
        assert!(silent >= SECOND * 30 && silent <= SECOND * 40, "{silent:?}");
        assert_eq!(late, Duration::ZERO);
        assert_eq!(ending.sent.code(), 1011);
        assert_eq!(ending.transport.ours, OurSide::Aborted);
    }
}

#[test]
fn a_late_task_says_that_it_was_late() {
    let mut driven = Driven::new(Role::Server);
    pass(&mut driven, 21);
    driven.now += SECOND * 60;
    driven.settle();
    let Cause::TimedOut(TimeOut::Pong { late, .. }) = driven.ending().cause else { panic!() };
    assert!(late >= SECOND * 40, "{late:?}");
    assert!(driven.ending().to_string().contains("our own task was"));
}

#[test]
fn a_peer_whose_messages_we_do_not_fetch_is_not_declared_dead() {
    let mut config = Config::default();
    config.receive_buffer = 1;
    let mut driven = Driven::with(Role::Server, config);
    driven.connection.receive(&mut frame(Role::Client, 0x82, b"unfetched"), driven.now);
    assert!(!driven.connection.wants_read());
    for _ in 0..300 {
        driven.now += SECOND;
        driven.connection.handle_timeout(driven.now);
        driven.write();
    }
    assert!(driven.connection.ending().is_none());
    driven.fetch();
    assert!(driven.connection.wants_read());
}

#[test]
fn each_part_of_the_keepalive_can_be_off() {
    let mut config = Config::default();
    config.ping_timeout = None;
    let mut driven = Driven::with(Role::Server, config.clone());
    pass(&mut driven, 1000);
    assert!(driven.endings.is_empty());
    let pings = driven.written().len();
    assert!((49..=51).contains(&pings), "{pings}");

    config.ping_interval = None;
    let driven = Driven::with(Role::Server, config);
    assert_eq!(driven.connection.poll_timeout(), None);
}

#[test]
fn a_peer_that_takes_no_byte_is_given_up_though_it_talks() {
    let mut driven = Driven::new(Role::Server);
    driven.send("stuck");
    let mut ends = 0;
    for second in 0..60 {
        driven.now += SECOND;
        driven.connection.receive(&mut frame(Role::Client, 0x8a, b"talk"), driven.now);
        if let Transmit::Bytes(_) = driven.connection.poll_transmit() {
            driven.connection.wrote(0, driven.now);
        }
        driven.connection.handle_timeout(driven.now);
        if driven.connection.ending().is_some() {
            ends = second;
            break;
        }
    }
    assert!((29..=32).contains(&ends), "{ends}");
    driven.fetch();
    let cause = Cause::TimedOut(TimeOut::Write { limit: SECOND * 30 });
    assert_eq!(driven.ending().cause, cause);
    assert_eq!(driven.ending().ledger.unsent.messages, 1);
    assert_eq!(driven.connection.take_unsent(), ["stuck".into()]);
}

#[test]
fn progress_of_a_byte_renews_the_write_deadline() {
    let mut config = Config::default();
    (config.ping_interval, config.fragment_size) = (None, 10);
    let mut driven = Driven::with(Role::Server, config);
    driven.send("x".repeat(100));
    for _ in 0..20 {
        driven.now += SECOND * 29;
        driven.connection.handle_timeout(driven.now);
        driven.connection.wrote(1, driven.now);
    }
    assert!(driven.connection.ending().is_none());
}

#[test]
fn an_idle_connection_is_closed_properly_when_asked_for() {
    let mut config = Config::default();
    (config.idle_timeout, config.ping_timeout) = (Some(SECOND * 60), None);
    let mut driven = Driven::with(Role::Server, config);
    pass(&mut driven, 50);
    driven.receive(&frame(Role::Client, 0x82, b"x"));
    for _ in 0..50 {
        // Pongs keep it alive; they are no messages.
        pass(&mut driven, 1);
        driven.receive(&frame(Role::Client, 0x8a, b""));
    }
    assert!(driven.written().iter().all(|(first, _)| *first != 0x88));
    pass(&mut driven, 11);
    assert_eq!(driven.written().last().unwrap().0, 0x88);
    driven.receive(&frame(Role::Client, 0x88, &support::goodbye(1001, "")));
    driven.eof();
    let cause = Cause::TimedOut(TimeOut::Idle { limit: SECOND * 60 });
    assert_eq!(driven.ending().cause, cause);
    assert!(driven.ending().is_clean());
}

#[test]
fn the_deadline_of_a_close_is_armed_once_whatever_the_peer_sends() {
    let mut driven = Driven::new(Role::Client);
    driven.close(1000, "");
    for _ in 0..9 {
        pass(&mut driven, 1);
        driven.receive(&frame(Role::Server, 0x81, b"chatter"));
        driven.receive(&frame(Role::Server, 0x89, b"chatter"));
    }
    assert!(driven.endings.is_empty());
    pass(&mut driven, 1);
    let cause = Cause::TimedOut(TimeOut::Closing { limit: SECOND * 10 });
    assert_eq!(driven.ending().cause, cause);
    assert_eq!(driven.ending().ledger.delivered.messages, 9);
}

#[test]
fn unread_messages_never_make_a_close_wait() {
    let mut config = Config::default();
    config.receive_buffer = 100;
    let mut driven = Driven::with(Role::Server, config);
    let message = frame(Role::Client, 0x82, &[0; 80]);
    for _ in 0..3 {
        driven.connection.receive(&mut message.clone(), driven.now);
    }
    assert!(!driven.connection.wants_read());
    driven.connection.close(Some(close_frame(1000, "")), driven.now);
    assert!(driven.connection.wants_read());
    driven.connection.receive(&mut message.clone(), driven.now);
    driven.write();
    driven.receive(&frame(Role::Client, 0x88, &support::goodbye(1000, "")));
    driven.eof();
    let ending = driven.ending();
    assert!(ending.is_clean());
    assert_eq!((ending.ledger.delivered.messages, ending.ledger.discarded.messages), (3, 1));
}

#[test]
fn the_last_handle_leaves_with_1001_and_is_not_waited_for_longer_than_it_may_linger() {
    let mut driven = Driven::new(Role::Server);
    driven.send("last words");
    driven.connection.leave(Leave::Dropped, driven.now);
    driven.settle();
    let firsts: Vec<u8> = driven.written().into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0x81, 0x88]);
    assert_eq!(driven.wait_for_the_end(), SECOND);
    assert_eq!(driven.ending().cause, Cause::Dropped);
    assert_eq!(driven.ending().sent.code(), 1001);
}

#[test]
fn a_shutdown_says_so_and_is_clean_when_answered() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.leave(Leave::Shutdown(close_frame(1001, "restart")), driven.now);
    driven.settle();
    driven.receive(&frame(Role::Client, 0x88, &support::goodbye(1001, "restart")));
    driven.eof();
    assert_eq!(driven.ending().cause, Cause::Shutdown);
    assert!(driven.ending().is_clean());
}

#[test]
fn a_peer_that_keeps_its_half_open_is_left_after_the_close_timeout_and_it_was_clean() {
    let mut driven = Driven::new(Role::Server);
    driven.receive(&frame(Role::Client, 0x88, &support::goodbye(1000, "")));
    assert!(driven.finished);
    assert_eq!(driven.wait_for_the_end(), SECOND * 10);
    assert!(driven.ending().is_clean());
    assert_eq!(driven.ending().transport.ours, OurSide::Aborted);
}

/// What is written within so many seconds, as the seconds in which pings were.
fn pings_within(driven: &mut Driven, seconds: u64) -> Vec<u64> {
    let begun = driven.written().len();
    let mut when = Vec::new();
    for second in 1..=seconds {
        let before = driven.wire.len();
        pass(driven, 1);
        if driven.wire.len() > before {
            when.push(second);
            // Whoever is there answers.
            let (_, asked) = driven.written().pop().expect("something was written");
            driven.receive(&frame(driven.role.peer(), 0x8a, &asked));
        }
    }
    assert!(driven.written()[begun..].iter().all(|(first, _)| *first == 0x89), "pings alone");
    when
}

#[test]
fn keepalive_is_changed_at_any_time_and_counts_from_then_on() {
    for role in [Role::Server, Role::Client] {
        let mut driven = Driven::new(role);
        driven.connection.set_keepalive(Some(SECOND * 4), Some(SECOND), driven.now);
        assert_eq!(pings_within(&mut driven, 12), [4, 8, 12]);
        driven.connection.set_keepalive(None, None, driven.now);
        assert_eq!(pings_within(&mut driven, 1000), [0; 0]);
        driven.connection.set_keepalive(Some(SECOND * 300), None, driven.now);
        assert_eq!(pings_within(&mut driven, 900), [300, 600, 900]);
        assert!(driven.endings.is_empty());
    }
}

#[test]
fn keepalive_that_was_off_can_be_had_later() {
    let mut config = Config::default();
    config.ping_interval = None;
    let mut driven = Driven::with(Role::Server, config);
    assert_eq!(pings_within(&mut driven, 100), [0; 0]);
    driven.connection.set_keepalive(Some(SECOND * 10), Some(SECOND * 5), driven.now);
    pass(&mut driven, 14);
    assert!(driven.endings.is_empty());
    pass(&mut driven, 1);
    let Cause::TimedOut(TimeOut::Pong { limit, .. }) = driven.ending().cause else { panic!() };
    assert_eq!(limit, SECOND * 5);
}

#[test]
fn the_time_for_an_answer_that_is_missing_begins_anew() {
    let lived = |timeout: Option<Duration>| {
        let mut driven = Driven::new(Role::Server);
        driven.connection.set_keepalive(Some(SECOND), Some(SECOND * 10), driven.now);
        // A ping left a second after that, and the peer is silent.
        pass(&mut driven, 6);
        driven.connection.set_keepalive(Some(SECOND), timeout, driven.now);
        (1..=100).find(|_| {
            pass(&mut driven, 1);
            !driven.endings.is_empty()
        })
    };
    assert_eq!(lived(Some(SECOND * 30)), Some(30));
    assert_eq!(lived(Some(SECOND * 2)), Some(2));
    assert_eq!(lived(None), None);
}

#[test]
fn keepalive_is_no_matter_of_a_connection_that_closes() {
    let mut driven = Driven::new(Role::Client);
    driven.close(1000, "");
    let due = driven.connection.poll_timeout();
    driven.connection.set_keepalive(Some(SECOND), Some(SECOND), driven.now);
    assert_eq!(driven.connection.poll_timeout(), due);
    assert_eq!(driven.wait_for_the_end(), SECOND * 10);
    assert_eq!(driven.written().len(), 1);
}
