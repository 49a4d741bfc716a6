//! What `check` can be told.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::target::TargetArgs;
use super::values::{count, seconds};

#[derive(Debug, clap::Args)]
#[command(mut_arg("url", |url| url.required(false).required_unless_present("list")))]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) target: Option<TargetArgs>,

    /// Run only probes whose name has one of these words, with commas in between, such as
    /// "frame,close/answered".
    #[arg(long, value_name = "WORDS", value_delimiter = ',', help_heading = PROBES)]
    pub(crate) only: Vec<String>,
    /// Flood it, too: huge messages, thousands of pings, compression bombs, slow requests. For your own
    /// servers only.
    #[arg(long, help_heading = PROBES)]
    pub(crate) hard: bool,
    /// With --hard: the server is yours, so do not ask.
    #[arg(short, long, requires = "hard", help_heading = PROBES)]
    pub(crate) yes: bool,
    /// Say what there is to be run, and run nothing.
    #[arg(long, help_heading = PROBES)]
    pub(crate) list: bool,
    /// How long to wait for an answer, before the server counts as hung.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, help_heading = PROBES)]
    pub(crate) patience: Duration,
    /// How long to wait for what a server should do by itself: give up on who is silent, send pings.
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = seconds, help_heading = PROBES)]
    pub(crate) long: Duration,
    /// Run so many at once.
    #[arg(long, value_name = "N", default_value = "8", value_parser = count::<NonZeroUsize>, help_heading = PROBES)]
    pub(crate) jobs: NonZeroUsize,

    /// Exit with 3 for warnings, too.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) strict: bool,
    /// Print one JSON object for each probe, and one for the sum.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) json: bool,
}

const PROBES: &str = "Probes";
const SHOWING: &str = "Showing";

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword check ws://127.0.0.1:8765                  all that harms nobody
  lastword check ws://127.0.0.1:8765 --only close     what it does about closing
  lastword check ws://127.0.0.1:8765 --hard --yes     floods and bombs, against your own
  lastword check ws://127.0.0.1:8765 --json --strict  for a build machine
  lastword check --list                               what there is

Exit codes:
  0  nothing wrong (with --strict: no warnings, either)
  1  no connection: refused, unreachable, not a WebSocket server
  2  wrong usage
  3  the server is wrong
  7  stopped by Ctrl-C, or by another signal";
