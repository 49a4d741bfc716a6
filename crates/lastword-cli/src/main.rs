//! `lastword` on the command line.

mod advice;
mod args;
mod bench;
mod check;
mod connect;
mod exit;
mod explain;
mod figures;
mod ping;
mod print;
mod recording;
mod refused;
mod relay;
mod replay;
mod report;
mod runtime;
mod serve;
mod shell;
mod show;
mod stop;
mod style;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse_from(args::with_subcommand(std::env::args_os()));
    style::decide(args.color);
    let told = match args.command {
        Command::Connect(_) | Command::Record(_) => print::Told::Already,
        _ => print::Told::ByTheLog,
    };
    print::log_to_stderr(args.verbose, told);
    let talk = args.talk();
    let code = match args.command {
        Command::Connect(args) => connect::run(*args, talk).into(),
        Command::Serve(args) => serve::run(&args, talk).into(),
        Command::Ping(args) => ping::run(&args, talk).into(),
        Command::Bench(args) => bench::run(&args, talk).into(),
        Command::Record(args) => connect::record(*args, talk).into(),
        Command::Relay(args) => relay::run(&args, talk).into(),
        Command::Replay(args) => replay::run(&args, talk).into(),
        Command::Check(args) => check::run(&args, talk).into(),
        Command::Explain(args) => explain::run(&args).into(),
        Command::Completions(args) => shell::completions(&args).into(),
        Command::Man(args) => shell::man(&args).into(),
    };
    // However well all else went: what was to be written is not there.
    if print::is_unwritten() { exit::Outcome::Unwritten.into() } else { code }
}
