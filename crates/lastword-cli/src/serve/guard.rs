//! Who may drive a process: programs, and pages that this server itself has shown. A page from elsewhere
//! that a browser of this machine looks at could otherwise connect and run commands.

use std::net::IpAddr;

use http::StatusCode;
use lastword::{Answer, Incoming};

/// What is answered to a request that a page from elsewhere made; nothing to others.
pub(super) fn refuses(incoming: &Incoming) -> Option<Answer> {
    let origin = incoming.header("origin")?;
    let host = incoming.header("host").unwrap_or_default();
    (!is_own(origin, host)).then(|| {
        let why = format!("pages of {origin} may not connect; --origin names those that may\n");
        Answer::text(StatusCode::FORBIDDEN, why)
    })
}

/// Whether a page is of this server: by its address, since any name may be made to lead here.
fn is_own(origin: &str, host: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else { return false };
    authority.eq_ignore_ascii_case(host) && is_local(name(authority))
}

/// An authority without its port.
fn name(authority: &str) -> &str {
    if let Some(inside) = authority.strip_prefix('[') {
        return inside.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_local(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_server_itself_may_connect_and_no_others() {
        for (origin, host, own) in [
            ("http://127.0.0.1:8765", "127.0.0.1:8765", true),
            ("http://localhost:8765", "localhost:8765", true),
            ("https://[::1]:8765", "[::1]:8765", true),
            ("http://192.168.1.2:8765", "192.168.1.2:8765", true),
            ("http://localhost:3000", "localhost:8765", false),
            ("https://evil.example", "127.0.0.1:8765", false),
            // A name that was made to lead here.
            ("http://evil.example:8765", "evil.example:8765", false),
            ("null", "127.0.0.1:8765", false),
            ("http://", "", false),
        ] {
            assert_eq!(is_own(origin, host), own, "{origin} {host}");
        }
    }
}
