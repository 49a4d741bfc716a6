//! What the command line means: arguments become values here, and nowhere else. One file for what a
//! subcommand can be told; `target` for whoever connects, `values` for what words stand for, `files` for what files
//! hold, `wrong` for what makes no sense.

mod bench;
mod by_hand;
mod check;
mod connect;
mod explain;
mod fault;
mod files;
mod limits;
mod ping;
mod record;
mod relay;
mod replay;
mod serve;
mod shell;
mod target;
mod values;
mod wrong;

use std::ffi::OsString;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::bench::{BenchArgs, Load};
pub(crate) use self::by_hand::Stream;
pub(crate) use self::check::CheckArgs;
pub(crate) use self::connect::{ConnectArgs, Content, Framing};
pub(crate) use self::explain::ExplainArgs;
pub(crate) use self::fault::{Action, Fault, Point};
pub(crate) use self::files::SECRETS;
pub(crate) use self::ping::PingArgs;
pub(crate) use self::record::RecordArgs;
pub(crate) use self::relay::RelayArgs;
pub(crate) use self::replay::{Pace, ReplayArgs};
pub(crate) use self::serve::{ServeArgs, server_tls};
pub(crate) use self::shell::{CompletionsArgs, ManArgs};
pub(crate) use self::target::{Target, TargetArgs};
pub(crate) use self::wrong::Wrong;

/// WebSocket on the command line, and exactly how each connection ended.
#[derive(Debug, Parser)]
#[command(
    name = "lastword",
    version,
    about,
    arg_required_else_help = true,
    propagate_version = true,
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log to standard error: -v the handshake and endings, -vv each frame, -vvv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but what was asked for: no notes, no states; errors all the same.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use colours; NO_COLOR in the environment says never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: When,
}

const EXAMPLES: &str = "\
Examples:
  lastword connect ws://127.0.0.1:8765          a prompt, or a pipe
  lastword serve                                something to connect to
  lastword check ws://127.0.0.1:8765 --only close
  lastword explain 1006                         what an ending means, and what to do

lastword COMMAND --help has the options, examples and exit codes of each.";

/// How much is said beside what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    Quiet,
    Usual,
    /// The handshake, too.
    Verbose,
}

impl Args {
    pub(crate) const fn talk(&self) -> Talk {
        match (self.quiet, self.verbose) {
            (true, _) => Talk::Quiet,
            (false, 0) => Talk::Usual,
            (false, _) => Talk::Verbose,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect to a server: a prompt in a terminal, messages as lines in a pipe.
    #[command(after_help = [connect::EXAMPLES, crate::exit::TABLE].concat())]
    Connect(Box<ConnectArgs>),
    /// Start a server: echo, a process for each connection, files, or everybody to everybody.
    #[command(after_help = serve::EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Ping a server, and say how long its answers take.
    #[command(after_help = [ping::EXAMPLES, ping::EXIT_CODES].concat())]
    Ping(Box<PingArgs>),
    /// Put a load on a server, and say what it carried, how fast, and how each connection ended.
    #[command(after_help = [bench::EXAMPLES, bench::EXIT_CODES].concat())]
    Bench(Box<BenchArgs>),
    /// Connect as connect does, and keep all that is said, both ways, in a file.
    #[command(after_help = [record::EXAMPLES, crate::exit::TABLE].concat())]
    Record(Box<RecordArgs>),
    /// Stand between a client and a server: show each frame, record it, let things go wrong.
    #[command(after_help = relay::EXAMPLES)]
    Relay(Box<RelayArgs>),
    /// Say once more what was recorded, as the client or as the server, and compare the answers.
    #[command(after_help = [replay::EXAMPLES, crate::exit::TABLE].concat())]
    #[command(mut_arg("url", |url| url.required(false)))]
    Replay(Box<ReplayArgs>),
    /// Check a server: does it keep to the protocol, and what does it do about those who do not?
    #[command(after_help = check::EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Explain how a connection ended: what it usually means, and what to do.
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// Print a script that completes arguments in a shell.
    #[command(after_help = shell::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page.
    #[command(after_help = shell::MAN_EXAMPLES)]
    Man(ManArgs),
}

/// The arguments of a program, with `connect` in front of a URL that stands in the place of a subcommand.
pub(crate) fn with_subcommand(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.into_iter().collect();
    let is_url = |arg: &OsString| {
        arg.to_str().is_some_and(|arg| arg.contains("://") || arg.starts_with(':'))
    };
    if args.get(1).is_some_and(is_url) {
        args.insert(1, "connect".into());
    }
    args
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// One JSON object a line.
    Json,
}

/// When to do what a terminal makes nicer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// In a terminal.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}
