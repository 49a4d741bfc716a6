//! What is printed for people: nothing that a peer controls is printed raw.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, SET_COOKIE,
};
use lastword::dial::without_user;
use serde_json::Value;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit::Outcome;

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
    // Beside controls: what reorders or hides text on a terminal. Joiners do neither: scripts and emoji need them.
    character.is_control()
        || matches!(character, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// JSON on one line. What would move the cursor or hide text is escaped as JSON itself can say it: the value
/// is the same, and a terminal is not obeyed.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(is_unprintable) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    let mut units = [0; 2];
    for character in text.chars() {
        if is_unprintable(character) {
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

/// A line on standard output. Whoever reads it may have gone: that is no failure of ours, and no reason to
/// stop serving.
macro_rules! out {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = $crate::print::Audience::from(writeln!(std::io::stdout(), $($line)*));
    }};
}

/// A line on standard error, likewise; in one piece, since there is no buffer, and others may write there, too.
macro_rules! note {
    () => { $crate::print::note!("") };
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let line = format!($($line)*) + "\n";
        let _ = std::io::stderr().write_all(line.as_bytes());
    }};
}

pub(crate) use {note, out};

/// Whether anybody reads what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    There,
    /// A closed pipe is no failure: whoever reads has read enough.
    Gone,
}

impl From<io::Result<()>> for Audience {
    fn from(written: io::Result<()>) -> Self {
        match written {
            Ok(()) => return Self::There,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => unwritten("standard output", &error),
        }
        Self::Gone
    }
}

/// Writes text to standard output, at once.
pub(crate) fn put(text: &str) -> Audience {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).into()
}

/// The same, for whoever has nothing to do without a reader.
pub(crate) fn put_or_leave(text: &str) {
    if put(text) == Audience::Gone {
        leave();
    }
}

/// Leaves, since nobody reads any more.
pub(crate) fn leave() -> ! {
    let outcome = if is_unwritten() { Outcome::Unwritten } else { Outcome::Closed };
    std::process::exit(outcome as i32)
}

/// Something was to be written, and could not be: told once, and not forgotten at the end.
pub(crate) fn unwritten(what: &str, error: &io::Error) {
    if !UNWRITTEN.swap(true, Ordering::Relaxed) {
        note!("cannot write {}: {error}", escape(what));
    }
}

static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// Whether something could not be written.
pub(crate) fn is_unwritten() -> bool {
    UNWRITTEN.load(Ordering::Relaxed)
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

/// Sends logs to standard error, as much as was asked for; `LASTWORD_LOG` says more exactly. Handshakes and
/// endings are told by the subcommands themselves.
pub(crate) fn log_to_stderr(verbose: u8, told: Told) {
    let level = match verbose {
        0 => "error",
        1 if told == Told::Already => "error",
        1 => "lastword=info",
        2 => "lastword=debug,lastword::frame=trace",
        _ => "trace",
    };
    // By targets and levels alone: what EnvFilter knows beside them, spans and their fields, takes an engine for regular
    // expressions, which would be a thirtieth of the program.
    let asked = std::env::var("LASTWORD_LOG").ok().and_then(|asked| asked.parse().ok());
    let targets: Targets = asked.or_else(|| level.parse().ok()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(!crate::style::is_plain());
    tracing_subscriber::registry().with(lines).with(targets).init();
}

/// Whether handshakes and endings are told to people beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Already,
    ByTheLog,
}

/// What proves who somebody is, whoever sends it.
const SECRET: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];

/// A header's value as text, unless it is secret.
pub(crate) fn header_value<'a>(name: &HeaderName, value: &'a HeaderValue) -> Cow<'a, str> {
    match value.is_sensitive() || SECRET.contains(name) {
        true => "(not shown)".into(),
        false => String::from_utf8_lossy(value.as_bytes()),
    }
}

/// A URL, or the first line of a request, whose query is kept but for values that look like secrets.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    let Some((path, rest)) = text.split_once('?') else { return text.into() };
    let (query, version) = match rest.split_once(' ') {
        Some((query, version)) => (query, format!(" {version}")),
        None => (rest, String::new()),
    };
    let parameters: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if sounds_secret(name) => format!("{name}=(not shown)").into(),
            _ => parameter.into(),
        })
        .collect();
    format!("{path}?{}{version}", parameters.join("&")).into()
}

/// A URL for people: without who we are to the server, without what sounds secret, and harmless.
pub(crate) fn url(url: &str) -> String {
    escape(&without_secrets(&without_user(url))).into_owned()
}

/// Whether a parameter's value is likely to prove who somebody is.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SOUNDS_SECRET.iter().any(|word| name.contains(word))
}

/// What names of parameters have in them whose values nobody else should see.
const SOUNDS_SECRET: [&str; 10] =
    ["token", "key", "secret", "passw", "auth", "sign", "ticket", "jwt", "session", "credential"];

/// The head of a request or of an answer, a line for each header; what is secret is not shown.
pub(crate) fn head(start: &str, headers: &HeaderMap, arrow: char) -> String {
    let mut lines = format!("{arrow} {}", escape(start));
    for (name, value) in headers {
        let _ = write!(lines, "\n{arrow} {name}: {}", escape(&header_value(name, value)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_kept_but_for_what_sounds_secret() {
        for (text, expected) in [
            ("ws://a/b", "ws://a/b"),
            ("ws://a/b?room=7&Access_Token=x=y", "ws://a/b?room=7&Access_Token=(not shown)"),
            ("GET /?apikey=1&x HTTP/1.1", "GET /?apikey=(not shown)&x HTTP/1.1"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn json_is_the_same_value_and_obeyed_by_no_terminal() {
        let peer = "\u{1b}[2J \u{9b}2J \u{7f}\u{202e}\u{feff} gr\u{fc}ezi \\ \" \n";
        let value = serde_json::json!({ "text": peer });
        let line = json(&value);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        assert!(!line.contains(is_unprintable), "{line}");
        assert!(line.contains("gr\u{fc}ezi"), "{line}");
    }
}
