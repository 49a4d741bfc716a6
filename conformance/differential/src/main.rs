//! Compares for a time, or a number of cases: cases by chance, each before us and before one judge.
//!
//! Says how many cases a second, and how often each deliberate difference was met. A difference that
//! none explains is made as small as it gets, shown, and ends the run with an error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lastword_differential::differences::{RULES, table};
use lastword_differential::{Case, Judge, Tungstenite, Websockets, compare, generate, shrink};

const USAGE: &str =
    "differential [--seconds N | --cases N] [--seed S] [--judge tungstenite|websockets]
    [--python PATH]   which has websockets 17.4
    [--stale]         fails if a listed difference was never met
    [--replay HEX]    one case
    [--table]         the deliberate differences, for docs/differential.md";

struct Options {
    seconds: Option<u64>,
    cases: Option<u64>,
    seed: u64,
    judge: String,
    python: PathBuf,
    stale: bool,
    replay: Option<Vec<u8>>,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(true), |options| run(&options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What was asked for; `None` if it is done already.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options {
        seconds: None,
        cases: None,
        seed: 1,
        judge: "tungstenite".to_owned(),
        python: ".cache/clients/python/bin/python".into(),
        stale: false,
        replay: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("not a number: {text}"));
        match arg.as_str() {
            "--seconds" => options.seconds = Some(number(value()?)?),
            "--cases" => options.cases = Some(number(value()?)?),
            "--seed" => options.seed = number(value()?)?,
            "--judge" => options.judge = value()?,
            "--python" => options.python = value()?.into(),
            "--stale" => options.stale = true,
            "--replay" => options.replay = Some(unhex(&value()?)?),
            "--table" => {
                print!("{}", table());
                return Ok(None);
            }
            _ => return Err(format!("unknown: {arg}")),
        }
    }
    Ok(Some(options))
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|s| u8::from_str_radix(s, 16).ok()))
        .collect::<Option<_>>()
        .ok_or(format!("not hexadecimal: {text}"))
}

/// Whether all is explained.
fn run(options: &Options) -> Result<bool, String> {
    let mut judge: Box<dyn Judge> = match options.judge.as_str() {
        "tungstenite" => Box::new(Tungstenite),
        "websockets" => Box::new(
            Websockets::start(&options.python)
                .map_err(|error| format!("{}: {error}", options.python.display()))?,
        ),
        other => return Err(format!("no such judge: {other}")),
    };
    if let Some(bytes) = &options.replay {
        return Ok(replay(&Case::from_bytes(bytes), &mut *judge));
    }
    let start = Instant::now();
    let seconds = options.seconds.or(options.cases.is_none().then_some(10));
    let deadline = seconds.map(|seconds| start + Duration::from_secs(seconds));
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();
    let mut count = 0;
    while options.cases.is_none_or(|cases| count < cases)
        && deadline.is_none_or(|deadline| Instant::now() < deadline)
    {
        // Far apart, so that runs of neighbouring seeds share no case.
        let seed = options.seed.wrapping_shl(40).wrapping_add(count);
        let case = generate::case(seed);
        match compare(&case, &mut *judge) {
            Ok(names) => names.into_iter().for_each(|name| *met.entry(name).or_default() += 1),
            Err(first) => {
                let small = shrink::shrink(&case, |case| compare(case, &mut *judge).is_err());
                let shown = compare(&small, &mut *judge).err().unwrap_or(first);
                println!("case {count} of seed {}: {shown}", options.seed);
                return Ok(false);
            }
        }
        count += 1;
    }
    let name = judge.name();
    let per_second = count as f64 / start.elapsed().as_secs_f64();
    println!("{count} cases before us and {name}, {per_second:.0} a second; seed {}", options.seed);
    let mut all_met = true;
    for rule in RULES.iter().filter(|rule| rule.judges.contains(&name)) {
        let times = met.get(rule.name).copied().unwrap_or_default();
        println!("{times:>10}  {}{}", rule.name, if times == 0 { "  (never met)" } else { "" });
        all_met &= times > 0;
    }
    Ok(all_met || !options.stale)
}

fn replay(case: &Case, judge: &mut dyn Judge) -> bool {
    match compare(case, judge) {
        Ok(names) if names.is_empty() => println!("{case:?}: the same"),
        Ok(names) => println!("{case:?}: explained by {}", names.join(", ")),
        Err(disagreement) => {
            println!("{disagreement}");
            return false;
        }
    }
    true
}
