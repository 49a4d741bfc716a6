//! What `--help` and `-h` say, of the program and of each subcommand, as it stands in `tests/snapshots/help`.

mod support;

use support::snapshot::{compare, steady};

fn help(args: &[&str]) -> String {
    let output = steady(args).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_as_it_was_read_and_kept() {
    let program = help(&["--help"]);
    compare("help/lastword.txt", &program);
    let short = help(&["-h"]);
    assert!(short == program, "-h of the program: {short}");
    let list = program.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        let long = help(&[name, "--help"]);
        compare(&format!("help/{name}.txt"), &long);
        assert_eq!(help(&["help", name]), long);
        let short = help(&[name, "-h"]);
        if short != long {
            compare(&format!("help/{name}-h.txt"), &short);
        }
    }
}

#[test]
fn no_line_of_help_is_wider_than_the_terminal() {
    for columns in ["80", "100"] {
        for name in ["connect", "serve", "bench", "relay"] {
            let mut command = steady(&[name, "--help"]);
            let output = command.env("COLUMNS", columns).output().unwrap();
            let help = String::from_utf8(output.stdout).unwrap();
            // Examples are set by hand.
            let options = help.split("Examples:").next().unwrap();
            let width: usize = columns.parse().unwrap();
            let wide = options.lines().find(|line| line.chars().count() > width);
            assert_eq!(wide, None, "{name}");
        }
    }
}
