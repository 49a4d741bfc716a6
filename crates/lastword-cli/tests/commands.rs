//! The command as a person and a pipe meet it: output, errors, exit codes, signals.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use support::{Server, answer_opening, lastword, run};

#[test]
fn a_pipe_gets_its_answers_as_lines_and_ends_well() {
    let mut server = Server::start(&[]);
    let output = run(&["connect", &server.url, "--wait", "0.2"], "hi\nyou\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\nyou\n");
    assert_eq!(output.status.code(), Some(0));
    server.line_with("closed by the peer: 1000 (normal closure)");
}

#[test]
fn a_url_may_be_as_short_as_people_say_it() {
    let server = Server::start(&[]);
    let port = server.url.rsplit(':').next().unwrap();
    for url in [format!(":{port}"), format!("127.0.0.1:{port}"), format!(":{port}/path?query")] {
        let output = run(&["connect", &url, "-m", "hi", "-n", "1"], "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\n", "{url}");
    }
}

#[test]
fn a_host_is_where_it_is_said_to_be() {
    let mut server = Server::start(&["-v"]);
    let port = server.url.rsplit(':').next().unwrap();
    let url = format!("ws://name.invalid:{port}");
    let here = format!("name.invalid:{port}:127.0.0.1");
    let output = run(&["connect", &url, "--resolve", &here, "-m", "hi", "-n", "1"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\n");
    server.line_with("closed by the peer: 1000");
}

#[test]
fn a_report_is_one_json_object_for_each_event() {
    let mut server = Server::start(&["--report", "json"]);
    let output =
        run(&["connect", &server.url, "--report", "json", "--wait", "0.2"], "gr\u{fc}ezi\n");
    let events: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["ev"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "msg", "end"]);
    assert_eq!(events[1]["text"], "gr\u{fc}ezi");
    assert_eq!(events[1]["len"], 7);
    assert_eq!(events[2]["clean"], true);
    assert_eq!(events[2]["ledger"]["confirmed"]["messages"], 1);
    let end: serde_json::Value = serde_json::from_str(&server.line_with("\"ev\":\"end\"")).unwrap();
    assert_eq!(
        (&end["code"], &end["opened"], &end["msgs"]),
        (&1000.into(), &true.into(), &1.into())
    );
    assert_eq!(end["first"], "peer");
}

#[test]
fn exit_codes_and_errors_say_what_happened() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let check = |args: &[&str], code, needle: &str| {
        let output = run(args, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(needle), "{needle:?} in {said:?}");
    };
    check(&["connect", &format!("ws://{address}")], 1, "cannot connect to");
    for (url, needle) in [
        ("http://u:secret@a/b", "did you mean ws?\nTry ws://…@a/b"),
        ("https://a", "Try wss://a"),
        ("ws://a/b#c", "Try ws://a/b%23c"),
        ("ftp://a", "Expected ws://HOST"),
        ("a:x", "expected a port"),
    ] {
        for command in ["connect", "ping", "bench", "check"] {
            check(&[command, url], 2, needle);
        }
    }
    check(&["connect"], 2, "<URL>");
    check(&["connect", "ws://a", "--wait", "soon"], 2, "expected a number of seconds");
    check(&["connect", "ws://a", "-H", "no colon"], 2, "expected NAME: VALUE");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&["serve", "--port", &port], 1, "Try another port");
}

#[test]
fn a_server_that_hangs_up_is_told_by_sentence_and_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        answer_opening(&mut stream);
        // The first byte of a frame, and no more.
        stream.write_all(b"\x01").unwrap();
    });
    let mut child = lastword(&["connect", &url]).spawn().unwrap();
    // The input stays open: it is the peer who ends it.
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    peer.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("in the middle of a frame header"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_signal_closes_all_with_1001_and_says_how_each_ended() {
    let mut server = Server::start(&[]);
    let mut client = lastword(&["connect", &server.url, "--report", "json"]).spawn().unwrap();
    let mut events = BufReader::new(client.stdout.take().unwrap()).lines();
    assert!(events.next().unwrap().unwrap().contains("\"open\""));
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let end = events.next().unwrap().unwrap();
    assert!(end.contains("\"code\":1001") && end.contains("\"clean\":true"), "{end}");
    server.line_with("shut down: we said 1001");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(client.wait().unwrap().code(), Some(0));
}

#[test]
fn help_has_examples_and_the_table_of_exit_codes() {
    let output = run(&["connect", "--help"], "");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for needle in ["Examples:", "Exit codes:", "4  connection lost", "--subprotocol"] {
        assert!(help.contains(needle), "{needle} in {help}");
    }
    let output = run(&["serve", "--help"], "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("lastword serve --port 0"));
}

#[test]
fn pages_know_every_option() {
    for (command, page) in [
        ("connect", include_str!("../../../docs/cli/connect.md")),
        ("serve", include_str!("../../../docs/cli/serve.md")),
    ] {
        let output = run(&[command, "--help"], "");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let options = help.lines().filter_map(|line| {
            let line = line.trim_start();
            let at = line.starts_with('-').then(|| line.find("--"))??;
            line.get(at..)?.split([' ', '<', '.', ',']).next()
        });
        // What every command takes.
        let common = ["--help", "--version", "--verbose", "--quiet", "--color"];
        let missing: Vec<_> =
            options.filter(|option| !common.contains(option) && !page.contains(option)).collect();
        assert!(missing.is_empty(), "{command}: {missing:?}");
    }
}
