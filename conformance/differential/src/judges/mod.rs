//! Who judges. Each gets the same case and answers in the same words; none is asked why.

mod ours;
mod tungstenite;
mod websockets;

pub use ours::Ours;
pub use tungstenite::Tungstenite;
pub use websockets::Websockets;

use crate::{Case, Verdict};

pub trait Judge {
    fn name(&self) -> &'static str;

    /// Whether it knows permessage-deflate; if not, it gets the case without.
    fn knows_deflate(&self) -> bool;

    fn judge(&mut self, case: &Case) -> Verdict;
}
