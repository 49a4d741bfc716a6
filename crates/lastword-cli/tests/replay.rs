//! `lastword record` and `lastword replay`: what is kept, and what is said once more.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::running::{Folder, Running, run};

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What was said in a recording: side, kind and content.
fn said(path: &str) -> Vec<Value> {
    let messages = lines(path).into_iter().filter(|line| line["ev"] == "msg");
    messages.map(|line| json!([line["from"], line["kind"], line["text"], line["binary"]])).collect()
}

/// Writes a recording of this conversation: seconds, side and text.
fn written(path: &str, conversation: &[(f64, &str, &str)], end: Option<Value>) {
    let mut all = vec![
        json!({ "ev": "recording", "version": 1 }),
        json!({ "ev": "open", "connection": 1, "seconds": 0 }),
    ];
    all.extend(conversation.iter().map(|(seconds, from, text)| {
        json!({ "ev": "msg", "connection": 1, "seconds": seconds, "from": from, "kind": "text", "text": text })
    }));
    all.extend(end);
    let text: String = all.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

fn closed(by: &str, code: u16, reason: &str) -> Option<Value> {
    Some(
        json!({ "ev": "close", "connection": 1, "seconds": 0, "from": by, "code": code, "reason": reason }),
    )
}

const INPUT: &str = "{\"text\":\"gr\u{fc}ezi\"}\n{\"binary\":\"AP8=\"}\n{\"text\":\"\"}\n";

#[test]
fn what_is_recorded_replayed_as_the_server_and_recorded_again_is_the_same() {
    let folder = Folder::new("round-trip");
    let (first, second) = (folder.path("first.jsonl"), folder.path("second.jsonl"));
    let record = |url: &str, file: &str| {
        let ran = run(&["record", url, file, "--json", "--wait", "0.2"], INPUT);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    };
    let echo = Running::echo();
    let came = record(&echo.url(), &first);
    drop(echo);
    // What connect would have shown is shown.
    assert_eq!(came.lines().count(), 3);
    let mut server = Running::start(&["replay", &first, "--serve", "0", "--fast"]);
    assert_eq!(record(&server.url(), &second), came);
    server
        .line_with("sent 3 of 3 messages, 3 came of 3: closed by the peer: 1000 (normal closure)");
    let sort = |mut said: Vec<Value>| {
        said.sort_by_key(Value::to_string);
        said
    };
    // The sides are not in step: each keeps its own order.
    let sides = |path: &str| {
        ["client", "server"]
            .map(|side| said(path).into_iter().filter(|m| m[0] == side).collect::<Vec<_>>())
    };
    assert_eq!(sides(&first), sides(&second));
    assert_eq!(sort(said(&first)), sort(said(&second)));
    assert_eq!(said(&first).len(), 6);
}

#[test]
fn a_recording_ends_with_the_whole_ending_and_keeps_no_secrets() {
    let folder = Folder::new("record-secrets");
    let (file, token) = (folder.path("a.jsonl"), folder.path("token"));
    std::fs::write(&token, "hush-hush\n").unwrap();
    let echo = Running::echo();
    let url = format!("{}/?token=hush-hush&room=1", echo.url());
    let options = ["--bearer-file", &token, "--cookie", "a=hush-hush", "-m", "hi", "-n", "1"];
    let ran = run(&[&["record", &url, &file][..], &options].concat(), "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hi\n"), "{}", ran.err);
    let all = lines(&file);
    let kinds: Vec<&str> = all.iter().map(|line| line["ev"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["recording", "open", "msg", "msg", "close", "close", "end"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("hush-hush"));
    assert_eq!(all[0]["target"], format!("{}/?token=(not shown)&room=1", echo.url()));
    assert_eq!(all[1]["response"]["start"], "HTTP/1.1 101 Switching Protocols");
    assert_eq!((&all[4]["from"], &all[5]["from"]), (&"client".into(), &"server".into()));
    let end = &all.last().unwrap()["ending"];
    assert_eq!(
        (&end["clean"], &end["code"], &end["cause"]["kind"]),
        (&true.into(), &1000.into(), &"closed".into())
    );
}

#[test]
fn without_a_file_the_recording_is_all_of_the_output() {
    let echo = Running::echo();
    let ran = run(&["record", &echo.url(), "-m", "hi", "-n", "1"], "");
    for line in ran.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["ev"].is_string(), "{line}");
    }
    assert_eq!(ran.out.lines().count(), 7);
    let ran = run(&["record", &echo.url(), "/nonexistent/x"], "");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("cannot record to /nonexistent/x"), "{}", ran.err);
    let ran = run(&["record", &echo.url(), "--report", "json"], "");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("cannot both be on standard output"), "{}", ran.err);
}

#[test]
fn a_client_replays_what_a_relay_recorded_and_compares() {
    let folder = Folder::new("replay-relay");
    let file = folder.path("tap.jsonl");
    let echo = Running::echo();
    let mut relay = Running::relay(&echo.url(), &["--record", &file]);
    let long = "lorem ".repeat(500);
    run(&["connect", &relay.url(), "-m", "one", "-m", &long, "-n", "2", "--listen"], "");
    relay.line_with("client finished");
    drop(relay);
    let ran = run(&["replay", &file, &echo.url(), "--compare"], "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    assert!(
        ran.err.contains("sent 2 of 2 messages, 2 came of 2: closed by us: 1000"),
        "{}",
        ran.err
    );
    let ran = run(&["replay", &file, &echo.url(), "--fast"], "");
    assert_eq!(ran.out, format!("one\n{long}\n"));
}

#[test]
fn the_first_difference_is_told_and_is_an_exit_code_of_its_own() {
    let folder = Folder::new("replay-compare");
    let file = folder.path("a.jsonl");
    let echo = Running::echo();
    let check = |conversation: &[(f64, &str, &str)], expected: &str| {
        written(&file, conversation, closed("client", 1000, ""));
        let ran = run(&["replay", &file, &echo.url(), "--compare", "--wait", "0.5"], "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(8), expected), "{}", ran.err);
    };
    check(
        &[(0.0, "client", "a price of 10 or so"), (0.0, "server", "a price of 11 or so")],
        "message 1 differs from the recording at byte 12\n  \
         recorded  text \"a price of 11 or so\"\n  came      text \"a price of 10 or so\"\n",
    );
    check(
        &[(0.0, "client", "x"), (0.0, "server", "x"), (0.0, "server", "y")],
        "message 2 did not come\n  recorded  text \"y\"\n",
    );
    check(
        &[(0.0, "client", "x"), (0.0, "client", "y"), (0.0, "server", "x"), (0.0, "client", "z")],
        "message 2 is not in the recording\n  came      text \"y\"\n",
    );
}

#[test]
fn a_server_ends_as_it_did() {
    let folder = Folder::new("replay-ends");
    let file = folder.path("a.jsonl");
    let check = |end: Option<Value>, code, sentence: &str| {
        written(&file, &[(0.0, "server", "hi")], end);
        let server = Running::start(&["replay", &file, "--serve", "0"]);
        let ran = run(&["connect", &server.url(), "--listen", "-v"], "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), "hi\n"), "{}", ran.err);
        assert!(ran.err.contains(sentence), "{sentence:?} in {}", ran.err);
    };
    check(closed("server", 4001, "enough"), 3, "closed by the peer: 4001 \"enough\"");
    let lost =
        json!({ "ev": "stream", "connection": 1, "seconds": 0, "from": "server", "how": "reset" });
    check(Some(lost), 4, "");
    check(None, 0, "closed by the peer: 1000");
}

#[test]
fn a_connection_that_was_lost_is_recorded_as_lost_and_is_lost_again() {
    let folder = Folder::new("replay-lost");
    let file = folder.path("a.jsonl");
    let echo = Running::echo();
    let relay = Running::relay(&echo.url(), &["--fault", "server at text \"two\" reset"]);
    let ran = run(&["record", &relay.url(), &file, "-m", "one", "-m", "two", "--listen"], "");
    assert_eq!(ran.code, Some(4));
    drop(relay);
    assert_eq!(lines(&file).last().unwrap()["ending"]["cause"]["kind"], "lost");
    let server = Running::start(&["replay", &file, "--serve", "0"]);
    let ran = run(&["connect", &server.url(), "-m", "one", "-m", "two", "--listen"], "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(4), "one\n"), "{}", ran.err);
}

#[test]
fn pauses_are_as_recorded_or_shorter_or_none() {
    let folder = Folder::new("replay-pace");
    let file = folder.path("a.jsonl");
    let conversation =
        [(0.0, "client", "a"), (0.0, "server", "a"), (0.6, "client", "b"), (0.6, "server", "b")];
    written(&file, &conversation, closed("client", 1000, ""));
    let echo = Running::echo();
    let time = |options: &[&str]| {
        let began = Instant::now();
        let ran = run(&[&["replay", &file, &echo.url()], options].concat(), "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "a\nb\n"), "{}", ran.err);
        began.elapsed()
    };
    assert!(time(&[]) >= Duration::from_millis(600));
    assert!(time(&["--speed", "2"]) >= Duration::from_millis(300));
    // An hour of silence is not waited for.
    written(
        &file,
        &[
            (0.0, "client", "a"),
            (0.0, "server", "a"),
            (3600.0, "client", "b"),
            (3600.0, "server", "b"),
        ],
        None,
    );
    assert!(time(&["--fast"]) < Duration::from_secs(60));
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_place() {
    let folder = Folder::new("replay-wrong");
    let file = folder.path("a.jsonl");
    let check = |content: &str, args: &[&str], needle: &str| {
        std::fs::write(&file, content).unwrap();
        let ran = run(&[&["replay", &file], args].concat(), "");
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(needle), "{needle:?} in {}", ran.err);
    };
    let there = ["ws://127.0.0.1:1"];
    check("", &there, "the file is empty");
    check("hello\n", &there, "line 1: expected an object of JSON");
    check("{\"ev\":\"recording\",\"version\":9}\n", &there, "has version 9");
    check("{\"ev\":\"recording\",\"version\":1}\n", &there, "no connection that was opened");
    check("", &[], "expected the URL of a server, or --serve LISTEN");
    check("", &["ws://a", "--serve", "0"], "cannot be used with");
    check("", &["ws://a", "--speed", "0"], "expected a number from 0.001 up");
    let ran = run(&["replay", "/nonexistent", "ws://a"], "");
    assert!(ran.err.contains("/nonexistent cannot be read"), "{}", ran.err);
}
