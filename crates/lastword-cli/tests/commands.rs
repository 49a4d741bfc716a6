//! The command as a person and a pipe meet it: output, errors, exit codes, signals.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use support::running::Folder;
use support::{Server, answer_opening, lastword, run};

#[test]
fn a_pipe_gets_its_answers_as_lines_and_ends_well() {
    let mut server = Server::start(&[]);
    let output = run(&["connect", &server.url, "--wait", "0.2"], "hi\nyou\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\nyou\n");
    assert_eq!(output.status.code(), Some(0));
    server.line_with("closed by the peer: 1000 (normal closure)");
}

/// A server that agrees to a handshake, and then does what it is told to do with the stream.
fn peer(does: impl FnOnce(TcpStream) + Send + 'static) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        answer_opening(&mut stream);
        does(stream);
    });
    (url, peer)
}

/// Reads until the client ends, and answers nothing.
fn silent(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_time_for_all_is_kept_whoever_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("ws://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let stuck = format!("ws://{}", listener.local_addr().unwrap());
    // Before there is a connection, and while one is waited for again and again.
    for args in [&[stuck.as_str()][..], &[&refused, "--reconnect"]] {
        let output = run(&[&["connect", "-t", "0.3", "-m", "x"], args].concat(), "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{said}");
        assert!(said.contains("within 300ms (--timeout)"), "{said}");
        let report = run(&[&["connect", "-t", "0.3", "--report", "json"], args].concat(), "");
        let event: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!((&event["ev"], &event["opened"]), (&"end".into(), &false.into()));
    }
    // And at its end: a peer that does not close is not waited for.
    let (url, peer) = peer(silent);
    let output = run(&["connect", &url, "-t", "0.1", "--listen"], "");
    peer.join().unwrap();
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn less_than_was_expected_is_told_with_what_the_peer_said() {
    let server = Server::start(&["--exec", "echo one; exit 3"]);
    let output = run(&["connect", &server.url, "-n", "2", "--listen"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("expected 2 messages, 1 came: closed by the peer: 1011"), "{said}");
    // How it ended says more than that it was too early.
    assert_eq!(output.status.code(), Some(3), "{said}");
}

#[test]
fn each_connection_begins_with_its_hello_and_nothing_is_said_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for visit in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            answer_opening(&mut stream);
            // Three short masked frames: two hellos, and once what was typed.
            for _ in 0..3 - visit {
                let mut frame = [0; 7];
                stream.read_exact(&mut frame).unwrap();
                heard.push((frame[6] ^ frame[2]) as char);
            }
        }
        heard.into_iter().collect::<String>()
    });
    let mut child =
        lastword(&["connect", &url, "--hello", "a", "--hello", "b", "--reconnect", "--listen"])
            .spawn()
            .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"c\n").unwrap();
    assert_eq!(peer.join().unwrap(), "abcab");
    drop(input);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn our_own_close_says_what_it_is_told_to_say() {
    let mut server = Server::start(&[]);
    let close = ["--close-code", "4001", "--close-reason", "so long"];
    let output = run(&[&["connect", &server.url, "-m", "x", "-n", "1"], &close[..]].concat(), "");
    assert_eq!(output.status.code(), Some(0));
    server.line_with("closed by the peer: 4001 \"so long\"");
}

#[test]
fn a_url_alone_connects_and_a_file_is_a_text() {
    let server = Server::start(&[]);
    let folder = Folder::new("text-file");
    let file = folder.path("two lines.txt");
    std::fs::write(&file, "one\ntwo").unwrap();
    let output = run(&[&server.url, "--send-text-file", &file, "-n", "1", "--json"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"text\":\"one\\ntwo\"}\n");
    let port = server.url.rsplit(':').next().unwrap();
    let output = run(&[&format!(":{port}"), "-m", "hi", "-n", "1"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\n");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told_and_not_taken_for_success() {
    let server = Server::start(&[]);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [
        &["connect", &server.url, "-m", "x", "-n", "1"][..],
        &["connect", &server.url, "-m", "x", "-n", "1", "--report", "json"],
        &["ping", &server.url, "-n", "1"],
        &["explain", "1006"],
        &["man"],
    ] {
        let output = lastword(args).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(9), "{args:?}: {said}");
        assert_eq!(
            said.matches("cannot write standard output: No space left").count(),
            1,
            "{said}"
        );
    }
    let output = run(&["record", &server.url, "/dev/full", "-m", "x", "-n", "1"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("cannot write to /dev/full, the recording ends here"), "{said}");
}

#[test]
fn what_was_asked_of_a_server_that_refuses_is_shown_when_that_is_asked_for() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let ask = ["connect", &server.url, "--origin", "https://a", "-H", "Cookie: a=b"];
    let output = run(&[&ask[..], &["-v"]].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines =
        ["> GET / HTTP/1.1", "> origin: https://a", "> cookie: (not shown)", "< HTTP/1.1 403"];
    for line in lines {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!String::from_utf8_lossy(&run(&ask, "").stderr).contains("> GET"));
}

#[test]
fn a_report_of_a_refusal_has_its_status_headers_and_body() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let url = &server.url;
    let output = run(&["connect", url, "--origin", "https://a", "--report", "json"], "");
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&event["why"]["kind"], &event["why"]["status"]), (&"refused".into(), &403.into()));
    assert!(event["why"]["headers"].as_array().unwrap().iter().any(|h| h[0] == "content-type"));
    assert!(event["why"]["body"].as_str().unwrap().contains("origin"), "{event}");
    let nobody = run(&["connect", "ws://nobody.invalid", "--report", "json"], "");
    let event: serde_json::Value = serde_json::from_slice(&nobody.stdout).unwrap();
    assert_eq!(event["why"]["kind"], "resolve");
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
    check(&["connect", "ws://a", "-H", "Upgrade: x"], 2, "header upgrade is set by the handshake");
    check(&["connect", "ws://a", "-s", "a b"], 2, "subprotocol \"a b\" is not a token");
    check(&["connect", "ws://a", "-u", "me:secret"], 2, "a name has no colon");
    check(&["connect", "ws://a", "-n", "0"], 2, "expected a whole number, 1 or more");
    check(&["connect", "ws://a", "-t", "-1"], 2, "expected a number of seconds");
    check(&["connect", "ws://a", "--ping-interval", "0"], 2, "more than 0 seconds, or off");
    check(&["connect", "ws://a", "--close-code", "1006"], 2, "expected 1000, 1001");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&["serve", "--port", &port], 1, "try another port");
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
