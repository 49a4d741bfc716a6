//! `completions` and `man`: what a package puts beside the program, made of the same definition.

mod manual;

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::Outcome;
use crate::print::Audience;

/// The script, on standard output.
pub(crate) fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "lastword", &mut script);
    print(&script)
}

/// The page, on standard output, in the language of `man`.
pub(crate) fn man(args: &ManArgs) -> Outcome {
    // There is no page of help, which is on every page.
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let found = match &args.subcommand {
        None => Some(command),
        Some(name) => command.find_subcommand(name).map(|found| {
            let title = format!("lastword-{name}");
            found.clone().display_name(title)
        }),
    };
    let Some(found) = found else {
        let name = args.subcommand.as_deref().unwrap_or_default();
        crate::print::note!("error: there is no subcommand {:?}", crate::print::escape(name));
        crate::print::note!("Try lastword --help, which lists them.");
        return Outcome::Usage;
    };
    match manual::page(&found) {
        Ok(page) => print(&page),
        Err(error) => {
            crate::print::note!("cannot write the page: {error}");
            Outcome::Usage
        }
    }
}

/// A reader that went away has read enough.
fn print(text: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    let _ = Audience::from(out.write_all(text).and_then(|()| out.flush()));
    Outcome::Closed
}
