//! Guides: what the options of one matter have to do with each other. Nothing but text, whose examples
//! are tested.

#[doc = include_str!("../guide/backpressure.md")]
pub mod backpressure {}

#[doc = include_str!("../guide/client.md")]
pub mod client {}

#[doc = include_str!("../guide/compression.md")]
pub mod compression {}

#[doc = include_str!("../guide/deployment.md")]
pub mod deployment {}

#[doc = include_str!("../guide/endings.md")]
pub mod endings {}

#[doc = include_str!("../guide/extensions.md")]
pub mod extensions {}

#[doc = include_str!("../guide/server.md")]
pub mod server {}
