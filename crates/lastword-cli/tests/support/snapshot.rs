//! What is said, held against what stands in `tests/snapshots`. `LASTWORD_BLESS=1` writes it anew, to be read
//! before it is kept.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::ended;

/// Holds a text against the snapshot of this name.
#[track_caller]
pub(crate) fn compare(name: &str, came: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("LASTWORD_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, came).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if came == expected {
        return;
    }
    let (mut kept, mut new) = (expected.lines(), came.lines());
    let mut number = 1;
    loop {
        match (kept.next(), new.next()) {
            (kept, new) if kept == new && new.is_some() => number += 1,
            (kept, new) => panic!(
                "{name} is another from line {number} on\n  kept  {kept:?}\n  new   {new:?}\n\
                 LASTWORD_BLESS=1 writes it anew, to be read before it is kept"
            ),
        }
    }
}

/// The command in surroundings that are the same on every machine.
pub(crate) fn steady(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastword"));
    command.args(args).env("COLUMNS", "100");
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    for name in ["NO_COLOR", "LASTWORD_PASSWORD", "LASTWORD_BEARER", "LASTWORD_LOG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Commands and what they say, as they would stand in a terminal.
#[derive(Default)]
pub(crate) struct Session {
    text: String,
    masks: Vec<(String, String)>,
}

impl Session {
    /// Writes `name` in place of what differs from run to run.
    pub(crate) fn masks(&mut self, what: &str, name: &str) {
        self.masks.push((what.to_owned(), name.to_owned()));
    }

    /// Runs the command, and writes down what it said and its exit code.
    pub(crate) fn runs(&mut self, args: &[&str]) {
        self.runs_with(args, &[]);
    }

    /// The same, with these in its environment.
    pub(crate) fn runs_with(&mut self, args: &[&str], environment: &[(&str, &str)]) {
        let mut command = steady(args);
        command.envs(environment.iter().copied());
        let output = ended(command.spawn().unwrap());
        self.ran(args, environment, &output);
    }

    /// Writes down what a command said that was run elsewhere.
    pub(crate) fn ran(&mut self, args: &[&str], environment: &[(&str, &str)], output: &Output) {
        let before = environment.iter().map(|(name, value)| format!("{name}={} ", quoted(value)));
        let words: Vec<String> = args.iter().map(|word| quoted(word)).collect();
        let line = format!("{}lastword {}", before.collect::<String>(), words.join(" "));
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap();
        let said = format!("$ {line}\n{out}{err}[exit code {code}]\n\n");
        self.text += &self.masked(&said);
    }

    /// Writes `name` in place of all that stands between these, in what was written down so far.
    pub(crate) fn hides(&mut self, before: &str, after: &str, name: &str) {
        self.text = between(&self.text, before, after, name);
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (what, name) in &self.masks {
            text = text.replace(what, name);
        }
        // Numbers of errors differ from system to system; what a resolver says depends on the network.
        for (before, after, name) in
            [("(os error ", ")", "N"), ("failed to lookup address information: ", "\n", "WHY")]
        {
            text = between(&text, before, after, name);
        }
        text
    }

    /// Holds all of it against the snapshot of this name.
    #[track_caller]
    pub(crate) fn compare(&self, name: &str) {
        compare(name, &self.text);
    }
}

/// A text in which `name` stands for all that is between `before` and `after`.
fn between(text: &str, before: &str, after: &str, name: &str) -> String {
    let mut pieces = text.split(before);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(after).unwrap_or(0);
        masked += &format!("{before}{name}{}", &piece[end..]);
    }
    masked
}

/// A word as one would type it in a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%[]{}…~".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}
