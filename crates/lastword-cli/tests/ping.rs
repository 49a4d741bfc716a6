//! `ping` as a person or a script would use it.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::answer_opening;

fn ping(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastword"));
    command.args(["ping", url]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(url: &str, args: &[&str]) -> Output {
    ping(url, args).output().unwrap()
}

/// Answers an opening, and leaves the rest to `then`.
fn serve(then: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        answer_opening(&mut stream);
        then(stream);
    });
    url
}

/// A frame of a client: its first byte, and its payload. `None` at the end of the stream.
fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).ok()?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= head[2 + at % 4];
    }
    Some((head[0], payload))
}

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

fn answer(stream: &mut TcpStream, first: u8, payload: &[u8]) {
    let mut frame = vec![first, u8::try_from(payload.len()).unwrap()];
    frame.extend(payload);
    stream.write_all(&frame).unwrap();
}

/// Answers pings as `answers` says of their data, and a close.
fn answer_all(mut stream: TcpStream, mut answers: impl FnMut(&[u8]) -> bool) {
    while let Some((first, payload)) = frame(&mut stream) {
        match first {
            PING if answers(&payload) => answer(&mut stream, PONG, &payload),
            CLOSE => return answer(&mut stream, CLOSE, &payload),
            _ => {}
        }
    }
}

#[test]
fn each_answer_is_a_line_and_all_together_are_a_summary() {
    let url = serve(|stream| answer_all(stream, |_| true));
    let output = run(&url, &["-n", "3", "-i", "20ms"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with(&format!("Ping {url} (127.0.0.1:")), "{said}");
    for (number, line) in (1..=3).zip(&lines[1..4]) {
        assert!(line.starts_with(&format!("seq={number} time=")), "{said}");
        assert!(line.ends_with(" ms"), "{said}");
    }
    assert_eq!(lines[5], "3 pings sent, 3 answered, 0 % lost");
    assert!(lines[6].starts_with("min ") && lines[6].contains(", p99 "), "{said}");
    assert_eq!(lines.len(), 7);
}

#[test]
fn a_ping_without_an_answer_is_lost_and_the_exit_code_says_so() {
    let mut seen = 0;
    let url = serve(move |stream| {
        answer_all(stream, move |_| {
            seen += 1;
            seen == 1
        });
    });
    let output = run(&url, &["-n", "2", "-i", "20ms", "-t", "100ms"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("seq=2 no answer within 100ms"), "{said}");
    assert!(said.contains("2 pings sent, 1 answered, 50.0 % lost"), "{said}");
}

/// RFC 6455 section 5.5.3: a peer may answer only the newest ping.
#[test]
fn an_answer_to_a_later_ping_answers_those_before() {
    let mut seen = 0;
    let url = serve(move |stream| {
        answer_all(stream, move |_| {
            seen += 1;
            seen % 3 == 0
        });
    });
    let output = run(&url, &["-n", "3", "-i", "50ms", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let times: Vec<f64> = events(&output)
        .iter()
        .filter(|event| event["ev"] == "pong")
        .map(|event| (event["seq"].as_u64().unwrap(), event["seconds"].as_f64().unwrap()))
        .fold(vec![0.0; 3], |mut times, (number, time)| {
            times[usize::try_from(number).unwrap() - 1] = time;
            times
        });
    // Each waited since it was sent.
    assert!(times[0] > times[1] && times[1] > times[2], "{times:?}");
    assert!(times[0] > 0.09, "{times:?}");
}

fn events(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
fn as_json_each_event_is_an_object() {
    let url = serve(|stream| answer_all(stream, |_| true));
    let output = run(&url, &["-n", "2", "-i", "10ms", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let events = events(&output);
    let kinds: Vec<&str> = events.iter().map(|event| event["ev"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "pong", "pong", "summary", "end"]);
    let summary = &events[3];
    assert_eq!(
        (&summary["sent"], &summary["answered"], &summary["lost"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert!(summary["seconds"]["median"].as_f64() > Some(0.0));
    assert_eq!((&events[4]["code"], &events[4]["clean"]), (&1000.into(), &true.into()));
}

#[test]
fn pings_carry_the_data_that_was_asked_for() {
    let check = |args: &[&str], expected: &'static [&'static str]| {
        let (sender, seen) = std::sync::mpsc::channel();
        let url = serve(move |stream| {
            answer_all(stream, move |data| {
                sender.send(String::from_utf8(data.to_vec()).unwrap()).unwrap();
                true
            });
        });
        let output = run(&url, &[args, &["-n", "2", "-i", "10ms"]].concat());
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
    };
    check(&[], &["00000001", "00000002"]);
    check(&["--size", "0"], &["", ""]);
    check(&["--size", "3"], &["001", "002"]);
    check(&["--data", "are you there?"], &["are you there? 1", "are you there? 2"]);
}

#[test]
fn how_the_connection_ended_is_told_if_it_was_not_us() {
    let url = serve(|mut stream| {
        frame(&mut stream);
        answer(&mut stream, CLOSE, b"\x0f\xa0so long");
        let _ = frame(&mut stream);
    });
    let output = run(&url, &["-i", "10ms"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("closed by the peer: 4000") && said.contains("so long"), "{said}");
    assert!(said.contains("without an answer at the end"), "{said}");
    // Cut off in the middle of a header.
    let url = serve(|mut stream| {
        frame(&mut stream);
        stream.write_all(&[PONG]).unwrap();
    });
    let output = run(&url, &["-i", "10s"]);
    assert_eq!(output.status.code(), Some(4));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_summary() {
    let url = serve(|stream| answer_all(stream, |_| true));
    let mut child = ping(&url, &["-i", "10ms"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().starts_with("seq=2 ") {}
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("pings sent, ")), "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
}

#[test]
fn quiet_is_the_summary_alone_and_a_closed_pipe_is_success() {
    let url = serve(|stream| answer_all(stream, |_| true));
    let output = run(&url, &["-n", "2", "-i", "10ms", "-q"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.lines().count(), 2, "{said}");
    let url = serve(|stream| answer_all(stream, |_| true));
    let mut child = ping(&url, &["-i", "10ms"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_asked_is_wrong_usage() {
    for (args, needle) in [
        (&["-i", "1ms"][..], "at least 10ms"),
        (&["--size", "126"], "126 is not in 0..=125"),
        (&["--data", &"x".repeat(105)], "105 bytes, where a ping has room for 104"),
        (&["-i", "10ms", "-t", "1h"], "--timeout is at most 2s"),
        (&["-n", "0"], "invalid value '0'"),
    ] {
        let output = run("ws://127.0.0.1:1", args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(needle), "{needle:?} in {said}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    assert_eq!(run(&url, &[]).status.code(), Some(1));
}
