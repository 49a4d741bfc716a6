//! Messages for people: text with control characters escaped, JSON over several lines, binary as
//! hexadecimal numbers. Nothing that a peer controls is shown raw.

use std::borrow::Cow;
use std::fmt::Write;

use lastword::Message;
use lastword::proto::{Elided, Kind};
use serde::de::IgnoredAny;

use crate::print::escape;
use crate::style::Style;

/// How messages are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Show {
    /// JSON over several lines.
    pub(crate) pretty: bool,
    /// Binary messages as a table.
    pub(crate) hex: bool,
}

impl Show {
    /// A message, on one line or on several.
    pub(crate) fn message(self, message: &Message) -> String {
        match message {
            Message::Text(text) if self.pretty => match pretty(text.as_str()) {
                Some(lines) => lines,
                None => escape(text).into_owned(),
            },
            Message::Text(text) => escape(text).into_owned(),
            Message::Binary(bytes) if self.hex => {
                format!("(binary, {} bytes)\n{}", bytes.len(), table(bytes))
            }
            Message::Binary(bytes) => {
                let content = Elided::new(Kind::Binary, bytes).content();
                format!("(binary, {} bytes) {content}", bytes.len())
            }
        }
    }
}

/// JSON over several lines, with all values as they were written; nothing else is.
fn pretty(text: &str) -> Option<String> {
    // Whoever is not an object or a list has nothing to be laid out.
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    // Its limit of depth is ours, too.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut layout = Layout::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let piece = match first {
            '"' => {
                let end = end_of_string(rest);
                layout.string(&rest[..end], rest[end..].trim_start().starts_with(':'));
                end
            }
            '{' | '[' => {
                let inside = rest[1..].trim_start();
                let empty = inside.starts_with(['}', ']']);
                layout.open(first, empty);
                if empty {
                    layout.lines.push(if first == '{' { '}' } else { ']' });
                    rest.len() - inside.len() + 1
                } else {
                    1
                }
            }
            '}' | ']' => {
                layout.close(first);
                1
            }
            ',' => {
                layout.lines.push(',');
                layout.new_line();
                1
            }
            ':' => {
                layout.lines.push_str(": ");
                1
            }
            ' ' | '\t' | '\r' | '\n' => 1,
            other => {
                layout.lines.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[piece..];
    }
    Some(layout.lines)
}

/// Where the string ends that the text begins with.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[derive(Default)]
struct Layout {
    lines: String,
    depth: usize,
}

impl Layout {
    fn string(&mut self, text: &str, is_name: bool) {
        let text: Cow<'_, str> = escape(text);
        let _ = if is_name {
            write!(self.lines, "{}", Style::Name.of(text))
        } else {
            write!(self.lines, "{text}")
        };
    }

    fn open(&mut self, bracket: char, empty: bool) {
        self.lines.push(bracket);
        if !empty {
            self.depth += 1;
            self.new_line();
        }
    }

    fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        self.new_line();
        self.lines.push(bracket);
    }

    fn new_line(&mut self) {
        self.lines.push('\n');
        self.lines.extend(std::iter::repeat_n("  ", self.depth));
    }
}

const ROW: usize = 16;

/// Sixteen bytes a line: where they are, what they are, and what they look like.
fn table(bytes: &[u8]) -> String {
    let mut lines = String::with_capacity(bytes.len() * 5);
    for (row, chunk) in bytes.chunks(ROW).enumerate() {
        if row > 0 {
            lines.push('\n');
        }
        let _ = write!(lines, "{:08x} ", row * ROW);
        for at in 0..ROW {
            let gap = if at == ROW / 2 { "  " } else { " " };
            let _ = match chunk.get(at) {
                Some(byte) => write!(lines, "{gap}{byte:02x}"),
                None => write!(lines, "{gap}  "),
            };
        }
        lines.push_str("  |");
        lines.extend(chunk.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        lines.push('|');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Show { pretty: true, hex: false }.message(&Message::from(text))
    }

    #[test]
    fn json_is_laid_out_and_its_values_are_left_alone() {
        assert_eq!(
            shown(r#"{"b":[1,2.50,{}],"a\"}":"x, \u001b: y","n":12345678901234567890123,"e":[ ]}"#),
            "{\n  \"b\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"a\\\"}\": \"x, \\u001b: y\",\n  \
             \"n\": 12345678901234567890123,\n  \"e\": []\n}"
        );
    }

    #[test]
    fn what_is_no_json_is_one_line() {
        for text in ["hi", "{", "[1,]", "12", "\"a\"", "{\"a\":1} x"] {
            assert_eq!(shown(text), text);
        }
        // Nested deeper than anybody reads.
        let deep = "[".repeat(100_000);
        assert_eq!(shown(&deep), deep);
    }

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(shown("\u{1b}[2Jboo\n"), "\\u{1b}[2Jboo\\n");
        assert!(!shown("{\"\u{9b}2J\": \"\u{202e}\"}").contains(['\u{9b}', '\u{202e}']));
    }

    #[test]
    fn binary_is_a_table_if_that_is_asked_for() {
        let bytes: Vec<u8> = (b'A'..=b'Q').collect();
        assert_eq!(
            Show { pretty: false, hex: true }.message(&Message::from(bytes)),
            "(binary, 17 bytes)\n\
             00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  |ABCDEFGHIJKLMNOP|\n\
             00000010  51                                                |Q|"
        );
    }
}
