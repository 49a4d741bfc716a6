//! A manual page as manual pages are: sections in their usual order, made of the same definition as the help.
//! What stands behind the options in the help (examples, exit codes) becomes sections of its own.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::exit;

/// The page of the program, or of a subcommand, in the language of `man`.
///
/// # Errors
/// None that memory would not have.
pub(super) fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .manual("Lastword")
        .source(format!("lastword {}", env!("CARGO_PKG_VERSION")));
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // Each subcommand has its own; what they have in common stands on the page of the program.
    let codes = if command.has_subcommands() { exit::TABLE } else { &help };
    exit_status(&mut rest, codes);
    environment(&mut rest, command);
    files(&mut rest, command);
    for paragraph in help.split("\n\n") {
        match paragraph.split_once('\n') {
            Some((EXIT_CODES, _)) => {}
            Some((heading, lines)) if lines.starts_with(' ') => literal(&mut rest, heading, lines),
            _ => {
                rest.control("SH", ["NOTES"]).text([roman(paragraph)]);
            }
        }
    }
    see_also(&mut rest, command);
    rest.to_writer(&mut page)?;
    Ok(page)
}

const EXIT_CODES: &str = "Exit codes:";

/// `  CODE  MEANING`, and lines that go on further to the right.
fn exit_status(roff: &mut Roff, help: &str) {
    let Some((_, codes)) = help.split_once(EXIT_CODES) else { return };
    roff.control("SH", ["EXIT STATUS"]);
    for line in codes.trim_start_matches('\n').lines().take_while(|line| !line.is_empty()) {
        let line = line.trim_start_matches("  ");
        match line.split_once("  ") {
            Some((code, meaning)) if !code.trim().is_empty() => {
                roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
            }
            _ => {
                roff.text([roman(line.trim())]);
            }
        }
    }
}

/// What a variable does, and the option without which it does nothing.
const ENVIRONMENT: [(&str, &str, &str); 8] = [
    ("LASTWORD_PASSWORD", "user", "The password of --user, without a file."),
    (
        "LASTWORD_BEARER",
        "bearer-file",
        "A token that is sent as Bearer credentials, without a file.",
    ),
    (
        "http_proxy, https_proxy, all_proxy",
        "proxy",
        "The proxy for ws://, for wss:// and for both, unless --proxy or --no-proxy is there; ws_proxy and wss_proxy go before them. In capitals, too, but for http_proxy. None leads to this machine itself.",
    ),
    (
        "no_proxy",
        "proxy",
        "Hosts to which no proxy leads: names, addresses and networks with commas in between, or *.",
    ),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "ca",
        "On Linux: certificates that are trusted instead of the platform's, in PEM form.",
    ),
    (
        "NO_COLOR",
        "color",
        "When it is not empty, there are no colours, unless --color says otherwise.",
    ),
    ("TERM", "color", "A terminal that is \"dumb\" gets neither colours nor a prompt."),
    (
        "LASTWORD_LOG",
        "verbose",
        "What is logged, more exactly than -v says it, as in lastword=debug,lastword::frame=trace.",
    ),
];

fn environment(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["ENVIRONMENT"]);
    for (names, option, what) in ENVIRONMENT {
        if command.has_subcommands() || has(command, option) {
            roff.control("TP", []).text([bold(names)]).text([roman(what)]);
        }
    }
}

fn files(roff: &mut Roff, command: &Command) {
    if !command.has_subcommands() && !has(command, "history") {
        return;
    }
    roff.control("SH", ["FILES"]);
    roff.text([roman("There is no file of settings, and nothing is kept that was not asked for.")]);
    roff.control("TP", []).text([italic("FILE"), roman(" of --history")]);
    roff.text([roman("What was typed at the prompt, a line each.")]);
}

fn has(command: &Command, option: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some(option))
}

/// Lines that are kept as they are.
fn literal(roff: &mut Roff, heading: &str, lines: &str) {
    let (name, rest) = heading.split_once(':').unwrap_or((heading, ""));
    roff.control("SH", [name.to_uppercase().as_str()]);
    if !rest.trim().is_empty() {
        roff.text([roman(rest.trim())]).control("PP", []);
    }
    roff.control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
}

fn see_also(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["SEE ALSO"]);
    let names: Vec<String> = match command.has_subcommands() {
        true => command.get_subcommands().map(|of| format!("lastword-{}", of.get_name())).collect(),
        false if command.get_name() == "explain" => vec!["lastword".to_owned()],
        false => vec!["lastword".to_owned(), "lastword-explain".to_owned()],
    };
    let mut line = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let comma = if at + 1 < names.len() { "(1), " } else { "(1)" };
        line.extend([bold(name), roman(comma)]);
    }
    roff.text(line);
}
