//! A recording read again: what one connection said, in order, and how it ended.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use data_encoding::BASE64;
use lastword::{Message, Role};
use serde_json::Value;

use super::line::VERSION;

/// What one connection said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    /// All messages of both sides, in order.
    pub(crate) said: Vec<Said>,
    pub(crate) goodbye: Goodbye,
    /// The subprotocol that the server chose.
    pub(crate) subprotocol: Option<String>,
}

/// A message, and when it was said: since the connection began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) at: Duration,
    pub(crate) from: Role,
    pub(crate) message: Message,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// With a close frame of this side first.
    Closed { by: Role, at: Duration, code: Option<u16>, reason: String },
    /// Without one; the stream of this side ended first.
    Lost { by: Role, at: Duration },
    /// The recording does not say.
    #[default]
    Unknown,
}

impl Session {
    /// Reads a connection of a recording: that of this number, or the first that was opened.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub(crate) fn read(path: &Path, connection: Option<u64>) -> Result<Self, Unreadable> {
        let file = File::open(path).map_err(Unreadable::File)?;
        Self::of_lines(BufReader::new(file), connection)
    }

    fn of_lines(lines: impl BufRead, mut connection: Option<u64>) -> Result<Self, Unreadable> {
        let mut session = Self { said: Vec::new(), goodbye: Goodbye::default(), subprotocol: None };
        let (mut opened, mut lines_read) = (false, 0);
        for (number, line) in (1..).zip(lines.lines()) {
            let line = line.map_err(Unreadable::File)?;
            let wrong = |expected| Unreadable::Line { number, expected };
            let event: Value =
                serde_json::from_str(&line).map_err(|_| wrong("an object of JSON"))?;
            let kind = event["ev"].as_str().ok_or(wrong("\"ev\", which says what happened"))?;
            lines_read = number;
            if number == 1 {
                match (kind, event["version"].as_u64()) {
                    ("recording", Some(VERSION)) => continue,
                    ("recording", Some(version)) => return Err(Unreadable::Version(version)),
                    _ => return Err(wrong("{\"ev\":\"recording\",\"version\":1,…}")),
                }
            }
            let of = event["connection"].as_u64().ok_or(wrong("the number of a connection"))?;
            if kind == "open" && connection.is_none() {
                connection = Some(of);
            }
            if connection != Some(of) {
                continue;
            }
            opened |= kind == "open";
            session.take(kind, &event).map_err(|unfit| match unfit {
                Unfit::Expected(expected) => wrong(expected),
                Unfit::Cut => Unreadable::Cut { number },
            })?;
        }
        match (opened, lines_read) {
            (true, _) => Ok(session),
            (false, 0) => {
                Err(Unreadable::Line { number: 1, expected: "a recording; the file is empty" })
            }
            (false, _) => Err(Unreadable::NoConnection(connection)),
        }
    }

    fn take(&mut self, kind: &str, event: &Value) -> Result<(), Unfit> {
        let at = || {
            let seconds = event["seconds"].as_f64().ok_or(Unfit::Expected("\"seconds\""))?;
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| Unfit::Expected("\"seconds\" since the connection began"))
        };
        let from = || match event["from"].as_str() {
            Some("client") => Ok(Role::Client),
            Some("server") => Ok(Role::Server),
            _ => Err(Unfit::Expected("\"from\": \"client\" or \"server\"")),
        };
        match kind {
            "open" => {
                let headers = event["response"]["headers"].as_array();
                let mut chosen = headers.into_iter().flatten().filter(|header| {
                    header[0]
                        .as_str()
                        .is_some_and(|name| name.eq_ignore_ascii_case("sec-websocket-protocol"))
                });
                self.subprotocol =
                    chosen.next().and_then(|header| header[1].as_str()).map(str::to_owned);
            }
            "msg" if event["cut"] == true => return Err(Unfit::Cut),
            "msg" => self.said.push(Said { at: at()?, from: from()?, message: message(event)? }),
            "close" if !matches!(self.goodbye, Goodbye::Closed { .. }) => {
                let code = event["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                let reason = event["reason"].as_str().unwrap_or_default().to_owned();
                self.goodbye = Goodbye::Closed { by: from()?, at: at()?, code, reason };
            }
            // A relay tells of both streams; of a close frame it has told before.
            "stream" if self.goodbye == Goodbye::Unknown => {
                self.goodbye = Goodbye::Lost { by: from()?, at: at()? };
            }
            // A client knows of the server's stream only.
            "end"
                if self.goodbye == Goodbye::Unknown
                    && event["ending"]["cause"]["kind"] == "lost" =>
            {
                self.goodbye = Goodbye::Lost { by: Role::Server, at: at()? };
            }
            // What else there is, and may be one day, says nothing that is replayed.
            _ => {}
        }
        Ok(())
    }
}

fn message(event: &Value) -> Result<Message, Unfit> {
    let kind = event["kind"].as_str();
    match (kind, event["text"].as_str(), event["binary"].as_str()) {
        (Some("text"), Some(text), None) => Ok(Message::from(text)),
        (Some("binary"), None, Some(bytes)) => BASE64
            .decode(bytes.as_bytes())
            .map(Message::from)
            .map_err(|_| Unfit::Expected("\"binary\" in base64")),
        _ => Err(Unfit::Expected("\"kind\" and either \"text\" or \"binary\"")),
    }
}

enum Unfit {
    Expected(&'static str),
    Cut,
}

/// Why a recording cannot be replayed.
#[derive(Debug)]
pub(crate) enum Unreadable {
    File(io::Error),
    Line {
        number: u64,
        expected: &'static str,
    },
    Version(u64),
    /// Only the beginning of a message was kept.
    Cut {
        number: u64,
    },
    NoConnection(Option<u64>),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "cannot be read: {error}"),
            Self::Line { number, expected } => {
                write!(f, "is no recording: line {number}: expected {expected}")
            }
            Self::Version(version) => {
                write!(
                    f,
                    "has version {version}, and this lastword reads {VERSION}\nTry a newer lastword."
                )
            }
            Self::Cut { number } => write!(
                f,
                "holds only the beginning of a message (line {number})\nRecord it again with a larger --record-limit."
            ),
            Self::NoConnection(None) => f.write_str("holds no connection that was opened"),
            Self::NoConnection(Some(number)) => {
                write!(f, "holds no connection {number} that was opened (--connection)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"ev":"recording","version":1}"#;

    fn read(lines: &str, connection: Option<u64>) -> Result<Session, String> {
        let text = format!("{HEAD}\n{lines}");
        Session::of_lines(text.as_bytes(), connection).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_connection_that_was_opened_is_read_or_the_one_that_is_asked_for() {
        let lines = r#"{"ev":"refused","connection":1,"seconds":0}
{"ev":"open","connection":2,"seconds":0,"response":{"headers":[["Sec-WebSocket-Protocol","chat"]]}}
{"ev":"open","connection":3,"seconds":0}
{"ev":"msg","connection":3,"seconds":1,"from":"client","kind":"binary","binary":"AP8="}
{"ev":"msg","connection":2,"seconds":0.5,"from":"server","kind":"text","text":"hi"}
{"ev":"stream","connection":3,"seconds":2,"from":"server"}
{"ev":"close","connection":2,"seconds":1,"from":"server","code":4000,"reason":"bye"}
{"ev":"close","connection":2,"seconds":1,"from":"client","code":1000,"reason":""}"#;
        let first = read(lines, None).unwrap();
        let said = |at, from, message| Said { at: Duration::from_millis(at), from, message };
        assert_eq!(first.said, [said(500, Role::Server, Message::from("hi"))]);
        assert_eq!(first.subprotocol.as_deref(), Some("chat"));
        let at = Duration::from_secs(1);
        let reason = "bye".to_owned();
        let closed = Goodbye::Closed { by: Role::Server, at, code: Some(4000), reason };
        assert_eq!(first.goodbye, closed);
        let third = read(lines, Some(3)).unwrap();
        assert_eq!(third.said, [said(1000, Role::Client, Message::from(vec![0, 255]))]);
        let lost = Goodbye::Lost { by: Role::Server, at: Duration::from_secs(2) };
        assert_eq!(third.goodbye, lost);
        assert!(read(lines, Some(4)).unwrap_err().contains("no connection 4"));
    }

    #[test]
    fn what_is_no_recording_is_told_with_its_line() {
        for (lines, needle) in [
            ("", "no connection that was opened"),
            ("x", "line 2: expected an object of JSON"),
            ("{}", "line 2: expected \"ev\""),
            (r#"{"ev":"open"}"#, "line 2: expected the number of a connection"),
            (
                "{\"ev\":\"open\",\"connection\":1}\n{\"ev\":\"msg\",\"connection\":1}",
                "line 3: expected \"seconds\"",
            ),
            (
                "{\"ev\":\"open\",\"connection\":1}\n{\"ev\":\"msg\",\"connection\":1,\"cut\":true}",
                "only the beginning of a message (line 3)",
            ),
        ] {
            let error = read(lines, None).unwrap_err();
            assert!(error.contains(needle), "{needle:?} in {error:?}");
        }
        let newer = Session::of_lines(&b"{\"ev\":\"recording\",\"version\":2}"[..], None);
        assert!(newer.unwrap_err().to_string().contains("has version 2"));
    }
}
