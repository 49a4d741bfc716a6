//! Every subcommand that goes on for a while ends as well at a signal as by itself, and when nobody reads its
//! output any more: soon, with its goodbyes and its summary, and with an exit code that says so.

#![cfg(unix)]

mod support;

use std::net::TcpListener;

use support::running::{Folder, Running, run};
use support::watched::Watched;
use support::{hangup_is_heard, lastword};

/// A subcommand in the middle of its work, and how it is to end when it is asked to.
struct Case<'a> {
    args: &'a [&'a str],
    /// When it is in the middle of it.
    busy: &'a str,
    /// What is told of the end.
    told: &'a str,
    code: i32,
}

/// The signals that ask to stop: of a person, of whoever runs services, of a terminal that is closed.
const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];

#[test]
fn each_subcommand_stops_at_each_signal_and_tells_how_it_ended() {
    let folder = Folder::new("stopping");
    let echo = Running::echo();
    let url = echo.url();
    let recording = folder.path("recording.jsonl");
    std::fs::write(&recording, RECORDING).unwrap();
    let recorded = folder.path("recorded.jsonl");
    let nobody = format!("ws://{}", nowhere());
    let cases = [
        Case {
            args: &["connect", &url, "-v", "--listen"],
            busy: "101 Switching Protocols",
            told: "closed by us: 1001",
            code: 0,
        },
        Case {
            args: &["connect", &url, "--report", "json", "--listen"],
            busy: "\"ev\":\"open\"",
            told: "\"code\":1001",
            code: 0,
        },
        // What was expected did not come.
        Case {
            args: &["connect", &url, "-v", "--expect", "3"],
            busy: "101 Switching Protocols",
            told: "expected 3 messages, 0 came",
            code: 6,
        },
        Case {
            args: &["connect", &nobody, "--reconnect"],
            busy: "next attempt in",
            told: "stopped before ws://127.0.0.1:",
            code: 7,
        },
        Case {
            args: &["record", &url, "--listen"],
            busy: "\"ev\":\"open\"",
            told: "\"ev\":\"end\"",
            code: 0,
        },
        Case {
            args: &["record", &url, &recorded, "-v", "--listen"],
            busy: "101 Switching Protocols",
            told: "closed by us: 1001",
            code: 0,
        },
        Case { args: &["ping", &url, "-i", "10ms"], busy: "seq=2 ", told: " 0 % lost", code: 0 },
        Case {
            args: &["bench", &url, "-d", "1h", "--warm-up", "0", "-c", "2"],
            busy: "in flight on each",
            told: "interrupted: this is the result so far",
            code: 0,
        },
        Case {
            args: &["check", &url, "--json", "--long", "1h"],
            busy: "\"ev\":\"probe\"",
            told: "\"stopped\":true",
            code: 7,
        },
        Case {
            args: &["relay", "0", &url],
            busy: "(Ctrl-C to stop)",
            told: "0 connections, 0 frames",
            code: 0,
        },
        Case {
            args: &["replay", &recording, &url, "--wait", "1h"],
            busy: "hello",
            told: "sent 1 of 1 messages, 1 came of 2: closed by us: 1001",
            code: 7,
        },
        Case {
            args: &["replay", &recording, "--serve", "0"],
            busy: "(Ctrl-C to stop)",
            told: "Replaying",
            code: 0,
        },
        Case {
            args: &["serve", "--port", "0"],
            busy: "(Ctrl-C to stop)",
            told: "Echoing",
            code: 0,
        },
    ];
    for Case { args, busy, told, code } in cases {
        for signal in SIGNALS.into_iter().filter(|signal| *signal != "HUP" || hangup_is_heard()) {
            let mut command = Watched::start(args);
            command.says(busy);
            command.signal(signal);
            let (came, said) = command.ends();
            assert!(said.contains(told), "{args:?}, {signal}: {told:?} is not in {said}");
            assert_eq!(came, Some(code), "{args:?}, {signal}: {said}");
        }
    }
    let end = std::fs::read_to_string(&recorded).unwrap().lines().last().unwrap().to_owned();
    assert!(end.contains("\"ev\":\"end\"") && end.contains("\"code\":1001"), "{end}");
}

/// A client that says a word; it comes back, and then another one.
const RECORDING: &str = r#"{"ev":"recording","version":1}
{"ev":"open","connection":1,"seconds":0}
{"ev":"msg","connection":1,"seconds":0,"from":"client","kind":"text","text":"hello"}
{"ev":"msg","connection":1,"seconds":0,"from":"server","kind":"text","text":"hello"}
{"ev":"msg","connection":1,"seconds":0,"from":"server","kind":"text","text":"and another one"}
"#;

/// An address where nobody listens.
fn nowhere() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn each_client_stops_at_each_signal_before_there_is_an_answer() {
    let folder = Folder::new("stopping-early");
    let recording = folder.path("recording.jsonl");
    std::fs::write(&recording, RECORDING).unwrap();
    // It lets everybody in, and answers nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    for (args, told, code) in [
        (&["connect", &url][..], "stopped before ws://127.0.0.1:", 7),
        (&["connect", &url, "--reconnect"], "stopped before ws://127.0.0.1:", 7),
        (&["record", &url], "stopped before ws://127.0.0.1:", 7),
        (&["ping", &url], "stopped before ws://127.0.0.1:", 7),
        (&["check", &url, "--patience", "1h"], "stopped before ws://127.0.0.1:", 7),
        (&["replay", &recording, &url], "stopped before ws://127.0.0.1:", 7),
        (&["bench", &url], "interrupted: this is the result so far", 0),
    ] {
        for signal in SIGNALS.into_iter().filter(|signal| *signal != "HUP" || hangup_is_heard()) {
            let command = Watched::start(args);
            // Whoever has come listens to signals, too.
            let stream = silent.accept().unwrap();
            command.signal(signal);
            let (came, said) = command.ends();
            assert!(said.contains(told), "{args:?}, {signal}: {told:?} is not in {said}");
            assert_eq!(came, Some(code), "{args:?}, {signal}: {said}");
            drop(stream);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_ignores_the_end_of_the_terminal_goes_on_behind_it() {
    let echo = Running::echo();
    let program = env!("CARGO_BIN_EXE_lastword");
    let script = format!("trap '' HUP; exec {program} connect {} -v --listen", echo.url());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).stdin(std::process::Stdio::piped());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut command = Watched::spawn(&mut shell);
    command.says("101 Switching Protocols");
    command.signal("HUP");
    command.signal("TERM");
    let (code, said) = command.ends();
    assert!(said.contains("closed by us: 1001") && code == Some(0), "{code:?}: {said}");
}

#[test]
fn a_second_signal_does_not_wait_for_the_peer() {
    // It opens, and never closes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut streams = Vec::new();
        for mut stream in listener.incoming().flatten() {
            support::answer_opening(&mut stream);
            streams.push(stream);
        }
    });
    for (args, busy, code) in [
        (&["connect", &url, "-v", "--listen", "--close-timeout", "1h"][..], "101 Switching", 7),
        (&["ping", &url, "-i", "1h", "--close-timeout", "1h"], "bytes of data", 7),
    ] {
        let mut command = Watched::start(args);
        command.says(busy);
        command.signal("INT");
        // Signals are counted only once until they are seen.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while command.is_running() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
            command.signal("INT");
        }
        let (came, said) = command.ends();
        assert_eq!(came, Some(code), "{args:?}: {said}");
    }
}

#[test]
fn nobody_who_reads_is_no_failure() {
    let folder = Folder::new("unread");
    let recording = folder.path("recording.jsonl");
    std::fs::write(&recording, RECORDING).unwrap();
    let mut feed =
        Running::start(&["serve", "--port", "0", "--exec", "while echo tick; do sleep 0.05; done"]);
    let echo = Running::echo();
    let (feed_url, url) = (feed.url(), echo.url());
    for args in [
        &["connect", &feed_url, "--listen"][..],
        &["connect", &feed_url, "--listen", "--json", "--expect", "3"],
        &["connect", &feed_url, "--listen", "--report", "json"],
        &["record", &feed_url, "--listen"],
        &["record", &feed_url, &recording.replace("recording", "recorded"), "--listen"],
        &["ping", &url, "-i", "10ms"],
        &["bench", &url, "-n", "10"],
        &["check", &url, "--only", "close", "--long", "1"],
        &["check", &url, "--only", "close", "--long", "1", "--json"],
        &["replay", &recording, &url, "--wait", "0.1"],
        &["explain"],
        &["completions", "bash"],
        &["man"],
        &["connect", "--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = lastword(args);
        command.stdout(writer);
        let watched = Watched::spawn(&mut command);
        // Or the pipe would have this process at its other end.
        drop(command);
        let (code, said) = watched.ends();
        assert_eq!(code, Some(0), "{args:?}: {said}");
        if args.contains(&&*feed_url) {
            feed.line_with("closed by the peer: 1000 (normal closure)");
        }
    }
    // It is a fault of the arguments all the same.
    assert_eq!(run(&["connect"], "").code, Some(2));
}
