//! Where answers are seen: lines for people, or objects for other programs.

use std::time::Duration;

use lastword::{Ending, First, Opening};
use serde_json::{Map, Value, json};

use super::Answer;
use super::tally::Tally;
use crate::args::{PingArgs, Talk};
use crate::figures::{Share, Time, many};
use crate::print::escape;
use crate::report;
use crate::style::Style;

pub(super) struct Stage<'a> {
    args: &'a PingArgs,
    timeout: Duration,
    talk: Talk,
}

impl<'a> Stage<'a> {
    pub(super) const fn new(args: &'a PingArgs, timeout: Duration, talk: Talk) -> Self {
        Self { args, timeout, talk }
    }

    pub(super) fn opened(&self, opening: &Opening) {
        let bytes = self.args.payload(1).len();
        if self.args.json {
            let peer = opening.peer_addr.map(|peer| peer.to_string());
            event(&json!({ "ev": "open", "peer": peer, "bytes": bytes }));
        } else if self.talk != Talk::Quiet {
            let url = crate::print::url(&self.args.target.url);
            let peer = opening.peer_addr.map(|peer| format!(" ({peer})")).unwrap_or_default();
            line(&format!("Ping {}{peer}, {bytes} bytes of data", url));
        }
    }

    pub(super) fn answer(&self, number: u64, answer: Answer) {
        if self.args.json {
            let object = match answer {
                Answer::After(time) => {
                    json!({ "ev": "pong", "seq": number, "seconds": time.as_secs_f64() })
                }
                Answer::Late => json!({ "ev": "lost", "seq": number, "why": "late" }),
                Answer::Unsent => json!({ "ev": "lost", "seq": number, "why": "unsent" }),
                Answer::Gone | Answer::Closing => return,
            };
            return event(&object);
        }
        if self.talk == Talk::Quiet {
            return;
        }
        let limit = self.timeout;
        match answer {
            Answer::After(time) => {
                line(&format!("seq={number} time={}", Style::Incoming.of(Time(time))))
            }
            Answer::Late => {
                let late = format!("no answer within {limit:?}");
                line(&format!("seq={number} {}", Style::Bad.of(late)));
            }
            Answer::Unsent => {
                let stuck = "not sent: the server takes no more";
                line(&format!("seq={number} {}", Style::Bad.of(stuck)));
            }
            Answer::Gone | Answer::Closing => {}
        }
    }

    pub(super) fn summary(&self, tally: &Tally) {
        let (sent, answered, lost) = (tally.sent(), tally.answered(), tally.lost());
        if self.args.json {
            let times: Option<Map<String, Value>> = tally.times().map(|times| {
                times.into_iter().map(|(name, time)| (name.to_owned(), seconds(time))).collect()
            });
            return event(&json!({
                "ev": "summary", "sent": sent, "answered": answered, "lost": lost,
                "waiting": tally.waiting(), "seconds": times,
            }));
        }
        let share = Share { of: lost, all: answered + lost };
        let share = if lost > 0 { Style::Bad.of(share) } else { Style::Good.of(share) };
        let waiting = match tally.waiting() {
            0 => String::new(),
            waiting => format!(", {waiting} without an answer at the end"),
        };
        if self.talk != Talk::Quiet {
            line("");
        }
        let sent = many(sent, "ping");
        line(&format!("{sent} sent, {answered} answered, {share} lost{waiting}"));
        if let Some(times) = tally.times() {
            let times = times.map(|(name, time)| format!("{name} {}", Time(time)));
            line(&times.join(", "));
        }
    }

    /// An end that was not ours, or not as it should be.
    pub(super) fn ended(&self, ending: &Ending) {
        if self.args.json {
            return event(&report::ended(None, ending));
        }
        let expected = ending.is_clean() && ending.first == Some(First::Us);
        if !expected || self.talk == Talk::Verbose {
            let style = if ending.is_clean() { Style::Good } else { Style::Bad };
            let sentence = escape(&ending.to_string()).into_owned();
            line(&style.of(sentence).to_string());
        }
    }
}

/// A closed pipe is no failure: whoever reads has read enough.
fn line(line: &str) {
    crate::print::put_or_leave(&format!("{line}\n"));
}

fn event(event: &Value) {
    line(&crate::print::json(event));
}

fn seconds(time: Duration) -> Value {
    time.as_secs_f64().into()
}
