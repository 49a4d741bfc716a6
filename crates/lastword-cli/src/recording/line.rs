//! The lines of a recording. Whatever is recorded where, here it gets its form.

use std::time::Duration;

use data_encoding::BASE64;
use http::HeaderMap;
use lastword::proto::Kind;
use lastword::{Message, Role};
use serde_json::{Value, json};

use crate::print::{header_value, without_secrets};

/// The version of the form. A reader refuses those that it does not know.
pub(crate) const VERSION: u64 = 1;

/// Where in a recording something stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which connection, from 1.
    pub(crate) connection: u64,
    /// How long after the connection began.
    pub(crate) at: Duration,
}

impl Place {
    fn event(self, kind: &str, facts: Value) -> Value {
        let micros = u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX);
        let mut event = json!({
            "ev": kind,
            "connection": self.connection,
            "seconds": micros as f64 / 1e6,
        });
        if let (Some(event), Value::Object(facts)) = (event.as_object_mut(), facts) {
            event.extend(facts);
        }
        event
    }
}

/// The first line.
pub(super) fn head(by: &str, target: &str) -> Value {
    json!({
        "ev": "recording",
        "version": VERSION,
        "by": format!("lastword {by} {}", env!("CARGO_PKG_VERSION")),
        "at": jiff::Timestamp::now().to_string(),
        "target": without_secrets(&lastword::dial::without_user(target)),
    })
}

/// A request and its answer: `open` if it was accepted.
pub(crate) fn opening(place: Place, opened: Opened, request: &Value, response: &Value) -> Value {
    let kind = match opened {
        Opened::Yes => "open",
        Opened::No => "refused",
    };
    place.event(kind, json!({ "request": request, "response": response }))
}

/// Whether an opening led to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    Yes,
    No,
}

/// The head of a request or of an answer, without secrets.
pub(crate) fn http(start: &str, headers: &HeaderMap) -> Value {
    let headers: Vec<[String; 2]> = headers
        .iter()
        .map(|(name, value)| [name.to_string(), header_value(name, value).into_owned()])
        .collect();
    json!({ "start": without_secrets(start), "headers": headers })
}

/// A whole message.
pub(crate) fn message(place: Place, from: Role, message: &Message) -> Value {
    place.event("msg", content(from, message.kind(), message.payload(), message.len() as u64))
}

/// A message of which only the beginning was kept.
pub(crate) fn message_of(place: Place, from: Role, kind: Kind, kept: &[u8], len: u64) -> Value {
    place.event("msg", content(from, kind, kept, len))
}

fn content(from: Role, kind: Kind, kept: &[u8], len: u64) -> Value {
    let mut facts = json!({ "from": side(from), "kind": kind.to_string(), "len": len });
    // Text that is none, or was cut in the middle of a character, is still worth keeping.
    match std::str::from_utf8(kept) {
        Ok(text) if kind == Kind::Text => facts["text"] = text.into(),
        _ => facts["binary"] = BASE64.encode(kept).into(),
    }
    if (kept.len() as u64) < len {
        facts["cut"] = true.into();
    }
    facts
}

/// A frame, of which the payload stands in the message that it is a part of.
pub(crate) fn frame(place: Place, from: Role, facts: Value) -> Value {
    let mut all = json!({ "from": side(from) });
    if let (Some(all), Value::Object(facts)) = (all.as_object_mut(), facts) {
        all.extend(facts);
    }
    place.event("frame", all)
}

/// A close frame; without a code, an empty one.
pub(crate) fn close(place: Place, from: Role, code: Option<u16>, reason: &str) -> Value {
    place.event("close", json!({ "from": side(from), "code": code, "reason": reason }))
}

/// One side's stream ended.
pub(crate) fn stream(place: Place, from: Role, how: &str, bytes: u64) -> Value {
    place.event("stream", json!({ "from": side(from), "how": how, "bytes": bytes }))
}

/// Something was made to go wrong.
pub(crate) fn fault(place: Place, from: Role, fault: &str) -> Value {
    place.event("fault", json!({ "from": side(from), "fault": fault }))
}

/// The connection is over; with all that is known of it, where it is known.
pub(crate) fn end(place: Place, ending: Value) -> Value {
    place.event("end", ending)
}

/// The word for a side.
pub(crate) const fn side(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}
