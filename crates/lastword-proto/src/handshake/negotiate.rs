//! Extensions: offers, answers, and what they agree on (RFC 6455 section 9.1, RFC 7692 section 7).
//!
//! A server declines an offer that it cannot or may not accept, and takes the next; a client fails
//! an answer that it did not allow.

use std::borrow::Cow;

use crate::agreement::{ContextTakeover, DeflateAgreement, DeflateDirection};
use crate::config::DeflateConfig;

/// An answer about extensions or subprotocols that was not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The header is not a list of extensions with parameters.
    #[error("malformed Sec-WebSocket-Extensions header")]
    Malformed,
    /// An extension that was not offered.
    #[error("extension {0:?} was not offered")]
    NotOffered(String),
    /// permessage-deflate more than once.
    #[error("permessage-deflate answered more than once")]
    Repeated,
    /// A parameter that permessage-deflate does not have, or that was not allowed in an answer.
    #[error("permessage-deflate parameter {0:?} is unknown or was not offered")]
    UnknownParameter(String),
    /// A parameter more than once.
    #[error("permessage-deflate parameter {0:?} occurs more than once")]
    RepeatedParameter(String),
    /// A value that the parameter cannot have.
    #[error("permessage-deflate parameter {0:?} has an invalid value")]
    InvalidValue(String),
    /// The server insists on a larger window than we asked for.
    #[error("server_max_window_bits {answered} exceeds the {asked} that we asked for")]
    WindowTooLarge {
        /// What the answer says; 15 if it says nothing.
        answered: u8,
        /// What we asked for.
        asked: u8,
    },
    /// The server wants a window of 256 bytes of us, which our compressor cannot keep.
    #[error("client_max_window_bits 8 is not supported by the compressor (9 to 15 are)")]
    WindowTooSmall,
    /// The server keeps its window, which we asked it not to.
    #[error("server_no_context_takeover was asked for and is not confirmed")]
    TakeoverKept,
    /// A subprotocol that was not offered.
    #[error("subprotocol {0:?} was not offered")]
    Subprotocol(String),
}

const NAME: &str = "permessage-deflate";

/// An answer with all that one can say.
const LONGEST_ANSWER: &str = "permessage-deflate; server_no_context_takeover; \
    client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=15";

/// The parameters of one element, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parameters {
    server_takeover: Option<()>,
    client_takeover: Option<()>,
    server_bits: Option<u8>,
    client_bits: Option<ClientBits>,
}

/// `client_max_window_bits` may stand without a value in an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientBits {
    Any,
    AtMost(u8),
}

/// The first offer that the server can accept: what is agreed on, and the answer that says so.
/// `values` are those of all `Sec-WebSocket-Extensions` fields, in order.
pub(super) fn accept_offer<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    config: &DeflateConfig,
) -> Option<(DeflateAgreement, String)> {
    let mut accepted = None;
    for element in elements(values) {
        // A malformed list holds no offer that could be understood; the connection goes without.
        let Element { name, parameters } = element.ok()?;
        if accepted.is_none() && name.eq_ignore_ascii_case(NAME) {
            accepted = parameters.ok().and_then(|offer| answer(&offer, config));
        }
    }
    accepted
}

fn answer(offer: &Parameters, config: &DeflateConfig) -> Option<(DeflateAgreement, String)> {
    let server_bits = config.own_window_bits.clamp(9, 15).min(offer.server_bits.unwrap_or(15));
    if server_bits < 9 {
        // zlib cannot compress with a window of 256 bytes.
        return None;
    }
    let asked = config.peer_window_bits.clamp(8, 15);
    let client_bits = match offer.client_bits {
        None => 15,
        Some(ClientBits::Any) => asked,
        Some(ClientBits::AtMost(bits)) => asked.min(bits),
    };
    let server = takeover(offer.server_takeover.is_some(), config.own_takeover);
    let client = takeover(offer.client_takeover.is_some(), config.peer_takeover);

    let mut text = String::with_capacity(LONGEST_ANSWER.len());
    text += NAME;
    if server == ContextTakeover::None {
        text += "; server_no_context_takeover";
    }
    if client == ContextTakeover::None {
        text += "; client_no_context_takeover";
    }
    if server_bits < 15 || offer.server_bits.is_some() {
        text += "; server_max_window_bits=";
        text += in_digits(server_bits);
    }
    if offer.client_bits.is_some() && client_bits < 15 {
        text += "; client_max_window_bits=";
        text += in_digits(client_bits);
    }
    let agreement = DeflateAgreement {
        client: DeflateDirection { window_bits: client_bits, takeover: client },
        server: DeflateDirection { window_bits: server_bits, takeover: server },
    };
    Some((agreement, text))
}

const fn takeover(declined: bool, config: ContextTakeover) -> ContextTakeover {
    if declined { ContextTakeover::None } else { config }
}

/// What a client offers.
pub(super) fn offer(config: &DeflateConfig) -> String {
    let mut text = format!("{NAME}; client_max_window_bits");
    if config.peer_window_bits < 15 {
        text += &format!("; server_max_window_bits={}", config.peer_window_bits.max(8));
    }
    if config.peer_takeover == ContextTakeover::None {
        text += "; server_no_context_takeover";
    }
    if config.own_takeover == ContextTakeover::None {
        text += "; client_no_context_takeover";
    }
    text
}

/// Holds the server's answer against the offer that `config` made.
pub(super) fn check_answer<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    config: Option<&DeflateConfig>,
) -> Result<Option<DeflateAgreement>, NegotiationError> {
    let mut answers = elements(values).collect::<Result<Vec<_>, _>>()?.into_iter();
    let Some(answer) = answers.next() else { return Ok(None) };
    let Some(config) = config.filter(|_| answer.name.eq_ignore_ascii_case(NAME)) else {
        return Err(NegotiationError::NotOffered(answer.name.to_owned()));
    };
    if let Some(second) = answers.next() {
        return Err(if second.name.eq_ignore_ascii_case(NAME) {
            NegotiationError::Repeated
        } else {
            NegotiationError::NotOffered(second.name.to_owned())
        });
    }
    let answer = answer.parameters?;

    let (answered, asked) = (answer.server_bits.unwrap_or(15), config.peer_window_bits.max(8));
    if answered > asked {
        return Err(NegotiationError::WindowTooLarge { answered, asked });
    }
    let allowed = match answer.client_bits {
        None => 15,
        // Only an offer may leave the value open.
        Some(ClientBits::Any) => {
            return Err(NegotiationError::InvalidValue("client_max_window_bits".into()));
        }
        Some(ClientBits::AtMost(8)) => return Err(NegotiationError::WindowTooSmall),
        Some(ClientBits::AtMost(bits)) => bits,
    };
    let server = takeover(answer.server_takeover.is_some(), ContextTakeover::Kept);
    if server == ContextTakeover::Kept && config.peer_takeover == ContextTakeover::None {
        return Err(NegotiationError::TakeoverKept);
    }
    let client = takeover(answer.client_takeover.is_some(), config.own_takeover);
    let own_bits = config.own_window_bits.clamp(9, 15);
    Ok(Some(DeflateAgreement {
        client: DeflateDirection { window_bits: own_bits.min(allowed), takeover: client },
        server: DeflateDirection { window_bits: answered, takeover: server },
    }))
}

impl Parameters {
    /// These, and one more.
    fn with(mut self, name: &str, value: Option<&str>) -> Result<Self, NegotiationError> {
        let invalid = || NegotiationError::InvalidValue(name.to_owned());
        let is_new = match name {
            "server_no_context_takeover" => {
                flag(value).ok_or_else(invalid)?;
                self.server_takeover.replace(()).is_none()
            }
            "client_no_context_takeover" => {
                flag(value).ok_or_else(invalid)?;
                self.client_takeover.replace(()).is_none()
            }
            "server_max_window_bits" => {
                let bits = value.and_then(window_bits).ok_or_else(invalid)?;
                self.server_bits.replace(bits).is_none()
            }
            "client_max_window_bits" => {
                let bits = match value {
                    None => ClientBits::Any,
                    Some(value) => ClientBits::AtMost(window_bits(value).ok_or_else(invalid)?),
                };
                self.client_bits.replace(bits).is_none()
            }
            _ => return Err(NegotiationError::UnknownParameter(name.to_owned())),
        };
        if is_new { Ok(self) } else { Err(NegotiationError::RepeatedParameter(name.to_owned())) }
    }
}

const fn flag(value: Option<&str>) -> Option<()> {
    if value.is_none() { Some(()) } else { None }
}

/// 8 to 15 in decimal, without leading zeros (RFC 7692 section 7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

/// A number of bits that [`window_bits`] reads.
const fn in_digits(bits: u8) -> &'static str {
    match bits {
        ..=8 => "8",
        9 => "9",
        10 => "10",
        11 => "11",
        12 => "12",
        13 => "13",
        14 => "14",
        15.. => "15",
    }
}

/// One element of the header: a name and its parameters, as permessage-deflate would have them.
struct Element<'a> {
    name: &'a str,
    parameters: Result<Parameters, NegotiationError>,
}

/// All elements of all `Sec-WebSocket-Extensions` fields, in order.
fn elements<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Element<'a>, NegotiationError>> {
    let mut scanner = Scanner { rest: &[] };
    std::iter::from_fn(move || {
        // Empty list elements are allowed (RFC 9110 section 5.6.1.2).
        while scanner.eat(b',') {}
        while scanner.is_at_end() {
            scanner.rest = values.next()?;
            while scanner.eat(b',') {}
        }
        let element = scanner.element().filter(|_| scanner.is_at_end() || scanner.is_at(b','));
        Some(element.ok_or(NegotiationError::Malformed))
    })
}

/// Reads a header value from left to right, each byte once.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn element(&mut self) -> Option<Element<'a>> {
        let name = self.token()?;
        let mut parameters = Ok(Parameters::default());
        while self.eat(b';') {
            let name = self.token()?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            parameters = parameters.and_then(|known| known.with(name, value.as_deref()));
        }
        Some(Element { name, parameters })
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end = self.rest.iter().position(|&b| !is_token(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        if token.is_empty() { None } else { std::str::from_utf8(token).ok() }
    }

    /// A token, or a quoted string whose content is a token (RFC 6455 section 9.1).
    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let end = self.rest.iter().position(|&b| b == b'"')?;
        let (quoted, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..)?;
        let content: Vec<u8> = quoted.iter().copied().filter(|&b| b != b'\\').collect();
        if content.is_empty() || !content.iter().copied().all(is_token) {
            return None;
        }
        String::from_utf8(content).ok().map(Cow::Owned)
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn is_at(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn skip_space(&mut self) {
        while let Some((b' ' | b'\t', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
