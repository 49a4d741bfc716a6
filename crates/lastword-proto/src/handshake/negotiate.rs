//! permessage-deflate in openings: the offer, the answer, and what they agree on (RFC 7692 section 7).
//!
//! A server declines an offer that it cannot or may not accept; a client fails an answer that it did
//! not allow. Which of several offers is taken, and what stands beside them, others decide.

use std::borrow::Cow;

use super::list::{Element, Malformed};
use crate::agreement::{ContextTakeover, DeflateAgreement, DeflateDirection};
use crate::config::DeflateConfig;
use crate::extension::PERMESSAGE_DEFLATE;

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
    /// The same extension of ours more than once.
    #[error("extension {0:?} answered more than once")]
    AnsweredTwice(String),
    /// An extension of ours behind permessage-deflate: it would see compressed messages, where it
    /// stands before compression here (section 9.1: the order of the answer counts).
    #[error("extension {0:?} answered behind permessage-deflate, which has to be the last")]
    Order(String),
    /// Two extensions of ours that give the same reserved bit a meaning.
    #[error("extension {0:?} answered beside another that claims the same reserved bit")]
    BitClaimedTwice(String),
    /// Parameters that an extension of ours cannot live with.
    #[error("answer about extension {extension:?}: {why}")]
    Extension {
        /// Its name.
        extension: String,
        /// What it said about the answer.
        why: Cow<'static, str>,
    },
    /// A subprotocol that was not offered.
    #[error("subprotocol {0:?} was not offered")]
    Subprotocol(String),
}

impl From<Malformed> for NegotiationError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

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

/// What is agreed on if this offer is accepted, and the answer that says so; `None` declines it.
pub(super) fn accept(
    offer: Element<'_>,
    config: &DeflateConfig,
) -> Option<(DeflateAgreement, String)> {
    answer(&Parameters::of(offer).ok()?, config)
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
    text += PERMESSAGE_DEFLATE;
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
    let mut text = format!("{PERMESSAGE_DEFLATE}; client_max_window_bits");
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
pub(super) fn check(
    answer: Element<'_>,
    config: &DeflateConfig,
) -> Result<DeflateAgreement, NegotiationError> {
    let answer = Parameters::of(answer)?;

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
    Ok(DeflateAgreement {
        client: DeflateDirection { window_bits: own_bits.min(allowed), takeover: client },
        server: DeflateDirection { window_bits: answered, takeover: server },
    })
}

impl Parameters {
    /// Those of an offer or an answer.
    fn of(element: Element<'_>) -> Result<Self, NegotiationError> {
        let mut parameters = element.parameters();
        parameters
            .try_fold(Self::default(), |known, (name, value)| known.with(name, value.as_deref()))
    }

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
