//! Findings for people and for programs: a table by area, JSON lines, a list of what there is, and how
//! far it has come.

use std::io::{self, IsTerminal};
use std::time::Duration;

use serde_json::{Value, json};

use super::probe::{Mark, Probe};
use super::probes::AREAS;
use super::run::{Finding, Findings, Stopped};
use crate::args::Talk;
use crate::explain::wrap;
use crate::print::{escape, put_or_leave};
use crate::style::{self, Style};

/// How wide explanations are set, and how far in.
const WIDTH: usize = 88;
const INDENT: &str = "      ";

impl Mark {
    /// A sign where there are colours, a word where there are none.
    const fn sign(self) -> (&'static str, &'static str) {
        match self {
            Self::Skipped => ("-", "skip"),
            Self::Fine => ("✓", "ok"),
            Self::Note => ("·", "note"),
            Self::Warning => ("!", "warn"),
            Self::Error => ("✗", "FAIL"),
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Skipped | Self::Note => Style::Dim,
            Self::Fine => Style::Good,
            Self::Warning => Style::Doubtful,
            Self::Error => Style::Bad,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Fine => "fine",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn shown(self) -> String {
        let (sign, word) = self.sign();
        if style::is_plain() { format!("{word:4}") } else { self.style().of(sign).to_string() }
    }
}

/// All of it, and the sum.
pub(super) fn table(url: &str, findings: &Findings, talk: Talk) {
    let mut text = String::new();
    let width = findings.all.iter().map(|finding| finding.probe.id.len()).max().unwrap_or(0);
    for area in &AREAS {
        let is_shown = |finding: &&Finding| {
            let loud = talk != Talk::Quiet || finding.judgement.mark >= Mark::Warning;
            finding.probe.area() == area.name && loud
        };
        let mut shown = findings.all.iter().filter(is_shown).peekable();
        if shown.peek().is_some() {
            text += &format!("{}\n", area.title);
        }
        let (skipped, told): (Vec<_>, Vec<_>) =
            shown.partition(|finding| finding.judgement.mark == Mark::Skipped);
        for finding in told {
            text += &line(finding, width, talk);
        }
        text += &all_skipped(&skipped, width);
    }
    if talk != Talk::Quiet {
        text += &sum(url, findings);
    }
    put_or_leave(&text);
}

fn line(finding: &Finding, width: usize, talk: Talk) -> String {
    let Finding { probe, judgement } = finding;
    let mark = judgement.mark;
    let said = escape(&judgement.said);
    let said = match mark {
        Mark::Fine | Mark::Note => said.into_owned(),
        _ => mark.style().of(said).to_string(),
    };
    let after = judgement.after.map(|after| format!("  {}", Style::Dim.of(time(after))));
    let mut text =
        format!("  {} {:width$}  {said}{}\n", mark.shown(), probe.id, after.unwrap_or_default());
    let told = talk == Talk::Verbose || mark > Mark::Fine;
    if told {
        let does = match mark {
            Mark::Warning | Mark::Error => {
                format!("It {}. {} ({})", probe.does, probe.why, probe.rule)
            }
            _ => format!("{} ({})", probe.why, probe.rule),
        };
        for line in wrap(&does, WIDTH).lines() {
            text += &format!("{INDENT}{}\n", Style::Dim.of(line));
        }
    }
    text
}

/// What was skipped for one reason, in one line.
fn all_skipped(skipped: &[&Finding], width: usize) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Finding { probe, judgement } in skipped.iter().copied() {
        match reasons.iter_mut().find(|(reason, _)| *reason == judgement.said) {
            Some((_, names)) => names.push(probe.id),
            None => reasons.push((&judgement.said, vec![probe.id])),
        }
    }
    let line = |(reason, names): &(&str, Vec<&str>)| {
        let who = match names[..] {
            [name] => name.to_owned(),
            _ => format!("{} probes", names.len()),
        };
        format!("  {} {who:width$}  {}\n", Mark::Skipped.shown(), Style::Dim.of(escape(reason)))
    };
    reasons.iter().map(line).collect()
}

fn sum(url: &str, findings: &Findings) -> String {
    let counted = |mark: Mark, one: &str, many: &str| match findings.count(mark) {
        0 => String::new(),
        1 => format!(", {}", mark.style().of(format!("1 {one}"))),
        count => format!(", {}", mark.style().of(format!("{count} {many}"))),
    };
    let stopped = match findings.stopped {
        Stopped::No => "",
        Stopped::Early => " (stopped early)",
    };
    let probes = match findings.all.len() {
        1 => "1 probe".to_owned(),
        count => format!("{count} probes"),
    };
    let fine = Style::Good.of(format!("{} fine", findings.count(Mark::Fine)));
    format!(
        "\n{}: {probes} in {}{stopped}: {fine}{}{}{}{}\n",
        url,
        time(findings.took),
        counted(Mark::Error, "error", "errors"),
        counted(Mark::Warning, "warning", "warnings"),
        counted(Mark::Note, "note", "notes"),
        counted(Mark::Skipped, "skipped", "skipped"),
    )
}

fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 9.95 {
        format!("{millis:.1} ms")
    } else if millis < 999.5 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1e3)
    }
}

/// One probe as an object.
pub(super) fn object(finding: &Finding) -> Value {
    let Finding { probe, judgement } = finding;
    json!({
        "ev": "probe",
        "id": probe.id,
        "area": probe.area(),
        "does": probe.does,
        "rule": probe.rule,
        "mark": judgement.mark.name(),
        "said": judgement.said,
        "seconds": judgement.after.map(|after| after.as_secs_f64()),
        "why": (judgement.mark > Mark::Fine).then_some(probe.why),
    })
}

/// The sum as an object.
pub(super) fn sum_object(url: &str, findings: &Findings) -> Value {
    json!({
        "ev": "summary",
        "url": url,
        "probes": findings.all.len(),
        "fine": findings.count(Mark::Fine),
        "notes": findings.count(Mark::Note),
        "warnings": findings.count(Mark::Warning),
        "errors": findings.count(Mark::Error),
        "skipped": findings.count(Mark::Skipped),
        "seconds": findings.took.as_secs_f64(),
        "stopped": findings.stopped == Stopped::Early,
    })
}

/// What there is to be run.
pub(super) fn list(probes: &[&Probe]) {
    let width = probes.iter().map(|probe| probe.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for area in &AREAS {
        let mut rows = probes.iter().filter(|probe| probe.area() == area.name).peekable();
        if rows.peek().is_some() {
            text += &format!("{}\n", area.title);
        }
        for probe in rows {
            let rule = Style::Dim.of(format!("({}, {})", probe.weight.name(), probe.rule));
            text += &format!("  {:width$}  {}  {rule}\n", probe.id, probe.does);
        }
    }
    put_or_leave(&text);
}

/// How far it has come, in one line of a terminal that is written again and again.
pub(super) struct Progress {
    all: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    pub(super) fn begin(all: usize, talk: Talk) -> Self {
        let shown = talk != Talk::Quiet && io::stderr().is_terminal();
        let progress = Self { all, done: 0, shown };
        progress.show("a first look");
        progress
    }

    pub(super) fn done(&mut self, finding: &Finding) {
        self.done += 1;
        self.show(finding.probe.id);
    }

    fn show(&self, what: &str) {
        if self.shown {
            eprint!("\r\x1b[K{}/{} {what}", self.done, self.all);
        }
    }

    /// Leaves the line to what follows.
    pub(super) fn end(self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
