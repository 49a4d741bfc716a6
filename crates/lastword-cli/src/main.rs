//! `lastword` on the command line.

mod args;
mod connect;
mod exit;
mod explain;
mod print;
mod report;
mod serve;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    print::log_to_stderr(args.verbose);
    match args.command {
        Command::Serve(args) => serve::run(&args).into(),
        Command::Connect(args) => connect::run(args).into(),
        Command::Explain(args) => explain::run(&args).into(),
    }
}
