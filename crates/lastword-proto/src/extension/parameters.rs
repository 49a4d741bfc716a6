//! The parameters of an extension, as they stand in a header (RFC 6455 section 9.1).

use std::fmt;

/// The parameters of an offer or of an answer, in order; a name may occur more than once.
///
/// Invariant: names and values are tokens, which can stand in a header.
///
/// ```
/// use lastword_proto::Parameters;
/// let parameters = Parameters::default().with("bits", "32")?.with_flag("strict")?;
/// assert_eq!(parameters.to_string(), "; bits=32; strict");
/// assert_eq!(parameters.value("bits"), Some("32"));
/// assert!(parameters.has("strict"));
/// assert!(parameters.with("note", "two words").is_err());
/// # Ok::<_, lastword_proto::NotAToken>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(Box<str>, Option<Box<str>>)>);

impl Parameters {
    /// These, and one with a value.
    ///
    /// # Errors
    /// [`NotAToken`] if name or value cannot stand in a header.
    pub fn with(self, name: &str, value: &str) -> Result<Self, NotAToken> {
        Ok(self.and(token(name)?, Some(token(value)?)))
    }

    /// These, and one without a value.
    ///
    /// # Errors
    /// [`NotAToken`] if the name cannot stand in a header.
    pub fn with_flag(self, name: &str) -> Result<Self, NotAToken> {
        Ok(self.and(token(name)?, None))
    }

    /// All of them, in order: name, and value if there is one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_deref()))
    }

    /// The value of the first of this name that has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(other, _)| *other == name).find_map(|(_, value)| value)
    }

    /// Whether there is one of this name, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(other, _)| other == name)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and one whose name and value are tokens.
    pub(crate) fn and(mut self, name: &str, value: Option<&str>) -> Self {
        self.0.push((name.into(), value.map(Into::into)));
        self
    }
}

/// As they stand behind the name of the extension.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, "; {name}={value}"),
            None => write!(f, "; {name}"),
        })
    }
}

/// A text that is no token (RFC 9110 section 5.6.2), and so cannot stand in a header by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a token")]
pub struct NotAToken(pub(super) String);

fn token(text: &str) -> Result<&str, NotAToken> {
    if is_token(text) { Ok(text) } else { Err(NotAToken(text.to_owned())) }
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a byte may stand in a token.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
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
