//! What a package puts beside the program: scripts that complete arguments, and manual pages.

mod support;

use std::collections::BTreeSet;

use support::snapshot::{compare, steady};

fn said(args: &[&str]) -> String {
    let output = steady(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All subcommands, as the program lists them.
fn subcommands() -> Vec<String> {
    let help = said(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// The long options of a subcommand, as its help lists them.
fn options(subcommand: &str) -> BTreeSet<String> {
    let help = said(&[subcommand, "--help"]);
    let lines = help.lines().filter(|line| line.trim_start().starts_with('-'));
    let words =
        lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    let names: BTreeSet<String> =
        words.map(|word| word.trim_end_matches([',', '.']).to_owned()).collect();
    assert!(names.contains("--help"), "{subcommand}: {names:?}");
    names
}

#[test]
fn completions_know_every_subcommand_and_every_option() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for subcommand in subcommands() {
            assert!(script.contains(&subcommand), "{shell}: {subcommand}");
            for option in options(&subcommand) {
                // Fish names them without dashes.
                let option = if shell == "fish" { &option[2..] } else { &option };
                assert!(script.contains(option), "{shell}: {subcommand} {option}");
            }
        }
    }
}

/// What bash would offer behind these words, if there is a bash here.
#[cfg(unix)]
fn offered(words: &[&str]) -> Option<Vec<String>> {
    let script = r#"source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _lastword lastword "${@: -1}" "${@: -2:1}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut child = std::process::Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    let completions = said(&["completions", "bash"]);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), completions.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[cfg(unix)]
#[test]
fn bash_completes_what_is_typed() {
    for (words, expected) in [
        (&["lastword", "conn"][..], &["connect"][..]),
        (&["lastword", "re"], &["record", "relay", "replay"]),
        (&["lastword", "bench", "--conne"], &["--connections", "--connect-rate"]),
        (&["lastword", "connect", "--framing", ""], &["lines", "null", "whole", "json"]),
        (&["lastword", "completions", "z"], &["zsh"]),
    ] {
        let Some(offered) = offered(words) else { return };
        let (offered, expected): (BTreeSet<_>, BTreeSet<_>) =
            (offered.iter().map(String::as_str).collect(), expected.iter().copied().collect());
        assert_eq!(offered, expected, "{words:?}");
    }
}

/// The headings of a page.
fn headings(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix(".SH "))
        .map(|name| name.trim_matches('"'))
        .collect()
}

#[test]
fn the_page_of_the_program_has_all_sections_of_a_manual_page() {
    let page = said(&["man"]);
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "SUBCOMMANDS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
        "NOTES",
        "SEE ALSO",
    ];
    assert_eq!(headings(&page), expected);
    for subcommand in subcommands() {
        assert!(page.contains(&format!("lastword\\-{subcommand}(1)")), "{subcommand}");
    }
    for name in [
        "NO_COLOR",
        "LASTWORD_PASSWORD",
        "LASTWORD_BEARER",
        "http_proxy",
        "no_proxy",
        "\\-\\-history",
    ] {
        assert!(page.contains(name), "{name}");
    }
    assert!(!page.contains("lastword\\-help"), "there is no such page");
}

#[test]
fn each_subcommand_has_a_page_with_its_options_examples_and_exit_codes() {
    for subcommand in subcommands() {
        let page = said(&["man", &subcommand]);
        assert!(page.contains(&format!(".TH lastword-{subcommand} 1")), "{page}");
        let headings = headings(&page);
        for heading in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"]
        {
            assert!(headings.contains(&heading), "{subcommand}: {heading} in {headings:?}");
        }
        for option in options(&subcommand) {
            let escaped = option.replace('-', "\\-");
            assert!(page.contains(&escaped), "{subcommand}: {option}");
        }
        let help = said(&[&subcommand, "--help"]);
        assert_eq!(headings.contains(&"EXIT STATUS"), help.contains("Exit codes:"), "{subcommand}");
        // What the help has behind its options is there, line by line.
        let plain = page.replace("\\*(Aq", "'").replace("\\(aq", "'").replace('\\', "");
        for line in
            help.split("Examples:\n").nth(1).unwrap().lines().filter(|line| line.starts_with(' '))
        {
            let line = line.trim().split("  ").last().unwrap();
            assert!(plain.contains(line), "{subcommand}: {line}");
        }
        // A variable is explained where it does something.
        let explains = plain.contains("LASTWORD_BEARER\\fR") || plain.contains("fBLASTWORD_BEARER");
        assert_eq!(explains, options(&subcommand).contains("--bearer-file"), "{subcommand}");
    }
    // The documentation installs all of them.
    let documentation = include_str!("../../../docs/cli/explain.md");
    assert!(documentation.contains(&format!("for subcommand in {};", subcommands().join(" "))));
    let page = said(&["man", "explain"]).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    compare("man/lastword-explain.1", &page);
}
