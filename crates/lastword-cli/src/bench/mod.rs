//! `lastword bench`: a load, and what came of it.
//!
//! Arguments become a [`plan`]; the [`campaign`] opens connections (each a [`line`]) and closes them;
//! what they carry goes into the [`books`], and comes out as a [`result`], which the other rooms print and
//! draw. Memory grows with connections and what is in flight, never with time.

mod books;
mod campaign;
mod curve;
mod line;
mod machine;
mod pacer;
mod payloads;
mod picture;
mod plan;
mod progress;
mod result;
mod schedule;
mod svg;
mod table;

use std::path::Path;

use tokio::runtime::Builder;

use self::picture::Ink;
use self::plan::Plan;
use self::progress::Progress;
use self::result::LoadResult;

use crate::args::{BenchArgs, Talk};
use crate::exit::Outcome;
use crate::print::Audience;
use crate::stop::Stop;
use crate::{print, refused, runtime, style};

pub(crate) fn run(args: &BenchArgs, talk: Talk) -> Outcome {
    let target = match args.target.target() {
        Ok(target) => target,
        Err(wrong) => return refused::misused(&wrong.to_string()),
    };
    // A load is not run for a file that cannot be written.
    for path in [&args.csv, &args.svg].into_iter().flatten() {
        if let Err(why) = write(path, "") {
            return refused::misused(&why);
        }
    }
    let plan = Plan::of(&args.load);
    if let Some(limit) =
        machine::allow_many_sockets().filter(|limit| plan.connections as u64 + OTHERS > *limit)
    {
        crate::print::note!(
            "this process may have {limit} files open, too few for {} connections: ulimit -n raises it",
            plan.connections
        );
    }
    let url = print::url(&args.target.url);
    let mut threads = Builder::new_multi_thread();
    threads.worker_threads(plan.threads);
    let progress = Progress::new(talk);
    runtime::on(threads, Outcome::NoConnection, async {
        let mut stop = Stop::listen();
        if !args.json && talk != Talk::Quiet && print::put(&heading(&url, &plan)) == Audience::Gone
        {
            return Outcome::Closed;
        }
        let result = campaign::run(plan, target, &progress, &mut stop).await;
        progress.done();
        match result {
            Ok(result) => tell(args, &url, &result),
            Err(error) => {
                refused::tell(&url, &error);
                Outcome::NoConnection
            }
        }
    })
}

/// Files of this process that are no connections.
const OTHERS: u64 = 16;

fn heading(url: &str, plan: &Plan) -> String {
    format!("{}\n{}\n\n", url, table::plan(plan))
}

fn tell(args: &BenchArgs, url: &str, result: &LoadResult) -> Outcome {
    let written = if args.json {
        print::put(&format!("{}\n", result.json(url)))
    } else {
        print::put(&table::render(result, machine::width(), ink()))
    };
    let times = &result.shard.latency;
    let files = [
        args.csv.as_deref().map(|path| (path, curve::csv(times))),
        args.svg.as_deref().map(|path| {
            let title = format!("Latency of {url}");
            (path, svg::draw(times, &title, &table::plan(&result.plan)))
        }),
    ];
    for (path, text) in files.into_iter().flatten() {
        if let Err(why) = write(path, &text) {
            return refused::misused(&why);
        }
    }
    if written == Audience::Gone { Outcome::Closed } else { result.outcome() }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text)
        .map_err(|source| format!("cannot write {}: {source}", path.display()))
}

/// Blocks where colours are wanted, and the terminal's language has them.
fn ink() -> Ink {
    let language = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_lowercase();
    let blocks = language.contains("utf-8") || language.contains("utf8");
    if blocks && !style::is_plain() { Ink::Blocks } else { Ink::Ascii }
}
