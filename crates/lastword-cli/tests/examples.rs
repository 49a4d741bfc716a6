//! The examples that `--help` shows are run as they stand there, but for ports and names of hosts, and for how
//! long a load takes. A subcommand without examples is noticed.

#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::running::{Folder, Running, run};

/// All subcommands, as the program lists them.
fn subcommands() -> Vec<String> {
    let help = run(&["--help"], "").out;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    // What goes on in the next line stands further to the right.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// The commands of the examples of a subcommand, or of the program itself, without what is said of them.
fn examples(subcommand: &str) -> Vec<String> {
    let arguments = [subcommand, "--help"];
    let help = run(if subcommand.is_empty() { &arguments[1..] } else { &arguments }, "").out;
    let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
    let lines = examples.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.trim().split("  ").next().unwrap().to_owned()).collect()
}

/// How an example goes.
enum Course {
    /// It ends by itself, with this code.
    Ends(i32),
    /// It goes on until Ctrl-C, once this can be read.
    Stopped(&'static str),
    /// The same, once there is something in this file.
    StoppedAfterWriting(&'static str),
}

/// An example, made to run in a test: with ports that are free and servers that are there. A load takes as
/// long as it shows, which nobody wants to wait for.
fn course(example: &str) -> (String, Course) {
    let subcommand = example.split("lastword ").nth(1).unwrap().split(' ').next().unwrap();
    let free_port = || match example.contains("--port") {
        true => example.to_owned(),
        false => format!("{example} --port 0"),
    };
    match subcommand {
        "serve" if example.contains("--report") => (free_port(), Course::Stopped("\"ev\":")),
        "serve" => (free_port(), Course::Stopped("(Ctrl-C to stop)")),
        "relay" => (example.replace(" 9000 ", " 0 "), Course::Stopped("(Ctrl-C to stop)")),
        "replay" if example.contains("--serve") => {
            (example.replace(" 9000", " 0"), Course::Stopped("(Ctrl-C to stop)"))
        }
        "bench" if example.contains("-n ") => (example.to_owned(), Course::Ends(0)),
        "bench" => {
            let shorter = example.replace(" -d 30", "").replace(" -d 5", "");
            (format!("{shorter} -d 0.1 --warm-up 0"), Course::Ends(0))
        }
        "ping" if !example.contains("-n ") => (example.to_owned(), Course::Stopped("seq=1 ")),
        "check" if example.contains("--list") => (example.to_owned(), Course::Ends(0)),
        // The openings of the server may take longer than that, which is a warning.
        "check" if example.contains("--strict") => (format!("{example} --long 1"), Course::Ends(3)),
        "check" => (format!("{example} --long 1"), Course::Ends(0)),
        "connect" if example.contains(">>feed.jsonl") => {
            (example.to_owned(), Course::StoppedAfterWriting("feed.jsonl"))
        }
        "record" if example.contains("--listen") => {
            (example.to_owned(), Course::Stopped("\"ev\":\"msg\""))
        }
        "connect" | "record" | "replay" | "ping" | "explain" | "completions" | "man" => {
            (example.to_owned(), Course::Ends(0))
        }
        other => panic!("how do the examples of {other} go?"),
    }
}

/// What is there where examples are run.
struct Surroundings {
    folder: Folder,
    echo: Running,
    /// Where there is a name and TLS, and somebody who speaks by himself.
    feed: Running,
}

impl Surroundings {
    fn new(subcommand: &str) -> Self {
        let folder = Folder::new(&format!("examples-{subcommand}"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path(name), text).unwrap();
        write("ca.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("secret", "open sesame\n");
        write("log", "a line\n");
        write("faults.txt", "server at frame 1 stall 10ms\n");
        write("man", "#!/bin/sh\nexec cat\n");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path("man"), executable).unwrap();
        for name in [
            "public",
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
        ] {
            std::fs::create_dir_all(folder.path(name)).unwrap();
        }
        let (cert, key) = (folder.path("ca.pem"), folder.path("key.pem"));
        let feed = ["serve", "--port", "0", "--cert", &cert, "--key", &key];
        let speaking = ["--exec", "while echo tick; do sleep 1; done"];
        let feed = Running::start(&[&feed[..], &speaking].concat());
        let echo = Running::start(&["serve", "--port", "0", "--ping-interval", "1"]);
        run(&["record", &echo.url(), &folder.path("session.jsonl"), "-m", "hi", "-n", "1"], "");
        Self { folder, echo, feed }
    }

    /// The example as a shell would run it, which it is.
    fn command(&self, example: &str) -> Command {
        let port = self.feed.address.rsplit(':').next().unwrap();
        let example = example
            .replace("127.0.0.1:8765", &self.echo.address)
            .replace("example.com", &format!("localhost:{port}"));
        // A signal is for the program, not for the shell.
        let simple = !example.contains(['|', '&']);
        let line = if simple { format!("exec {example}") } else { example };
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_lastword")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{path}", self.folder.path(""), program.display());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(self.folder.path(""));
        command.env("PATH", path).env("HOME", self.folder.path(""));
        // What the platform trusts, as far as this machine's rustls is concerned.
        command.env("SSL_CERT_FILE", self.folder.path("ca.pem")).env_remove("SSL_CERT_DIR");
        for name in
            ["LASTWORD_PASSWORD", "LASTWORD_BEARER", "http_proxy", "https_proxy", "all_proxy"]
        {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn runs(&self, example: &str) {
        let (line, course) = course(example);
        let mut child = self.command(&line).spawn().unwrap();
        let stop = |child: &Child| {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        };
        let expected = match course {
            Course::Ends(code) => code,
            Course::Stopped(needle) => {
                let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
                let found = lines.map_while(Result::ok).any(|line| line.contains(needle));
                if found {
                    stop(&child);
                }
                0
            }
            Course::StoppedAfterWriting(file) => {
                let written =
                    || std::fs::metadata(self.folder.path(file)).is_ok_and(|m| m.len() > 0);
                while !written() && child.try_wait().unwrap().is_none() {
                    std::thread::yield_now();
                }
                stop(&child);
                0
            }
        };
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
    }
}

#[test]
fn the_examples_of_every_subcommand_run() {
    let subcommands = subcommands();
    assert!(subcommands.len() >= 11, "{subcommands:?}");
    std::thread::scope(|scope| {
        for subcommand in subcommands.iter().map(String::as_str).chain([""]) {
            scope.spawn(move || {
                let examples = examples(subcommand);
                assert!(examples.len() >= 2, "{subcommand} has hardly any examples: {examples:?}");
                let surroundings = Surroundings::new(subcommand);
                examples.iter().for_each(|example| surroundings.runs(example));
            });
        }
    });
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
