//! The files of a directory, for browsers: whole, a part of them (RFC 9110 section 14), or only that they
//! have not changed (section 13). Nothing outside of the directory is served, nor what is hidden, whatever
//! a path or a link in it says.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use lastword::Answer;
use percent_encoding::percent_decode_str;

/// An answer stands in memory whole: of larger files there are parts only.
const MAX_ANSWER: u64 = 64 << 20;

/// The files below a directory.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Invariant: without links.
    root: Arc<Path>,
}

/// What a path leads to.
enum Found {
    File(PathBuf, Metadata),
    /// A directory; its path has to end so.
    Directory,
}

impl Files {
    pub(super) fn below(directory: &Path) -> io::Result<Self> {
        let root = directory.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root: root.into() })
    }

    /// What is answered to a request for a file. What it says of parts and changes counts for GET only.
    pub(super) async fn answer(&self, request: Request<()>) -> Answer {
        let files = self.clone();
        let looked_up = tokio::task::spawn_blocking(move || files.look_up(&request));
        looked_up.await.unwrap_or_else(|_| {
            Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the file could not be read\n")
        })
    }

    fn look_up(&self, request: &Request<()>) -> Answer {
        let path = request.uri().path();
        let answer = match self.find(path) {
            Some(Found::File(path, metadata)) => content(&path, &metadata, request).ok(),
            Some(Found::Directory) => redirect(path),
            None => None,
        };
        answer.unwrap_or_else(|| Answer::text(StatusCode::NOT_FOUND, "not found\n"))
    }

    fn find(&self, path: &str) -> Option<Found> {
        let (mut real, mut metadata) = self.real(&self.root.join(below(path)?))?;
        if metadata.is_dir() {
            if !path.ends_with('/') {
                return Some(Found::Directory);
            }
            (real, metadata) = self.real(&real.join("index.html"))?;
        }
        // A pipe or a device could be read for ever.
        metadata.is_file().then_some(Found::File(real, metadata))
    }

    /// Where a path leads, if that is below the directory and not hidden. Links may lead elsewhere.
    fn real(&self, path: &Path) -> Option<(PathBuf, Metadata)> {
        let real = path.canonicalize().ok()?;
        let is_served = real.strip_prefix(&self.root).is_ok_and(|below| !is_hidden(below));
        let metadata = is_served.then(|| fs::metadata(&real).ok())??;
        Some((real, metadata))
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
    (plain && !is_hidden(&path)).then_some(path)
}

/// What is hidden stays so: .git, .env.
fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// To the same path with a slash, so that what a page names stands beside it. Two slashes in front would
/// name a host.
fn redirect(path: &str) -> Option<Answer> {
    let target = HeaderValue::try_from(format!("/{}/", path.trim_start_matches('/'))).ok()?;
    let answer = Answer::text(StatusCode::PERMANENT_REDIRECT, "");
    Some(answer.header(LOCATION, target))
}

fn content(path: &Path, metadata: &Metadata, request: &Request<()>) -> io::Result<Answer> {
    let (state, size) = (State::of(metadata), metadata.len());
    let headers = request.headers();
    if state.is_known(headers) {
        return Ok(state.say(respond(StatusCode::NOT_MODIFIED, Bytes::new())));
    }
    let part = match request.method() {
        &Method::GET if state.may_be_continued(headers) => Part::wanted(headers, size),
        _ => Part::All,
    };
    let (status, first, count) = match part {
        Part::All if size > MAX_ANSWER => {
            let why = "larger than 64 MiB: ask for a part of it (Range)\n";
            let answer = Answer::text(StatusCode::PAYLOAD_TOO_LARGE, why);
            return Ok(answer.header(ACCEPT_RANGES, HeaderValue::from_static("bytes")));
        }
        Part::All => (StatusCode::OK, 0, size),
        // Whoever asks for more than there may be at once gets the beginning of it, and asks again.
        Part::From { first, count } => (StatusCode::PARTIAL_CONTENT, first, count.min(MAX_ANSWER)),
        Part::None => {
            let range = value(format!("bytes */{size}"));
            let answer = respond(StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new());
            return Ok(answer.header(CONTENT_RANGE, range));
        }
    };
    let bytes = read(path, first, count)?;
    let last = first.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)).checked_sub(1);
    let answer = respond(status, bytes)
        .header(CONTENT_TYPE, HeaderValue::from_static(content_type(path)))
        .header(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let answer = match (part, last) {
        (Part::From { .. }, Some(last)) => {
            answer.header(CONTENT_RANGE, value(format!("bytes {first}-{last}/{size}")))
        }
        _ => answer,
    };
    Ok(state.say(answer))
}

/// `count` bytes of a file, or as many as it still has.
fn read(path: &Path, first: u64, count: u64) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(first))?;
    let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn respond(status: StatusCode, content: Bytes) -> Answer {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    // Whoever works on files wants to see the last ones: asked for again each time.
    Answer::from(response)
        .header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

/// A value of ours, which has nothing that a header could not hold.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// What tells one state of a file from the next.
struct State {
    tag: String,
    /// To the second, as it is said.
    modified: Option<SystemTime>,
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = since.unwrap_or_default();
        let tag = format!("\"{:x}-{:x}\"", since.as_nanos(), metadata.len());
        let seconds = since.as_secs();
        // Later and earlier ones cannot be said.
        let is_date = (1..LAST_DATE).contains(&seconds);
        let modified = is_date.then(|| UNIX_EPOCH + Duration::from_secs(seconds));
        Self { tag, modified }
    }

    fn say(&self, answer: Answer) -> Answer {
        let answer = answer.header(ETAG, value(self.tag.clone()));
        match self.modified {
            Some(time) => answer.header(LAST_MODIFIED, value(httpdate::fmt_http_date(time))),
            None => answer,
        }
    }

    /// Whether whoever asks has it already (RFC 9110 section 13.2.2).
    fn is_known(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_NONE_MATCH) {
            let known =
                headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
            let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
            return tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag);
        }
        date(headers, &IF_MODIFIED_SINCE)
            .is_some_and(|since| self.modified.is_some_and(|time| time <= since))
    }

    /// Whether a part may be given to whoever has another one: of the same state only (section 13.1.5).
    fn may_be_continued(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(IF_RANGE) else { return true };
        let is_same = condition.as_bytes() == self.tag.as_bytes();
        is_same || (self.modified.is_some() && date(headers, &IF_RANGE) == self.modified)
    }
}

/// The year 10000, which has no date in HTTP.
const LAST_DATE: u64 = 253_402_300_800;

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// How much of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    From {
        first: u64,
        count: u64,
    },
    /// What is not there.
    None,
}

impl Part {
    /// What `Range` says; several parts at once, and what is no range of bytes, stand for all of it (RFC 9110
    /// section 14.2).
    fn wanted(headers: &HeaderMap, size: u64) -> Self {
        let said = headers.get(RANGE).and_then(|value| value.to_str().ok());
        said.and_then(|said| Self::parse(said, size)).unwrap_or(Self::All)
    }

    fn parse(said: &str, size: u64) -> Option<Self> {
        let (unit, range) = said.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, end) = match (first, last) {
            ("", last) => (size.saturating_sub(number(last)?), size),
            (first, "") => (number(first)?, size),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                (first, last.saturating_add(1))
            }
        };
        let count = end.min(size).saturating_sub(first);
        Some(if count == 0 { Self::None } else { Self::From { first, count } })
    }
}

/// A number of any length; what is beyond counting is beyond each file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" | "csv" | "log" => "text/plain; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "wasm" => "application/wasm",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "ogv" => "video/ogg",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_there_is_of_it() {
        let from = |first, count| Some(Part::From { first, count });
        for (said, size, part) in [
            ("bytes=0-", 10, from(0, 10)),
            ("bytes=0-0", 10, from(0, 1)),
            ("bytes=3-5", 10, from(3, 3)),
            ("Bytes= 3-99", 10, from(3, 7)),
            ("bytes=-3", 10, from(7, 3)),
            ("bytes=-99", 10, from(0, 10)),
            ("bytes=9-18446744073709551615", 10, from(9, 1)),
            ("bytes=9-99999999999999999999999", 10, from(9, 1)),
            ("bytes=10-", 10, Some(Part::None)),
            ("bytes=10-12", 10, Some(Part::None)),
            ("bytes=-0", 10, Some(Part::None)),
            ("bytes=0-", 0, Some(Part::None)),
            ("bytes=99999999999999999999999-", 10, Some(Part::None)),
            ("bytes=5-3", 10, None),
            ("bytes=15-13", 10, None),
            ("bytes=0-1,3-4", 10, None),
            ("bytes=+1-2", 10, None),
            ("bytes=-", 10, None),
            ("bytes=a-b", 10, None),
            ("lines=0-1", 10, None),
            ("", 10, None),
        ] {
            assert_eq!(Part::parse(said, size), part, "{said} of {size}");
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
