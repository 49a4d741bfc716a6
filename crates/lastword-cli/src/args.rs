//! What the command line means: arguments become values here, and nowhere else.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use http::header::{HeaderName, HeaderValue};

/// WebSocket on the command line, and exactly how each connection ended.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log to standard error: -v endings, -vv openings, -vvv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server that echoes messages.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Connect to a server: a prompt in a terminal, lines in a pipe.
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(ConnectArgs),
    /// Explain how a connection ended: what it usually means, and what to do.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(short, long, default_value_t = 8765)]
    pub(crate) port: u16,
    /// Threads that serve, each with the connections that it accepted; by default all cores share
    /// all connections.
    #[arg(long)]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
    /// Neither offer nor accept compression.
    #[arg(long)]
    pub(crate) no_compression: bool,
    /// Print events in this form on standard output.
    #[arg(long)]
    pub(crate) report: Option<Report>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// ws:// or wss:// URL of the server.
    pub(crate) url: String,
    /// Add a header to the request, as in "Authorization: Bearer x".
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Offer a subprotocol; the first is the preferred.
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Neither offer nor accept compression.
    #[arg(long)]
    pub(crate) no_compression: bool,
    /// In a pipe: how long to go on receiving after the end of the input, from the last message on.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Print events in this form on standard output.
    #[arg(long)]
    pub(crate) report: Option<Report>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A close code, the number of an error, a cause, or a sentence from a log; none lists them all.
    pub(crate) topic: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// One JSON object a line.
    Json,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header name"))?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is not a header value"))?;
    Ok((name, value))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

const SERVE_EXAMPLES: &str = "\
Examples:
  lastword serve                         echo on ws://127.0.0.1:8765
  lastword serve --port 0 --report json  a free port, and one JSON object per event

Ctrl-C closes all connections with 1001 and says how each of them ended.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  lastword explain 1006
  lastword explain WinError 10054
  lastword explain pong
  lastword explain 'peer reset the connection (os error 104)'";

const CONNECT_EXAMPLES: &str = "\
Examples:
  lastword connect ws://127.0.0.1:8765             a prompt; each line is a message
  echo hi | lastword connect ws://127.0.0.1:8765   in a pipe; answers are lines
  lastword connect wss://example.com -H 'Authorization: Bearer x'

Exit codes:
  0  closed properly (1000, 1001, or without a code)
  1  no connection: refused, unreachable, not a WebSocket server
  2  wrong usage
  3  closed properly by the peer, with another code
  4  connection lost: ended without a close frame, reset
  5  the peer broke the protocol, or exceeded a limit of ours
  6  timed out
  7  aborted";
