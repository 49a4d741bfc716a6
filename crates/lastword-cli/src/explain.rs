//! `explain`: what an ending means in practice, and what to do. The text is `docs/endings.md`; topics are
//! found by name, by close code, by the number of an error, or by a sentence pasted from a log.

use std::fmt::Write as _;

use crate::args::ExplainArgs;
use crate::exit::Outcome;

/// The guide, as it stands in the documentation.
const GUIDE: &str = include_str!("../../../docs/endings.md");

/// How wide text is set.
const WIDTH: usize = 96;

/// What the arguments ask for, on standard output.
pub(crate) fn run(args: &ExplainArgs) -> Outcome {
    let topics = topics();
    if args.topic.is_empty() {
        crate::print::out!("{}", list(&topics));
        return Outcome::Closed;
    }
    let asked = args.topic.join(" ");
    let Some(topic) = find(&topics, &asked) else {
        crate::print::note!("error: nothing is known of \"{}\"", crate::print::escape(&asked));
        match near(&topics, &asked).as_slice() {
            [] => {
                let hint = "Try a close code (1006), an error's number (10054), or one of these:";
                crate::print::note!("{hint}\n{}", list(&topics));
            }
            near => crate::print::note!("Perhaps one of these: {}", wrap(&near.join(", "), WIDTH)),
        }
        return Outcome::Usage;
    };
    crate::print::out!("{}", topic.render());
    Outcome::Closed
}

/// A section of the guide.
#[derive(Debug)]
struct Topic<'a> {
    name: &'a str,
    also: Vec<&'a str>,
    /// Sentences, with `…` for what differs from one connection to the next.
    printed: Vec<&'a str>,
    paragraphs: Vec<&'a str>,
}

fn topics() -> Vec<Topic<'static>> {
    let sections = GUIDE.split("\n## ").skip(1);
    sections
        .map(|section| {
            // The next chapter's heading belongs to nobody.
            let section = section.split("\n# ").next().unwrap_or_default();
            let (name, body) = section.split_once('\n').unwrap_or((section, ""));
            let mut topic =
                Topic { name, also: Vec::new(), printed: Vec::new(), paragraphs: Vec::new() };
            for line in body.lines().filter(|line| !line.is_empty()) {
                if let Some(also) = line.strip_prefix("Also: ") {
                    topic.also = also.trim_end_matches('.').split(", ").collect();
                } else if let Some(printed) = line.strip_prefix("Printed: ") {
                    topic.printed = printed.split('`').skip(1).step_by(2).collect();
                } else {
                    topic.paragraphs.push(line);
                }
            }
            topic
        })
        .collect()
}

/// The topic that is meant: by its name, by a number within it, or by a sentence that it prints.
fn find<'a>(topics: &'a [Topic<'a>], asked: &str) -> Option<&'a Topic<'a>> {
    let asked = asked.trim().to_lowercase();
    let bare = ["winerror ", "os error ", "errno ", "code "]
        .iter()
        .find_map(|prefix| asked.strip_prefix(prefix))
        .unwrap_or(&asked);
    let named = |topic: &&Topic<'_>| {
        topic.name == bare || topic.also.iter().any(|also| also.to_lowercase() == bare)
    };
    let number = bare.parse::<u32>().ok();
    let spans = |topic: &&Topic<'_>| {
        let within = topic.name.split_once('-').and_then(|(from, to)| {
            let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
            number.map(|number| (from..=to).contains(&number))
        });
        within.unwrap_or(topic.name == "5000" && number.is_some_and(is_beyond_codes))
    };
    // The longest sentence is the one that says most.
    let prints = |topic: &Topic<'_>| {
        let lengths = topic.printed.iter().filter(|printed| is_said(printed, &asked));
        lengths.map(|printed| printed.len()).max()
    };
    topics
        .iter()
        .find(named)
        .or_else(|| topics.iter().find(spans))
        .or_else(|| topics.iter().filter(|t| prints(t).is_some()).max_by_key(|t| prints(t)))
}

/// Whether this would be a close code, were there codes so large. Windows numbers its errors of sockets from
/// 10000 on: one of those that is not known is no code.
fn is_beyond_codes(number: u32) -> bool {
    (5000..=u32::from(u16::MAX)).contains(&number) && !(10_000..12_000).contains(&number)
}

/// The topics that have these words in their names, or in what they print.
fn near<'a>(topics: &[Topic<'a>], asked: &str) -> Vec<&'a str> {
    let asked = asked.trim().to_lowercase();
    let near = |text: &str| text.to_lowercase().contains(&asked);
    let fits = |topic: &&Topic<'a>| {
        let mut texts = topic.also.iter().chain(&topic.printed).chain([&topic.name]);
        texts.any(|text| near(text))
    };
    topics.iter().filter(fits).map(|topic| topic.name).collect()
}

/// Whether `sentence` stands in `asked`, with anything in place of each `…`.
fn is_said(sentence: &str, asked: &str) -> bool {
    let mut rest = asked;
    sentence.to_lowercase().split('…').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = rest.get(at.saturating_add(piece.len())..).unwrap_or_default();
            true
        }
        None => false,
    })
}

fn list(topics: &[Topic<'_>]) -> String {
    let names: Vec<_> = topics.iter().map(|topic| topic.name).collect();
    wrap(&names.join(", "), WIDTH)
}

impl Topic<'_> {
    fn render(&self) -> String {
        let mut text = String::from(self.name);
        if !self.also.is_empty() {
            text += "\n\n";
            text += &wrap(&format!("Also: {}.", self.also.join(", ")), WIDTH);
        }
        if !self.printed.is_empty() {
            text += "\n\nPrinted:";
            for printed in &self.printed {
                // A `String` takes all that is written to it.
                let _ = write!(text, "\n  {printed}");
            }
        }
        for paragraph in &self.paragraphs {
            text += "\n\n";
            text += &wrap(&paragraph.replace(['`', '*'], ""), WIDTH);
        }
        text
    }
}

/// Sets `text` in lines of at most `width` characters.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { unreachable!("there is one from the start") };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}
