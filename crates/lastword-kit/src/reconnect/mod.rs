//! Clients that come back: what they are doing, why they stop, and what of it is decided without a clock, a
//! thread or a task. Drivers connect and wait.

mod course;
mod state;

pub use course::{Course, Resend};
pub use state::{State, Stopped};
