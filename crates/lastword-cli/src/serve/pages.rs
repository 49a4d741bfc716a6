//! What a browser sees, if it may: a page to try the server from, or the files of a directory.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, HeaderValue,
    InvalidHeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use lastword::{Answer, Credentials, Incoming, Wants};

use super::files::Files;
use crate::args::Wrong;

/// The page, as it stands beside this file.
const PAGE: &str = include_str!("page.html");

/// What is shown to whom.
pub(super) struct Pages {
    files: Option<Files>,
    credentials: Option<Arc<(String, String)>>,
}

impl Pages {
    pub(super) fn new(
        directory: Option<&Path>,
        credentials: Option<Arc<(String, String)>>,
    ) -> Result<Self, Wrong> {
        let files = directory.map(|path| {
            Files::below(path).map_err(|source| Wrong::File { path: path.to_owned(), source })
        });
        Ok(Self { files: files.transpose()?, credentials })
    }

    /// A WebSocket is for the handler; all else is looked up.
    pub(super) async fn answer(&self, incoming: Incoming) -> Answer {
        if incoming.wants == Wants::WebSocket || incoming.header("upgrade").is_some() {
            return Answer::accept();
        }
        let answer = self.look_up(incoming).await;
        match now() {
            Ok(now) => answer.header(DATE, now),
            Err(_) => answer,
        }
    }

    async fn look_up(&self, incoming: Incoming) -> Answer {
        let method = incoming.request.method();
        if method != Method::GET && method != Method::HEAD {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD, or a WebSocket\n")
                .header(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if !self.admits(&incoming) {
            let realm = HeaderValue::from_static("Basic realm=\"lastword\", charset=\"UTF-8\"");
            return Answer::text(StatusCode::UNAUTHORIZED, "a name and a password, please\n")
                .header(WWW_AUTHENTICATE, realm);
        }
        match &self.files {
            Some(files) => files.answer(incoming.request).await,
            None if incoming.path() == "/" => page(),
            None => Answer::text(
                StatusCode::NOT_FOUND,
                "There is a page at /, and WebSockets everywhere.\n",
            ),
        }
    }

    fn admits(&self, incoming: &Incoming) -> bool {
        self.credentials.as_ref().is_none_or(|expected| {
            Credentials::from_headers(incoming.request.headers())
                .is_some_and(|given| given.are(&expected.0, &expected.1))
        })
    }
}

/// The time, which whoever has a clock says (RFC 9110 section 6.6.1).
#[expect(clippy::disallowed_methods, reason = "a date is what is asked for")]
fn now() -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
}

/// It loads nothing, runs nothing but what is in it, makes no HTML of text, and talks to its own server only.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-PI4Rryz6csMZmI4ff4K57lD0WMs2vy19LXU4nC1AdWs='; \
    script-src 'sha256-gzxW4eFINfuTkYn9lfDJV4WuadbR9zQGxqztwVYXBGY='; \
    require-trusted-types-for 'script'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

fn page() -> Answer {
    Answer::from(Response::new(Bytes::from_static(PAGE.as_bytes())))
        .header(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
        .header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use lastword::CloseCode;
    use lastword::rustls::SupportedCipherSuite;
    use lastword::rustls::crypto::aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;

    use super::*;

    /// What stands between the tags of the one element of this name.
    fn inside(element: &str) -> &'static str {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let (_, rest) = PAGE.split_once(&open).unwrap();
        let (inside, rest) = rest.split_once(&close).unwrap();
        assert!(!rest.contains(&open), "more than one {element}");
        inside
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_of_the_page() {
        let SupportedCipherSuite::Tls13(suite) = TLS13_CHACHA20_POLY1305_SHA256 else {
            unreachable!("it is one of TLS 1.3")
        };
        for element in ["style", "script"] {
            let hash = suite.common.hash_provider.hash(inside(element).as_bytes());
            let named = format!("{element}-src 'sha256-{}';", BASE64.encode(hash.as_ref()));
            assert!(POLICY.contains(&named), "POLICY has to have {named}");
        }
    }

    #[test]
    fn codes_are_called_the_same_in_the_page_as_everywhere() {
        for code in 1000..=4999 {
            let name = CloseCode::try_from(code).ok().and_then(CloseCode::name);
            let shown = name.map(|name| format!("{code}: \"{name}\""));
            match shown {
                Some(shown) => assert!(inside("script").contains(&shown), "{shown}"),
                None => assert!(!inside("script").contains(&format!("{code}: \"")), "{code}"),
            }
        }
    }
}
