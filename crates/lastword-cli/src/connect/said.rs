//! What comes from our side of a conversation, wherever it is typed or read.

use lastword::Message;

use super::commands::Command;

/// One thing that is said.
#[derive(Debug)]
pub(super) enum Said {
    /// To be sent.
    Message(Message),
    /// To be done.
    Command(Command),
    /// Not understood, at the prompt; it goes on.
    Misspelt(String),
    /// Not to be used; it ends here.
    Wrong(String),
}
