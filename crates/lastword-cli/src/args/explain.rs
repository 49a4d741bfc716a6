//! What `explain` can be told.

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A close code, the number of an error, a cause, or a sentence from a log; none lists them all.
    #[arg(allow_negative_numbers = true)]
    pub(crate) topic: Vec<String>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword explain 1006
  lastword explain WinError 10054
  lastword explain pong
  lastword explain 'peer reset the connection (os error 104)'";
