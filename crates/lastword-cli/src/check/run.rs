//! Runs probes: several at once, the hard ones one after the other, and a last look at the end. What comes
//! of the rounds of a probe becomes one finding.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::judge::{Judgement, judge};
use super::play::{Facts, Waits, play};
use super::probe::{Expect, Force, Mark, Probe, Say};
use crate::args::Target;
use crate::stop::Stop;

/// What came of a probe.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) probe: &'static Probe,
    pub(super) judgement: Judgement,
}

/// What came of all of them.
#[derive(Debug)]
pub(super) struct Findings {
    /// In the order of the table.
    pub(super) all: Vec<Finding>,
    pub(super) took: Duration,
    pub(super) stopped: Stopped,
}

/// Whether all of them were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    No,
    /// By a signal.
    Early,
}

impl Findings {
    pub(super) fn count(&self, mark: Mark) -> usize {
        self.all.iter().filter(|finding| finding.judgement.mark == mark).count()
    }
}

/// When a probe has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Together,
    Alone,
    /// Whether the server is still there.
    Last,
}

const TURNS: [Turn; 3] = [Turn::Together, Turn::Alone, Turn::Last];

fn turn(probe: &Probe) -> Turn {
    match (probe.force, probe.id) {
        (Force::Hard, _) => Turn::Alone,
        (Force::Gentle, "close/still-there") => Turn::Last,
        (Force::Gentle, _) => Turn::Together,
    }
}

/// Runs them; `tell` hears of each when it is done.
pub(super) async fn run(
    target: &Target,
    probes: &[&'static Probe],
    waits: Waits,
    facts: Facts,
    jobs: usize,
    stop: &mut Stop,
    mut tell: impl FnMut(&Finding),
) -> Findings {
    let began = Instant::now();
    let mut done: Vec<Option<Finding>> = probes.iter().map(|_| None).collect();
    let mut stopped = Stopped::No;
    for turn_now in TURNS {
        if stopped == Stopped::Early {
            break;
        }
        let slots = Arc::new(Semaphore::new(if turn_now == Turn::Together { jobs } else { 1 }));
        let mut tasks = JoinSet::new();
        let mut open: Vec<Vec<Option<Judgement>>> = probes.iter().map(|_| Vec::new()).collect();
        for (at, probe) in probes.iter().enumerate().filter(|(_, probe)| turn(probe) == turn_now) {
            open[at] = probe.rounds.iter().map(|_| None).collect();
            for number in 0..probe.rounds.len() {
                let (target, probe, slots) = (target.clone(), *probe, Arc::clone(&slots));
                tasks.spawn(async move {
                    // Nobody closes it.
                    let _slot = slots.acquire().await;
                    (at, number, one(&target, probe, number, waits, facts).await)
                });
            }
        }
        while stopped == Stopped::No {
            let joined = tokio::select! {
                joined = tasks.join_next() => joined,
                () = stop.asked() => {
                    stopped = Stopped::Early;
                    break;
                }
            };
            let Some(joined) = joined else { break };
            // A task of ours that fails is a fault of ours, and must not be taken for a finding.
            let (at, number, judgement) = joined.expect("a probe does not panic");
            open[at][number] = Some(judgement);
            if let Some(judgements) = open[at].iter().cloned().collect::<Option<Vec<_>>>() {
                let finding =
                    Finding { probe: probes[at], judgement: together(probes[at], judgements) };
                tell(&finding);
                done[at] = Some(finding);
            }
        }
    }
    let all = done.into_iter().flatten().collect();
    Findings { all, took: began.elapsed(), stopped }
}

/// One round.
async fn one(
    target: &Target,
    probe: &'static Probe,
    number: usize,
    waits: Waits,
    facts: Facts,
) -> Judgement {
    let round = &probe.rounds[number];
    let needs_connection = matches!(round.say, Say::Frames(_) | Say::Flood(_))
        || matches!(probe.expect, Expect::Pings);
    if needs_connection && !facts.opens {
        return Judgement::skipped("there is no connection to say it on");
    }
    match play(target, probe, &round.say, waits, facts).await {
        Ok(seen) => judge(probe, round, &seen, facts),
        Err(error) => Judgement::gone(&error),
    }
}

/// The rounds of a probe as one: the worst mark, and who said what.
fn together(probe: &Probe, judgements: Vec<Judgement>) -> Judgement {
    let mark = judgements.iter().map(|judgement| judgement.mark).max().unwrap_or(Mark::Skipped);
    let after = judgements.iter().filter_map(|judgement| judgement.after).max();
    // What is fine is not worth a word beside what is not.
    let least = if mark > Mark::Fine { Mark::Note } else { mark };
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (judgement, round) in judgements.iter().zip(probe.rounds) {
        if judgement.mark < least {
            continue;
        }
        match groups.iter_mut().find(|(said, _)| *said == judgement.said) {
            Some((_, names)) => names.push(round.name),
            None => groups.push((&judgement.said, vec![round.name])),
        }
    }
    let told: Vec<String> = groups
        .iter()
        .map(|(said, names)| {
            let all = names.len() == judgements.len();
            if all || mark <= Mark::Fine {
                (*said).to_owned()
            } else {
                format!("{}: {said}", names.join(", "))
            }
        })
        .collect();
    Judgement { mark, said: told.join("; "), after }
}
