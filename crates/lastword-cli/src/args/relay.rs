//! What `relay` can be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lastword::HostAddresses;
use lastword::dial::{InvalidUri, WebSocketUri};
use lastword_kit::{Identity, Trust, Wishes};

use super::fault::Fault;
use super::files::{identity, trusting};
use super::target::{host_addresses, server_name, with_scheme};
use super::values::{address, seconds, size};
use super::wrong::Wrong;

#[derive(Debug, clap::Args)]
pub(crate) struct RelayArgs {
    /// Where to listen: HOST:PORT, or a port of 127.0.0.1; port 0 takes any free one.
    #[arg(value_name = "LISTEN", value_parser = address)]
    pub(crate) listen: String,
    /// Where all of it goes: ws:// or wss:// and host; a path is of no matter.
    #[arg(value_name = "TARGET", value_parser = target)]
    pub(crate) target: WebSocketUri,

    /// Let this go wrong, as in 'server at frame 2 reset'; may be given more than once.
    #[arg(short, long = "fault", value_name = "FAULT", value_parser = Fault::parse, help_heading = FAULTS)]
    faults: Vec<Fault>,
    /// Let go wrong what this file says, a fault a line.
    #[arg(long, value_name = "FILE", help_heading = FAULTS)]
    script: Option<PathBuf>,

    /// Keep all that passes in this file, as lines of JSON; "-" is standard output.
    #[arg(short, long, value_name = "FILE", help_heading = SHOWING)]
    pub(crate) record: Option<PathBuf>,
    /// Keep at most so much of each message.
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = size, requires = "record", help_heading = SHOWING)]
    pub(crate) record_limit: usize,
    /// Do not show the heads of requests and answers, only their first lines.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) no_heads: bool,

    /// Tell the target its own name in the Host header, instead of ours.
    #[arg(long, help_heading = TARGET)]
    pub(crate) rewrite_host: bool,
    /// Trust the certificates of this file (PEM) instead of the platform's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TARGET)]
    ca: Option<PathBuf>,
    /// Show this certificate (PEM) to a target that asks for one.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = TARGET)]
    cert: Option<PathBuf>,
    /// The key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TARGET)]
    key: Option<PathBuf>,
    /// Verify that the target's certificate is for this name, instead of TARGET's host.
    #[arg(long, value_name = "NAME", help_heading = TARGET)]
    server_name: Option<String>,
    /// Accept any certificate, from anybody who is on the way.
    #[arg(short = 'k', long, help_heading = TARGET)]
    insecure: bool,
    /// Connect to these addresses of a host instead of looking it up; * is each host.
    #[arg(long = "resolve", value_name = "HOST:PORT:ADDRESS[,ADDRESS...]", value_parser = host_addresses, help_heading = TARGET)]
    resolve: Vec<HostAddresses>,
    /// How long connecting to the target may take, TLS included.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = TARGET)]
    open_timeout: Duration,
}

const FAULTS: &str = "Faults";
const SHOWING: &str = "Showing";
const TARGET: &str = "Target";

impl RelayArgs {
    /// All that is to go wrong, in the order in which it was written.
    pub(crate) fn faults(&self) -> Result<Vec<Fault>, Wrong> {
        let mut faults = match &self.script {
            Some(path) => Fault::script(path)?,
            None => Vec::new(),
        };
        faults.extend(self.faults.iter().cloned());
        Ok(faults)
    }

    /// How the target is reached, and whom TLS trusts there.
    pub(crate) fn wishes(&self) -> Result<Wishes, Wrong> {
        let mut wishes = Wishes::new(self.target.to_string());
        wishes.config.open_timeout = self.open_timeout;
        wishes.addresses = self.resolve.clone();
        wishes.server_name = self.server_name.as_deref().map(server_name).transpose()?;
        let identity = identity(self.cert.as_deref(), self.key.as_deref())?;
        if self.insecure {
            wishes.tls.trusting(Trust::Anybody);
        }
        match (&self.ca, identity) {
            (Some(path), identity) => {
                wishes.tls.trusting(Trust::Own(Arc::new(trusting(path, identity)?)));
            }
            (None, Some((chain, key))) => wishes.tls.being(Identity::new(chain, key)),
            (None, None) => {}
        }
        Ok(wishes)
    }
}

fn target(text: &str) -> Result<WebSocketUri, InvalidUri> {
    let Ok(url) = with_scheme(text);
    WebSocketUri::parse(&url)
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastword relay 9000 ws://127.0.0.1:8765                        show each frame, both ways
  lastword relay 9000 wss://example.com --rewrite-host --record session.jsonl
  lastword relay 9000 ws://127.0.0.1:8765 --fault 'server at frame 2 reset'
  lastword relay 9000 ws://127.0.0.1:8765 --script faults.txt

Faults: [connection N] client|server POINT ACTION
  points   at start, at byte N, at frame N [byte N], at text \"…\" [byte N], after TIME
  actions  delay TIME, stall [TIME], throttle RATE, corrupt [0xHH], drop [N|rest],
           cut, half-close, reset

Exit codes:
  0  it relayed until it was stopped, however connections ended
  1  it could not listen there
  2  wrong usage";
