//! What passes a relay, for people: a line for each frame, each end, each fault.

use http::HeaderMap;
use lastword::Role;
use lastword::proto::{CloseCode, Elided, Kind, Opcode};

use super::frames::Header;
use super::tap::{How, Totals, closed};
use crate::args::Fault;
use crate::figures::many;
use crate::print::{escape, head, put_or_leave};
use crate::recording::Place;
use crate::style::Style;

/// Where it is shown, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) shown: Shown,
    pub(super) heads: Heads,
}

/// Whether anything is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    Nothing,
}

/// How much of heads is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heads {
    Whole,
    FirstLine,
}

/// A frame that is whole.
pub(super) struct FrameLine<'a> {
    pub(super) header: Header,
    /// Whether permessage-deflate was agreed on.
    pub(super) deflate: bool,
    /// Of its message.
    pub(super) kind: Kind,
    pub(super) compressed: bool,
    /// Compressed, and not to be made plain.
    pub(super) unreadable: bool,
    /// The beginning of what is in it.
    pub(super) excerpt: &'a [u8],
    /// How much is in it.
    pub(super) plain: u64,
}

impl Screen {
    pub(super) fn listening(self, address: &str, target: &str) {
        self.say(&format!(
            "Relaying ws://{address} to {} (Ctrl-C to stop)",
            crate::print::url(target)
        ));
    }

    pub(super) fn connected(self, place: Place, peer: &str) {
        self.line(place, &format!("connected: {peer}"));
    }

    pub(super) fn head(self, place: Place, from: Role, start: &str, headers: &HeaderMap) {
        if self.heads == Heads::FirstLine {
            return self.line(place, &format!("{} {}", arrow(from), escape(start)));
        }
        let mark = match from {
            Role::Client => '>',
            Role::Server => '<',
        };
        for (number, text) in head(start, headers, mark).lines().enumerate() {
            match number {
                0 => self.line(place, &format!("{} {}", arrow(from), escape(start))),
                _ => self.say(&format!("{:>INDENT$} {}", "", Style::Dim.of(text))),
            }
        }
    }

    pub(super) fn opaque(self, place: Place, from: Role) {
        let text =
            format!("{} no WebSocket from here on: bytes pass, and are not shown", side(from));
        self.line(place, &text);
    }

    pub(super) fn frame(self, place: Place, from: Role, frame: &FrameLine<'_>) {
        if self.shown == Shown::All {
            self.line(place, &format!("{} {}", arrow(from), frame.text(from)));
        }
    }

    pub(super) fn ended(
        self,
        place: Place,
        from: Role,
        how: How,
        bytes: u64,
        middle: Option<&str>,
    ) {
        let (style, what) = match how {
            How::Finished => (Style::Dim, "finished (FIN)"),
            How::Truncated => (Style::Bad, "ended its TLS without close_notify (FIN)"),
            How::Reset => (Style::Bad, "reset (RST)"),
            How::Failed => (Style::Bad, "failed"),
        };
        let middle =
            middle.map(|middle| format!(", in the middle of {middle}")).unwrap_or_default();
        let text = format!("{} {what} after {}{middle}", side(from), many(bytes, "byte"));
        self.line(place, &style.of(text).to_string());
    }

    pub(super) fn fault(self, place: Place, fault: &Fault) {
        self.line(place, &Style::Bad.of(format!("! {}", escape(&fault.to_string()))).to_string());
    }

    pub(super) fn never(self, place: Place, faults: &[&Fault]) {
        for fault in faults {
            let fault = fault.to_string();
            self.line(
                place,
                &Style::Dim.of(format!("it never came to: {}", escape(&fault))).to_string(),
            );
        }
    }

    pub(super) fn summary(self, totals: Totals) {
        let Totals { connections, frames, bytes, faults } = totals;
        let counts =
            [(connections, "connection"), (frames, "frame"), (bytes, "byte"), (faults, "fault")];
        self.say(&counts.map(|(count, of)| many(count, of)).join(", "));
    }

    fn line(self, place: Place, text: &str) {
        let (number, seconds) = (place.connection, place.at.as_secs_f64());
        let stamp = Style::Dim.of(format!("#{number} {seconds:>8.3}"));
        self.say(&format!("{stamp} {text}"));
    }

    fn say(self, text: &str) {
        if self.shown == Shown::Nothing {
            return;
        }
        put_or_leave(&format!("{text}\n"));
    }
}

/// As wide as number and time of a connection.
const INDENT: usize = 14;

const fn side(from: Role) -> &'static str {
    match from {
        Role::Client => "client",
        Role::Server => "server",
    }
}

fn arrow(from: Role) -> String {
    match from {
        Role::Client => "->".to_owned(),
        Role::Server => Style::Incoming.of("<-").to_string(),
    }
}

impl FrameLine<'_> {
    fn text(&self, from: Role) -> String {
        let Self { header, excerpt, .. } = self;
        let name = match Opcode::from_bits(header.opcode) {
            Some(Opcode::Continuation) => "continuation".to_owned(),
            Some(Opcode::Text) => "text".to_owned(),
            Some(Opcode::Binary) => "binary".to_owned(),
            Some(Opcode::Close) => "close".to_owned(),
            Some(Opcode::Ping) => "ping".to_owned(),
            Some(Opcode::Pong) => "pong".to_owned(),
            None => format!("opcode {:#x}", header.opcode),
        };
        let mut size = many(header.len, "byte");
        if self.compressed && !self.unreadable {
            size = format!("{} of {}", many(header.len, "byte"), self.plain);
        }
        let content = match header.opcode {
            8 => close(excerpt),
            _ if self.unreadable => "(compressed)".to_owned(),
            _ if self.plain == 0 => String::new(),
            9 | 10 => Elided::new(readable(excerpt), excerpt).content().to_string(),
            _ => Elided::new(self.kind, excerpt).content().to_string(),
        };
        let mut line = format!("{name} ({size}{})", self.oddities(from));
        if !content.is_empty() {
            line.push(' ');
            line.push_str(&escape(&content));
        }
        line
    }

    /// What is not as it mostly is.
    fn oddities(&self, from: Role) -> String {
        let Header { fin, rsv, mask, .. } = self.header;
        let mut odd = String::new();
        if !fin {
            odd.push_str(", more follows");
        }
        for (bit, name) in [(0b100, "rsv1"), (0b010, "rsv2"), (0b001, "rsv3")] {
            if rsv & bit != 0 {
                odd.push_str(", ");
                odd.push_str(if bit == 0b100 && self.deflate { "compressed" } else { name });
            }
        }
        match (from, mask) {
            (Role::Client, None) => odd.push_str(", not masked"),
            (Role::Server, Some(_)) => odd.push_str(", masked"),
            (Role::Client, Some(_)) | (Role::Server, None) => {}
        }
        odd
    }
}

/// Data of pings is often text; where it is none it is shown as numbers.
fn readable(bytes: &[u8]) -> Kind {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Kind::Text,
        _ => Kind::Binary,
    }
}

/// A close code with its name, and the reason.
fn close(payload: &[u8]) -> String {
    let (code, reason) = closed(payload);
    let Some(code) = code else { return "without a code".to_owned() };
    let code = match CloseCode::try_from(code) {
        Ok(code) => code.to_string(),
        Err(_) => format!("{code} (not allowed in a frame)"),
    };
    if reason.is_empty() { code } else { format!("{code} {reason:?}") }
}
