//! Where the clients of every driver go in tests: servers and proxies that say exactly what a test wants, on
//! real sockets and in threads of their own. Knows no WebSocket, and no driver.

mod authority;
mod certificates;
mod place;
mod proxies;

pub use authority::{Authority, Shown};
pub use certificates::certificates;
pub use place::{Place, nowhere};
pub use proxies::{SOCKS, SocksCase, Turn, http_proxy, https_proxy, socks_proxy};
