//! What a browser sees: a page to try the server from, or the files of a directory. Nothing outside the
//! directory is served, whatever a path or a link in it says.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use lastword::{Answer, Credentials, Incoming, Wants};
use percent_encoding::percent_decode_str;

use crate::args::Wrong;

/// The page, as it stands beside this file.
const PAGE: &str = include_str!("page.html");

/// Larger files are not for this server: it reads them whole.
const MAX_FILE: u64 = 64 << 20;

/// What is shown to whom.
pub(super) struct Pages {
    directory: Option<PathBuf>,
    credentials: Option<Arc<(String, String)>>,
}

impl Pages {
    pub(super) fn new(
        directory: Option<&Path>,
        credentials: Option<Arc<(String, String)>>,
    ) -> Result<Self, Wrong> {
        let failed = |path: &Path, source| Wrong::File { path: path.to_owned(), source };
        let directory = match directory {
            Some(path) => {
                let found = path.canonicalize().map_err(|source| failed(path, source))?;
                if !found.is_dir() {
                    return Err(failed(path, io::ErrorKind::NotADirectory.into()));
                }
                Some(found)
            }
            None => None,
        };
        Ok(Self { directory, credentials })
    }

    /// A WebSocket is for the handler; all else is looked up.
    pub(super) async fn answer(&self, incoming: Incoming) -> Answer {
        if incoming.wants == Wants::WebSocket || incoming.header("upgrade").is_some() {
            return Answer::accept();
        }
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
        match &self.directory {
            Some(directory) => file(directory, incoming.path()).await,
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

/// It loads nothing, runs nothing but what is in it, makes no HTML of text, and talks to its own server only.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-PI4Rryz6csMZmI4ff4K57lD0WMs2vy19LXU4nC1AdWs='; \
    script-src 'sha256-zZTGHdw9hot5XuRz6lcA7pm2385PzmNj8Du49lnbb04='; \
    require-trusted-types-for 'script'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

fn page() -> Answer {
    respond("text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()))
        .header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
}

async fn file(directory: &Path, path: &str) -> Answer {
    let not_found = || Answer::text(StatusCode::NOT_FOUND, "not found\n");
    let Some(below) = below(path) else { return not_found() };
    let mut wanted = directory.join(&below);
    if tokio::fs::metadata(&wanted).await.is_ok_and(|found| found.is_dir()) {
        if !path.ends_with('/') {
            let target = format!("{path}/");
            let Ok(target) = HeaderValue::try_from(target) else { return not_found() };
            return Answer::text(StatusCode::PERMANENT_REDIRECT, "")
                .header(http::header::LOCATION, target);
        }
        wanted.push("index.html");
    }
    // Links may lead elsewhere; what they lead to has to be below the directory, too.
    let Ok(real) = tokio::fs::canonicalize(&wanted).await else { return not_found() };
    if !real.starts_with(directory) {
        return not_found();
    }
    match tokio::fs::metadata(&real).await {
        Ok(found) if found.is_file() && found.len() > MAX_FILE => {
            return Answer::text(StatusCode::PAYLOAD_TOO_LARGE, "larger than 64 MiB\n");
        }
        Ok(found) if found.is_file() => {}
        // A pipe or a device could be read for ever.
        _ => return not_found(),
    }
    match tokio::fs::read(&real).await {
        Ok(content) => respond(content_type(&real), content.into()),
        Err(_) => not_found(),
    }
}

/// The path below a directory that a request names, if it names one.
fn below(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    if decoded.contains(['\0', '\\']) {
        return None;
    }
    let path = PathBuf::from(decoded.trim_start_matches('/'));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    // What is hidden stays so: .git, .env.
    let hidden =
        path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
    (plain && !hidden).then_some(path)
}

fn respond(content_type: &'static str, content: Bytes) -> Answer {
    let with = |answer: Answer, name: HeaderName, value| {
        answer.header(name, HeaderValue::from_static(value))
    };
    let answer = Answer::from(Response::new(content));
    let answer = with(answer, CONTENT_TYPE, content_type);
    let answer = with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Whoever works on files wants to see the last ones.
    with(answer, CACHE_CONTROL, "no-cache")
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("txt" | "md" | "csv" | "log") => "text/plain; charset=utf-8",
        Some("xml") => "text/xml; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
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

    #[test]
    fn no_path_leads_out_or_to_what_is_hidden() {
        for (path, found) in [
            ("/", Some("")),
            ("/a/b.html", Some("a/b.html")),
            ("/a%20b", Some("a b")),
            ("//a", Some("a")),
            ("/../a", None),
            ("/a/../../b", None),
            ("/%2e%2e/a", None),
            ("/a/%2e%2e%2fb", None),
            ("/.git/config", None),
            ("/a/.env", None),
            ("/a%00b", None),
            ("/a%5c..%5cb", None),
            ("/%ff", None),
        ] {
            assert_eq!(below(path), found.map(PathBuf::from), "{path}");
        }
    }
}
