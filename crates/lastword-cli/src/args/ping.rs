//! What `ping` can be told.

use std::num::NonZeroU64;
use std::time::Duration;

use super::target::TargetArgs;
use super::values::{count, seconds, wait};

#[derive(Debug, clap::Args)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Stop after so many pings; without it, Ctrl-C does.
    #[arg(short = 'n', long, value_name = "N", value_parser = count::<NonZeroU64>, help_heading = PINGS)]
    pub(crate) count: Option<NonZeroU64>,
    /// How long after one ping the next is sent, answered or not; 10ms at least.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = interval, allow_negative_numbers = true, help_heading = PINGS)]
    pub(crate) interval: Duration,
    /// How long each answer may take; a ping without one by then is lost. 5 s, or 200 times
    /// --interval if that is less, which is the most.
    #[arg(short, long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = PINGS)]
    timeout: Option<Duration>,
    /// Bytes of data in each ping: its number, with zeros in front; at most 125.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(0..=MAX_DATA), help_heading = PINGS)]
    pub(crate) size: u8,
    /// Data of each ping; a space and its number follow, so that answers can be told apart.
    #[arg(long, value_name = "TEXT", value_parser = data, conflicts_with = "size", help_heading = PINGS)]
    pub(crate) data: Option<String>,
    /// Print a JSON object for each answer, for the ending, and for all of them together.
    #[arg(long, help_heading = PINGS)]
    pub(crate) json: bool,
}

const PINGS: &str = "Pings";

/// RFC 6455 section 5.5: what a control frame holds.
const MAX_DATA: i64 = 125;

/// A space, and the longest number.
const NUMBER: usize = 21;

/// A server is asked, not flooded.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if interval < LEAST_INTERVAL {
        return Err(format!("at least {LEAST_INTERVAL:?}; for more, see lastword bench"));
    }
    Ok(interval)
}

fn data(text: &str) -> Result<String, String> {
    let most = usize::try_from(MAX_DATA).unwrap_or_default() - NUMBER;
    if text.len() > most {
        return Err(format!(
            "{} bytes, where a ping has room for {most} and its number",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

/// How many pings may wait for their answers; the protocol's core remembers 256.
const MOST_WAITING: u32 = 200;

const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

impl PingArgs {
    /// How long each answer may take.
    ///
    /// # Errors
    /// When more pings would wait for their answers than can be told apart.
    pub(crate) fn timeout(&self) -> Result<Duration, String> {
        let most = self.interval.saturating_mul(MOST_WAITING);
        match self.timeout {
            None => Ok(USUAL_TIMEOUT.min(most)),
            Some(timeout) if timeout <= most => Ok(timeout),
            Some(_) => Err(format!(
                "with --interval {:?}, --timeout is at most {most:?}\n\
                 No more than {MOST_WAITING} pings may wait for their answers: ask less often, or wait less.",
                self.interval
            )),
        }
    }

    /// The data of a ping.
    pub(crate) fn payload(&self, number: u64) -> String {
        match &self.data {
            Some(data) => format!("{data} {number}"),
            None => {
                let size = usize::from(self.size);
                let digits = format!("{number:0size$}");
                // The last digits tell it from its neighbours.
                digits[digits.len() - size..].to_owned()
            }
        }
    }
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword ping ws://127.0.0.1:8765                one ping a second, until Ctrl-C
  lastword ping ws://127.0.0.1:8765 -n 3 -i 200ms  three of them
  lastword ping wss://example.com/feed -n 5 --timeout 1 && echo it answers
  lastword ping ws://127.0.0.1:8765 -n 3 -i 50ms --json";

pub(super) const EXIT_CODES: &str = "

Exit codes:
  0  all pings were answered, and the connection was closed properly
  6  pings were not answered in time, or fewer than --count could be sent
  1, 2, 3, 4, 5, 7  as of lastword connect, when the connection ended before that";
