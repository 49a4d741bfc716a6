//! What a connection tells its driver, in the order in which it happened.

use std::sync::Arc;

use crate::closing::Ending;
use crate::message::{Message, Part};
use crate::wire::Farewell;

/// Something that happened. [`Event::Ended`] comes exactly once, last, always.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message, whole and valid.
    Message(Message),
    /// A part of a message, with [`Delivery::Parts`](crate::Delivery::Parts).
    Part(Part),
    /// The peer said that it is leaving; its answer is on its way.
    PeerClosing(Farewell),
    /// The connection is over. The driver drops the transport.
    Ended(Arc<Ending>),
}
