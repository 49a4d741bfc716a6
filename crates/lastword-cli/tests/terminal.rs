//! What the command does in a terminal, and not where there is none: a bar, colours, a question.

#![cfg(unix)]

mod support;

use support::Server;
use support::snapshot::steady;
use support::terminal::Terminal;

/// What begins every colour.
const ESCAPE: &str = "\u{1b}[";

#[test]
fn a_bar_shows_how_far_a_load_has_come_and_leaves_nothing_behind() {
    let server = Server::start(&[]);
    let args = ["bench", &server.url, "-c", "2", "-d", "1", "--warm-up", "0.5", "--color", "never"];
    let mut terminal = Terminal::start(&args);
    terminal.shows("warm-up ");
    terminal.shows("carrying");
    terminal.shows("messages/s");
    let lines = terminal.ends_with(0);
    let screen = lines.join("\n");
    assert!(screen.contains("messages"), "{screen}");
    for word in ["opening ", "warm-up ", "carrying", "closing "] {
        assert!(!lines.iter().any(|line| line.starts_with(word)), "{word:?} in {screen}");
    }
    // What stands there is what a pipe would have got, but for what was measured.
    let heading = format!("{}\n2 connections, 1 in flight on each", server.url);
    assert!(screen.starts_with(&heading), "{screen}");
}

#[test]
fn the_quiet_and_pipes_see_no_bar() {
    let server = Server::start(&[]);
    let load = ["bench", &server.url, "-c", "2", "-d", "0.5", "--warm-up", "0"];
    let terminal = Terminal::start(&[&load[..], &["--quiet", "--color", "never"]].concat());
    let (code, lines, all) = terminal.ends();
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(!all.contains("carrying") && !all.contains(ESCAPE), "{all:?}");
    let output = steady(&load).output().unwrap();
    assert!(output.stderr.is_empty() && !output.stdout.contains(&0x1b));
}

/// Whether a ping is told in colours, in a terminal and in a pipe.
#[track_caller]
fn coloured(args: &[&str], environment: &[(&str, &str)]) -> [bool; 2] {
    let server = Server::start(&[]);
    let args = [&["ping", &server.url, "-n", "1"], args].concat();
    let (code, _, shown) = Terminal::start_with(&args, environment).ends();
    assert_eq!(code, Some(0), "{shown:?}");
    let output = steady(&args).envs(environment.iter().copied()).output().unwrap();
    assert!(shown.contains("seq=1 time=") && output.stdout.starts_with(b"Ping "), "{shown:?}");
    [shown.contains(ESCAPE), output.stdout.contains(&0x1b)]
}

#[test]
fn colours_are_in_terminals_unless_somebody_says_otherwise() {
    assert_eq!(coloured(&[], &[]), [true, false]);
    assert_eq!(coloured(&[], &[("NO_COLOR", "1")]), [false, false]);
    assert_eq!(coloured(&[], &[("NO_COLOR", "")]), [true, false]);
    assert_eq!(coloured(&[], &[("TERM", "dumb")]), [false, false]);
    assert_eq!(coloured(&["--color", "never"], &[]), [false, false]);
    assert_eq!(coloured(&["--color", "always"], &[]), [true, true]);
    assert_eq!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]), [true, true]);
    assert_eq!(coloured(&["--color", "auto"], &[("NO_COLOR", "1")]), [false, false]);
}

#[test]
fn floods_are_asked_about() {
    let server = Server::start(&[]);
    let args = ["check", &server.url, "--hard", "--only", "frame/unmasked", "--color", "never"];
    for answer in ["y", "Y", "yes"] {
        let mut terminal = Terminal::start(&args);
        terminal.shows("and may bring it down. Is it yours? [y/N] ");
        terminal.types(&format!("{answer}\r"));
        let lines = terminal.ends_with(0);
        assert!(lines.iter().any(|line| line.contains("1 fine")), "{lines:#?}");
    }
    for answer in ["\r", "n\r", "of course\r", "\u{4}"] {
        let mut terminal = Terminal::start(&args);
        terminal.shows("Is it yours? [y/N] ");
        terminal.types(answer);
        terminal.shows("Not without a yes.");
        terminal.ends_with(2);
    }
    // Who says so beforehand is not asked.
    let (code, _, shown) = Terminal::start(&[&args[..], &["--yes"]].concat()).ends();
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{shown}");
}
