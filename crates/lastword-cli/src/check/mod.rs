//! `lastword check`: whether a server keeps to the protocol, and what it does about those who do not.
//!
//! A table of probes (`probes`) is said by hand (`play`: `opening`, `talk`, `flood`, over `wire` and `line`),
//! several at once (`run`), and what was `seen` is held against what should have come (`judge`). Harmless, unless floods are asked for.

mod flood;
mod judge;
mod line;
mod messages;
mod opening;
mod play;
mod probe;
mod probes;
mod run;
mod seen;
mod show;
mod talk;
mod wire;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use lastword::ConnectError;

use self::play::{Facts, Waits};
use self::probe::{Force, Mark, Offer, Probe};
use self::run::{Findings, Stopped};
use self::seen::Opened;
use crate::args::{CheckArgs, Talk, Target, TargetArgs};
use crate::stop::Stop;
use crate::{print, refused, report, runtime};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong, or nothing that counts.
    Fine = 0,
    NoConnection = 1,
    /// As clap's own.
    Usage = 2,
    Wrong = 3,
    /// Stopped by Ctrl-C, or another signal.
    Stopped = 7,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict as u8)
    }
}

pub(crate) fn run(args: &CheckArgs, talk: Talk) -> Verdict {
    let force = if args.hard { Force::Hard } else { Force::Gentle };
    let mut probes = probes::chosen(&args.only, force);
    if args.list {
        show::list(&probes);
        return Verdict::Fine;
    }
    let Some(target_args) = &args.target else {
        unreachable!("clap asks for a URL, unless for --list");
    };
    if !target_args.compresses() {
        probes.retain(|probe| probe.offer == Offer::Nothing);
    }
    if probes.is_empty() {
        return misused("no probe has such a name (--only)\nlastword check --list shows them all.");
    }
    let target = match target_args.target() {
        Ok(target) => target,
        Err(wrong) => return misused(&wrong.to_string()),
    };
    if args.hard
        && !args.yes
        && let Err(verdict) = confirm(&print::url(&target_args.url))
    {
        return verdict;
    }
    let checking = check(args, target_args, &target, &probes, talk);
    runtime::on_one_thread(Verdict::NoConnection, checking)
}

async fn check(
    args: &CheckArgs,
    target_args: &TargetArgs,
    target: &Target,
    probes: &[&'static Probe],
    talk: Talk,
) -> Verdict {
    let url = &print::url(&target_args.url);
    let waits = Waits { patience: args.patience, long: args.long };
    let mut stop = Stop::listen();
    let mut progress = show::Progress::begin(probes.len(), talk);
    let looked = tokio::select! {
        looked = look(target, waits) => looked,
        () = stop.asked() => {
            progress.end();
            refused::stopped(url);
            return Verdict::Stopped;
        }
    };
    let facts = match looked {
        Ok(facts) => facts,
        Err(Turned::Away(error)) => {
            progress.end();
            refused::tell(url, &error);
            return Verdict::NoConnection;
        }
        Err(Turned::Elsewhere) => {
            progress.end();
            crate::print::note!("no connection to {url} itself: it sends clients elsewhere");
            crate::print::note!("lastword connect -v {url} shows where; check that address.");
            return Verdict::NoConnection;
        }
    };
    let findings = run::run(target, probes, waits, facts, args.jobs.get(), &mut stop, |finding| {
        if args.json {
            report::event(&show::object(finding));
        }
        progress.done(finding);
    })
    .await;
    progress.end();
    if args.json {
        report::event(&show::sum_object(url, &findings));
    } else {
        show::table(url, &findings, talk);
    }
    verdict(&findings, args)
}

/// A first look: who refuses in an orderly way is no server to be probed under that address, and is told
/// as `connect` would tell it. Whoever hangs or resets is probed all the same.
async fn look(target: &Target, waits: Waits) -> Result<Facts, Turned> {
    let (seen, facts) = play::survey(target, waits).await.map_err(Turned::Away)?;
    if matches!(seen.opened, Opened::Refused { .. }) {
        target.clone().connect().await.map_err(Turned::Away)?;
        return Err(Turned::Elsewhere);
    }
    Ok(facts)
}

/// Why there is nothing to be probed.
enum Turned {
    Away(ConnectError),
    /// A client that follows redirects is let in.
    Elsewhere,
}

fn verdict(findings: &Findings, args: &CheckArgs) -> Verdict {
    let warnings = if args.strict { findings.count(Mark::Warning) } else { 0 };
    if findings.count(Mark::Error) + warnings > 0 {
        return Verdict::Wrong;
    }
    match findings.stopped {
        Stopped::No => Verdict::Fine,
        Stopped::Early => Verdict::Stopped,
    }
}

/// Asks whether the server may be flooded.
fn confirm(url: &str) -> Result<(), Verdict> {
    if !io::stdin().is_terminal() {
        return Err(misused(
            "--hard floods the server, and may bring it down\nIf it is yours, say so with --yes.",
        ));
    }
    // In the line of the question, whether or not anybody reads it.
    let question = format!("--hard floods {url}, and may bring it down. Is it yours? [y/N] ");
    let _ = io::stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    crate::print::note!("Not without a yes.");
    Err(Verdict::Usage)
}

fn misused(why: &str) -> Verdict {
    refused::misused(why);
    Verdict::Usage
}
