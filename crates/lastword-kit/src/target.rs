//! What a URL says, before anything is resolved or connected.

use http::Uri;
use http::header::HeaderValue;
use http::uri::PathAndQuery;

use crate::error::ConnectError;

/// What a URL says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Target {
    /// Whether TLS is to be spoken.
    pub scheme: Scheme,
    /// Without the brackets of an IPv6 literal.
    pub host: String,
    /// The one that is named, or the scheme's own.
    pub port: u16,
    /// What the `Host` header says.
    pub host_header: HeaderValue,
    /// The resource, never empty.
    pub path: PathAndQuery,
}

/// What a URL asks to be spoken below the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 knows two schemes")]
pub enum Scheme {
    /// `ws`: nothing.
    Plain,
    /// `wss`: TLS.
    Tls,
}

impl Target {
    /// Reads a URL (RFC 6455 section 3).
    ///
    /// # Errors
    /// [`ConnectError::Url`]: what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, ConnectError> {
        let invalid = |why| ConnectError::Url { url: url.to_owned(), why };
        if url.contains('#') {
            return Err(invalid("a WebSocket URL has no fragment (escape # as %23)"));
        }
        let uri: Uri = url.parse().map_err(|_| invalid("not a URL"))?;
        let (scheme, default_port) = match uri.scheme_str() {
            Some("ws") => (Scheme::Plain, 80),
            Some("wss") => (Scheme::Tls, 443),
            Some("http") => return Err(invalid("the scheme is http; did you mean ws?")),
            Some("https") => return Err(invalid("the scheme is https; did you mean wss?")),
            _ => return Err(invalid("expected ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("user information is not supported; set an Authorization header"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(invalid("no host"));
        }
        let port = authority.port_u16().unwrap_or(default_port);
        // The port stands in the header only if it is not the scheme's own.
        let header = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        let host_header = HeaderValue::try_from(header).map_err(|_| invalid("invalid host"))?;
        let path = match uri.path_and_query() {
            None => PathAndQuery::from_static("/"),
            // The path is empty, and an empty path is `/` (section 3).
            Some(query) if query.as_str().starts_with('?') => {
                let path = format!("/{}", query.as_str());
                path.parse().map_err(|_| invalid("invalid query"))?
            }
            Some(path) => path.clone(),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme, host, port, host_header, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<(&str, u16, &str, &str), &str>) {
        let target = Target::parse(url);
        match (target, expected) {
            (Ok(target), Ok((host, port, header, path))) => {
                assert_eq!(target.host, host);
                assert_eq!(target.port, port);
                assert_eq!(target.host_header, header);
                assert_eq!(target.path.as_str(), path);
            }
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (target, expected) => panic!("{url}: {target:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn urls_say_where_to_go_or_what_is_wrong_with_them() {
        check("ws://a", Ok(("a", 80, "a", "/")));
        check("wss://a/b?c", Ok(("a", 443, "a", "/b?c")));
        check("ws://a:80/", Ok(("a", 80, "a", "/")));
        check("wss://a:80/", Ok(("a", 80, "a:80", "/")));
        check("ws://[::1]:9/x", Ok(("::1", 9, "[::1]:9", "/x")));
        check("ws://a?q=1", Ok(("a", 80, "a", "/?q=1")));
        check("http://a", Err("did you mean ws?"));
        check("https://a", Err("did you mean wss?"));
        check("a:1", Err("expected ws:// or wss://"));
        check("/a", Err("expected ws:// or wss://"));
        check("ws://a/#b", Err("fragment"));
        check("ws://u:p@a/", Err("user information"));
        check("ws:// a", Err("not a URL"));
    }
}
