//! What `serve` does with messages, processes, files and browsers.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout};

use support::{Server, lastword, run};

/// A directory of this test, empty at first.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// One exchange over HTTP.
fn get(url: &str, target: &str, headers: &str) -> String {
    let address = url.strip_prefix("ws://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn said(output: &std::process::Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// A client that stays, and prints what it hears.
struct Listener {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Listener {
    fn start(url: &str) -> Self {
        let mut child = lastword(&["connect", url, "--listen", "--json"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn say(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{}", serde_json::json!({ "text": text })).unwrap();
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        object["text"].as_str().unwrap().to_owned()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn lines_go_through_a_process_and_come_back() {
    let mut lines = Server::start(&["--exec", "while read -r line; do echo \"<$line>\"; done"]);
    let output = run(&["connect", &lines.url, "-n", "2"], "a\nb c\n");
    assert_eq!(said(&output), ("<a>\n<b c>\n".into(), String::new(), Some(0)));
    lines.line_with("closed by the peer: 1000");
}

#[cfg(unix)]
#[test]
fn a_process_that_is_through_closes_with_its_status() {
    let mut well = Server::start(&["--exec", "echo done"]);
    let output = run(&["connect", &well.url, "--listen"], "");
    assert_eq!(said(&output), ("done\n".into(), String::new(), Some(0)));
    well.line_with("closed by us: 1000");
    let badly = Server::start(&["--exec", "exit 7"]);
    let (_, error, code) = said(&run(&["connect", &badly.url, "--listen"], ""));
    assert!(error.contains("1011") && error.contains("exit status: 7"), "{error}");
    assert_eq!(code, Some(3));
}

#[cfg(unix)]
#[test]
fn a_process_knows_who_has_come_and_what_for() {
    let command = "echo \"$PATH_INFO|$QUERY_STRING|$HTTP_X_KEY|$HTTP_PROXY|$REMOTE_ADDR\"; \
                   echo \"$REQUEST_METHOD $REQUEST_URI $SERVER_PROTOCOL|$SERVER_NAME|$SERVER_PORT|$HTTPS\"";
    for (tls, https) in [(&[][..], ""), (&["--tls"], "on")] {
        let server = Server::start(&[&["--exec", command], tls].concat());
        let url = format!("{}/a%20b/%00?c=d", server.url);
        let args = ["connect", &url, "-k", "-H", "X-Key: 1", "-H", "Proxy: evil", "--listen"];
        let mut client = lastword(&args);
        client.env_remove("HTTP_PROXY");
        let output = client.output().unwrap();
        let (_, port) = server.url.rsplit_once(':').unwrap();
        // What cannot be said in a variable is left as it came.
        let expected = format!(
            "/a%20b/%00|c=d|1||127.0.0.1\nGET /a%20b/%00?c=d HTTP/1.1|127.0.0.1|{port}|{https}\n"
        );
        assert_eq!(said(&output).0, expected);
    }
    let server = Server::start(&["--exec", "echo \"$PATH_INFO\""]);
    let url = format!("{}/gr%C3%BCezi%20b", server.url);
    assert_eq!(said(&run(&["connect", &url, "--listen"], "")).0, "/gr\u{fc}ezi b\n");
}

#[cfg(unix)]
#[test]
fn a_process_knows_who_has_proven_himself_and_not_by_what() {
    let path = directory("remote-user").join("password");
    fs::write(&path, "sesame").unwrap();
    let proof = ["--user", "ali", "--password-file", path.to_str().unwrap()];
    let command = "echo \"$AUTH_TYPE|$REMOTE_USER|$HTTP_AUTHORIZATION\"";
    let server = Server::start(&[&["--exec", command], &proof[..]].concat());
    let args = [&["connect", &server.url, "--listen"], &proof[..]].concat();
    assert_eq!(said(&run(&args, "")).0, "Basic|ali|\n");
    // Where nobody is asked, the header is for the process to judge.
    let server = Server::start(&["--exec", command]);
    let args = [&["connect", &server.url, "--listen"], &proof[..]].concat();
    assert!(said(&run(&args, "")).0.starts_with("||Basic "));
}

#[cfg(unix)]
#[test]
fn a_process_is_told_no_secrets_of_ours() {
    let command = "echo \"<$LASTWORD_PASSWORD$LASTWORD_BEARER>\"";
    let mut server = lastword(&["serve", "--port", "0", "--exec", command]);
    server.env("LASTWORD_PASSWORD", "sesame").env("LASTWORD_BEARER", "token");
    let server = Server::spawn(&mut server);
    assert_eq!(said(&run(&["connect", &server.url, "--listen"], "")).0, "<>\n");
}

#[cfg(unix)]
#[test]
fn that_a_process_was_stopped_by_us_is_not_told_as_a_signal_of_somebody_elses() {
    // It has no pipe any more, and goes on.
    let stopped = Server::start(&["--exec", "exec <&- >&-; exec sleep 100"]);
    let (_, error, code) = said(&run(&["connect", &stopped.url, "--listen"], ""));
    assert!(error.contains("1011") && error.contains("was stopped"), "{error}");
    assert!(!error.contains("signal") && code == Some(3), "{error}");
    let killed = Server::start(&["--exec", "kill -9 $$"]);
    let (_, error, _) = said(&run(&["connect", &killed.url, "--listen"], ""));
    assert!(error.contains("signal: 9"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_process_that_says_no_more_hears_the_end_of_its_input() {
    let server = Server::start(&["--exec", "exec >&-; cat >/dev/null; exit 7"]);
    let (_, error, _) = said(&run(&["connect", &server.url, "--listen"], ""));
    assert!(error.contains("exit status: 7"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_process_that_does_not_stop_is_stopped_when_its_connection_ends() {
    let mark = directory("stopped").join("pid");
    let command =
        format!("trap '' TERM; echo $$ > {}; echo up; while :; do sleep 0.1; done", mark.display());
    let mut server = Server::start(&["--exec", &command]);
    let output = run(&["connect", &server.url, "-n", "1", "--close-timeout", "10"], "");
    assert_eq!(said(&output).0, "up\n");
    server.line_with("closed by the peer");
    let pid = fs::read_to_string(&mark).unwrap();
    // The line is printed when the connection has ended; the process goes after its time of grace.
    let gone = std::process::Command::new("sh")
        .args([
            "-c",
            "for i in $(seq 200); do kill -0 $0 2>/dev/null || exit 0; sleep 0.05; done; exit 1",
            pid.trim(),
        ])
        .status();
    assert!(gone.unwrap().success(), "process {pid} lives on");
}

#[cfg(unix)]
#[test]
fn output_that_is_no_text_is_binary_and_lines_have_a_limit() {
    let server = Server::start(&["--exec", "printf '\\377\\n'; echo text"]);
    let output = run(&["connect", &server.url, "--listen", "--json"], "");
    assert_eq!(said(&output).0, "{\"binary\":\"/w==\"}\n{\"text\":\"text\"}\n");
    let server = Server::start(&[
        "--exec",
        "head -c 2000 /dev/zero | tr '\\0' x; echo",
        "--max-message-size",
        "1000",
    ]);
    let (out, error, _) = said(&run(&["connect", &server.url, "--listen"], ""));
    assert!(out.is_empty() && error.contains("a line that is too long"), "{error}");
}

#[cfg(unix)]
#[test]
fn bytes_pass_as_they_are_if_that_is_asked_for() {
    let server = Server::start(&["--exec", "cat", "--binary"]);
    let mut client =
        lastword(&["connect", &server.url, "-b", "--framing", "whole", "-n", "1"]).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"\xff\n\0a").unwrap();
    assert_eq!(client.wait_with_output().unwrap().stdout, b"\xff\n\0a");
}

#[cfg(unix)]
#[test]
fn pages_from_elsewhere_run_no_commands() {
    for exec in ["--exec", "--exec-shared"] {
        let server = Server::start(&[exec, "cat"]);
        let from = |url: &str, origin: &str| {
            said(&run(&["connect", url, "--origin", origin, "-m", "x", "-n", "1"], ""))
        };
        let (_, error, code) = from(&server.url, "https://evil.example");
        assert!(error.contains("403") && error.contains("--origin names"), "{error}");
        assert_eq!(code, Some(1));
        let own = server.url.replace("ws://", "http://");
        assert_eq!(from(&server.url, &own).0, "x\n");
        let open = Server::start(&[exec, "cat", "--origin", "any"]);
        assert_eq!(from(&open.url, "https://evil.example").0, "x\n");
    }
}

#[cfg(unix)]
#[test]
fn one_process_hears_all_and_all_hear_it() {
    let count = "n=0; while read -r line; do n=$((n+1)); echo \"$n $line\"; done";
    for threads in [&[][..], &["--threads", "2"]] {
        let server = Server::start(&[&["--exec-shared", count], threads].concat());
        let mut ada = Listener::start(&server.url);
        ada.say("first");
        assert_eq!(ada.hears(), "1 first");
        let mut bob = Listener::start(&server.url);
        bob.say("second");
        assert_eq!((ada.hears(), bob.hears()), ("2 second".to_owned(), "2 second".to_owned()));
        drop(ada);
        // It goes on when nobody is there, and hears last words.
        drop(bob);
        let output = run(&["connect", &server.url], "third\n");
        assert_eq!(said(&output).2, Some(0));
        let output = run(&["connect", &server.url, "-n", "1", "-m", "fourth"], "");
        assert_eq!(said(&output).0, "4 fourth\n");
    }
}

#[cfg(unix)]
#[test]
fn the_end_of_a_process_for_all_is_told_to_all_and_the_next_gets_another() {
    let command = "read -r a; echo \"$a\"; read -r b; echo \"$b\"; exit 7";
    let mut server = Server::start(&["--exec-shared", command]);
    for _ in 0..2 {
        let mut ada = Listener::start(&server.url);
        ada.say("a");
        assert_eq!(ada.hears(), "a");
        let mut bob = Listener::start(&server.url);
        bob.say("b");
        assert_eq!((ada.hears(), bob.hears()), ("b".to_owned(), "b".to_owned()));
        for _ in 0..2 {
            let line = server.line_with("closed");
            assert!(
                line.contains("closed by us: 1011") && line.contains("exit status: 7"),
                "{line}"
            );
        }
    }
    let last_words = Server::start(&["--exec-shared", "seq 5000", "--binary"]);
    let output =
        run(&["connect", &last_words.url, "--listen", "--binary", "--framing", "whole"], "");
    let (out, error, code) = said(&output);
    assert!(out.ends_with("\n4999\n5000\n") && error.is_empty() && code == Some(0), "{error}");
}

#[cfg(unix)]
#[test]
fn who_does_not_read_what_a_process_says_to_all_is_let_go_and_holds_up_nobody_for_long() {
    const LINES: &str = "6000";
    let command =
        format!("read -r go; yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -n {LINES}; cat");
    let server = Server::start(&["--exec-shared", &command, "--no-compression"]);
    let address = server.url.strip_prefix("ws://").unwrap();
    let mut idler = TcpStream::connect(address).unwrap();
    write!(
        idler,
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .unwrap();
    // He is there when he is answered.
    let mut answered = [0; 12];
    idler.read_exact(&mut answered).unwrap();
    let output = run(&["connect", &server.url, "-m", "go", "-n", LINES], "");
    let (out, error, code) = said(&output);
    assert_eq!((out.lines().count(), error.as_str(), code), (6000, "", Some(0)));
    let close = [&1013_u16.to_be_bytes()[..], b"too slow for what the process says"].concat();
    let (mut came, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while !came.ends_with(&close) {
        let size = idler.read(&mut chunk).unwrap();
        assert!(size > 0, "{} bytes", came.len());
        came.extend_from_slice(&chunk[..size]);
    }
}

#[cfg(unix)]
#[test]
fn a_process_for_all_is_ended_in_order_with_the_server() {
    let root = directory("ended");
    let mark = |name: &str| root.join(name).display().to_string();
    let (well, pid) = (mark("well"), mark("pid"));
    for command in [
        format!("echo up; cat; sleep 0.1; echo > {well}"),
        format!("trap '' TERM; echo $$ > {pid}; echo up; while :; do sleep 0.1; done"),
    ] {
        let mut server = Server::start(&["--exec-shared", &command]);
        assert_eq!(said(&run(&["connect", &server.url, "-n", "1"], "")).0, "up\n");
        let ours = server.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(&ours).status().unwrap().success());
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
    assert!(fs::exists(well).unwrap());
    let pid = fs::read_to_string(pid).unwrap();
    let alive = std::process::Command::new("kill").args(["-0", pid.trim()]).output().unwrap();
    assert!(!alive.status.success(), "{pid} lives on");
}

#[test]
fn everybody_hears_everybody() {
    let server = Server::start(&["--broadcast"]);
    let (mut ada, mut bob) = (Listener::start(&server.url), Listener::start(&server.url));
    ada.say("am I in?");
    assert_eq!(ada.hears(), "am I in?");
    bob.say("hello");
    // Whether he was there in time for her first words depends on who was quicker.
    let first = bob.hears();
    assert!(first == "hello" || (first == "am I in?" && bob.hears() == "hello"), "{first}");
    assert_eq!(ada.hears(), "hello");
}

#[test]
fn who_came_to_another_path_hears_something_else() {
    let server = Server::start(&["--topics"]);
    let at = |path: &str| Listener::start(&format!("{}{path}", server.url));
    let (mut a, mut b, mut also_a) = (at("/a"), at("/b"), at("/a"));
    also_a.say("first");
    assert_eq!(also_a.hears(), "first");
    a.say("in a");
    b.say("in b");
    assert_eq!(b.hears(), "in b");
    assert_eq!(also_a.hears(), "in a");
}

#[test]
fn a_browser_gets_a_page_and_what_is_not_there_is_404() {
    let server = Server::start(&[]);
    let page = get(&server.url, "/", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("text/html") && page.contains("new WebSocket("), "{page}");
    assert!(get(&server.url, "/x", "").starts_with("HTTP/1.1 404"));
}

#[test]
fn old_clients_get_pages_and_no_websockets() {
    let server = Server::start(&[]);
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(server.url.strip_prefix("ws://").unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK"));
    let upgrade = "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert!(ask(upgrade).starts_with("HTTP/1.1 505"));
}

#[test]
fn files_of_a_directory_are_served_and_none_outside_of_it() {
    let root = directory("files");
    fs::create_dir(root.join("public")).unwrap();
    fs::create_dir(root.join("public/sub")).unwrap();
    fs::write(root.join("secret"), "secret").unwrap();
    fs::write(root.join("public/index.html"), "<p>front").unwrap();
    fs::write(root.join("public/a b.js"), "let a").unwrap();
    fs::write(root.join("public/.env"), "hidden").unwrap();
    fs::create_dir(root.join("public/.git")).unwrap();
    fs::write(root.join("public/.git/config"), "hidden").unwrap();
    #[cfg(unix)]
    for (target, link) in
        [("../secret", "link"), (".env", "plain"), (".git", "repository"), ("a b.js", "fine.js")]
    {
        std::os::unix::fs::symlink(target, root.join("public").join(link)).unwrap();
    }
    let server = Server::start(&["--dir", root.join("public").to_str().unwrap()]);
    let front = get(&server.url, "/", "");
    assert!(front.starts_with("HTTP/1.1 200") && front.ends_with("<p>front"), "{front}");
    let script = get(&server.url, "/a%20b.js", "");
    assert!(script.contains("text/javascript") && script.ends_with("let a"), "{script}");
    for target in [
        "/../secret",
        "/%2e%2e/secret",
        "/link",
        "/.env",
        "/nothing",
        "/sub/",
        "/a%20b.js/",
        "/plain",
        "/repository",
        "/repository/config",
    ] {
        assert!(get(&server.url, target, "").starts_with("HTTP/1.1 404"), "{target}");
    }
    #[cfg(unix)]
    assert!(get(&server.url, "/fine.js", "").ends_with("let a"));
    for target in ["/sub", "//sub"] {
        assert!(get(&server.url, target, "").contains("Location: /sub/\r\n"), "{target}");
    }
    // The WebSocket is there all the same.
    let output = run(&["connect", &server.url, "-m", "hi", "-n", "1"], "");
    assert_eq!(said(&output).0, "hi\n");
}

/// The head and the body of an answer.
fn parts(answer: &str) -> (&str, &str) {
    answer.split_once("\r\n\r\n").unwrap()
}

/// The value of a header of an answer.
fn value<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = parts(answer).0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[test]
fn a_part_of_a_file_is_served_to_whoever_asks_for_one() {
    let root = directory("parts-of-files");
    fs::write(root.join("film.webm"), "0123456789").unwrap();
    let server = Server::start(&["--dir", root.to_str().unwrap()]);
    let whole = get(&server.url, "/film.webm", "");
    assert_eq!(value(&whole, "Accept-Ranges"), "bytes");
    assert!(value(&whole, "Date").ends_with(" GMT"));
    assert_eq!(value(&whole, "Content-Type"), "video/webm");
    let tag = value(&whole, "Etag");
    for (range, status, said, body) in [
        ("bytes=2-4", "206", "bytes 2-4/10", "234"),
        ("bytes=7-", "206", "bytes 7-9/10", "789"),
        ("bytes=-1", "206", "bytes 9-9/10", "9"),
        ("bytes=10-", "416", "bytes */10", ""),
    ] {
        let answer =
            get(&server.url, "/film.webm", &format!("Range: {range}\r\nIf-Range: {tag}\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!((value(&answer, "Content-Range"), parts(&answer).1), (said, body));
    }
    // What is no range, and a part of another state than the one that is there, are all of it.
    for headers in ["Range: bytes=4-2\r\n", "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n"] {
        let answer = get(&server.url, "/film.webm", headers);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("0123456789"), "{answer}");
    }
}

#[test]
fn of_a_file_that_is_larger_than_memory_should_be_there_are_parts() {
    let root = directory("large-files");
    let size = (64 << 20) + 10;
    fs::File::create(root.join("large")).unwrap().set_len(size).unwrap();
    let server = Server::start(&["--dir", root.to_str().unwrap()]);
    assert!(get(&server.url, "/large", "").starts_with("HTTP/1.1 413"));
    let answer = get(&server.url, "/large", "Range: bytes=9-\r\n");
    assert_eq!(value(&answer, "Content-Range"), format!("bytes 9-{}/{size}", (64 << 20) + 8));
    let answer = get(&server.url, "/large", "Range: bytes=67108864-\r\n");
    assert_eq!(parts(&answer).1.len(), 10);
}

#[test]
fn those_who_fetch_and_do_not_read_take_up_so_much_memory_and_no_more() {
    let root = directory("held");
    fs::File::create(root.join("large")).unwrap().set_len(64 << 20).unwrap();
    fs::write(root.join("small"), "small").unwrap();
    let server = Server::start(&["--dir", root.to_str().unwrap()]);
    let address = server.url.strip_prefix("ws://").unwrap();
    let idlers: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            assert_eq!(&status, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let small = || get(&server.url, "/small", "");
    let answer = small();
    assert!(answer.starts_with("HTTP/1.1 503") && value(&answer, "Retry-After") == "1", "{answer}");
    drop(idlers);
    while small().starts_with("HTTP/1.1 503") {}
    assert!(small().ends_with("small"));
}

#[test]
fn a_file_that_has_not_changed_is_not_sent_again() {
    let root = directory("unchanged");
    fs::write(root.join("a.txt"), "first").unwrap();
    let server = Server::start(&["--dir", root.to_str().unwrap()]);
    let first = get(&server.url, "/a.txt", "");
    let (tag, date) = (value(&first, "Etag"), value(&first, "Last-Modified"));
    for known in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: \"x\", W/{tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        let answer = get(&server.url, "/a.txt", &known);
        assert!(answer.starts_with("HTTP/1.1 304 ") && parts(&answer).1.is_empty(), "{answer}");
        assert!(!answer.contains("Content-Length") && value(&answer, "Etag") == tag, "{answer}");
    }
    // The tag goes before the date.
    let other = format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n");
    assert!(get(&server.url, "/a.txt", &other).ends_with("first"));
    fs::write(root.join("a.txt"), "another").unwrap();
    let changed = get(&server.url, "/a.txt", &format!("If-None-Match: {tag}\r\n"));
    assert!(changed.starts_with("HTTP/1.1 200 ") && changed.ends_with("another"), "{changed}");
}

#[test]
fn each_request_for_a_page_is_told_and_what_is_in_it_is_not_obeyed() {
    let root = directory("told");
    fs::write(root.join("a.txt"), "a").unwrap();
    let directory = root.to_str().unwrap();
    let mut server = Server::start(&["--dir", directory]);
    get(&server.url, "/a.txt?token=secret", "");
    let line = server.line_with("GET");
    assert!(line.starts_with("127.0.0.1:") && line.ends_with("  GET /a.txt 200\n"), "{line}");
    get(&server.url, "/no\u{9b}2J\u{202e}", "");
    let line = server.line_with("404");
    assert!(line.is_ascii() && line.contains("  GET /no"), "{line}");
    // Who wanted a WebSocket and cannot have it is told of as before.
    get(&server.url, "/a.txt", "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    server.line_with("no connection: refused with 400");
    let mut server = Server::start(&["--dir", directory, "--report", "json"]);
    get(&server.url, "/a.txt?b", "");
    let event: serde_json::Value = serde_json::from_str(&server.line_with("\"ev\"")).unwrap();
    let expected = serde_json::json!({
        "ev": "http", "method": "GET", "path": "/a.txt", "status": 200, "peer": event["peer"],
    });
    assert_eq!(event, expected);
    assert!(event["peer"].is_u64());
}

#[test]
fn a_name_is_listened_on_and_brackets_are_no_part_of_an_address() {
    let server = Server::start(&["--host", "localhost"]);
    assert_eq!(said(&run(&["connect", &server.url, "-m", "x", "-n", "1"], "")).0, "x\n");
    if TcpListener::bind("[::1]:0").is_ok() {
        let mut child = lastword(&["serve", "--port", "0", "--host", "[::1]"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("Echoing on ws://[::1]:"), "{line}");
    }
    let (_, error, code) = said(&run(&["serve", "--host", "localhost:80"], ""));
    assert!(error.contains("--port") && code == Some(2), "{error}");
    let (_, error, code) = said(&run(&["serve", "--host", "nowhere.invalid"], ""));
    assert!(error.contains("cannot listen on nowhere.invalid:8765") && code == Some(1), "{error}");
}

#[test]
fn a_password_is_asked_of_sockets_and_pages_alike() {
    let path = directory("password").join("password");
    fs::write(&path, "open sesame\n").unwrap();
    let file = path.to_str().unwrap();
    let server = Server::start(&["--user", "ali", "--password-file", file]);
    let (_, error, code) = said(&run(&["connect", &server.url, "-m", "x"], ""));
    assert!(error.contains("401") && error.contains("--user NAME"), "{error}");
    assert_eq!(code, Some(1));
    assert!(get(&server.url, "/", "").starts_with("HTTP/1.1 401"));
    let args = ["connect", &server.url, "-u", "ali", "--password-file", file, "-m", "x", "-n", "1"];
    assert_eq!(said(&run(&args, "")).0, "x\n");
    let mut from_environment =
        lastword(&["connect", &server.url, "-u", "ali", "-m", "y", "-n", "1"]);
    let output = from_environment.env("LASTWORD_PASSWORD", "open sesame").output().unwrap();
    assert_eq!(said(&output).0, "y\n");
    let (_, error, code) = said(&run(&["connect", &server.url, "-u", "ali"], ""));
    assert!(error.contains("--password-file FILE"), "{error}");
    assert_eq!(code, Some(2));
}

#[test]
fn tls_for_the_purpose_is_trusted_by_those_only_who_say_so() {
    let server = Server::start(&["--tls"]);
    assert!(server.url.starts_with("wss://"));
    let (_, error, code) = said(&run(&["connect", &server.url, "-m", "x"], ""));
    assert!(error.contains("--ca FILE"), "{error}");
    assert_eq!(code, Some(1));
    let output = run(&["connect", &server.url, "--insecure", "-m", "x", "-n", "1"], "");
    assert_eq!(said(&output).0, "x\n");
}

#[test]
fn a_certificate_from_files_is_trusted_by_its_own_file() {
    let root = directory("certificate");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (root.join("cert.pem"), root.join("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let server = Server::start(&["--cert", cert, "--key", key]);
    let args =
        ["connect", &server.url, "--ca", cert, "--server-name", "localhost", "-m", "x", "-n", "1"];
    assert_eq!(said(&run(&args, "")).0, "x\n");
    let (_, error, _) = said(&run(&["connect", &server.url, "--ca", cert], ""));
    assert!(error.contains("--server-name"), "{error}");
    let (_, error, code) = said(&run(&["serve", "--cert", key, "--key", cert, "--port", "0"], ""));
    assert!(error.contains("no certificate in") && error.contains("PEM"), "{error}");
    assert_eq!(code, Some(2));
}

/// The words of an error about a file of TLS that is given to `serve`.
fn refused_with(cert: &str, key: &str) -> String {
    let (_, error, code) = said(&run(&["serve", "--port", "0", "--cert", cert, "--key", key], ""));
    assert_eq!(code, Some(2), "{error}");
    error
}

#[test]
fn of_a_file_of_tls_it_is_said_what_is_wrong_with_it() {
    let root = directory("wrong-files");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let (cert, missing) = (path("cert.pem"), path("missing.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    for error in [refused_with(&missing, &cert), refused_with(&cert, &missing)] {
        assert!(error.contains(&format!("cannot read {missing}: No such file")), "{error}");
        assert!(!error.contains("PEM"), "{error}");
    }
    let error = refused_with(&cert, &cert);
    assert!(error.contains("there is no key in"), "{error}");
    // As openssl writes them, in its new form and in its old one.
    let locked = path("locked.pem");
    for content in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n\
         MIIB\n-----END RSA PRIVATE KEY-----\n",
    ] {
        fs::write(&locked, content).unwrap();
        let error = refused_with(&cert, &locked);
        let expected = format!("passphrase\nTake it off: openssl pkey -in {locked} -out");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn only_clients_that_somebody_vouches_for_come_in_if_that_is_asked() {
    let root = directory("client-ca");
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let (ca, cert, key) = (path("ca.pem"), path("cert.pem"), path("key.pem"));
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    fs::write(&ca, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let client_key = rcgen::KeyPair::generate().unwrap();
    let client = rcgen::CertificateParams::new(["ada".to_owned()]).unwrap();
    fs::write(&cert, client.signed_by(&client_key, &issuer).unwrap().pem()).unwrap();
    fs::write(&key, client_key.serialize_pem()).unwrap();
    let mut server = Server::start(&["--tls", "--client-ca", &ca]);
    let url = server.url.clone();
    let connect = ["connect", &url, "-k", "-m", "x", "-n", "1"];
    let with = |cert: &str, key: &str| {
        said(&run(&[&connect[..], &["--cert", cert, "--key", key]].concat(), ""))
    };
    assert_eq!(with(&cert, &key), ("x\n".to_owned(), String::new(), Some(0)));
    server.line_with("closed by");
    assert_eq!(said(&run(&connect, "")).2, Some(1));
    server.line_with("no connection: TLS failed: peer sent no certificates");
    let stranger = rcgen::generate_simple_self_signed(["eve".to_owned()]).unwrap();
    let (cert, key) = (path("stranger.pem"), path("stranger-key.pem"));
    fs::write(&cert, stranger.cert.pem()).unwrap();
    fs::write(&key, stranger.signing_key.serialize_pem()).unwrap();
    assert_eq!(with(&cert, &key).2, Some(1));
    server.line_with("no connection: TLS failed");
    let (_, error, code) = said(&run(&["serve", "--client-ca", &ca], ""));
    assert!(error.contains("--tls") && code == Some(2), "{error}");
}

#[test]
fn what_could_let_nobody_in_is_wrong_usage() {
    for (args, expected) in [
        (["--origin", "nonsense"], "https://HOST[:PORT]"),
        (["--origin", "https://example.com/"], "https://HOST[:PORT]"),
        (["--max-connections", "0"], "a whole number, 1 or more"),
        (["--threads", "0"], "a whole number, 1 or more"),
        (["--max-message-size", "0"], "1 byte or more"),
    ] {
        let (_, error, code) = said(&run(&[&["serve"], &args[..]].concat(), ""));
        assert!(error.contains(expected) && code == Some(2), "{args:?}: {error}");
    }
}

#[test]
fn origins_are_those_that_browsers_say_and_each_wait_can_be_off() {
    let server = Server::start(&["--origin", "https://Example.com:443", "--idle-timeout", "off"]);
    let from = |origin: &str| {
        said(&run(&["connect", &server.url, "--origin", origin, "-m", "x", "-n", "1"], "")).2
    };
    assert_eq!(from("https://example.com"), Some(0));
    assert_eq!(from("https://example.org"), Some(1));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_served_from_and_left_behind_by_nobody() {
    let path = directory("unix").join("socket");
    let name = path.to_str().unwrap();
    let mut child = lastword(&["serve", "--unix", name]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(name));
    let output = run(&["connect", "ws://localhost/", "--unix", name, "-m", "x", "-n", "1"], "");
    assert_eq!(said(&output).0, "x\n");
    assert!(lines.any(|line| line.unwrap().starts_with("unix  closed by the peer: 1000")));
    let (_, error, code) = said(&run(&["serve", "--unix", name], ""));
    assert!(
        error.matches("cannot listen on").count() == 1 && error.contains("another path"),
        "{error}"
    );
    assert_eq!(code, Some(1));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_server_whose_output_nobody_reads_any_more_serves_on() {
    let mut child = lastword(&["serve", "--port", "0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    let address = first.split(&['/', ' '][..]).find(|word| word.starts_with("127.")).unwrap();
    let url = format!("ws://{address}");
    drop(lines);
    for _ in 0..3 {
        assert_eq!(said(&run(&["connect", &url, "-m", "x", "-n", "1"], "")).0, "x\n");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
