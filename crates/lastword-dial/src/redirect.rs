//! Where an answer sends us instead, and whether we go (RFC 9110 section 15.4).
//!
//! Never from `wss` to `ws`, never round without end, and credentials go to the origin that they were
//! meant for, and to no other.

use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, StatusCode};

use crate::uri::{InvalidUri, Scheme, WebSocketUri};

/// How many redirects are followed where the caller says nothing else.
pub const MAX_REDIRECTS: usize = 10;

/// How many redirects may still be followed.
#[derive(Clone, Copy, Debug)]
pub struct Redirects {
    limit: usize,
    followed: usize,
}

/// Why a redirect was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// It would have been one more than the limit.
    #[error("more than {limit} redirects (max_redirects), the last one to {to}")]
    TooMany {
        /// How many are allowed.
        limit: usize,
        /// Where it would have led.
        to: Box<WebSocketUri>,
    },
    /// It leads from `wss` to `ws`: what was to be encrypted would not be.
    #[error("redirect from wss to ws, to {to}")]
    Downgrade {
        /// Where it would have led.
        to: Box<WebSocketUri>,
    },
    /// Its `Location` leads nowhere.
    #[error("redirect to {location:?}")]
    Location {
        /// What the header says.
        location: String,
        /// What is wrong with it.
        source: InvalidUri,
    },
    /// It came over a stream of the caller's own, or a Unix socket, from which there is no way to
    /// another place.
    #[error("redirect to {to} over a stream that leads to one place only")]
    OwnStream {
        /// Where it would have led.
        to: Box<WebSocketUri>,
    },
}

impl Redirects {
    /// At most so many.
    pub const fn at_most(limit: usize) -> Self {
        Self { limit, followed: 0 }
    }

    /// Where to go after this answer to `from`; `None` if it is no redirect.
    ///
    /// `http` and `https` in its `Location` mean `ws` and `wss`; its fragment means nothing here, its
    /// user information is not used. The credentials of `from` go along within its origin only; for
    /// other headers see [`strip_credentials`].
    ///
    /// # Errors
    /// [`RedirectRefused`]: why we do not go there.
    pub fn follow(
        &mut self,
        from: &WebSocketUri,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<WebSocketUri>, RedirectRefused> {
        let Some(location) = headers.get(LOCATION).filter(|_| FOLLOWED.contains(&status.as_u16()))
        else {
            return Ok(None);
        };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let to = resolve(from, &location)
            .map_err(|source| RedirectRefused::Location { location, source })?;
        if from.scheme() == Scheme::Wss && to.scheme() == Scheme::Ws {
            return Err(RedirectRefused::Downgrade { to: Box::new(to) });
        }
        if self.followed >= self.limit {
            return Err(RedirectRefused::TooMany { limit: self.limit, to: Box::new(to) });
        }
        self.followed = self.followed.saturating_add(1);
        Ok(Some(to))
    }
}

/// Takes out of a request's headers what was meant for its origin only: `Authorization`, `Cookie`,
/// `Proxy-Authorization`, and all values that are marked as sensitive.
pub fn strip_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    let sensitive: Vec<_> = headers
        .iter()
        .filter(|(_, value)| value.is_sensitive())
        .map(|(name, _)| name.clone())
        .collect();
    for name in sensitive {
        headers.remove(name);
    }
}

/// A reference, seen from `from` (RFC 3986 section 5.2).
fn resolve(from: &WebSocketUri, location: &str) -> Result<WebSocketUri, InvalidUri> {
    let reference = location.split('#').next().unwrap_or_default();
    let to = if let Some((scheme, rest)) = split_scheme(reference) {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => Scheme::Ws,
            "wss" | "https" => Scheme::Wss,
            _ => return Err(InvalidUri::Scheme),
        };
        let rest = rest.strip_prefix("//").ok_or(InvalidUri::Host)?;
        WebSocketUri::of_parts(scheme, &without_dots(rest))?
    } else if let Some(rest) = reference.strip_prefix("//") {
        WebSocketUri::of_parts(from.scheme(), &without_dots(rest))?
    } else {
        let base = from.path().path();
        let path = match reference.chars().next() {
            None => from.path().as_str().to_owned(),
            Some('/') => reference.to_owned(),
            Some('?') => format!("{base}{reference}"),
            Some(_) => {
                let folder = base.rfind('/').and_then(|at| base.split_at_checked(at));
                format!("{}/{reference}", folder.map_or("", |(folder, _)| folder))
            }
        };
        WebSocketUri::of_parts(
            from.scheme(),
            &without_dots(&format!("{}{path}", from.authority())),
        )?
    };
    let credentials = from.credentials().filter(|_| to.is_same_origin(from)).cloned();
    Ok(to.with_credentials(credentials))
}

/// A scheme comes before the first `/` and `?` (RFC 3986 section 3).
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// `authority/path?query` without the `.` and `..` of its path (RFC 3986 section 5.2.4).
fn without_dots(rest: &str) -> String {
    let (front, query) = match rest.find('?').and_then(|at| rest.split_at_checked(at)) {
        Some(parts) => parts,
        None => (rest, ""),
    };
    let mut segments = front.split('/');
    let authority = segments.next().unwrap_or_default();
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = segments.peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    let path: String = kept.iter().flat_map(|segment| ["/", segment]).collect();
    format!("{authority}{path}{query}")
}

/// The redirects that say where; 304 and 305 do not.
const FOLLOWED: [u16; 6] = [300, 301, 302, 303, 307, 308];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(from: &str, location: &str, expected: Result<&str, &str>) {
        let from = WebSocketUri::parse(from).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        let to = Redirects::at_most(1).follow(&from, StatusCode::FOUND, &headers);
        match (to, expected) {
            (Ok(Some(to)), Ok(expected)) => assert_eq!(to.to_string(), expected),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (to, expected) => panic!("{from} {location}: {to:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn references_are_seen_from_where_they_came() {
        let base = "ws://a/b/c/d;p?q";
        // RFC 3986 section 5.4, as far as it applies.
        for (reference, expected) in [
            ("g", "ws://a/b/c/g"),
            ("./g", "ws://a/b/c/g"),
            ("g/", "ws://a/b/c/g/"),
            ("/g", "ws://a/g"),
            ("//g", "ws://g/"),
            ("?y", "ws://a/b/c/d;p?y"),
            ("g?y", "ws://a/b/c/g?y"),
            ("#s", "ws://a/b/c/d;p?q"),
            ("g#s", "ws://a/b/c/g"),
            (";x", "ws://a/b/c/;x"),
            ("", "ws://a/b/c/d;p?q"),
            (".", "ws://a/b/c/"),
            ("./", "ws://a/b/c/"),
            ("..", "ws://a/b/"),
            ("../g", "ws://a/b/g"),
            ("../..", "ws://a/"),
            ("../../../g", "ws://a/g"),
            ("/./g", "ws://a/g"),
            ("g..", "ws://a/b/c/g.."),
            ("g?y/../x", "ws://a/b/c/g?y/../x"),
            ("./g/.", "ws://a/b/c/g/"),
            ("g;x=1/../y", "ws://a/b/c/y"),
            ("http://g/x", "ws://g/x"),
            ("https://g/x", "wss://g/x"),
            ("wss://g:1/x/../y", "wss://g:1/y"),
        ] {
            check(base, reference, Ok(expected));
        }
        check(base, "ftp://g", Err("redirect to \"ftp://g\""));
        check(base, "mailto:g", Err("redirect to"));
        check(base, "ws:g", Err("redirect to"));
        check(base, "ws://", Err("redirect to"));
        check("wss://a", "ws://a", Err("from wss to ws"));
        check("wss://a", "http://b", Err("from wss to ws"));
    }

    #[test]
    fn credentials_stay_in_their_origin_and_a_location_brings_none() {
        let user = |from: &str, location: &'static str| {
            let from = WebSocketUri::parse(from).unwrap();
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            let to = Redirects::at_most(1).follow(&from, StatusCode::FOUND, &headers);
            to.unwrap().unwrap().credentials().map(|found| found.user().to_owned())
        };
        assert_eq!(user("ws://u:p@a", "/b").as_deref(), Some("u"));
        assert_eq!(user("ws://u:p@a", "ws://v:p@a/b").as_deref(), Some("u"));
        assert_eq!(user("ws://u:p@a", "ws://v:p@b/"), None);
        assert_eq!(user("ws://u:p@a", "ws://a:81/"), None);
        assert_eq!(user("ws://u:p@a", "wss://a/"), None);
        assert_eq!(user("ws://a", "ws://v:p@a/"), None);
    }

    #[test]
    fn only_redirects_with_a_location_and_only_so_many() {
        let from = WebSocketUri::parse("ws://a").unwrap();
        let there = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/b"))]);
        for code in 300..400 {
            let status = StatusCode::from_u16(code).unwrap();
            let to = Redirects::at_most(1).follow(&from, status, &there).unwrap();
            assert_eq!(to.is_some(), [300, 301, 302, 303, 307, 308].contains(&code), "{code}");
            let nowhere = Redirects::at_most(1).follow(&from, status, &HeaderMap::new());
            assert_eq!(nowhere.unwrap(), None);
        }
        let mut redirects = Redirects::at_most(2);
        for _ in 0..2 {
            assert!(redirects.follow(&from, StatusCode::FOUND, &there).unwrap().is_some());
        }
        let refused = redirects.follow(&from, StatusCode::FOUND, &there).unwrap_err();
        assert!(matches!(refused, RedirectRefused::TooMany { limit: 2, .. }), "{refused}");
    }

    #[test]
    fn what_is_secret_is_stripped_and_all_else_kept() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "proxy-authorization", "x-kept"] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let mut secret = HeaderValue::from_static("v");
        secret.set_sensitive(true);
        headers.insert("x-secret", secret);
        strip_credentials(&mut headers);
        assert_eq!(headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["x-kept"]);
    }
}
