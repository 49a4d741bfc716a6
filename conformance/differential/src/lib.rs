//! The same bytes before several judges: what was delivered, what was answered, how it ended.
//!
//! A [`Case`] is what one reader reads. Each [`Judge`] makes a [`Verdict`] of it; [`explain`] holds
//! ours against another's. A difference is either named in `differences.toml`, with its reason and a
//! predicate in [`differences`], or it is a bug of somebody's.

pub mod case;
pub mod differences;
pub mod generate;
pub mod judges;
pub mod shrink;
pub mod verdict;
pub mod wire;

pub use case::{Case, Takeover};
pub use differences::{Disagreement, explain};
pub use judges::{Judge, Ours, Tungstenite, Websockets};
pub use verdict::{End, Kind, Verdict};

/// Judges `case` twice: the names of the deliberate differences it shows, or the disagreement.
///
/// # Errors
/// A [`Disagreement`] that no rule explains.
pub fn compare(case: &Case, peer: &mut dyn Judge) -> Result<Vec<&'static str>, Box<Disagreement>> {
    let case = if peer.knows_deflate() { case.clone() } else { case.plain() };
    let ours = Ours.judge(&case);
    let theirs = peer.judge(&case);
    explain(&case, peer.name(), &ours, &theirs)
}
