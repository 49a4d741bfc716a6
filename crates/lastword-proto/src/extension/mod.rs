//! Extensions of the application's own: what is said of them in openings, and what they make of
//! messages (RFC 6455 section 9).
//!
//! An [`Extension`] is one for all connections and answers questions about openings; it begins a
//! [`Transform`] for each connection that agreed on it, which may remember. Values and promises only:
//! knows neither handshake nor frames, and does nothing itself.

mod parameters;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use self::parameters::{NotAToken, Parameters};
pub(crate) use self::parameters::{is_token, is_token_byte};
use crate::message::Kind;
use crate::wire::{CloseCode, ReservedBits, Role};

/// An extension of the application's own (RFC 6455 section 9).
///
/// It stands in [`Config::extensions`](crate::Config::extensions) on both sides. A client offers it
/// ([`offer`](Self::offer)), the server answers or declines ([`answer`](Self::answer)), the client
/// checks the answer ([`check`](Self::check)); what the answer says is what was agreed on, and both
/// sides [`begin`](Self::begin) with it.
///
/// ```
/// use std::borrow::Cow;
///
/// use bytes::Bytes;
/// use lastword_proto::{
///     Config, Encoded, Extension, Kind, Parameters, Role, Transform, Undecodable,
/// };
///
/// /// Turns every byte round. Good for nothing but an example.
/// #[derive(Debug)]
/// struct Invert;
///
/// impl Extension for Invert {
///     fn name(&self) -> &str {
///         "x-invert"
///     }
///     fn answer(&self, offer: &Parameters) -> Option<Parameters> {
///         // Whoever offers parameters that we do not know means something else.
///         offer.is_empty().then(Parameters::default)
///     }
///     fn check(&self, answer: &Parameters) -> Result<(), Cow<'static, str>> {
///         if answer.is_empty() { Ok(()) } else { Err("it has no parameters".into()) }
///     }
///     fn begin(&self, _: Role, _: &Parameters) -> Box<dyn Transform> {
///         Box::new(Inverted)
///     }
/// }
///
/// struct Inverted;
///
/// impl Transform for Inverted {
///     fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
///         invert(&payload).into()
///     }
///     fn decode(&mut self, _: Kind, coded: Encoded, _: usize) -> Result<Bytes, Undecodable> {
///         Ok(invert(&coded.payload))
///     }
/// }
///
/// fn invert(bytes: &[u8]) -> Bytes {
///     bytes.iter().map(|byte| !byte).collect()
/// }
///
/// let mut config = Config::default();
/// config.extensions.add(Invert).unwrap();
/// assert!(config.extensions.add(Invert).is_err(), "its name is taken");
/// ```
pub trait Extension: fmt::Debug + Send + Sync + 'static {
    /// What it is called in openings: a token, the same at each call.
    fn name(&self) -> &str;

    /// Which reserved bits it gives a meaning, whatever is agreed on; none. At most one of the
    /// extensions that a connection agrees on may claim a bit.
    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::NONE
    }

    /// With which parameters a client offers it; none.
    fn offer(&self) -> Parameters {
        Parameters::default()
    }

    /// With which parameters a server accepts this offer; `None` declines it. A client may make
    /// several offers under one name: each is asked for until one is accepted.
    fn answer(&self, offer: &Parameters) -> Option<Parameters>;

    /// Whether a client can live with the server's answer.
    ///
    /// # Errors
    /// What is wrong with it, in words. The client then fails the connection, as section 9.1 asks it to.
    fn check(&self, answer: &Parameters) -> Result<(), Cow<'static, str>>;

    /// What a connection in this role does that agreed on these parameters.
    fn begin(&self, role: Role, agreed: &Parameters) -> Box<dyn Transform>;
}

/// What an extension makes of the messages of one connection, both ways.
///
/// It stands between the messages of the application and permessage-deflate: what it encodes is then
/// compressed, if it is; what came is inflated before it is decoded. Pings, pongs and closes pass it
/// by. Both ways it sees the messages in the order of the wire, each whole and once.
///
/// It is called in the middle of the connection's work, whose lock is held: it must not wait, nor call
/// the connection. A panic in [`encode`](Self::encode) goes to whoever sends, whose message is not
/// accepted; one in [`decode`](Self::decode) ends the connection with 1011.
pub trait Transform: Send {
    /// What goes over the wire in place of this payload.
    fn encode(&mut self, kind: Kind, payload: Bytes) -> Encoded;

    /// The payload that came as `coded`; text is proven behind it. May be empty, and is never to be
    /// longer than `limit` bytes ([`Config::max_message_size`](crate::Config::max_message_size)), which
    /// is to be found out before memory is taken up for it.
    ///
    /// # Errors
    /// [`Undecodable`] ends the connection.
    fn decode(&mut self, kind: Kind, coded: Encoded, limit: usize) -> Result<Bytes, Undecodable>;
}

/// What stands on the wire for the payload of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the bytes, and what their first frame is marked with"
)]
pub struct Encoded {
    /// The bytes.
    pub payload: Bytes,
    /// The reserved bits that mark the message: of those that the extension has claimed; others are
    /// never sent, nor shown.
    pub reserved: ReservedBits,
}

/// A payload without a mark.
impl From<Bytes> for Encoded {
    fn from(payload: Bytes) -> Self {
        Self { payload, reserved: ReservedBits::NONE }
    }
}

/// Why an extension cannot decode what a peer has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "too large, or wrong")]
pub enum Undecodable {
    /// It would grow beyond the limit: closes with 1009.
    TooBig,
    /// It is not what this extension makes.
    Broken {
        /// The code with which the connection is closed.
        code: CloseCode,
        /// What is wrong with it. The close frame says it behind the name of the extension.
        reason: Cow<'static, str>,
    },
}

impl Undecodable {
    /// It is not what this extension makes: closes with this code, and this reason.
    pub fn broken(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken { code, reason: reason.into() }
    }
}

/// The extensions that a client offers and a server accepts, in order of preference. Clones share
/// them.
#[derive(Clone, Default)]
pub struct Extensions(Vec<Arc<dyn Extension>>);

impl Extensions {
    /// Adds one, behind the others: what it encodes is encoded behind them.
    ///
    /// # Errors
    /// [`InvalidExtension`] if its name is no token, or taken.
    pub fn add(&mut self, extension: impl Extension) -> Result<(), InvalidExtension> {
        let name = extension.name();
        if !is_token(name) {
            return Err(InvalidExtension::Name(NotAToken(name.to_owned())));
        }
        if name.eq_ignore_ascii_case(PERMESSAGE_DEFLATE) || self.named(name).is_some() {
            return Err(InvalidExtension::Taken(name.to_owned()));
        }
        self.0.push(Arc::new(extension));
        Ok(())
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|extension| extension.name())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Extension>> {
        self.0.iter()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<dyn Extension>> {
        self.0.iter().find(|extension| extension.name().eq_ignore_ascii_case(name))
    }
}

/// Two are equal if they hold the same.
impl PartialEq for Extensions {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<dyn Extension>, &Arc<dyn Extension>)| Arc::ptr_eq(a, b);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why an extension cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidExtension {
    /// Its name cannot stand in a header.
    #[error("name of an extension: {0}")]
    Name(NotAToken),
    /// Its name is that of another, or of permessage-deflate, which this crate has itself
    /// ([`Config::deflate`](crate::Config::deflate)).
    #[error("there is an extension {0:?} already")]
    Taken(String),
}

/// An extension of the application's own that both sides agreed on.
#[derive(Clone, Debug)]
pub struct AgreedExtension {
    extension: Arc<dyn Extension>,
    parameters: Parameters,
}

impl AgreedExtension {
    /// What an opening elsewhere agreed on: `parameters` are those of the server's answer.
    pub const fn new(extension: Arc<dyn Extension>, parameters: Parameters) -> Self {
        Self { extension, parameters }
    }

    /// The extension, as it stands in our configuration.
    pub fn extension(&self) -> &dyn Extension {
        &*self.extension
    }

    /// The parameters of the server's answer.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// The one that this crate has itself.
pub(crate) const PERMESSAGE_DEFLATE: &str = "permessage-deflate";
