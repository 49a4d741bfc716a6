//! What is printed for people: nothing that a peer controls is printed raw.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::io;

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION, SET_COOKIE};
use tracing_subscriber::EnvFilter;

/// Escapes what would move the cursor, change colours or ring the bell, or hide what is written.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\t' || !is_unprintable(character) {
            line.push(character);
        } else {
            let _ = write!(line, "{}", character.escape_default());
        }
    }
    line.into()
}

/// The same for text of ours over several lines.
pub(crate) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn is_unprintable(character: char) -> bool {
    // Beside controls: what reorders or hides text on a terminal.
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An error with all its sources, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(line, ": {error}");
        source = error.source();
    }
    escape(&line).into_owned()
}

/// Sends logs to standard error, as much as was asked for; `LASTWORD_LOG` says more exactly.
pub(crate) fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "lastword=info",
        2 => "lastword=debug,lastword::frame=trace",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("LASTWORD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(!crate::style::is_plain())
        .init();
}

/// What proves who somebody is, whoever sends it.
const SECRET: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];

/// The head of a request or of an answer, a line for each header; what is secret is not shown.
pub(crate) fn head(start: &str, headers: &HeaderMap, arrow: char) -> String {
    let mut lines = format!("{arrow} {}", escape(start));
    for (name, value) in headers {
        let value = match value.is_sensitive() || SECRET.contains(name) {
            true => "(not shown)".into(),
            false => String::from_utf8_lossy(value.as_bytes()),
        };
        let _ = write!(lines, "\n{arrow} {name}: {}", escape(&value));
    }
    lines
}
