//! What is logged of every connection.

use lastword_proto::Ending;
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
