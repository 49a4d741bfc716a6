//! `lastword explain`, and that the guide says what the code prints.

use std::io;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword::proto::{
    Agreement, Config, Connection, ExtensionFailed, HeaderError, Opcode, Operation, TransportError,
    Undecoded,
};
use lastword::{Cause, CloseCode, Loss, Phase, Role, TimeOut, Violation};

fn explain(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lastword")).arg("explain").args(words).output().unwrap()
}

/// The name of the topic that is shown.
#[track_caller]
fn topic(asked: &str) -> String {
    let output = explain(&[asked]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{asked:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("\n\nUsually: ") && text.contains("\n\nDo: "), "{text}");
    text.lines().next().unwrap().to_owned()
}

#[test]
fn every_topic_explains_itself_and_is_set_in_lines() {
    let list = explain(&[]);
    assert!(list.status.success());
    let list = String::from_utf8(list.stdout).unwrap().replace('\n', " ");
    let names: Vec<_> = list.trim().split(", ").collect();
    assert!(names.len() > 45, "{names:?}");
    for name in names {
        assert_eq!(topic(name), name);
        let text = String::from_utf8(explain(&[name]).stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(!text.contains("**") && !text.contains("# "), "{text}");
    }
}

#[test]
fn numbers_are_found_whatever_they_are_called() {
    for (asked, expected) in [
        ("1006", "1006"),
        ("WinError 10054", "reset"),
        ("os error 104", "reset"),
        ("10053", "reset"),
        ("ECONNRESET", "reset"),
        ("errno 32", "reset"),
        ("110", "io"),
        ("403", "http-refusal"),
        ("0", "0-999"),
        ("999", "0-999"),
        ("1004", "1004"),
        ("1016", "1016-2999"),
        ("2999", "1016-2999"),
        ("3000", "3000-3999"),
        ("4999", "4000-4999"),
        ("5000", "5000"),
        ("65535", "5000"),
        ("11001", "dns"),
        ("407", "proxy"),
    ] {
        assert_eq!(topic(asked), expected, "{asked}");
    }
    // Several words need no quotes.
    assert!(explain(&["WinError", "10054"]).status.success());
}

#[test]
fn every_code_that_no_frame_may_carry_is_said_to_be_none() {
    for number in [0, 600, 1004, 1005, 1006, 1015, 1016, 2500, 5000, 60_000] {
        assert!(CloseCode::try_from(number).is_err());
        let text = String::from_utf8(explain(&[&number.to_string()]).stdout).unwrap();
        let text = text.replace('\n', " ");
        let says = ["never goes over the wire", "must not"].iter().any(|says| text.contains(says));
        assert!(says, "{text}");
    }
    for number in (1000..=1014).filter_map(|number| CloseCode::try_from(number).ok()) {
        let number = u16::from(number).to_string();
        assert_eq!(topic(&number), number);
    }
}

#[test]
fn what_is_not_known_is_refused_with_what_is() {
    let output = explain(&["the", "weather\u{1b}[31m"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("weather\\u{1b}") && text.contains("reset"), "{text}");
    // What is no close code, and no error that is known, is not taken for one.
    for number in ["70000", "11002", "-1"] {
        assert_eq!(explain(&[number]).status.code(), Some(2), "{number}");
    }
    let output = explain(&["timeout"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Perhaps one of these:") && text.contains("open-timeout"), "{text}");
}

fn extension(why: Undecoded) -> Violation {
    Violation::Extension(Box::new(ExtensionFailed { extension: "x".into(), why }))
}

#[test]
fn the_sentence_of_every_cause_leads_to_its_topic() {
    let limit = Duration::from_secs(20);
    let os = |kind: io::ErrorKind| TransportError::new(Operation::Read, &kind.into());
    // Endings as they are printed, made by real connections.
    let ended = |end: &dyn Fn(&mut Connection, Instant)| {
        let now = Instant::now();
        let config = Arc::new(Config::default());
        let agreement = Agreement::plain(Role::Server);
        let mut connection = Connection::new(&agreement, config, [0; 32], now);
        end(&mut connection, now);
        connection.ending().expect("it ended").to_string()
    };
    let mut cases = vec![
        (ended(&|c, now| c.receive_eof(now)), "eof"),
        (ended(&|c, now| c.transport_error(os(io::ErrorKind::UnexpectedEof), now)), "truncated"),
        (ended(&|c, now| c.transport_error(os(io::ErrorKind::ConnectionReset), now)), "reset"),
        (ended(&|c, now| c.transport_error(os(io::ErrorKind::TimedOut), now)), "io"),
        (
            ended(&|c, now| {
                c.abort(now);
            }),
            "aborted",
        ),
    ];
    let silent = Duration::from_secs(41);
    let late = Duration::ZERO;
    for (time_out, name) in [
        (TimeOut::Pong { limit, silent, late }, "pong"),
        (TimeOut::Idle { limit }, "idle"),
        (TimeOut::Write { limit }, "write"),
        (TimeOut::Closing { limit }, "closing"),
    ] {
        cases.push((Cause::TimedOut(time_out).to_string(), name));
    }
    cases.push((Cause::Lost(Loss::Eof).to_string(), "eof"));
    for (violation, name) in [
        (Violation::Header(HeaderError::ReservedOpcode(0xb)), "framing"),
        (Violation::Header(HeaderError::ReservedBit1(Opcode::Ping)), "framing"),
        (Violation::Header(HeaderError::ReservedBits(0xb1)), "framing"),
        (Violation::Header(HeaderError::FragmentedControl(Opcode::Ping)), "framing"),
        (Violation::Header(HeaderError::ControlTooLong(Opcode::Ping)), "framing"),
        (Violation::Header(HeaderError::Unmasked), "framing"),
        (Violation::Header(HeaderError::Masked), "framing"),
        (Violation::Header(HeaderError::LengthNotMinimal(3)), "framing"),
        (Violation::Header(HeaderError::LengthTopBit), "framing"),
        (Violation::LoneContinuation, "framing"),
        (Violation::InterruptedMessage(Opcode::Text), "framing"),
        (Violation::NotUtf8 { at: 3 }, "utf-8"),
        (Violation::FrameTooBig { size: 9, limit: 1 }, "too-big"),
        (Violation::MessageTooBig { size: 9, limit: 1 }, "too-big"),
        (Violation::InflatedTooBig { limit: 1 }, "too-big"),
        (Violation::TooManyFragments { limit: 1 }, "fragments"),
        (Violation::BrokenDeflate, "deflate"),
        (extension(Undecoded::TooBig { limit: 1 }), "extension"),
        (
            extension(Undecoded::Broken { code: CloseCode::INVALID_DATA, reason: "why".into() }),
            "extension",
        ),
        (extension(Undecoded::Panicked), "extension"),
        (Violation::CloseTooShort, "bad-close"),
        (Violation::CloseCode(1005), "bad-close"),
        (Violation::CloseReasonNotUtf8 { code: 1000 }, "bad-close"),
    ] {
        // As an ending prints it, the violation is the more exact topic.
        let what = match violation.close_code() {
            CloseCode::MESSAGE_TOO_BIG => "sent too much",
            _ => "broke the protocol",
        };
        cases.push((format!("peer {what}: {violation}"), name));
    }
    cases.push((Violation::OutOfMemory { limit: 1 }.to_string(), "out-of-memory"));
    let limit_of_rate = lastword::Rate::per_second(1);
    for violation in [
        Violation::TooManyMessages { limit: limit_of_rate },
        Violation::TooManyBytes { limit: limit_of_rate },
    ] {
        cases.push((format!("peer sent {violation}"), "too-fast"));
    }
    let late = lastword::ConnectError::TimedOut { limit, phase: Phase::Tls };
    cases.push((late.to_string(), "open-timeout"));
    let io_error = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let (address, host) = ("a:1".to_owned(), "a".to_owned());
    cases.push((
        lastword::ConnectError::Connect { address, source: io_error(), before: Vec::new() }
            .to_string(),
        "refused",
    ));
    let resolve = lastword::ConnectError::Resolve { host: host.clone(), source: io_error() };
    cases.push((resolve.to_string(), "dns"));
    let proxy = lastword::Proxy::parse("http://a:1").unwrap();
    cases.push((resolve.on_the_way_to(&proxy).to_string(), "proxy"));
    let began = (*b"\x15\x03\x01").to_vec().into();
    let not_http = lastword::proto::handshake::client::Error::NotHttp { began };
    cases.push((not_http.to_string(), "not-http"));
    cases.push((lastword::ConnectError::Tls { host, source: io_error() }.to_string(), "tls"));
    cases.push((lastword::ConnectError::Lost(io_error()).to_string(), "opening-lost"));
    cases.push((lastword::AcceptError::Eof { bytes: 7 }.to_string(), "opening-lost"));
    for (sentence, name) in cases {
        assert_eq!(topic(&sentence), name, "{sentence:?}");
        // A line of a log holds more than the sentence.
        assert_eq!(topic(&format!("INFO 127.0.0.1:5000: {sentence}")), name, "{sentence:?}");
    }
}
