//! `lastword check`: nothing to say against ours, and something against servers that are wrong on purpose.
//! What is said of each is in `snapshots/check`.

#[path = "support/broken.rs"]
mod broken;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Output;

use serde_json::Value;
use support::{Server, lastword, run, snapshot};

/// Little patience: these servers are on this machine, and those that hang do so for ever.
const QUICK: [&str; 4] = ["--patience", "0.5", "--long", "1"];

fn check(args: &[&str]) -> Output {
    run(&[&["check"], args].concat(), "")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The marks of all probes, by their names.
fn marks(args: &[&str]) -> BTreeMap<String, (String, String)> {
    let output = check(&[args, &["--json"]].concat());
    let text = said(&output);
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events
        .filter(|event| event["ev"] == "probe")
        .map(|event| (word(&event, "id"), (word(&event, "mark"), word(&event, "said"))))
        .collect()
}

/// Without times and addresses, which differ from run to run.
fn steady(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        while let Some(at) =
            words.iter().position(|word| matches!(word.trim_end_matches(':'), "ms" | "s"))
        {
            words[at] = "TIME";
            words.remove(at - 1);
        }
        let line = words.join(" ");
        lines.push(match line.find("127.0.0.1:") {
            Some(at) => {
                let end = line[at + 10..].find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                format!("{}ADDRESS{}", &line[..at], &line[at + 10 + end..])
            }
            None => line,
        });
    }
    lines.join("\n") + "\n"
}

#[track_caller]
fn compare(name: &str, output: &Output) {
    snapshot::compare(&format!("check/{name}"), &steady(&said(output)));
}

#[test]
fn there_is_nothing_to_be_said_against_ours() {
    let server = Server::start(&["--ping-interval", "5"]);
    // Longer than the deadline of its openings, ten seconds.
    let output = check(&[&server.url, "--long", "15", "--strict"]);
    compare("serve.txt", &output);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nor_under_load() {
    let server = Server::start(&[]);
    let marks = marks(&[&server.url, "--only", "hard", "--hard", "--yes", "--long", "15"]);
    assert_eq!(marks.len(), 6, "{marks:?}");
    assert!(marks.values().all(|(mark, _)| mark == "fine"), "{marks:?}");
}

#[test]
fn a_parrot_is_wrong_about_nearly_everything() {
    let output = check(&[&[&*broken::parrot()], &QUICK[..]].concat());
    compare("parrot.txt", &output);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn who_never_answers_hangs_and_is_not_said_to_refuse() {
    let output = check(&[&[&*broken::silent()], &QUICK[..]].concat());
    compare("silent.txt", &output);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn who_resets_is_told_from_who_hangs_up() {
    let output = check(&[&[&*broken::resetting()], &QUICK[..]].concat());
    compare("resetting.txt", &output);
    assert_eq!(output.status.code(), Some(3));
    let output = check(&[&[&*broken::picky(), "--only", "frame/unmasked"], &QUICK[..]].concat());
    assert!(said(&output).contains("hung up without a close frame"), "{}", said(&output));
}

#[test]
fn every_probe_finds_something_somewhere() {
    let list = said(&check(&["--list", "--hard"]));
    let names: BTreeSet<String> = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(names.len() > 50, "{names:?}");
    let mut found = BTreeSet::new();
    for server in [broken::picky(), broken::liar(), broken::parrot()] {
        let marks = marks(&[&[&*server, "--hard", "--yes"], &QUICK[..]].concat());
        for (name, (mark, said)) in marks {
            // A probe that did not come to its point has found nothing.
            let came_to_it = !said.contains("no connection");
            if came_to_it && matches!(&*mark, "note" | "warning" | "error") {
                found.insert(name);
            }
        }
    }
    assert_eq!(found, names);
}

#[test]
fn the_page_knows_every_probe_and_every_option() {
    let page = include_str!("../../../docs/cli/check.md");
    for line in
        said(&check(&["--list", "--hard"])).lines().filter_map(|line| line.strip_prefix("  "))
    {
        let (name, rest) = line.split_once(' ').unwrap();
        let does = rest.trim().split("  ").next().unwrap();
        assert!(page.contains(&format!("| `{name}` | {does} |")), "{name}: {does}");
    }
    let help = said(&check(&["--help"]));
    let own = help.split("\nProbes:").nth(1).unwrap().split("Exit codes").next().unwrap();
    let options = own.split_whitespace().filter(|word| word.starts_with("--"));
    for option in options.map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphabetic())) {
        assert!(page.contains(&format!("`{option}")), "{option}");
    }
}

#[test]
fn over_tls_there_is_nothing_to_be_said_either() {
    let server = Server::start(&["--tls"]);
    let output = check(&[&server.url, "-k", "--strict", "--only", "frame,close,deflate"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let sum = said(&output).lines().last().unwrap().to_owned();
    assert!(sum.contains(" fine") && !sum.contains("skipped"), "{sum}");
    // Its certificate is its own.
    let output = check(&[&server.url, "--only", "frame"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("--ca FILE"), "{error}");
}

#[cfg(unix)]
#[test]
fn over_a_unix_socket_it_is_the_same() {
    let path = std::env::temp_dir().join(format!("lastword-check-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let mut server = lastword(&["serve", "--unix", path]).spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    let output = check(&["ws://localhost", "--unix", path, "--strict", "--only", "close,control"]);
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_file(path);
    assert_eq!(output.status.code(), Some(0), "{line}{}", said(&output));
}

#[test]
fn who_is_not_there_or_refuses_is_told_as_connect_tells_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    for (url, needle) in
        [(format!("ws://{address}"), "cannot connect"), (broken::refusing(), "Check the path")]
    {
        let output = check(&[&url]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(needle), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn floods_need_a_yes_and_words_a_probe() {
    for (args, needle) in [
        (&["ws://127.0.0.1:1", "--hard"][..], "If it is yours, say so with --yes"),
        (&["ws://127.0.0.1:1", "--yes"], "--hard"),
        (&["ws://127.0.0.1:1", "--only", "weather"], "lastword check --list"),
        (&[], "<URL>"),
    ] {
        let output = check(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(needle), "{error}");
    }
    // What floods is listed for those who ask for it only.
    assert!(!said(&check(&["--list"])).contains("hard/"));
}

#[test]
fn warnings_count_for_the_strict() {
    let url = broken::parrot();
    let only = |id: &str, more: &[&str]| {
        check(&[&[&*url, "--only", id], &QUICK[..], more].concat()).status.code()
    };
    assert_eq!(only("opening/host", &[]), Some(0));
    assert_eq!(only("opening/host", &["--strict"]), Some(3));
    assert_eq!(only("opening/origin", &["--strict"]), Some(0));
    assert_eq!(only("frame/unmasked", &[]), Some(3));
}

#[test]
fn without_compression_nothing_is_asked_about_it() {
    let server = Server::start(&[]);
    let marks = marks(&[&server.url, "--no-compression", "--only", "deflate/"]);
    assert_eq!(marks.into_keys().collect::<Vec<_>>(), ["deflate/bad-offers"]);
    let server = Server::start(&["--no-compression"]);
    let output = check(&[&server.url, "--only", "deflate/broken"]);
    assert!(said(&output).contains("does not agree to compression"), "{}", said(&output));
}

#[test]
fn the_quiet_hear_of_faults_only() {
    let server = Server::start(&[]);
    let output = check(&[&server.url, "--quiet", "--only", "frame,opening/origin"]);
    assert_eq!((said(&output).as_str(), output.status.code()), ("", Some(0)));
    let url = broken::parrot();
    let output = check(&[&[&*url, "--quiet", "--only", "control/ping"], &QUICK[..]].concat());
    assert!(said(&output).starts_with("Pings and pongs\n  FAIL control/ping"), "{}", said(&output));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_the_sum_so_far() {
    let server = Server::start(&[]);
    let mut child = lastword(&["check", &server.url, "--json", "--long", "60"]).spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    events.next().unwrap().unwrap();
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let last: Value = serde_json::from_str(&events.last().unwrap().unwrap()).unwrap();
    assert_eq!((&last["ev"], &last["stopped"]), (&"summary".into(), &true.into()));
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
