//! Events as JSON, one object a line, for test tools: what we say, to be held against what was.

use std::io::{self, Write};
use std::time::Instant;

use lastword::proto::{FrameCut, OurSide, PeerSide};
use lastword::{Cause, Cut, Ending, Farewell, First, Message, Tally};
use serde_json::{Map, Value, json};

use crate::print::json as json_line;

/// Prints one event.
pub(crate) fn event(value: &Value) {
    // A reader that went away wants no more events; the connection goes on all the same.
    let _ = write(value);
}

/// Prints one event, if anybody reads it.
///
/// # Errors
/// When nobody does.
pub(crate) fn write(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", json_line(value)).and_then(|()| out.flush())
}

/// A message that came.
pub(crate) fn message(peer: Option<u16>, message: &Message) -> Value {
    let kind = message.kind().to_string();
    json!({ "ev": "msg", "peer": peer, "kind": kind, "len": message.len(), "text": message.as_text() })
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
