//! A network of the mind for `lastword-proto`: endpoints, links that delay, cut, reset and die, a
//! clock of its own, and an oracle that holds every rule of an ending against what really happened.
//!
//! [`dice`] throws schedules by the million, [`explore`] tries every order of a small world,
//! [`shrink`] makes a failing schedule short. Never published.

#![allow(clippy::exhaustive_enums, reason = "never published: nobody depends on what it lists")]

pub mod action;
pub mod broken;
pub mod dice;
pub mod explore;
pub mod link;
pub mod numbered;
pub mod oracle;
pub mod play;
pub mod script;
pub mod setup;
pub mod shrink;
pub mod side;
pub mod witness;
pub mod world;
