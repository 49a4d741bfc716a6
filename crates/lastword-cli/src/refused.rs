//! No connection: what happened, whose fault it was, and what to type next.

use std::io;

use lastword::ConnectError;
use lastword::dial::ProxyError;
use lastword::proto::handshake::client;

use crate::advice;
use crate::exit::Outcome;
use crate::print::{chain, escape, escape_lines, head, url as shown};
use crate::style::Style;

/// How many lines of a refusal's body are shown.
const BODY_LINES: usize = 10;

/// Tells all of it, on standard error.
pub(crate) fn tell(url: &str, error: &ConnectError) {
    crate::print::note!("no connection to {}: {}", shown(url), Style::Bad.of(chain(error)));
    if let ConnectError::Proxy { source: ProxyError::Refused { status, headers }, .. } = error {
        crate::print::note!("{}", head(&format!("HTTP/1.1 {status}"), headers, '<'));
    }
    if let ConnectError::Handshake(client::Error::Refused(response)) = error {
        let start = format!("HTTP/1.1 {}", response.status());
        crate::print::note!("{}", head(&start, response.headers(), '<'));
        let body = String::from_utf8_lossy(response.body());
        for line in body.lines().take(BODY_LINES) {
            crate::print::note!("  {}", escape(line));
        }
        if body.lines().nth(BODY_LINES).is_some() {
            crate::print::note!("  … ({} bytes in all)", response.body().len());
        }
    }
    advise(error);
}

/// The arguments make no sense, or the files that they name: tells why, and what was expected.
pub(crate) fn misused(why: &str) -> Outcome {
    crate::print::note!("error: {}", escape_lines(why));
    Outcome::Usage
}

/// Nobody can be let in here: tells why, and what to try next.
pub(crate) fn not_listening(place: &str, error: &io::Error) -> Outcome {
    let (told, advice) = (error.to_string(), elsewhere(place, error));
    // What the library says of a path names it already.
    match told.strip_prefix("cannot listen on ") {
        Some(rest) => crate::print::note!("cannot listen on {}", escape(rest)),
        None => crate::print::note!("cannot listen on {}: {told}", escape(place)),
    }
    crate::print::note!("{advice}");
    Outcome::NoConnection
}

fn elsewhere(place: &str, error: &io::Error) -> &'static str {
    let port = place.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match error.kind() {
        io::ErrorKind::AddrInUse if port.is_some() => {
            "Another program listens there: try another port; 0 is any free one."
        }
        io::ErrorKind::AddrInUse => "Another program listens there: try another path.",
        io::ErrorKind::PermissionDenied if port.is_some_and(|port| port < 1024) => {
            "Ports below 1024 are for the administrator: try another port."
        }
        io::ErrorKind::PermissionDenied => "Check who may write into that directory.",
        io::ErrorKind::NotFound => "There is no such directory: make it, or try another path.",
        io::ErrorKind::AddrNotAvailable => {
            "This machine has no such address: try 127.0.0.1, or 0.0.0.0 for all of its own."
        }
        _ if port.is_none() => "Try another path.",
        _ => "Try another address, or another port.",
    }
}

/// We were asked to stop before there was a connection.
pub(crate) fn stopped(url: &str) -> Outcome {
    crate::print::note!("stopped before {} had answered", shown(url));
    Outcome::Aborted
}

/// What to try next, if there is anything.
pub(crate) fn advise(error: &ConnectError) {
    if let Some(advice) = advice::of(error) {
        crate::print::note!("{advice}");
    }
}
