//! What is logged of every connection: one line at its end, and each frame, if somebody listens.

use lastword_proto::{Connection, Ending};
use tracing::span;

/// Tells how a connection ended, within its span: one line with what became of its messages.
pub fn log_ending(span: Option<span::Id>, ending: &Ending) {
    tracing::info!(
        parent: span,
        clean = ending.is_clean(),
        code = ending.code(),
        cause = %ending.cause,
        confirmed = ending.ledger.confirmed.messages,
        handed_over = ending.ledger.handed_over.messages,
        unsent = ending.ledger.unsent.messages,
        received = ending.ledger.delivered.messages,
        "{ending}"
    );
}

/// Asks the core to record frames, if somebody listens for them; whether it does.
pub fn record_frames(connection: &mut Connection) -> bool {
    let heard = tracing::enabled!(target: FRAMES, tracing::Level::TRACE);
    if heard {
        connection.record(RECORDED);
    }
    heard
}

/// Tells of the frames that were recorded since, within the span of their connection.
pub fn trace_frames(span: Option<&span::Id>, connection: &mut Connection) {
    while let Some(entry) = connection.take_record() {
        tracing::trace!(target: FRAMES, parent: span.cloned(), "{entry}");
    }
}

/// Under which name frames are logged, at the level of traces.
const FRAMES: &str = "lastword::frame";

/// How many frames of one turn are logged; of more, the last.
const RECORDED: usize = 1024;
