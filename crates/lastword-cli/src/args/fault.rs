//! What is to go wrong between two peers, as text: one fault a line.
//!
//! ```text
//! fault  = ["connection" N] ("client" | "server") point action
//! point  = "at" "start" | "at" "byte" N | "at" "frame" N ["byte" N] | "at" "text" "…" ["byte" N]
//!        | "after" TIME
//! action = "delay" TIME | "stall" [TIME] | "throttle" SIZE | "corrupt" [0xHH]
//!        | "drop" ["frame" | "rest" | SIZE] | "cut" | "half-close" | "reset"
//! ```
//!
//! The side is the one whose bytes it happens to. Frames are counted from 1, bytes are those that
//! have passed: of the stream, with the handshake, or of the frame, with its header.

use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use lastword::Role;

use super::files::read;
use super::values::{seconds, size};
use super::wrong::Wrong;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In the connection of this number only.
    pub(crate) connection: Option<u64>,
    /// Whose bytes it happens to.
    pub(crate) side: Role,
    pub(crate) point: Point,
    pub(crate) action: Action,
    /// As it was written.
    text: String,
}

/// When it happens; once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// When so many bytes of the side have passed.
    Byte(u64),
    /// At the frame of this number, when so many bytes of it have passed.
    Frame { number: u64, byte: u64 },
    /// At the first frame that has this in its payload.
    Text { needle: String, byte: u64 },
    /// So long after the connection was accepted.
    After(Duration),
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// All that follows comes so much later.
    Delay(Duration),
    /// Nothing passes, not even an end, for so long or for ever; the side is not read from.
    Stall(Option<Duration>),
    /// What follows passes at so many bytes a second.
    Throttle(NonZeroU64),
    /// These bits of the next byte are turned over.
    Corrupt(u8),
    /// The frame vanishes, from here to its end.
    DropFrame,
    /// So many bytes vanish.
    DropBytes(u64),
    /// All that follows is read, and vanishes.
    DropRest,
    /// Both streams end (FIN), both ways.
    Cut,
    /// The stream towards the other side ends (FIN); what follows vanishes; the other way goes on.
    HalfClose,
    /// Both connections are reset (RST).
    Reset,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Fault {
    /// Reads one fault.
    ///
    /// # Errors
    /// What was expected, and what came instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words { rest: text.trim() };
        let mut word = words.word("connection, client or server")?;
        let connection = if word == "connection" {
            let number = words.number("the number of a connection, from 1")?;
            word = words.word("client or server")?;
            Some(number)
        } else {
            None
        };
        let side = match word {
            "client" => Role::Client,
            "server" => Role::Server,
            other => return Err(instead("client or server, whose bytes it happens to", other)),
        };
        let point = point(&mut words)?;
        let action = action(&mut words, &point)?;
        match words.next() {
            None => Ok(Self { connection, side, point, action, text: text.trim().to_owned() }),
            Some(more) => Err(instead("nothing more", more)),
        }
    }

    /// Reads a script: a fault a line; empty lines, and what stands behind `#`, are for people.
    pub(super) fn script(path: &Path) -> Result<Vec<Self>, Wrong> {
        let mut faults = Vec::new();
        for (at, line) in read(path)?.lines().enumerate() {
            let line = without_comment(line).trim();
            if !line.is_empty() {
                let fault = Self::parse(line);
                let wrong = |why| Wrong::Line { path: path.to_owned(), line: at + 1, why };
                faults.push(fault.map_err(wrong)?);
            }
        }
        Ok(faults)
    }
}

fn point(words: &mut Words<'_>) -> Result<Point, String> {
    match words.word("at or after")? {
        "after" => words.time().map(Point::After),
        "at" => match words.word(PLACES)? {
            "start" => Ok(Point::Byte(0)),
            "byte" => words.number("how many bytes have passed").map(Point::Byte),
            "frame" => {
                let number = words.number("the number of a frame, from 1")?;
                if number == 0 {
                    return Err(instead("the number of a frame, from 1", "0"));
                }
                Ok(Point::Frame { number, byte: words.byte_of_frame()? })
            }
            "text" => {
                let needle = words.quoted()?;
                Ok(Point::Text { needle, byte: words.byte_of_frame()? })
            }
            other => Err(instead(PLACES, other)),
        },
        other => Err(instead("at or after", other)),
    }
}

fn action(words: &mut Words<'_>, point: &Point) -> Result<Action, String> {
    Ok(match words.word(ACTIONS)? {
        "delay" => Action::Delay(words.time()?),
        "stall" if words.rest.is_empty() => Action::Stall(None),
        "stall" => Action::Stall(Some(words.time()?)),
        "throttle" => {
            let wanted = "bytes a second, such as 10K";
            let word = words.word(wanted)?;
            let rate = size(word.trim_end_matches("/s")).map_err(|_| instead(wanted, word))?;
            let rate = u64::try_from(rate).ok().and_then(NonZeroU64::new);
            Action::Throttle(rate.ok_or_else(|| instead("at least one byte a second", word))?)
        }
        "corrupt" if words.rest.is_empty() => Action::Corrupt(0xff),
        "corrupt" => {
            let wanted = "the bits to turn over, from 0x01 to 0xff";
            let word = words.word(wanted)?;
            let bits = word.strip_prefix("0x").and_then(|bits| u8::from_str_radix(bits, 16).ok());
            let bits = bits.filter(|bits| *bits != 0);
            Action::Corrupt(bits.ok_or_else(|| instead(wanted, word))?)
        }
        "drop" => match words.next() {
            None | Some("frame") => match point {
                Point::Frame { .. } | Point::Text { .. } => Action::DropFrame,
                Point::Byte(_) | Point::After(_) => {
                    return Err("no frame is named here: expected drop N, in bytes, or drop rest"
                        .to_owned());
                }
            },
            Some("rest") => Action::DropRest,
            Some(word) => {
                let bytes =
                    size(word).map_err(|_| instead("frame, rest, or a number of bytes", word))?;
                Action::DropBytes(bytes as u64)
            }
        },
        "cut" => Action::Cut,
        "half-close" => Action::HalfClose,
        "reset" => Action::Reset,
        other => return Err(instead(ACTIONS, other)),
    })
}

const PLACES: &str = "start, byte N, frame N, or text \"…\"";
const ACTIONS: &str = "delay, stall, throttle, corrupt, drop, cut, half-close or reset";

fn instead(expected: &str, came: &str) -> String {
    format!("expected {expected}; came {came:?}")
}

/// Up to a `#` that stands in no quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    line
}

/// What is left of a line.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("expected {expected}; the line ends"))
    }

    fn number(&mut self, expected: &str) -> Result<u64, String> {
        let word = self.word(expected)?;
        word.parse().map_err(|_| instead(expected, word))
    }

    fn time(&mut self) -> Result<Duration, String> {
        let expected = "a time, such as 1.5, 200ms, 2m";
        let word = self.word(expected)?;
        seconds(word).map_err(|_| instead(expected, word))
    }

    /// `byte N`, if that follows.
    fn byte_of_frame(&mut self) -> Result<u64, String> {
        let before = self.rest;
        if self.next() == Some("byte") {
            return self.number("how many bytes of the frame have passed");
        }
        self.rest = before;
        Ok(0)
    }

    /// Text between quotes; there is no way to have a quote in it.
    fn quoted(&mut self) -> Result<String, String> {
        let inside = self.rest.strip_prefix('"');
        let Some((text, rest)) = inside.and_then(|inside| inside.split_once('"')) else {
            return Err(instead("text between double quotes", self.rest));
        };
        if text.is_empty() {
            return Err("expected text between double quotes; there is none".to_owned());
        }
        self.rest = rest.trim_start();
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, side: Role, point: Point, action: Action) {
        let fault = Fault::parse(text).unwrap();
        assert_eq!((fault.connection, fault.side), (None, side), "{text}");
        assert_eq!((fault.point, fault.action), (point, action), "{text}");
        assert_eq!(fault.text, text);
    }

    #[test]
    fn a_fault_says_whose_bytes_when_and_what() {
        use Role::{Client, Server};
        let second = Duration::from_secs(1);
        let frame = |number, byte| Point::Frame { number, byte };
        let text = |needle: &str, byte| Point::Text { needle: needle.to_owned(), byte };
        reads("server at byte 200 cut", Server, Point::Byte(200), Action::Cut);
        reads("client at start delay 1s", Client, Point::Byte(0), Action::Delay(second));
        reads("client at frame 3 drop", Client, frame(3, 0), Action::DropFrame);
        reads("client at frame 3 byte 7 drop 2", Client, frame(3, 7), Action::DropBytes(2));
        reads("server at frame 1 drop rest", Server, frame(1, 0), Action::DropRest);
        reads("server at text \"a b\" drop frame", Server, text("a b", 0), Action::DropFrame);
        reads("server at text \"x\" byte 2 corrupt", Server, text("x", 2), Action::Corrupt(255));
        reads("server after 1 corrupt 0x01", Server, Point::After(second), Action::Corrupt(1));
        reads("client after 1s stall", Client, Point::After(second), Action::Stall(None));
        reads("client at start stall 1s", Client, Point::Byte(0), Action::Stall(Some(second)));
        reads("server at byte 1 half-close", Server, Point::Byte(1), Action::HalfClose);
        reads("server at byte 1 reset", Server, Point::Byte(1), Action::Reset);
        let rate = Action::Throttle(NonZeroU64::new(10 << 10).unwrap());
        reads("client at start throttle 10K", Client, Point::Byte(0), rate);
        reads("client at start throttle 10K/s", Client, Point::Byte(0), rate);
        let second = Fault::parse("  connection 2 client at start reset ").unwrap();
        assert_eq!(second.connection, Some(2));
        assert_eq!(second.to_string(), "connection 2 client at start reset");
    }

    #[test]
    fn what_is_no_fault_is_told_with_what_was_expected() {
        for (text, expected) in [
            ("", "expected connection, client or server; the line ends"),
            (
                "proxy at start cut",
                "expected client or server, whose bytes it happens to; came \"proxy\"",
            ),
            ("connection x client", "expected the number of a connection, from 1; came \"x\""),
            ("client", "expected at or after; the line ends"),
            ("client now cut", "expected at or after; came \"now\""),
            ("client at end cut", "expected start, byte N, frame N, or text \"…\"; came \"end\""),
            ("client at frame 0 cut", "expected the number of a frame, from 1; came \"0\""),
            ("client at byte cut", "expected how many bytes have passed; came \"cut\""),
            ("client at text x cut", "expected text between double quotes; came \"x cut\""),
            ("client at text \"\" cut", "expected text between double quotes; there is none"),
            (
                "client at byte 1 drop",
                "no frame is named here: expected drop N, in bytes, or drop rest",
            ),
            (
                "client at byte 1 drop most",
                "expected frame, rest, or a number of bytes; came \"most\"",
            ),
            ("client at byte 1 delay", "expected a time, such as 1.5, 200ms, 2m; the line ends"),
            ("client at byte 1 throttle 0", "expected at least one byte a second; came \"0\""),
            (
                "client at byte 1 corrupt 0x00",
                "expected the bits to turn over, from 0x01 to 0xff; came \"0x00\"",
            ),
            (
                "client at byte 1 explode",
                "expected delay, stall, throttle, corrupt, drop, cut, half-close or reset; came \"explode\"",
            ),
            ("client at byte 1 cut now", "expected nothing more; came \"now\""),
        ] {
            assert_eq!(Fault::parse(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_comment_begins_where_no_quotes_are() {
        assert_eq!(without_comment("a \"#\" b # c"), "a \"#\" b ");
        assert_eq!(without_comment("# c"), "");
    }
}
