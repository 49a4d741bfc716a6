//! Basic authentication (RFC 7617): who a request says it comes from, and the challenge for those who
//! have not said it. Pure; whether the credentials are right, somebody else knows.

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

use crate::answer::Answer;

/// A name and a password, as a request said them.
///
/// ```
/// # use lastword_kit::Credentials;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".parse().unwrap());
/// let said = Credentials::from_headers(&headers).unwrap();
/// assert_eq!(said.username(), "Aladdin");
/// assert!(said.are("Aladdin", "open sesame"));
/// assert!(!said.are("Aladdin", "open barley"));
/// ```
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// What the `Authorization` header says; `None` if there is not exactly one, or it is not of the
    /// Basic scheme, in base64 and UTF-8.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Self { username: username.to_owned(), password: password.to_owned() })
    }

    /// Who it claims to be.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// What is to prove it; to be compared with [`are`](Self::are), or by a function made for hashed
    /// passwords.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Whether they are these, compared in a time that tells nothing of where they differ. It does
    /// tell whether they are as long.
    pub fn are(&self, username: &str, password: &str) -> bool {
        let same_name = self.username.as_bytes().ct_eq(username.as_bytes());
        let same_password = self.password.as_bytes().ct_eq(password.as_bytes());
        (same_name & same_password).into()
    }
}

impl std::fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The answer to those who have not said who they are, or not what proves it.
pub fn challenge(realm: &str) -> Answer {
    let mut quoted = String::new();
    for letter in realm.chars().filter(|letter| matches!(letter, ' '..='~')) {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
    let answer = Answer::text(StatusCode::UNAUTHORIZED, "credentials are required\n");
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => answer.header(WWW_AUTHENTICATE, challenge),
        // Only printable letters are left in it.
        Err(_) => answer,
    }
}
