//! Certificates of our own, and whoever trusts them.

use std::sync::Arc;

use lastword::rustls::{ClientConfig, ServerConfig};

pub fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    lastword_fakes::certificates()
}
