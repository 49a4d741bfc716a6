//! When a WebSocket client comes back, and when it gives up. No socket, no clock, no randomness of its
//! own: time and random numbers are handed in, so that every driver comes back by the same rules.
//!
//! ```text
//!   an Ending, an answer  ─▶  Verdict  ─┐
//!                                       ├─▶  Schedule  ─▶  wait so long, or give up
//!   how long it lived, a random number ─┘
//! ```
//!
//! [`Verdict`] tells what is worth a retry from what is not, [`Backoff`] holds every limit, and a
//! [`Schedule`] counts attempts and says how long to wait.

mod backoff;
mod schedule;
mod verdict;

pub use backoff::Backoff;
pub use schedule::{Limit, Next, Schedule};
pub use verdict::{Verdict, retry_after};
