//! Where a conversation is seen: a terminal, a pipe, or a report for another program.

use std::io::{self, IsTerminal, Write};

use data_encoding::BASE64;
use http::Request;
use lastword::{Ending, First, Message, Opening};
use serde_json::{Value, json};

use super::terminal::Terminal;
use crate::args::{Framing, Talk};
use crate::exit::Outcome;
use crate::print::{Audience, escape, head, json as json_line};
use crate::report;
use crate::show::Show;
use crate::style::Style;

/// Who shows what happens.
pub(super) trait Stage {
    /// A connection is there.
    fn opened(&mut self, opening: &Opening);
    /// A message came.
    fn message(&mut self, message: &Message) -> Audience;
    /// A message of ours is on its way. Whoever wrote it has seen it.
    fn sent(&mut self, _: &Message) {}
    /// Something beside the matter.
    fn note(&mut self, note: &str);
    /// We are asked to stop, and close.
    fn stopped(&mut self) {}
    /// A connection ended; it is the last, or another will follow.
    fn ended(&mut self, ending: &Ending);
}

/// What every stage has to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) show: Show,
    pub(super) clock: Clock,
    pub(super) talk: Talk,
    pub(super) endings: Endings,
}

/// Which endings are told to a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endings {
    All,
    /// Those that are not as they should be.
    Unusual,
}

/// Whether times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Shown,
    Hidden,
}

impl Settings {
    fn stamp(&self) -> String {
        match self.clock {
            Clock::Shown => {
                format!("{} ", Style::Dim.of(jiff::ZonedDateTime::now().strftime("%H:%M:%S%.3f")))
            }
            Clock::Hidden => String::new(),
        }
    }
}

/// The request and the answer, as they crossed the wire.
pub(super) fn handshake(opening: &Opening) -> String {
    let response = opening.response();
    let answer = format!("HTTP/1.1 {}", response.status());
    format!("{}\n{}", request(&opening.request()), head(&answer, response.headers(), '<'))
}

/// A request, as it crosses the wire.
pub(super) fn request(request: &Request<()>) -> String {
    let start = format!("GET {} HTTP/1.1", request.uri());
    head(&start, request.headers(), '>')
}

/// For a person, above a prompt.
pub(super) struct OnTerminal {
    pub(super) terminal: Terminal,
    pub(super) url: String,
    pub(super) settings: Settings,
    /// Where the cursor is.
    pub(super) line: Line,
}

/// Where the cursor is when a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// In a new line, as whoever typed the last word has left it.
    New,
    /// Behind the prompt, and perhaps half a line.
    Prompt,
}

impl Stage for OnTerminal {
    fn opened(&mut self, opening: &Opening) {
        if self.settings.talk == Talk::Verbose {
            self.terminal.print(&Style::Dim.of(handshake(opening)).to_string());
        }
        if self.settings.talk != Talk::Quiet {
            let url = escape(&self.url);
            let said = format!(
                "Connected to {url}. Each line is a message; /help has more, Ctrl-D closes."
            );
            self.terminal.print(&said);
        }
    }

    fn message(&mut self, message: &Message) -> Audience {
        let shown = self.settings.show.message(message);
        let line = format!("{}{} {shown}", self.settings.stamp(), Style::Incoming.of('<'));
        self.terminal.print(&line);
        Audience::There
    }

    fn note(&mut self, note: &str) {
        self.terminal.print(&Style::Dim.of(note).to_string());
    }

    fn stopped(&mut self) {
        self.line = Line::Prompt;
    }

    fn ended(&mut self, ending: &Ending) {
        self.terminal.settle();
        let sentence = escape(&ending.to_string()).into_owned();
        let style = if ending.is_clean() { Style::Good } else { Style::Bad };
        if ending.first != Some(First::Us) || self.line == Line::Prompt {
            crate::print::note!();
        } else {
            self.terminal.erase_prompt();
        }
        crate::print::note!("{}", style.of(sentence));
    }
}

/// For the next program: messages on standard output, all else on standard error.
pub(super) struct InPipe {
    pub(super) framing: Framing,
    pub(super) settings: Settings,
}

impl Stage for InPipe {
    fn opened(&mut self, opening: &Opening) {
        if self.settings.talk == Talk::Verbose {
            crate::print::note!("{}", handshake(opening));
        }
    }

    fn message(&mut self, message: &Message) -> Audience {
        let mut out = io::stdout().lock();
        let stamp = self.settings.stamp();
        let written = match (self.framing, message) {
            (Framing::Json, message) => {
                writeln!(out, "{}", json_line(&object(message, self.settings.clock)))
            }
            // Standard output may be a terminal all the same.
            (_, message) if io::stdout().is_terminal() => {
                writeln!(out, "{stamp}{}", self.settings.show.message(message))
            }
            (Framing::Lines, Message::Text(_)) if self.settings.show.pretty => {
                writeln!(out, "{stamp}{}", self.settings.show.message(message))
            }
            (Framing::Lines, Message::Binary(_)) if self.settings.show.hex => {
                writeln!(out, "{stamp}{}", self.settings.show.message(message))
            }
            (Framing::Lines, Message::Text(text)) => write!(out, "{stamp}")
                .and_then(|()| out.write_all(text.as_bytes()))
                .and_then(|()| out.write_all(b"\n")),
            (Framing::Null, message) => {
                out.write_all(message.payload()).and_then(|()| out.write_all(b"\0"))
            }
            (Framing::Lines | Framing::Whole, message) => out.write_all(message.payload()),
        };
        written.and_then(|()| out.flush()).into()
    }

    fn note(&mut self, note: &str) {
        if self.settings.talk != Talk::Quiet {
            crate::print::note!("{note}");
        }
    }

    fn ended(&mut self, ending: &Ending) {
        let as_usual = Outcome::from(ending) == Outcome::Closed;
        if !as_usual || self.settings.endings == Endings::All {
            crate::print::note!("{}", escape(&ending.to_string()));
        }
    }
}

/// A message as an object, in the form in which it can be sent again.
fn object(message: &Message, clock: Clock) -> Value {
    let mut object = match message {
        Message::Text(text) => json!({ "text": text.as_str() }),
        Message::Binary(bytes) => json!({ "binary": BASE64.encode(bytes) }),
    };
    if clock == Clock::Shown {
        object["at"] = jiff::Timestamp::now().to_string().into();
    }
    object
}

/// For test tools: events as JSON.
pub(super) struct InReport {
    pub(super) peer: Option<u16>,
}

impl Stage for InReport {
    fn opened(&mut self, opening: &Opening) {
        self.peer = opening.peer_addr.map(|peer| peer.port());
        let compression = opening.deflate.is_some();
        report::event(&json!({ "ev": "open", "peer": self.peer, "compression": compression }));
    }

    fn message(&mut self, message: &Message) -> Audience {
        report::write(&report::message(self.peer, message))
    }

    fn note(&mut self, note: &str) {
        report::event(&json!({ "ev": "note", "text": note }));
    }

    fn ended(&mut self, ending: &Ending) {
        report::event(&report::ended(self.peer, ending));
    }
}
