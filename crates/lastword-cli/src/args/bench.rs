//! What `bench` can be told.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::target::TargetArgs;
use super::values::{count, seconds, size, wait};

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) load: Load,

    /// Print the result as one JSON object; times are in seconds.
    #[arg(long, help_heading = RESULT)]
    pub(crate) json: bool,
    /// Write the distribution of latencies to this file, as comma-separated values.
    #[arg(long, value_name = "FILE", help_heading = RESULT)]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the latencies by percentile into this file.
    #[arg(long, value_name = "FILE", help_heading = RESULT)]
    pub(crate) svg: Option<PathBuf>,
}

/// What is asked of the server, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// Connections, all at the same time.
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = count::<NonZeroUsize>, help_heading = LOAD)]
    pub(crate) connections: NonZeroUsize,
    /// Messages in a second, over all connections, whether or not answers come (open loop); each
    /// answer's time counts from when its message was due. Without it, each answer lets the next
    /// message go (closed loop).
    #[arg(short, long, value_name = "N", value_parser = rate, conflicts_with_all = ["in_flight", "receive_only"], help_heading = LOAD)]
    pub(crate) rate: Option<f64>,
    /// In a closed loop: messages of each connection that wait for their answers at the same time.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count::<NonZeroUsize>, conflicts_with_all = ["no_echo", "receive_only"], help_heading = LOAD)]
    pub(crate) in_flight: NonZeroUsize,
    /// Bytes in each message.
    #[arg(long, value_name = "SIZE", default_value = "128", value_parser = size, help_heading = LOAD)]
    pub(crate) size: usize,
    /// Send text instead of binary messages: letters and digits at random.
    #[arg(long, help_heading = LOAD)]
    pub(crate) text: bool,
    /// How long is measured; 10 s unless --messages says how much.
    #[arg(short, long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = LOAD)]
    pub(crate) duration: Option<Duration>,
    /// How many messages are measured, over all connections.
    #[arg(short = 'n', long, value_name = "N", value_parser = count::<NonZeroU64>, conflicts_with = "duration", help_heading = LOAD)]
    pub(crate) messages: Option<NonZeroU64>,
    /// How long the load runs before anything is measured; 1 s, or not at all with --messages.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LOAD)]
    pub(crate) warm_up: Option<Duration>,
    /// Open so many connections in a second; as fast as the server takes them otherwise.
    #[arg(long, value_name = "N", value_parser = rate, help_heading = LOAD)]
    pub(crate) connect_rate: Option<f64>,
    /// Threads of the load; as many as there are processors otherwise.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>, help_heading = LOAD)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Do not compare what comes back with what was sent.
    #[arg(long, conflicts_with_all = ["no_echo", "receive_only"], help_heading = ANSWERS)]
    pub(crate) no_check: bool,
    /// The server does not answer: send only.
    #[arg(long, conflicts_with = "receive_only", help_heading = ANSWERS)]
    pub(crate) no_echo: bool,
    /// The server speaks by itself: receive only.
    #[arg(long, help_heading = ANSWERS)]
    pub(crate) receive_only: bool,
    /// How long to wait for missing answers at the end.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, help_heading = ANSWERS)]
    pub(crate) timeout: Duration,
}

const LOAD: &str = "Load";
const ANSWERS: &str = "Answers";
const RESULT: &str = "Result";

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected a number in a second, such as 5000 or 0.5".to_owned()),
    }
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword bench ws://127.0.0.1:8765                        50 connections, 10 s, closed loop
  lastword bench ws://127.0.0.1:8765 -c 100 -r 5000 -d 30   open loop: 5,000 messages a second
  lastword bench ws://127.0.0.1:8765 --in-flight 64 -d 5    as much as goes through
  lastword bench ws://127.0.0.1:8765 -n 10000 --json        10,000 messages; a JSON object
  lastword bench ws://127.0.0.1:8765 -r 2000 -d 5 --svg latency.svg --csv latency.csv
  lastword bench wss://example.com/feed --receive-only -c 20

Use it against servers of your own.";

pub(super) const EXIT_CODES: &str = "

Exit codes:
  0  all connections opened and were closed properly, and each message had its answer
  1  connections could not be opened
  2  wrong usage
  3, 4, 5, 6, 7  the worst ending of a connection, as of lastword connect; 5 also when answers
     were not what was sent, 6 when answers did not come in time";
