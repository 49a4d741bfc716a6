//! The deliberate differences: which there are, and how each is recognised.
//!
//! A rule is as narrow as what it knows allows: it asks for the fact that causes the difference (on
//! the wire, or as the reason that ours gave) and for what must be the same in spite of it. Names,
//! words and reasons stand in `differences.toml`; a test holds the two against each other.

use lastword_proto::{HeaderError, Violation};
use serde::Deserialize;

use crate::wire::{Frame, Walk, first_fault, walk};
use crate::{Case, End, Verdict};

/// The file, as it was when this was built.
pub const FILE: &str = include_str!("../differences.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    pub name: String,
    pub judges: Vec<String>,
    pub what: String,
    pub why: String,
}

/// What the file says.
///
/// # Panics
/// If the file cannot be read.
pub fn listed() -> Vec<Difference> {
    toml::from_str::<File>(FILE).expect("differences.toml is readable").difference
}

/// The file as a table for `docs/differential.md`.
pub fn table() -> String {
    let mut table = String::from("| Name | Against | Difference | Reason |\n|---|---|---|---|\n");
    for Difference { name, judges, what, why } in listed() {
        table += &format!("| `{name}` | {} | {what} | {why} |\n", judges.join(", "));
    }
    table
}

/// A difference that no rule explains.
#[derive(Debug)]
pub struct Disagreement {
    pub case: Case,
    pub judge: &'static str,
    pub ours: Verdict,
    pub theirs: Verdict,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { case, judge, ours, theirs } = self;
        let hex: String = case.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(f, "{case:?}\n  ours:\n{ours:?}\n  {judge}:\n{theirs:?}")?;
        writeln!(f, "  frames:")?;
        for frame in walk(&case.wire).frames {
            let Frame { start, fin, reserved, opcode, masked, len, payload, .. } = frame;
            let fin = if fin { "" } else { " unfinished" };
            let shown = payload.get(..24).unwrap_or(&payload).escape_ascii();
            let masked = if masked { " masked" } else { "" };
            writeln!(
                f,
                "    at {start}: opcode {opcode:x}{fin} rsv {reserved:03b}{masked}, {len} bytes \"{shown}\""
            )?;
        }
        write!(f, "  replay: conformance/differential/run --judge {judge} --replay {hex}")
    }
}

impl std::error::Error for Disagreement {}

/// The names of the rules that explain every difference of two verdicts; none if they agree.
///
/// # Errors
/// The [`Disagreement`], if they do not.
pub fn explain(
    case: &Case,
    judge: &'static str,
    ours: &Verdict,
    theirs: &Verdict,
) -> Result<Vec<&'static str>, Box<Disagreement>> {
    let mut names = Vec::new();
    if ours.agrees(theirs) {
        return Ok(names);
    }
    let walk = walk(&case.wire);
    let mut rest = Seen { case, walk: &walk, ours, theirs: theirs.clone() };
    // Pongs are a matter of their own: with them aside, the rest may be the same, or not.
    for rule in RULES.iter().filter(|rule| rule.judges.contains(&judge)) {
        if (rule.holds)(&rest) {
            names.push(rule.name);
            if rule.about == About::All {
                return Ok(names);
            }
            rest.theirs.pongs.clone_from(&ours.pongs);
            if ours.agrees(&rest.theirs) {
                return Ok(names);
            }
        }
    }
    let (case, ours, theirs) = (case.clone(), ours.clone(), theirs.clone());
    Err(Box::new(Disagreement { case, judge, ours, theirs }))
}

/// What a rule sees.
struct Seen<'a> {
    case: &'a Case,
    walk: &'a Walk,
    ours: &'a Verdict,
    theirs: Verdict,
}

pub struct Rule {
    pub name: &'static str,
    pub judges: &'static [&'static str],
    about: About,
    holds: fn(&Seen<'_>) -> bool,
}

/// What a rule explains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Pongs,
    All,
}

const BOTH: &[&str] = &["tungstenite", "websockets"];
const TUNGSTENITE: &[&str] = &["tungstenite"];
const WEBSOCKETS: &[&str] = &["websockets"];

pub const RULES: &[Rule] = &[
    Rule { name: "pong-overtaken", judges: BOTH, about: About::Pongs, holds: pong_overtaken },
    Rule { name: "pong-newest", judges: BOTH, about: About::Pongs, holds: pong_newest },
    Rule { name: "length-not-minimal", judges: BOTH, about: About::All, holds: length_not_minimal },
    Rule { name: "judged-at-the-proving-byte", judges: BOTH, about: About::All, holds: early },
    Rule { name: "several-faults", judges: BOTH, about: About::All, holds: several_faults },
    Rule { name: "fragments-limit", judges: BOTH, about: About::All, holds: fragments_limit },
    Rule {
        name: "refused-close-code",
        judges: TUNGSTENITE,
        about: About::All,
        holds: refused_close_code,
    },
    Rule {
        name: "close-code-1014",
        judges: TUNGSTENITE,
        about: About::All,
        holds: close_code_1014,
    },
    Rule {
        name: "close-inside-message",
        judges: WEBSOCKETS,
        about: About::All,
        holds: close_inside_message,
    },
    Rule {
        name: "broken-deflate-code",
        judges: WEBSOCKETS,
        about: About::All,
        holds: broken_deflate_code,
    },
    Rule {
        name: "text-checked-as-it-comes",
        judges: WEBSOCKETS,
        about: About::All,
        holds: text_checked_late,
    },
    Rule {
        name: "limit-on-controls",
        judges: WEBSOCKETS,
        about: About::All,
        holds: limit_on_controls,
    },
    Rule {
        name: "limit-on-compressed-frames",
        judges: WEBSOCKETS,
        about: About::All,
        holds: limit_on_compressed_frames,
    },
    Rule { name: "limit-held-back", judges: WEBSOCKETS, about: About::All, holds: limit_held_back },
    Rule { name: "final-block", judges: WEBSOCKETS, about: About::All, holds: final_block },
    Rule {
        name: "compressed-nothing",
        judges: WEBSOCKETS,
        about: About::All,
        holds: compressed_nothing,
    },
    Rule {
        name: "tail-inside-a-block",
        judges: WEBSOCKETS,
        about: About::All,
        holds: tail_is_data,
    },
    Rule {
        name: "limit-before-the-mask",
        judges: WEBSOCKETS,
        about: About::All,
        holds: limit_before_the_mask,
    },
];

impl Seen<'_> {
    fn violation(&self) -> Option<&Violation> {
        self.ours.note.violation.as_ref()
    }

    fn same_messages(&self) -> bool {
        self.ours.messages == self.theirs.messages
    }

    /// Whether there are more pings than we answer one by one, if they come in one read.
    fn many_pings(&self) -> bool {
        self.walk.frames.iter().filter(|frame| frame.opcode == 9).count() > ONE_BY_ONE
    }

    /// Whether all that we delivered and answered they did, too, first.
    fn they_go_on(&self) -> bool {
        let (ours, theirs) = (&self.ours.pongs, &self.theirs.pongs);
        self.theirs.messages.starts_with(&self.ours.messages)
            && (theirs.starts_with(ours) || self.many_pings() && is_among(ours, theirs))
    }

    /// Whether all that they delivered and answered we did, too, first.
    fn we_go_on(&self) -> bool {
        let (ours, theirs) = (&self.ours.pongs, &self.theirs.pongs);
        // Of many pings, the first are answered whatever comes behind them.
        let sure = theirs.get(..ONE_BY_ONE - 1).unwrap_or(theirs);
        self.ours.messages.starts_with(&self.theirs.messages)
            && (is_among(theirs, ours) || self.many_pings() && ours.starts_with(sure))
    }

    /// Both end, and we answered what they answered, at least until the end.
    fn both_fail(&self) -> Option<(u16, u16)> {
        match (&self.ours.end, &self.theirs.end) {
            (&End::Failed(ours), &End::Failed(theirs))
                if self.same_messages() && is_among(&self.ours.pongs, &self.theirs.pongs) =>
            {
                Some((ours, theirs))
            }
            _ => None,
        }
    }
}

/// How many pings of one read we answer, the last of them the newest.
const ONE_BY_ONE: usize = 16;

/// Whether `few` are among `many`, in this order.
fn is_among(few: &[Vec<u8>], many: &[Vec<u8>]) -> bool {
    let mut many = many.iter();
    few.iter().all(|pong| many.any(|other| other == pong))
}

fn pong_overtaken(seen: &Seen<'_>) -> bool {
    let over = matches!(seen.ours.end, End::Closed { .. } | End::Failed(_));
    over && seen.ours.pongs != seen.theirs.pongs
        && seen.theirs.pongs.starts_with(&seen.ours.pongs)
        && seen.theirs.pongs.len() <= seen.walk.frames.iter().filter(|f| f.opcode == 9).count()
}

fn pong_newest(seen: &Seen<'_>) -> bool {
    let (ours, theirs) = (&seen.ours.pongs, &seen.theirs.pongs);
    theirs.len() > ONE_BY_ONE && ours.len() < theirs.len() && is_among(ours, theirs)
}

fn length_not_minimal(seen: &Seen<'_>) -> bool {
    let length = |why: &Violation| {
        matches!(
            why,
            Violation::Header(HeaderError::LengthNotMinimal(_) | HeaderError::ControlTooLong(_))
        )
    };
    let fault = first_fault(seen.case, seen.walk);
    let padded = fault.is_some_and(|(number, _)| !seen.walk.frames[number].minimal);
    seen.violation().is_some_and(length) && padded && seen.they_go_on()
}

fn early(seen: &Seen<'_>) -> bool {
    let they_wait = matches!(seen.theirs.end, End::Open | End::Eof);
    matches!(seen.ours.end, End::Failed(_))
        && they_wait
        && seen.walk.cut
        && seen.same_messages()
        && is_among(&seen.ours.pongs, &seen.theirs.pongs)
}

fn several_faults(seen: &Seen<'_>) -> bool {
    let Some((ours, theirs)) = seen.both_fail() else { return false };
    let Some((_, codes)) = first_fault(seen.case, seen.walk) else { return false };
    codes.contains(&ours) && codes.contains(&theirs)
}

fn fragments_limit(seen: &Seen<'_>) -> bool {
    matches!(seen.violation(), Some(Violation::TooManyFragments { .. })) && seen.they_go_on()
}

/// tungstenite's stand-in for a code that it refuses.
fn stand_in(end: &End) -> bool {
    matches!(end, End::Closed { code: 1002, reason, answer: 1002 } if reason == "Protocol violation")
}

fn refused_close_code(seen: &Seen<'_>) -> bool {
    matches!(seen.violation(), Some(Violation::CloseCode(_)))
        && seen.ours.end == End::Failed(1002)
        && stand_in(&seen.theirs.end)
        && seen.same_messages()
}

fn close_code_1014(seen: &Seen<'_>) -> bool {
    matches!(seen.ours.end, End::Closed { code: 1014, answer: 1014, .. })
        && stand_in(&seen.theirs.end)
        && seen.same_messages()
}

fn close_inside_message(seen: &Seen<'_>) -> bool {
    let data = |frame: &&Frame| !frame.is_control();
    let close = seen.walk.frames.iter().position(|frame| frame.opcode == 8);
    let inside = close.is_some_and(|close| {
        seen.walk.frames[..close].iter().rev().find(data).is_some_and(|frame| !frame.fin)
    });
    matches!(seen.ours.end, End::Closed { .. })
        && inside
        && seen.theirs.end == End::Failed(1002)
        && seen.same_messages()
}

fn broken_deflate_code(seen: &Seen<'_>) -> bool {
    seen.violation() == Some(&Violation::BrokenDeflate) && seen.both_fail() == Some((1007, 1002))
}

fn text_checked_late(seen: &Seen<'_>) -> bool {
    matches!(seen.violation(), Some(Violation::NotUtf8 { .. }))
        && seen.same_messages()
        && is_among(&seen.ours.pongs, &seen.theirs.pongs)
}

fn limit_on_controls(seen: &Seen<'_>) -> bool {
    let limit = seen.case.limit() as u64;
    let mut left = limit;
    let too_much = seen.walk.frames.iter().any(|frame| {
        if frame.is_control() {
            return frame.len > left;
        }
        let before = if matches!(frame.opcode, 1 | 2) { limit } else { left };
        // What a compressed frame takes of the limit is not known here: maybe all.
        let taken = if seen.case.deflate().is_some() { limit } else { frame.len };
        left = if frame.fin { limit } else { before.saturating_sub(taken) };
        false
    });
    too_much && seen.theirs.end == End::Failed(1009) && seen.we_go_on()
}

/// The frames of compressed messages, and whether each begins one.
fn compressed<'a>(seen: &'a Seen<'_>) -> impl Iterator<Item = &'a Frame> {
    let mut inside = false;
    seen.walk.frames.iter().filter(move |frame| {
        if frame.is_control() {
            return false;
        }
        if frame.opcode != 0 {
            inside = frame.is_compressed();
        }
        inside
    })
}

fn limit_on_compressed_frames(seen: &Seen<'_>) -> bool {
    compressed(seen).any(|frame| frame.opcode == 0)
        && seen.theirs.end == End::Failed(1009)
        && seen.we_go_on()
}

fn limit_held_back(seen: &Seen<'_>) -> bool {
    matches!(seen.violation(), Some(Violation::InflatedTooBig { .. })) && seen.they_go_on()
}

fn final_block(seen: &Seen<'_>) -> bool {
    seen.theirs
        .note
        .final_block
        .is_some_and(|count| seen.ours.messages.get(..count) == seen.theirs.messages.get(..count))
}

fn compressed_nothing(seen: &Seen<'_>) -> bool {
    let mut bytes = 1;
    let nothing = compressed(seen).find(|frame| {
        bytes = if frame.opcode == 0 { bytes } else { 0 } + frame.payload.len();
        frame.fin && bytes == 0
    });
    nothing.is_some_and(|nothing| {
        let before = seen.walk.frames.iter().take_while(|frame| frame.start < nothing.start);
        let count = before.filter(|frame| frame.fin && !frame.is_control()).count();
        let (ours, theirs) = (seen.ours.messages.get(..count), seen.theirs.messages.get(..count));
        ours.is_some() && ours == theirs
    })
}

fn tail_is_data(seen: &Seen<'_>) -> bool {
    compressed(seen).any(|frame| frame.fin && frame.len >= 2044)
        && seen.theirs.end == End::Failed(1009)
        && seen.we_go_on()
}

fn limit_before_the_mask(seen: &Seen<'_>) -> bool {
    let unkeyed = seen.walk.frames.last().is_some_and(|frame| !frame.keyed);
    matches!(seen.ours.end, End::Open | End::Eof)
        && unkeyed
        && seen.theirs.end == End::Failed(1009)
        && seen.same_messages()
        && seen.ours.pongs == seen.theirs.pongs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Judge, Ours};

    #[test]
    fn the_file_and_the_rules_name_the_same() {
        let mut listed: Vec<_> = listed().into_iter().map(|d| (d.name, d.judges)).collect();
        let mut rules: Vec<_> = RULES
            .iter()
            .map(|r| (r.name.to_owned(), r.judges.iter().map(ToString::to_string).collect()))
            .collect();
        listed.sort();
        rules.sort();
        assert_eq!(listed, rules);
    }

    /// A masked text message, a ping and a close frame, read by a server.
    const PLAIN: &[u8] = b"\0\0\x81\x82\0\0\0\0hi\x89\x81\0\0\0\0p\x88\x82\0\0\0\0\x03\xe8";

    #[test]
    fn no_rule_explains_what_nothing_on_the_wire_causes() {
        let case = Case::from_bytes(PLAIN);
        let honest = Ours.judge(&case);
        assert!(explain(&case, "websockets", &honest, &honest).unwrap().is_empty());
        let lies: [fn(&mut Verdict); 6] = [
            |v| v.messages.clear(),
            |v| v.messages.push((crate::Kind::Text, b"more".to_vec())),
            |v| v.messages[0].0 = crate::Kind::Binary,
            |v| v.pongs = vec![b"q".to_vec(), b"r".to_vec()],
            |v| v.end = End::Open,
            |v| v.end = End::Failed(1002),
        ];
        for judge in ["tungstenite", "websockets"] {
            for lie in lies {
                let mut theirs = honest.clone();
                lie(&mut theirs);
                assert!(explain(&case, judge, &honest, &theirs).is_err(), "{judge} {theirs:?}");
            }
        }
    }

    #[test]
    fn the_document_shows_the_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/differential.md");
        let document = std::fs::read_to_string(path).unwrap();
        assert!(
            document.contains(&table()),
            "docs/differential.md: replace its table with --table"
        );
    }
}
