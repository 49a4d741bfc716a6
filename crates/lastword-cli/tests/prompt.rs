//! `connect` in a terminal: a prompt, as a person meets it.
#![cfg(unix)]

mod support;

use std::process::Command;

use support::running::Folder;
use support::terminal::Terminal;
use support::{Server, hangup_is_heard, run};

/// What is told first, and the prompt.
const READY: &[&str] = &["D closes.", ">"];

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
fn a_prompt_without_colours_shows_all_that_one_with_colours_shows() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start_with(&["connect", &server.url], &[("NO_COLOR", "1")]);
    terminal.looks(READY);
    terminal.types("gr\u{fc}ezi\r");
    terminal.shows("< gr\u{fc}ezi");
    terminal.types("/stats\r");
    terminal.shows("certainly read by the peer");
    terminal.types("\u{4}");
    let (code, _, rest) = terminal.ends();
    assert!(code == Some(0) && !rest.contains("\u{1b}[3"), "{code:?}: {rest:?}");
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

#[test]
fn what_comes_while_a_line_is_typed_leaves_it_whole() {
    let server = Server::start(&["--broadcast"]);
    let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
    terminal.looks(READY);
    terminal.types("half a li");
    terminal.looks(&["> half a li"]);
    let output = run(&["connect", &server.url, "-m", "from elsewhere", "-n", "1"], "");
    assert_eq!(output.status.code(), Some(0));
    terminal.looks(&["< from elsewhere", "> half a li"]);
    // In the middle of it, too, and over more than one line of the screen.
    let long = "x".repeat(100);
    terminal.types(&format!("ne {long}"));
    terminal.types("\u{1}\u{6}");
    let wrapped = [&format!("> half a line {}", &long[..66]), &long[66..]];
    terminal.looks(&wrapped);
    let output = run(&["connect", &server.url, "-m", "and again", "-n", "1"], "");
    assert_eq!(output.status.code(), Some(0));
    terminal.looks(&["< and again", wrapped[0], wrapped[1]]);
    terminal.types("\r");
    terminal.looks(&[&format!("< half a line {}", &long[..66]), &long[66..], ">"]);
    terminal.types("\u{4}");
    terminal.shows("closed by us: 1000");
    terminal.ends_with(0);
}

#[test]
fn what_is_pasted_is_one_message_and_what_ends_with_a_backslash_goes_on() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
    terminal.looks(READY);
    // Terminals say where a paste begins and ends to those who ask for it.
    terminal.shows("\u{1b}[?2004h");
    terminal.types("\u{1b}[200~one\rtwo\r\nthree\u{1b}[201~");
    terminal.looks(&["> one", "two", "three"]);
    terminal.types("\r");
    terminal.looks(&["< one\\ntwo\\nthree", ">"]);
    terminal.types("four\\\r");
    terminal.looks(&["> four\\"]);
    terminal.types("five\r");
    terminal.looks(&["< four\\nfive", ">"]);
    terminal.types("\u{4}");
    terminal.ends_with(0);
}

#[test]
fn what_was_typed_is_found_again_the_next_time_if_that_is_asked_for() {
    let server = Server::start(&[]);
    let folder = Folder::new("history");
    let (home, file) = (folder.path(""), folder.path("history"));
    let session = |history: &[&str]| {
        let args = [&["connect", &server.url, "--color", "never"], history].concat();
        let mut terminal = Terminal::start_with(&args, &[("HOME", &home)]);
        terminal.looks(READY);
        terminal
    };
    let kept = ["--history", &file];
    let mut terminal = session(&kept);
    terminal.types("the first\r");
    terminal.looks(&["< the first", ">"]);
    terminal.types("the\\\rsecond\r");
    terminal.looks(&["< the\\nsecond", ">"]);
    terminal.types("/close\r");
    terminal.ends_with(0);
    // Up, and up once more: lines of a message are one entry.
    let mut terminal = session(&kept);
    terminal.types("\u{1b}[A");
    terminal.looks(&["> /close"]);
    terminal.types("\u{1b}[A");
    terminal.looks(&["> the\\", "second"]);
    terminal.types("\u{10}\u{10}\r");
    terminal.looks(&["< the first", ">"]);
    terminal.types("\u{4}");
    terminal.ends_with(0);
    // Nothing was kept elsewhere, and nothing is there without it.
    let mut names = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!((names.next(), names.next()), (Some("history".into()), None));
    let mut terminal = session(&[]);
    terminal.types("\u{1b}[Asomething\r");
    terminal.looks(&["< something", ">"]);
    terminal.types("\u{4}");
    terminal.ends_with(0);
}

#[test]
fn a_terminal_that_obeys_no_escapes_has_lines_and_no_prompt() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start_with(&["connect", &server.url], &[("TERM", "dumb")]);
    terminal.shows("This terminal has no prompt: each line is a message, Ctrl-D closes.");
    terminal.types("hello\r");
    terminal.looks(&["hello", "hello"]);
    terminal.types("\u{4}");
    let (code, _, rest) = terminal.ends();
    assert!(code == Some(0) && !rest.contains('\u{1b}'), "{code:?}: {rest:?}");
}

#[test]
fn a_history_that_cannot_be_read_is_told() {
    let server = Server::start(&[]);
    let folder = Folder::new("history-unreadable");
    let terminal = Terminal::start(&["connect", &server.url, "--history", &folder.path("")]);
    let lines = terminal.ends_with(2);
    let told = lines.join("");
    assert!(told.contains("Is a directory"), "{told}");
}

#[test]
fn a_signal_says_goodbye_and_leaves_the_terminal_as_it_was() {
    let server = Server::start(&[]);
    // The first is that of the key, which says what Ctrl-D says.
    for (signal, code) in [
        ("INT", "1000 (normal closure)"),
        ("TERM", "1001 (going away)"),
        ("HUP", "1001 (going away)"),
    ] {
        if signal == "HUP" && !hangup_is_heard() {
            continue;
        }
        let mut terminal = Terminal::start(&["connect", &server.url, "--color", "never"]);
        terminal.looks(READY);
        assert!(!terminal.is_as_shells_want_it());
        terminal.types("half a li");
        terminal.looks(&["> half a li"]);
        terminal.signal(signal);
        terminal.looks(&["> half a li", &format!("closed by us: {code}")]);
        // The command holds it until it is gone.
        while !terminal.is_as_shells_want_it() {
            std::thread::yield_now();
        }
        terminal.ends_with(0);
    }
}

#[test]
fn in_a_pipe_there_is_no_prompt_whatever_the_other_end_is() {
    let server = Server::start(&[]);
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_lastword");
    shell.args(["-c", &format!("echo hi | {program} connect {}", server.url)]);
    let lines = Terminal::run(shell).ends_with(0);
    assert_eq!(lines, ["hi"]);
}
