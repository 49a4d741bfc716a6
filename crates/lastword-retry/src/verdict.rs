//! What is worth a retry, and what will fail again: of an ending, a close code, an answer, an error.
//!
//! Where nobody can know, the verdict is that of a client that must not hammer: what says "not now" is
//! retried, what says "not you" or "not so" is not.

use std::io;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};
use lastword_proto::handshake::client;
use lastword_proto::{Cause, Ending, Farewell, First};

/// Whether to come back after what happened.
///
/// | What happened | Verdict |
/// |---|---|
/// | refused, unreachable, reset, name not resolved; any opening cut short or too late | `Retry` |
/// | HTTP 408, 425, 429, 500, 502, 503, 504, and 520 to 524 of proxies | `Retry`, or `RetryAfter` what they say |
/// | any other answer: 400, 401, 403, 404, a 101 that is none | `Fatal` |
/// | the stream ended, reset or silent without a close frame (1006) | `Retry` |
/// | closed with 1000, 1001, 1011, 1014, 3008 or without a code (1005) | `Retry` |
/// | closed with 1012 (restart) or 1013 (overload) | `RetrySlowly` |
/// | closed with 1002, 1003, 1007 to 1010 | `Fatal` |
/// | closed with a code of a library (3000–3999) or an application (4000–4999) | `Fatal` |
/// | the peer broke the protocol or a limit of ours | as if closed with the code that answered it |
/// | ended by us | `Retry`: whoever asks for another connection wants one |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Come back, with growing pauses.
    Retry,
    /// Come back, after a longer pause (`Backoff::delay_restart`): the service restarts, or has too much
    /// to do.
    RetrySlowly,
    /// Come back, and not before so long, within `Backoff::max_retry_after`.
    RetryAfter(Duration),
    /// It would fail again.
    Fatal,
}

impl Verdict {
    /// On a connection that is over.
    pub const fn on_ending(ending: &Ending) -> Self {
        match (&ending.cause, ending.first, &ending.received) {
            (Cause::Violation(violation), _, _) => {
                Self::on_close_code(violation.close_code().get())
            }
            (Cause::Aborted | Cause::Dropped | Cause::Shutdown, _, _)
            | (_, Some(First::Us), _)
            | (_, _, Farewell::Silence) => Self::Retry,
            // The peer's word counts, also when the transport gave way before it was answered.
            (_, _, received) => Self::on_close_code(received.code()),
        }
    }

    /// On a close code of the peer; 1005 and 1006 stand for none and for no close frame.
    pub const fn on_close_code(code: u16) -> Self {
        match code {
            // A service that ends after a time of its own says 1000 as well.
            1000 | 1001 | 1005 | 1006 | 1011 | 1014 => Self::Retry,
            1012 | 1013 => Self::RetrySlowly,
            // The registry's own "timeout"; its neighbours 3000 and 3003 say "not you".
            3008 => Self::Retry,
            _ => Self::Fatal,
        }
    }

    /// On a status of an answer, without its headers.
    pub const fn on_status(status: StatusCode) -> Self {
        match status.as_u16() {
            408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=524 => Self::Retry,
            _ => Self::Fatal,
        }
    }

    /// On an answer of a server or a proxy that refuses, with what it says about when to come back.
    /// `received_at` is the wall clock's time, for answers that say a date and not their own (see
    /// [`retry_after`]).
    pub fn on_answer(status: StatusCode, headers: &HeaderMap, received_at: SystemTime) -> Self {
        match Self::on_status(status) {
            Self::Retry => retry_after(headers, received_at).map_or(Self::Retry, Self::RetryAfter),
            verdict => verdict,
        }
    }

    /// On an opening that failed after the request had left; `received_at` as in
    /// [`on_answer`](Self::on_answer).
    pub fn on_opening(error: &client::Error, received_at: SystemTime) -> Self {
        match error {
            client::Error::Refused(response) => {
                Self::on_answer(response.status(), response.headers(), received_at)
            }
            client::Error::Eof { .. } => Self::Retry,
            _ => Self::Fatal,
        }
    }

    /// On an error of the operating system, while a name was resolved, a connection made, TLS
    /// established or an opening said. What TLS itself objects to, such as a certificate, comes as
    /// [`io::ErrorKind::InvalidData`] and will not change.
    pub fn on_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported => Self::Fatal,
            _ => Self::Retry,
        }
    }
}

/// How long a server asks to be left alone (RFC 9110 section 10.2.3), in whole seconds. `None` if it does
/// not say, or says it in no way that the RFC knows.
///
/// A date is compared with the answer's own `Date`, so that clocks need not agree; `received_at` stands in
/// for it where it is missing.
pub fn retry_after(headers: &HeaderMap, received_at: SystemTime) -> Option<Duration> {
    let said = text(headers, &header::RETRY_AFTER)?;
    if said.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit: for ever, which the caller's limit cuts.
        return (!said.is_empty()).then(|| Duration::from_secs(said.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(said).ok()?;
    let from = text(headers, &header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    // A date that has passed asks for nothing.
    Some(until.duration_since(from.unwrap_or(received_at)).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
