//! All extensions of an opening: what a client offers, what a server accepts, what a client lets it
//! accept (RFC 6455 section 9.1).
//!
//! Those of the application's own stand before permessage-deflate, both in the header and on the way
//! of a message. Each judges its own parameters; that they get along with each other is judged here.

use http::Response;
use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

use super::list::{Element, elements};
use super::negotiate::{self, NegotiationError};
use crate::agreement::DeflateAgreement;
use crate::config::{Config, DeflateConfig};
use crate::extension::{AgreedExtension, Extensions, PERMESSAGE_DEFLATE, Parameters};
use crate::wire::ReservedBits;

/// What a server accepts of all that was offered.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    pub(super) deflate: Option<DeflateAgreement>,
    pub(super) extensions: Vec<AgreedExtension>,
    /// The value of `Sec-WebSocket-Extensions` that says so; empty if there is nothing to say.
    pub(super) answer: String,
}

/// What may be accepted beside what was accepted before.
#[derive(Debug, Default)]
struct Agreed {
    extensions: Vec<AgreedExtension>,
    claimed: ReservedBits,
}

impl Agreed {
    fn has(&self, name: &str) -> bool {
        self.extensions.iter().any(|agreed| agreed.extension().name().eq_ignore_ascii_case(name))
    }

    fn is_claimed(&self, bits: ReservedBits) -> bool {
        !self.claimed.and(bits).is_none()
    }

    fn add(&mut self, agreed: AgreedExtension) {
        self.claimed = self.claimed | agreed.extension().reserved_bits();
        self.extensions.push(agreed);
    }
}

/// The first offer of each extension that the server can accept. `values` are those of all
/// `Sec-WebSocket-Extensions` fields, in order.
pub(super) fn accept<'a>(values: impl Iterator<Item = &'a [u8]>, config: &Config) -> Accepted {
    let (mut deflate, mut agreed) = (None, Agreed::default());
    for element in elements(values) {
        // A malformed list holds no offer that could be understood; the connection goes without.
        let Ok(offer) = element else { return Accepted::default() };
        if offer.name.eq_ignore_ascii_case(PERMESSAGE_DEFLATE) {
            if deflate.is_none() {
                let ours = config.deflate.as_ref();
                deflate = ours.and_then(|config| negotiate::accept(offer, config));
            }
        } else if let Some(extension) = config.extensions.named(offer.name)
            && !agreed.has(offer.name)
            && !agreed.is_claimed(extension.reserved_bits())
            && let Some(answer) = extension.answer(&offer.to_parameters())
        {
            agreed.add(AgreedExtension::new(extension.clone(), answer));
        }
    }
    let Agreed { extensions, .. } = agreed;
    let (deflate, said) = deflate.unzip();
    let answer = if extensions.is_empty() {
        said.unwrap_or_default()
    } else {
        let own = extensions.iter().map(|own| said_of(own.extension().name(), own.parameters()));
        own.chain(said).collect::<Vec<_>>().join(", ")
    };
    Accepted { deflate, extensions, answer }
}

/// What a client offers, if it offers anything.
pub(super) fn offer(config: &Config) -> Option<HeaderValue> {
    let own = config.extensions.iter().map(|own| said_of(own.name(), &own.offer()));
    let offers: Vec<_> = own.chain(config.deflate.as_ref().map(negotiate::offer)).collect();
    if offers.is_empty() { None } else { HeaderValue::try_from(offers.join(", ")).ok() }
}

/// Holds the server's answer against what was offered.
pub(super) fn check<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    deflate: Option<&DeflateConfig>,
    extensions: &Extensions,
) -> Result<(Option<DeflateAgreement>, Vec<AgreedExtension>), NegotiationError> {
    let (mut compression, mut agreed) = (None, Agreed::default());
    for answer in elements(values).collect::<Result<Vec<_>, _>>()? {
        if answer.name.eq_ignore_ascii_case(PERMESSAGE_DEFLATE)
            && let Some(config) = deflate
        {
            if compression.is_some() {
                return Err(NegotiationError::Repeated);
            }
            compression = Some(negotiate::check(answer, config)?);
        } else {
            let own = check_own(answer, extensions, &agreed)?;
            if compression.is_some() {
                return Err(NegotiationError::Order(answer.name.to_owned()));
            }
            agreed.add(own);
        }
    }
    Ok((compression, agreed.extensions))
}

fn check_own(
    answer: Element<'_>,
    extensions: &Extensions,
    agreed: &Agreed,
) -> Result<AgreedExtension, NegotiationError> {
    let name = || answer.name.to_owned();
    let extension =
        extensions.named(answer.name).ok_or_else(|| NegotiationError::NotOffered(name()))?;
    if agreed.has(answer.name) {
        return Err(NegotiationError::AnsweredTwice(name()));
    }
    if agreed.is_claimed(extension.reserved_bits()) {
        return Err(NegotiationError::BitClaimedTwice(name()));
    }
    let parameters = answer.to_parameters();
    extension
        .check(&parameters)
        .map_err(|why| NegotiationError::Extension { extension: name(), why })?;
    Ok(AgreedExtension::new(extension.clone(), parameters))
}

fn said_of(name: &str, parameters: &Parameters) -> String {
    format!("{name}{parameters}")
}

/// What a response says of extensions, permessage-deflate included: the name and the parameters of
/// each, in the order in which messages go out through them. Empty if it is malformed.
///
/// ```
/// use lastword_proto::handshake::extensions_in;
/// let response = http::Response::builder()
///     .header("sec-websocket-extensions", "x-checksum, permessage-deflate; server_max_window_bits=12")
///     .body(())
///     .unwrap();
/// let [(first, none), (second, some)] = &extensions_in(&response)[..] else { panic!("two") };
/// assert_eq!((first.as_str(), none.len()), ("x-checksum", 0));
/// assert_eq!((second.as_str(), some.value("server_max_window_bits")), ("permessage-deflate", Some("12")));
/// ```
pub fn extensions_in<B>(response: &Response<B>) -> Vec<(String, Parameters)> {
    let values = response.headers().get_all(SEC_WEBSOCKET_EXTENSIONS);
    let all = elements(values.iter().map(HeaderValue::as_bytes)).collect::<Result<Vec<_>, _>>();
    let kept = |element: Element<'_>| (element.name.to_owned(), element.to_parameters());
    all.unwrap_or_default().into_iter().map(kept).collect()
}
