//! What is worth a retry: all close codes, all statuses, the endings of real cores, `Retry-After`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use lastword_proto::handshake::client;
use lastword_proto::{
    Agreement, CloseCode, Config, Connection, Leave, Operation, Role, Transmit, TransportError,
};
use lastword_retry::{Verdict, retry_after};

/// Neighbours with the same verdict, as one range.
fn ranges(verdicts: impl Iterator<Item = (u16, Verdict)>) -> Vec<(u16, u16, Verdict)> {
    let mut ranges: Vec<(u16, u16, Verdict)> = Vec::new();
    for (number, verdict) in verdicts.filter(|(_, verdict)| *verdict != Verdict::Fatal) {
        match ranges.last_mut() {
            Some((_, last, same)) if *same == verdict && *last + 1 == number => *last = number,
            _ => ranges.push((number, number, verdict)),
        }
    }
    ranges
}

#[test]
fn of_all_close_codes_these_are_worth_a_retry() {
    use Verdict::{Retry, RetrySlowly};
    let codes = (0..=u16::MAX).map(|code| (code, Verdict::on_close_code(code)));
    let expected = [
        (1000, 1001, Retry),
        (1005, 1006, Retry),
        (1011, 1011, Retry),
        (1012, 1013, RetrySlowly),
        (1014, 1014, Retry),
        (3008, 3008, Retry),
    ];
    assert_eq!(ranges(codes), expected);
}

#[test]
fn of_all_statuses_these_are_worth_a_retry() {
    let statuses = (100..1000)
        .map(|status| (status, Verdict::on_status(StatusCode::from_u16(status).unwrap())));
    let single = |status| (status, status, Verdict::Retry);
    let expected = [
        single(408),
        single(425),
        single(429),
        single(500),
        (502, 504, Verdict::Retry),
        (520, 524, Verdict::Retry),
    ];
    assert_eq!(ranges(statuses), expected);
}

/// The verdict on how a client's connection ended.
#[track_caller]
fn check(expected: Verdict, end: impl FnOnce(&mut Connection, Instant)) {
    let now = Instant::now();
    let mut connection =
        Connection::new(&Agreement::plain(Role::Client), Arc::new(Config::default()), [0; 32], now);
    end(&mut connection, now);
    // The network takes what there is to send, and then everybody is gone.
    transmit(&mut connection, now);
    connection.receive_eof(now);
    for hours in 1.. {
        if connection.ending().is_some() {
            break;
        }
        connection.handle_timeout(now + Duration::from_hours(hours));
    }
    let ending = connection.ending().unwrap();
    assert_eq!(Verdict::on_ending(ending), expected, "{ending}");
}

/// The network takes all that there is to send.
fn transmit(connection: &mut Connection, now: Instant) {
    while let Transmit::Bytes(lent) = connection.poll_transmit() {
        let count = lent.len();
        connection.wrote(count, now);
    }
}

fn close(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [0x88, 2, high, low]
}

#[test]
fn endings_are_judged_by_the_peers_word_if_there_is_one() {
    use Verdict::{Fatal, Retry, RetrySlowly};
    // Without a word of the peer's.
    check(Retry, |_, _| {});
    check(Retry, |connection, now| {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        connection.transport_error(TransportError::new(Operation::Read, &reset), now);
    });
    check(Retry, |connection, now| connection.handle_timeout(now + Duration::from_hours(1)));
    check(Retry, |connection, now| connection.abort(now));
    check(Retry, |connection, now| connection.leave(Leave::Dropped, now));
    // With one.
    check(Retry, |connection, now| connection.receive(&mut [0x88, 0], now));
    for (code, verdict) in
        [(1000, Retry), (1001, Retry), (1012, RetrySlowly), (1008, Fatal), (4001, Fatal)]
    {
        check(verdict, |connection, now| connection.receive(&mut close(code), now));
    }
    // We began: what the peer answers to that says nothing.
    check(Retry, |connection, now| {
        connection.close(Some(CloseCode::POLICY_VIOLATION.into()), now);
        transmit(connection, now);
        connection.receive(&mut close(1008), now);
    });
    // It broke the protocol, or a limit.
    check(Fatal, |connection, now| connection.receive(&mut [0xff, 0], now));
    check(Fatal, |connection, now| {
        connection.receive(&mut [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0], now)
    });
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn a_server_says_how_long_in_seconds_or_as_a_date() {
    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], expected: Option<u64>) {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let received_at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let said = retry_after(&headers(pairs), received_at);
        assert_eq!(said, expected.map(Duration::from_secs), "{pairs:?}");
    }
    check(&[], None);
    check(&[("retry-after", "0")], Some(0));
    check(&[("retry-after", " 120 ")], Some(120));
    check(&[("retry-after", "99999999999999999999999")], Some(u64::MAX));
    for nothing in ["", "soon", "-1", "1.5", "+3", "Sun, 99 Nov 1994 08:49:37 GMT"] {
        check(&[("retry-after", nothing)], None);
    }
    // The three forms of a date (RFC 9110 section 5.6.7), by our own clock.
    check(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60));
    check(&[("retry-after", "Sunday, 06-Nov-94 08:50:37 GMT")], Some(60));
    check(&[("retry-after", "Sun Nov  6 08:50:37 1994")], Some(60));
    check(&[("retry-after", "Sun, 06 Nov 1994 08:40:00 GMT")], Some(0));
    // By the server's clock, which is a year ahead of ours.
    let date = ("date", "Mon, 06 Nov 1995 08:49:37 GMT");
    check(&[("retry-after", "Mon, 06 Nov 1995 08:49:47 GMT"), date], Some(10));
}

#[test]
fn openings_are_judged_by_their_answer() {
    let refused = |status: u16, pairs: &[(&'static str, &'static str)]| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers(pairs);
        client::Error::Refused(Box::new(response))
    };
    let verdict = |error| Verdict::on_opening(&error, SystemTime::UNIX_EPOCH);
    let after = |seconds| Verdict::RetryAfter(Duration::from_secs(seconds));
    assert_eq!(verdict(refused(503, &[])), Verdict::Retry);
    assert_eq!(verdict(refused(503, &[("retry-after", "7")])), after(7));
    assert_eq!(verdict(refused(429, &[("retry-after", "0")])), after(0));
    assert_eq!(verdict(refused(503, &[("retry-after", "whenever")])), Verdict::Retry);
    // Not before then, but not then either.
    assert_eq!(verdict(refused(404, &[("retry-after", "7")])), Verdict::Fatal);
    assert_eq!(verdict(refused(200, &[])), Verdict::Fatal);
    assert_eq!(verdict(client::Error::Eof { bytes: 3 }), Verdict::Retry);
    assert_eq!(verdict(client::Error::NoUpgrade), Verdict::Fatal);
}

#[test]
fn errors_of_the_system_pass_those_of_arguments_do_not() {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, InvalidData, InvalidInput, Other,
        TimedOut, UnexpectedEof,
    };
    for kind in
        [ConnectionRefused, ConnectionReset, HostUnreachable, TimedOut, UnexpectedEof, Other]
    {
        assert_eq!(Verdict::on_io(&kind.into()), Verdict::Retry, "{kind:?}");
    }
    for kind in [InvalidData, InvalidInput] {
        assert_eq!(Verdict::on_io(&kind.into()), Verdict::Fatal, "{kind:?}");
    }
}
