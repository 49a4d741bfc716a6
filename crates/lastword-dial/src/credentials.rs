//! A user and a password, as they stand in a URI, and the Basic credentials made of them (RFC 7617).

use std::fmt;

use http::HeaderValue;
use percent_encoding::percent_decode_str;

/// A user and a password. Its `Debug` does not show the password.
///
/// Invariant: no control characters in either, and no colon in the user: Basic credentials could not
/// carry them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Credentials of `user` and `password`; `None` if the user has a colon, or either a control
    /// character: Basic credentials cannot carry them (RFC 7617 section 2).
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Option<Self> {
        let (user, password) = (user.into(), password.into());
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let fits = is_plain(&user) && is_plain(&password) && !user.contains(':');
        fits.then_some(Self { user, password })
    }

    /// The user information of a URI: percent-decoded; a missing password is an empty one.
    pub(crate) fn of_userinfo(userinfo: &str) -> Option<Self> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decode = |text| percent_decode_str(text).decode_utf8().ok();
        Self::new(decode(user)?, decode(password)?)
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password; empty if there is none.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The value of an `Authorization` or `Proxy-Authorization` header; it is marked as sensitive.
    pub fn basic(&self) -> HeaderValue {
        let pair = format!("{}:{}", self.user, self.password);
        let text = format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
        // Base64 is visible ASCII; were it not, nothing is sent rather than something else.
        let mut value =
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}
