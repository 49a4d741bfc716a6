//! What `serve` can be told.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use super::Report;

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
    pub(crate) threads: Option<NonZeroUsize>,
    /// Neither offer nor accept compression.
    #[arg(long)]
    pub(crate) no_compression: bool,
    /// Print events in this form on standard output.
    #[arg(long)]
    pub(crate) report: Option<Report>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword serve                         echo on ws://127.0.0.1:8765
  lastword serve --port 0 --report json  a free port, and one JSON object per event

Ctrl-C closes all connections with 1001 and says how each of them ended.";
