//! Where a WebSocket client goes and how it gets there, without I/O.
//!
//! A [`WebSocketUri`] says where; the [`Environment`] or the caller which [`Proxy`] is in between, whose
//! handshake is a [`Tunnel`] that eats and yields bytes; [`Redirects`] where to go instead;
//! [`HostAddresses`] where a name is without asking; a [`Race`] which address is tried when. Drivers carry the bytes, and resolve, wait and
//! connect. Refuses to know sockets, clocks, and the WebSocket protocol itself.
//!
//! ```
//! use lastword_dial::{Endpoint, Progress, Proxy, Tunnel, WebSocketUri};
//!
//! let uri = WebSocketUri::parse("wss://bücher.example/feed?since=1").unwrap();
//! assert_eq!(uri.endpoint().to_string(), "xn--bcher-kva.example:443");
//!
//! let proxy = Proxy::parse("http://user:secret@localhost:3128").unwrap();
//! let mut tunnel = Tunnel::new(&proxy, uri.endpoint()).unwrap();
//! assert!(tunnel.to_write().starts_with(b"CONNECT xn--bcher-kva.example:443 HTTP/1.1\r\n"));
//! tunnel.wrote(tunnel.to_write().len());
//! assert_eq!(tunnel.receive(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), Progress::Open);
//! ```

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod addresses;
mod answer;
mod authority;
mod credentials;
mod environment;
mod host;
mod http_connect;
mod proxy;
mod race;
mod redirect;
mod socks;
mod tunnel;
mod uri;

pub use addresses::{HostAddresses, InvalidHostAddresses};
pub use answer::{MAX_ANSWER, Offered, Progress, ProxyError, SocksRefusal};
pub use credentials::Credentials;
pub use environment::{Environment, NoProxy};
pub use host::{Endpoint, Host};
pub use proxy::{InvalidProxy, Proxy, ProxyProtocol, Resolution};
pub use race::{Race, STAGGER, interleave};
pub use redirect::{MAX_REDIRECTS, RedirectRefused, Redirects, strip_credentials};
pub use tunnel::Tunnel;
pub use uri::{InvalidUri, Scheme, WebSocketUri, without_user};
