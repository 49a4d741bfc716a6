//! WebSocket connections of [`lastword`] behind a [hyper](https://docs.rs/hyper) server.
//!
//! A request comes in, a response goes out, and when hyper has sent that and lets go of its stream, a
//! handler gets the connection. How it is judged, served and ended, [`lastword::Upgrades`] knows.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hyper::service::service_fn;
//! use hyper_util::rt::TokioIo;
//! use lastword::Upgrades;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let upgrades = Upgrades::default();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}", listener.local_addr()?);
//! tokio::spawn(async move {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let upgrades = upgrades.clone();
//!         let service = service_fn(move |request| {
//!             let response = lastword_hyper::upgrade(request, &upgrades, async |mut ws| {
//!                 while let Some(message) = ws.recv().await? {
//!                     ws.send(message).await?;
//!                 }
//!                 Ok(())
//!             });
//!             async { Ok::<_, Infallible>(response) }
//!         });
//!         let http = hyper::server::conn::http1::Builder::new();
//!         tokio::spawn(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
//!     }
//! #   #[expect(unreachable_code, reason = "the type of it")]
//! #   std::io::Result::Ok(())
//! });
//!
//! let mut ws = lastword::connect(url).await?;
//! ws.send("hello").await?;
//! assert_eq!(ws.recv().await?.unwrap().as_text(), Some("hello"));
//! # Ok::<_, lastword::HandlerError>(()) }).unwrap();
//! ```
//!
//! Only upgrades of HTTP/1.1 become connections; over HTTP/2 a request is refused with 505.
//!
//! To end all connections in an orderly way, call [`Upgrades::shut_down`]: hyper's own graceful shutdown
//! does not know them, since it has let go of them.

mod layer;
mod upgrade;

pub use layer::{UpgradeLayer, UpgradeService};
pub use upgrade::{Upgrade, upgrade};

#[cfg(doc)]
use lastword::Upgrades;
