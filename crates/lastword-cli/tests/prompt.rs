//! `connect` in a terminal: a prompt, as a person meets it.
#![cfg(unix)]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::{Server, lastword};

/// How long anything that has to come may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The command in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    /// What was waited for before.
    passed: String,
}

impl Terminal {
    fn start(args: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let end = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
        let mut command = lastword(args);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = command.spawn().unwrap();
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When nobody has it open any more, reading fails.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, screen: receiver, seen: String::new(), passed: String::new() }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this, behind what was waited for before.
    fn shows(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.passed.extend(self.seen.drain(..at + text.len()));
                return;
            }
            let Ok(more) = self.screen.recv_timeout(PATIENCE) else {
                panic!("{text:?} is not in {:?}, behind {:?}", self.seen, self.passed);
            };
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn ends_with(mut self, code: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn a_conversation_at_the_prompt() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start(&["connect", &server.url]);
    terminal.shows("Connected to ws://127.0.0.1");
    terminal.shows("> ");
    terminal.types("gr\u{fc}ezi\r");
    terminal.shows("< \u{1b}[0m gr\u{fc}ezi".replace("< \u{1b}[0m", "<\u{1b}[0m").as_str());
    // What a peer sends moves no cursor.
    terminal.types("/hex 1b5b324a\r");
    terminal.shows("(binary, 4 bytes)");
    // A line that ends with a backslash goes on.
    terminal.types("one\\\rtwo\r");
    terminal.shows("one\\ntwo");
    terminal.types("//etc\r");
    terminal.shows("\u{1b}[0m /etc");
    terminal.types("/ping\r");
    terminal.shows("answered after ");
    // A tab completes what can be typed.
    terminal.types("/sta\t\r");
    terminal.shows("certainly read by the peer");
    terminal.types("/headers\r");
    terminal.shows("> sec-websocket-version: 13");
    terminal.shows("< HTTP/1.1 101 Switching Protocols");
    terminal.types("/nonsense\r");
    terminal.shows("/nonsense is no command");
    terminal.types("/help\r");
    terminal.shows("Ctrl-D closes.");
    terminal.types("/close 4000 so long\r");
    terminal.shows("closed by us: 4000");
    terminal.shows("so long");
    terminal.ends_with(0);
}

#[test]
fn what_is_typed_or_pasted_ahead_is_sent_line_by_line() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start(&["connect", &server.url, "--hello", "first"]);
    terminal.shows("<\u{1b}[0m first");
    let lines: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
    terminal.types(&lines.iter().map(|line| format!("{line}\r")).collect::<String>());
    for line in lines {
        terminal.shows(&format!("<\u{1b}[0m {line}"));
    }
    terminal.types("/ping\r");
    terminal.shows("answered after ");
    terminal.types("/stats\r");
    terminal.shows("21 certainly read by the peer");
    terminal.types("\u{4}");
    terminal.ends_with(0);
}

#[test]
fn lines_that_are_typed_ahead_or_pasted_are_all_said_in_their_order() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
    terminal.shows("> ");
    terminal.types("one\rtwo\r/ping\rthree\r");
    for text in ["< one", "< two", "< three"] {
        terminal.shows(text);
    }
    terminal.types("/pong\r/close 4000 so long\rtoo late\r");
    terminal.shows("closed by us: 4000 \"so long\"");
    terminal.ends_with(0);
}

#[test]
fn last_words_are_shown_before_the_end() {
    let server = Server::start(&["--exec", "for word in so long and goodbye; do echo $word; done"]);
    for _ in 0..50 {
        let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
        for text in ["< so", "< long", "< and", "< goodbye", "closed by the peer: 1000"] {
            terminal.shows(text);
        }
        terminal.ends_with(0);
    }
}

#[test]
fn control_d_says_goodbye_and_control_c_as_well() {
    let mut server = Server::start(&[]);
    for key in ["\u{4}", "\u{3}"] {
        let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
        terminal.shows("> ");
        terminal.types(key);
        terminal.shows("closed by us: 1000 (normal closure)");
        terminal.ends_with(0);
        server.line_with("closed by the peer: 1000");
    }
}

#[test]
fn a_server_that_goes_away_ends_the_prompt() {
    let mut server = Server::start(&[]);
    let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
    terminal.shows("> ");
    terminal.types("half a li");
    terminal.shows("half a li");
    server.child.kill().unwrap();
    terminal.shows("peer ended the stream without a close frame");
    terminal.ends_with(4);
}
