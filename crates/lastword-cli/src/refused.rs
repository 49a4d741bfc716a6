//! No connection: what happened, whose fault it was, and what to type next.

use std::io;

use http::StatusCode;
use lastword::ConnectError;
use lastword::dial::{ProxyError, without_user};
use lastword::proto::handshake::client;

use crate::exit::Outcome;
use crate::print::{chain, escape, escape_lines, head};
use crate::style::Style;

/// How many lines of a refusal's body are shown.
const BODY_LINES: usize = 10;

/// Tells all of it, on standard error.
pub(crate) fn tell(url: &str, error: &ConnectError) {
    let url = without_user(url);
    crate::print::note!("no connection to {}: {}", escape(&url), Style::Bad.of(chain(error)));
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
        io::ErrorKind::AddrInUse => {
            "Another program listens there. Try another port (0 is any free one), or another path."
        }
        io::ErrorKind::PermissionDenied if port.is_some_and(|port| port < 1024) => {
            "Ports below 1024 are for the administrator: try another port."
        }
        io::ErrorKind::PermissionDenied => "Check who may write into that directory.",
        io::ErrorKind::NotFound => "There is no such directory: make it, or try another path.",
        io::ErrorKind::AddrNotAvailable => {
            "This machine has no such address: try 127.0.0.1, or 0.0.0.0 for all of its own."
        }
        _ => "Try another address, or another port.",
    }
}

/// We were asked to stop before there was a connection.
pub(crate) fn stopped(url: &str) -> Outcome {
    crate::print::note!("stopped before {} had answered", escape(&without_user(url)));
    Outcome::Aborted
}

/// What to try next, if there is anything.
pub(crate) fn advise(error: &ConnectError) {
    if let Some(advice) = advice(error) {
        crate::print::note!("{advice}");
    }
}

fn advice(error: &ConnectError) -> Option<&'static str> {
    Some(match error {
        ConnectError::Request(_) => "Try without that header, or with another value.",
        ConnectError::Resolve { .. } => {
            "Check the name, or the network; --proxy socks5h:// lets a proxy resolve it."
        }
        ConnectError::Connect { source, .. } => match source.kind() {
            io::ErrorKind::ConnectionRefused => {
                "Nobody listens there. Try another port, or start a server: lastword serve"
            }
            io::ErrorKind::AddrNotAvailable => {
                "Check --local-address: it has to be an address of this machine."
            }
            _ => "Check the address and the network; --open-timeout waits longer.",
        },
        ConnectError::Unix { source, .. } => match source.kind() {
            io::ErrorKind::NotFound => "There is no such socket (--unix).",
            io::ErrorKind::ConnectionRefused => {
                "Nobody listens there any more: the file is of a server that is gone."
            }
            _ => "Check who may use that socket (--unix).",
        },
        ConnectError::InvalidProxy(_) => {
            "Look at http_proxy, https_proxy and all_proxy, or go without: --no-proxy"
        }
        ConnectError::Proxy { source: ProxyError::Refused { status, .. }, .. }
            if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
        {
            "The proxy wants to know who you are: --proxy http://user:password@host:port"
        }
        ConnectError::ProxyUnreachable { .. } => {
            "Check the proxy (--proxy, or http_proxy, https_proxy and all_proxy), or go without it: --no-proxy"
        }
        ConnectError::Proxy { .. } | ConnectError::ProxyLost { .. } => {
            "That is the proxy's doing; go without it: --no-proxy"
        }
        ConnectError::Redirect(_) => {
            "Try the address that it names; --max-redirects 0 shows the answer itself."
        }
        ConnectError::Tls { source, .. } => tls(source),
        ConnectError::Handshake(client::Error::Refused(response)) => {
            match response.status().as_u16() {
                401 => {
                    "It wants to know who you are: --user NAME, --bearer-file FILE, or -H 'Authorization: …'"
                }
                403 => "Perhaps it wants an --origin, or other credentials.",
                404 => "Check the path of the URL.",
                400 | 426 => "Perhaps it is no WebSocket server, or not under this path.",
                429 | 503 => "It is busy; --reconnect tries again, after as long as it asks for.",
                200..=299 => "That is an ordinary web server's answer: check the path of the URL.",
                _ => return None,
            }
        }
        ConnectError::Handshake(client::Error::Head(_)) => {
            "That is no HTTP: another protocol, or TLS where ws:// was asked for (try wss://)."
        }
        ConnectError::Handshake(client::Error::Eof { bytes: 0 }) | ConnectError::Lost(_) => {
            "It hung up without a word: perhaps it expects TLS (try wss://), or no WebSocket."
        }
        ConnectError::TimedOut { .. } => {
            "Perhaps a firewall drops it all; --open-timeout waits longer."
        }
        _ => return None,
    })
}

/// Which certificate, and why not.
fn tls(error: &io::Error) -> &'static str {
    use lastword::rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "The server's certificate has expired: it has to get a new one (--insecure goes on all the same)."
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "The server's certificate is not valid yet: is the clock of this machine right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "The server's certificate is for another name: --server-name NAME, if that is meant."
            }
            CertificateError::UnknownIssuer => {
                "Nobody that is trusted here has signed the server's certificate: --ca FILE trusts who did."
            }
            _ => "The server's certificate cannot be trusted: --ca FILE, or --insecure for a test.",
        },
        Some(Error::InvalidMessage(_)) => "That is no TLS: try ws:// instead of wss://.",
        Some(Error::AlertReceived(_)) => {
            "The server ended it: perhaps it asks for a certificate (--cert FILE --key FILE)."
        }
        _ => "Try ws:// if the server speaks no TLS.",
    }
}
