//! What `replay` can be told.

use std::path::PathBuf;
use std::time::Duration;

use super::target::TargetArgs;
use super::values::{address, number, seconds};

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The recording, of record or of relay --record.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: Option<TargetArgs>,

    /// Be the server: on HOST:PORT, or a port of 127.0.0.1; port 0 takes any free one.
    #[arg(long, value_name = "LISTEN", value_parser = address, conflicts_with = "url", help_heading = REPLAY)]
    pub(crate) serve: Option<String>,
    /// So many times as fast as it was.
    #[arg(long, value_name = "N", default_value = "1", value_parser = factor, help_heading = REPLAY)]
    speed: f64,
    /// Without pauses: each message follows as soon as those before it are there.
    #[arg(long, conflicts_with = "speed", help_heading = REPLAY)]
    fast: bool,
    /// Compare what comes with the recording; at the first difference tell it, close, and exit with 8.
    #[arg(long, help_heading = REPLAY)]
    pub(crate) compare: bool,
    /// Replay the connection of this number, instead of the first that was opened.
    #[arg(long, value_name = "N", value_parser = number::<u64>, help_heading = REPLAY)]
    pub(crate) connection: Option<u64>,
    /// As a client: how much longer than recorded a message of the server is waited for.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, conflicts_with = "serve", help_heading = REPLAY)]
    pub(crate) wait: Duration,
}

const REPLAY: &str = "Replay";

/// How pauses of a recording are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// So many times as fast.
    Times(f64),
    /// Not at all.
    Fast,
}

impl ReplayArgs {
    pub(crate) const fn pace(&self) -> Pace {
        if self.fast { Pace::Fast } else { Pace::Times(self.speed) }
    }
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|factor| factor.is_finite() && *factor >= SLOWEST)
        .ok_or_else(|| "expected a number from 0.001 up, such as 2 or 0.5".to_owned())
}

const SLOWEST: f64 = 0.001;

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword replay session.jsonl ws://127.0.0.1:8765                    as the client
  lastword replay session.jsonl ws://127.0.0.1:8765 --fast --compare   are the answers the same?
  lastword replay session.jsonl --serve 9000                           as the server
  lastword replay session.jsonl --serve 9000 --speed 10";
