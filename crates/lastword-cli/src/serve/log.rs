//! What is told of a server: where it listens, and what became of each who came; as lines for people, or
//! as JSON.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

use http::{Method, StatusCode, Uri};
use lastword::proto::handshake::server::{Refusal, RefusalReason};
use lastword::{AcceptError, Opening, Outcome};
use serde_json::json;

use crate::{print, report};

/// What is printed of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Nothing,
    Lines,
    Report,
}

/// A server that listens, for those who want to come.
pub(super) struct Listening<'a> {
    /// What it does with messages.
    pub(super) does: &'a str,
    /// None if it listens at `path`.
    pub(super) addresses: &'a [SocketAddr],
    pub(super) path: &'a str,
    pub(super) speaks_tls: bool,
    /// What has to be added to get in.
    pub(super) options: String,
}

impl Listening<'_> {
    pub(super) fn tell(&self, show: Show) {
        match show {
            Show::Nothing => {}
            Show::Report => self.report(),
            Show::Lines => self.print(),
        }
    }

    fn report(&self) {
        let Some(first) = self.addresses.first() else {
            return report::event(&json!({ "ev": "listening", "addr": self.path, "port": null }));
        };
        let all: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        report::event(&json!({
            "ev": "listening", "addr": first.to_string(), "port": first.port(), "addrs": all,
        }));
    }

    fn print(&self) {
        let Self { does, path, options, .. } = self;
        let Some(first) = self.addresses.first() else {
            crate::print::out!("{does} on {path} (Ctrl-C to stop)");
            crate::print::out!("Try: lastword connect ws://localhost --unix {path}{options}");
            return;
        };
        let (ws, http) = if self.speaks_tls { ("wss", "https") } else { ("ws", "http") };
        let all: Vec<String> =
            self.addresses.iter().map(|address| format!("{ws}://{address}")).collect();
        crate::print::out!("{does} on {} (Ctrl-C to stop)", all.join(" and "));
        crate::print::out!("Try: lastword connect {ws}://{first}{options}");
        crate::print::out!("or a browser: {http}://{first}/");
    }
}

/// A connection was opened.
pub(super) fn opened(show: Show, opening: &Opening) {
    if show == Show::Report {
        let peer = opening.peer_addr.map(|peer| peer.port());
        let compression = opening.deflate.is_some();
        report::event(&json!({ "ev": "open", "peer": peer, "compression": compression }));
    }
}

/// What became of one who came; nothing of a health check that only knocked.
pub(super) fn tell(show: Show, outcome: &Outcome) {
    let page = outcome.result.as_ref().err().and_then(Page::of);
    match (show, page) {
        (Show::Nothing, _) => {}
        (Show::Report, page) => report(outcome, page),
        (Show::Lines, page) => print(outcome, page),
    }
}

fn report(outcome: &Outcome, page: Option<Page<'_>>) {
    let port = outcome.peer.map(|peer| peer.port());
    report::event(&match (&outcome.result, page) {
        (Ok(ending), _) => report::ended(port, ending),
        (Err(_), Some(Page { method, path, status })) => json!({
            "ev": "http", "peer": port, "method": method.as_str(), "path": path,
            "status": status.as_u16(),
        }),
        (Err(error), None) => report::not_opened(port, &print::chain(error)),
    });
}

fn print(outcome: &Outcome, page: Option<Page<'_>>) {
    // One piece of text: what is printed in pieces is looked through piece by piece.
    let mut line = String::with_capacity(USUAL_LINE);
    let name = Name(outcome.peer);
    let _ = match (&outcome.result, page) {
        (Ok(ending), _) => write!(line, "{name}  {ending}"),
        (Err(AcceptError::Eof { bytes: 0 }), _) => return,
        (Err(_), Some(Page { method, path, status })) => {
            write!(line, "{name}  {method} {path} {}", status.as_u16())
        }
        (Err(error), None) => write!(line, "{name}  no connection: {}", print::chain(error)),
    };
    crate::print::out!("{}", print::escape(&line));
}

/// A request for something else than a WebSocket, and its answer.
struct Page<'a> {
    method: &'a Method,
    /// Without a query, in which there may be secrets.
    path: String,
    status: StatusCode,
}

impl<'a> Page<'a> {
    fn of(error: &'a AcceptError) -> Option<Self> {
        let AcceptError::Refused(refusal) = error else { return None };
        let refusal: &Refusal = refusal;
        let RefusalReason::Answered { method, target } = refusal.reason() else { return None };
        let path =
            target.parse::<Uri>().map_or_else(|_| target.clone(), |uri| uri.path().to_owned());
        Some(Self { method, path, status: refusal.status() })
    }
}

/// Who it was, for people: over a Unix socket nobody has an address.
struct Name(Option<SocketAddr>);

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(peer) => write!(f, "{peer}"),
            None => f.write_str("unix"),
        }
    }
}

/// Room for what is printed of most connections.
const USUAL_LINE: usize = 128;
