//! The opening by hand: the request, right or edited, and what became of it. That a 101 is one to our key
//! and our offers is verified by the library's own client.

use lastword::ConnectError;
use lastword::proto::handshake::client::{Error, InvalidRequest, Opening, Options};
use lastword::proto::{Config, DeflateConfig};
use tokio::time::Instant;

use super::line::Line;
use super::probe::{Edit, Offer};
use super::seen::{End, Opened};
use crate::args::Target;

/// An opening to begin with.
pub(super) fn begin(target: &Target, offer: Offer) -> Result<Opening, ConnectError> {
    let mut config = Config::default();
    config.deflate = match offer {
        Offer::Nothing => None,
        Offer::Deflate | Offer::DeflateWithTakeover => Some(DeflateConfig::default()),
        Offer::SmallWindow => {
            let mut deflate = DeflateConfig::default();
            deflate.peer_window_bits = 9;
            Some(deflate)
        }
    };
    Ok(request(target.options()?, &config)?)
}

fn request(options: Options, config: &Config) -> Result<Opening, InvalidRequest> {
    let mut nonce = [0; 16];
    // A key that somebody could guess does no harm: it proves that the answer is one to it.
    let _ = getrandom::fill(&mut nonce);
    Opening::new(options, config, nonce)
}

/// The request with its changes. It came from us: lines that end in CR LF.
pub(super) fn edited(request: &[u8], edits: &[Edit]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let mut lines: Vec<String> = text.trim_end().split("\r\n").map(str::to_owned).collect();
    let is = |line: &String, name: &str| {
        line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
    };
    for edit in edits {
        match *edit {
            Edit::Method(method) => lines[0] = lines[0].replacen("GET", method, 1),
            Edit::Version(version) => lines[0] = lines[0].replacen("HTTP/1.1", version, 1),
            Edit::Without(name) => lines.retain(|line| !is(line, name)),
            Edit::Set(name, value) => {
                lines.retain(|line| !is(line, name));
                lines.push(format!("{name}: {value}"));
            }
            Edit::Also(name, value) => lines.push(format!("{name}: {value}")),
            Edit::LowerCase => {
                for line in lines.iter_mut().skip(1) {
                    if let Some((name, value)) = line.split_once(':') {
                        *line = format!("{}:{value}", name.to_ascii_lowercase());
                    }
                }
            }
            Edit::SpaceBehind(name) => {
                for line in lines.iter_mut().filter(|line| is(line, name)) {
                    *line = line.replacen(':', " :", 1);
                }
            }
            Edit::Long(size) => lines.push(format!("X-Lastword-Check: {}", "x".repeat(size))),
        }
    }
    lines.push("\r\n".to_owned());
    lines.join("\r\n").into_bytes()
}

/// The answer to a request. What came behind it is left in `rest`.
pub(super) async fn answer(
    line: &mut Line,
    opening: &mut Opening,
    rest: &mut Vec<u8>,
    until: Instant,
) -> Opened {
    let mut head = Vec::new();
    loop {
        let Some(bytes) = line.read(until).await else {
            return match (opening.receive_eof(), line.end) {
                (Error::Eof { .. }, End::Open) => Opened::Silent,
                (Error::Eof { .. }, end) => Opened::Ended(end),
                (error, _) => failed(error, &head),
            };
        };
        head.extend(bytes.iter().take(STATUS_LINE - head.len().min(STATUS_LINE)));
        match opening.receive(bytes) {
            Ok(None) => {}
            Ok(Some(agreement)) => {
                rest.extend_from_slice(&agreement.leftover);
                return Opened::Agreed { deflate: agreement.deflate };
            }
            Err(error) => return failed(error, &head),
        }
    }
}

/// Enough for `HTTP/1.0 400`.
const STATUS_LINE: usize = 12;

fn failed(error: Error, head: &[u8]) -> Opened {
    if let Error::Refused(response) = &error {
        let version = response.headers().get(http::header::SEC_WEBSOCKET_VERSION);
        let version =
            version.map(|version| String::from_utf8_lossy(version.as_bytes()).into_owned());
        return Opened::Refused { status: response.status().as_u16(), version };
    }
    // A refusal in HTTP/1.0 is one, too, though our reader would not have it.
    let status = std::str::from_utf8(head).ok().and_then(|line| {
        let (_, status) = line.strip_prefix("HTTP/1.")?.split_once(' ')?;
        status.parse().ok()
    });
    match status {
        Some(status) if status != SWITCHING_PROTOCOLS => Opened::Refused { status, version: None },
        _ => Opened::Lied(error),
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;
