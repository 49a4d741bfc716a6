//! Events as JSON, one object a line, for test tools: what we say, to be held against what was.

use std::time::Instant;

use data_encoding::BASE64;
use http::HeaderMap;
use lastword::dial::ProxyError;
use lastword::proto::handshake::client;
use lastword::proto::{FrameCut, OurSide, PeerSide};
use lastword::{Cause, ConnectError, Cut, Ending, Farewell, First, Message, Tally};
use serde_json::{Map, Value, json};

use crate::print::{self, Audience};

/// Prints one event.
pub(crate) fn event(value: &Value) {
    // A reader that went away wants no more events; the connection goes on all the same.
    let _ = write(value);
}

/// Prints one event, if anybody reads it.
pub(crate) fn write(value: &Value) -> Audience {
    print::put(&format!("{}\n", print::json(value)))
}

/// A message that came.
pub(crate) fn message(peer: Option<u16>, message: &Message) -> Value {
    let kind = message.kind().to_string();
    let binary = match message {
        Message::Binary(bytes) => Value::from(BASE64.encode(bytes)),
        Message::Text(_) => Value::Null,
    };
    json!({
        "ev": "msg", "peer": peer, "kind": kind, "len": message.len(), "text": message.as_text(),
        "binary": binary,
    })
}

/// A connection that ended.
pub(crate) fn ended(peer: Option<u16>, ending: &Ending) -> Value {
    let clean = ending.is_clean();
    let mut event = json!({
        "ev": "end",
        "peer": peer,
        "opened": true,
        "clean": clean,
        "code": ending.code(),
        "reason": ending.reason(),
        "error": if clean { Value::Null } else { ending.to_string().into() },
        "msgs": ending.ledger.delivered.messages,
    });
    if let Some(event) = event.as_object_mut() {
        event.extend(facts(ending));
    }
    event
}

/// A stream that never became a connection.
pub(crate) fn not_opened(peer: Option<u16>, error: &str) -> Value {
    json!({
        "ev": "end", "peer": peer, "opened": false, "clean": false, "code": null, "error": error,
        "msgs": 0,
    })
}

/// A client that got no connection, with all that is known of it.
pub(crate) fn no_connection(error: &ConnectError) -> Value {
    let mut event = not_opened(None, &print::chain(error));
    event["why"] = why_not(error);
    event
}

fn why_not(error: &ConnectError) -> Value {
    match error {
        ConnectError::Handshake(client::Error::Refused(answer)) => json!({
            "kind": "refused",
            "status": answer.status().as_u16(),
            "headers": headers(answer.headers()),
            "body": String::from_utf8_lossy(answer.body()),
        }),
        ConnectError::Proxy { source: ProxyError::Refused { status, headers: fields }, .. } => {
            json!({ "kind": "proxy", "status": status.as_u16(), "headers": headers(fields) })
        }
        ConnectError::ProxyUnreachable { source, .. } => {
            json!({ "kind": "proxy", "why": why_not(source) })
        }
        ConnectError::TimedOut { phase, .. } => {
            json!({ "kind": "timed_out", "while": phase.to_string() })
        }
        ConnectError::Url { .. } | ConnectError::Request(_) => json!({ "kind": "request" }),
        ConnectError::Resolve { .. } => json!({ "kind": "resolve" }),
        ConnectError::Connect { .. } | ConnectError::Unix { .. } => json!({ "kind": "connect" }),
        ConnectError::Proxy { .. }
        | ConnectError::ProxyLost { .. }
        | ConnectError::InvalidProxy(_) => json!({ "kind": "proxy" }),
        ConnectError::Redirect(_) => json!({ "kind": "redirect" }),
        ConnectError::Tls { .. } => json!({ "kind": "tls" }),
        ConnectError::Lost(_) => json!({ "kind": "lost" }),
        ConnectError::Handshake(_) => json!({ "kind": "handshake" }),
        _ => json!({ "kind": "other" }),
    }
}

/// As in recordings: what is secret is not shown.
fn headers(fields: &HeaderMap) -> Value {
    fields
        .iter()
        .map(|(name, value)| json!([name.as_str(), print::header_value(name, value)]))
        .collect()
}

/// The whole ending.
fn facts(ending: &Ending) -> Map<String, Value> {
    let ledger = &ending.ledger;
    let since_open = |at: Instant| at.saturating_duration_since(ending.opened_at).as_secs_f64();
    let facts = json!({
        "sentence": ending.to_string(),
        "role": format!("{:?}", ending.role).to_lowercase(),
        "cause": cause(&ending.cause),
        "also": ending.also.iter().map(cause).collect::<Vec<_>>(),
        "first": ending.first.map(|first| match first {
            First::Us => "us",
            First::Peer => "peer",
            First::Both => "both",
        }),
        "sent": farewell(&ending.sent),
        "received": farewell(&ending.received),
        "cut": ending.cut.as_ref().map(cut),
        "ledger": {
            "confirmed": tally(ledger.confirmed),
            "handed_over": tally(ledger.handed_over),
            "unsent": tally(ledger.unsent),
            "delivered": tally(ledger.delivered),
            "discarded": tally(ledger.discarded),
        },
        "late_bytes": ending.discarded,
        "waiting": ending.waiting,
        "transport": {
            "peer": match ending.transport.peer {
                PeerSide::Open => "open",
                PeerSide::Finished => "finished",
                PeerSide::Truncated => "truncated",
                PeerSide::Reset(_) => "reset",
                _ => "failed",
            },
            "ours": match ending.transport.ours {
                OurSide::Open => "open",
                OurSide::Finished => "finished",
                _ => "aborted",
            },
        },
        "seconds": {
            "began": since_open(ending.began_at),
            "ended": since_open(ending.ended_at),
            "last_received": ending.last_received.map(since_open),
            "last_sent": ending.last_sent.map(since_open),
        },
        "latency": ending.latency.map(|latency| latency.as_secs_f64()),
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

fn cause(cause: &Cause) -> Value {
    json!({ "kind": cause.kind(), "text": cause.to_string() })
}

fn farewell(farewell: &Farewell) -> Value {
    match farewell {
        Farewell::Silence => Value::Null,
        Farewell::Empty => json!({ "code": null, "reason": "" }),
        Farewell::Said(frame) => json!({ "code": frame.code().get(), "reason": frame.reason() }),
    }
}

fn cut(cut: &Cut) -> Value {
    let frame = cut.frame.map(|frame| match frame {
        FrameCut::Header { bytes } => json!({ "in": "header", "came": bytes }),
        FrameCut::Payload { opcode, came, of } => {
            json!({ "in": "payload", "opcode": opcode.bits(), "came": came, "of": of })
        }
    });
    let message = cut.message.map(|message| {
        json!({
            "kind": message.kind.to_string(),
            "fragments": message.fragments,
            "bytes": message.bytes,
            "compressed": message.compressed,
        })
    });
    json!({ "frame": frame, "message": message })
}

fn tally(tally: Tally) -> Value {
    json!({ "messages": tally.messages, "bytes": tally.bytes })
}
