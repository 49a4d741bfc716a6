//! What `connect` can be told.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use lastword::CloseCode;

use super::Report;
use super::target::TargetArgs;
use super::values::{close_code, count, reason, seconds, wait};

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Send this text, and nothing of standard input; may be given more than once.
    #[arg(short = 'm', long = "send", value_name = "TEXT", help_heading = MESSAGES)]
    pub(crate) send: Vec<String>,
    /// Send the content of this file as one binary message, after the texts of --send.
    #[arg(long, value_name = "FILE", help_heading = MESSAGES)]
    pub(crate) send_file: Vec<PathBuf>,
    /// Send the content of this file as one text message, after those.
    #[arg(long, value_name = "FILE", help_heading = MESSAGES)]
    pub(crate) send_text_file: Vec<PathBuf>,
    /// Send this text first on each connection, such as a subscription; with --reconnect again and again.
    #[arg(long, value_name = "TEXT", help_heading = MESSAGES)]
    pub(crate) hello: Vec<String>,
    /// Close after so many messages have come; without them within --timeout, exit with 6.
    #[arg(short = 'n', long, value_name = "N", value_parser = count::<NonZeroU64>, help_heading = MESSAGES)]
    pub(crate) expect: Option<NonZeroU64>,
    /// Be done after so long, connecting included, whatever has come.
    #[arg(short, long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = MESSAGES)]
    pub(crate) timeout: Option<Duration>,
    /// In a pipe: how long to go on receiving after the end of the input, from the last message on.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds, allow_negative_numbers = true, help_heading = MESSAGES)]
    pub(crate) wait: Duration,
    /// In a pipe: do not close at the end of the input, but go on receiving.
    #[arg(long, conflicts_with = "wait", help_heading = MESSAGES)]
    pub(crate) listen: bool,
    /// Close with this code, when it is us who close.
    #[arg(long, value_name = "CODE", default_value = "1000", value_parser = close_code, hide_default_value = true, help_heading = MESSAGES)]
    pub(crate) close_code: CloseCode,
    /// Close with this reason, when it is us who close.
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason, hide_default_value = true, help_heading = MESSAGES)]
    pub(crate) close_reason: String,
    /// In a pipe: what messages are sent as.
    #[arg(long, value_enum, default_value_t = Content::Text, help_heading = MESSAGES)]
    pub(crate) content: Content,
    /// The same as --content binary.
    #[arg(short, long, conflicts_with = "content", help_heading = MESSAGES)]
    pub(crate) binary: bool,
    /// In a pipe: where a message ends, coming in and going out.
    #[arg(long, value_enum, default_value_t = Framing::Lines, help_heading = MESSAGES)]
    pub(crate) framing: Framing,
    /// The same as --framing null.
    #[arg(short = '0', long, conflicts_with_all = ["framing", "json"], help_heading = MESSAGES)]
    pub(crate) null: bool,
    /// The same as --framing json.
    #[arg(short, long, conflicts_with = "framing", help_heading = MESSAGES)]
    pub(crate) json: bool,

    /// Connect again when the connection is lost; states are told on standard error.
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) reconnect: bool,
    /// Show when each message came.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) timestamps: bool,
    /// Show JSON over several lines.
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) pretty: bool,
    /// Show binary messages as a table of hexadecimal numbers.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) hex: bool,
    /// Print events in this form on standard output: opened, each message, and the whole ending.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) report: Option<Report>,
    /// Keep what is typed in this file, for the next time.
    #[arg(long, value_name = "FILE", help_heading = SHOWING)]
    pub(crate) history: Option<PathBuf>,
}

const MESSAGES: &str = "Messages";
const SHOWING: &str = "Showing";

/// What messages are sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Content {
    /// Text messages.
    Text,
    /// Binary messages.
    Binary,
}

/// Where one message ends and the next begins, in a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Framing {
    /// Each line is a message.
    Lines,
    /// Messages end with a zero byte.
    Null,
    /// All of the input is one message; what comes is written as it is.
    Whole,
    /// A JSON object a line: {"text": "…"} or {"binary": "base64"}.
    Json,
}

impl ConnectArgs {
    pub(crate) fn content(&self) -> Content {
        if self.binary { Content::Binary } else { self.content }
    }

    pub(crate) fn framing(&self) -> Framing {
        match (self.null, self.json) {
            (true, _) => Framing::Null,
            (_, true) => Framing::Json,
            _ => self.framing,
        }
    }
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword connect ws://127.0.0.1:8765             a prompt; each line is a message
  lastword connect ws://127.0.0.1:8765 -m hi -n 1  send one message, print one answer
  echo hi | lastword connect ws://127.0.0.1:8765   in a pipe; answers are lines
  lastword connect wss://example.com/feed --listen --reconnect --json </dev/null >>feed.jsonl
  lastword connect wss://example.com -u me --password-file secret --ca ca.pem";
