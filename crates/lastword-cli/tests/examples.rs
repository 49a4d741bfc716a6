//! The examples that `--help` shows are run as they stand there, but for the ports.

#![cfg(unix)]

mod support;

use std::process::{Command, Stdio};

use support::running::{Folder, Running, run};

/// The commands of the examples of a subcommand, without what is said of them.
fn examples(subcommand: &str) -> Vec<String> {
    let help = run(&[subcommand, "--help"], "").out;
    let examples = help.split("Examples:\n").nth(1).unwrap();
    let lines = examples.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.trim().split("   ").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_record_relay_and_replay_run() {
    let folder = Folder::new("examples");
    std::fs::write(folder.path("faults.txt"), "server at frame 1 stall 10ms\n").unwrap();
    let echo = Running::echo();
    let program = env!("CARGO_BIN_EXE_lastword");
    let mut ran = 0;
    for example in ["record", "relay", "replay"].iter().flat_map(|name| examples(name)) {
        // What is out there is none of the test's.
        if example.contains("example.com") {
            continue;
        }
        let example = example.replace("127.0.0.1:8765", &echo.address).replace(" 9000", " 0");
        if example.contains("relay 0") || example.contains("--serve") {
            let arguments = example.strip_prefix("lastword ").unwrap();
            let arguments: Vec<String> = words(arguments)
                .into_iter()
                .map(|word| match word.ends_with(".txt") || word.ends_with(".jsonl") {
                    true => folder.path(&word),
                    false => word,
                })
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (_, code) = Running::start(&arguments).stop();
            assert_eq!(code, Some(0), "{example}");
        } else {
            let output = Command::new("sh")
                .args(["-c", &example.replace("lastword ", &format!("{program} "))])
                .current_dir(folder.path(""))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{example}: {said}");
        }
        ran += 1;
    }
    assert!(ran >= 8, "{ran}");
}

/// A line as a shell would take it apart, if it has no more than single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// The long options of a part of a help text.
fn options(help: &str) -> impl Iterator<Item = &str> {
    let words = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
    words.map(|word| word.trim_matches(|c: char| !c.is_ascii_alphabetic() && c != '-'))
}

#[test]
fn each_option_is_explained_on_the_page_of_its_subcommand() {
    let relay = run(&["relay", "--help"], "").out;
    let relay = relay.split("Examples:").next().unwrap().to_owned();
    let replay = run(&["replay", "--help"], "").out;
    let replay = replay.split("\nReplay:").nth(1).unwrap();
    let replay = replay.split("Examples:").next().unwrap().to_owned();
    let pages = [
        (relay, include_str!("../../../docs/cli/relay.md")),
        (replay, include_str!("../../../docs/cli/replay.md")),
    ];
    for (help, page) in pages {
        let missing: Vec<&str> = options(&help)
            .filter(|option| !["--verbose", "--color", "--help", "--version"].contains(option))
            .filter(|option| !page.contains(option))
            .collect();
        assert!(missing.is_empty() && options(&help).count() > 5, "{missing:?}");
    }
}
