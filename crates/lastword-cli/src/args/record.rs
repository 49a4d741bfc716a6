//! What `record` can be told: all that `connect` can, and where it is kept.

use std::path::PathBuf;

use super::connect::ConnectArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// Keep it in this file, as lines of JSON; "-" is standard output, with nothing else on it.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword record ws://127.0.0.1:8765 session.jsonl              a prompt; all of it is kept
  echo hi | lastword record ws://127.0.0.1:8765 session.jsonl    in a pipe, as connect
  lastword record wss://example.com/feed --listen </dev/null     on standard output, until Ctrl-C
  lastword replay session.jsonl ws://127.0.0.1:8765 --compare    what was recorded, once more";
