//! How many may be here, and how fast more may come: counted from the moment in which a stream is
//! accepted. Knows addresses and times that it is handed, no sockets and no clock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use lastword_proto::handshake::server::Refusal;
use parking_lot::Mutex;

/// How many connections a server takes on; all threads of a server together. Whoever is one too many
/// is answered at once, before its request is read: with 503, or with 429 when it is its own doing,
/// and with `Retry-After`. Over TLS it is hung up on, since an answer would cost a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections in total, those included that are still opening. `None`, the default: as many as
    /// the operating system has.
    pub connections: Option<usize>,
    /// Connections from one IP address. `None`, the default: any number. Behind a proxy all come
    /// from its address.
    pub connections_per_address: Option<usize>,
    /// Connections that are still opening. `None`, the default: any number.
    pub openings: Option<usize>,
}

/// Those who are here: one for all threads of a server.
#[derive(Debug)]
pub struct Turnstile {
    limits: Limits,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    connections: usize,
    openings: usize,
    /// Only if they are limited; without those that are 0.
    per_address: HashMap<IpAddr, usize>,
}

/// One who is here, until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    turnstile: Arc<Turnstile>,
    address: IpAddr,
}

/// One who is still opening, until this is dropped.
#[derive(Debug)]
pub struct OpeningTicket(Arc<Turnstile>);

impl Turnstile {
    /// Nobody is here yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, inside: Mutex::default() }
    }

    /// Lets one more in, unless that is one too many.
    ///
    /// # Errors
    /// What is to be answered to one too many.
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Result<(Ticket, OpeningTicket), Box<Refusal>> {
        let mut inside = self.inside.lock();
        let is_full =
            |count: usize, limit: Option<usize>| limit.is_some_and(|limit| count >= limit);
        let from_there = inside.per_address.get(&address).copied().unwrap_or_default();
        let Limits { connections, connections_per_address, openings } = self.limits;
        if is_full(from_there, connections_per_address) {
            let why = "too many connections from this address (connections_per_address)";
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS, why));
        }
        if is_full(inside.connections, connections) {
            let why = "too many connections (connections)";
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, why));
        }
        if is_full(inside.openings, openings) {
            let why = "too many connections are opening (openings)";
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, why));
        }
        inside.connections += 1;
        inside.openings += 1;
        if connections_per_address.is_some() {
            *inside.per_address.entry(address).or_default() += 1;
        }
        let ticket = Ticket { turnstile: Arc::clone(self), address };
        Ok((ticket, OpeningTicket(Arc::clone(self))))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = self.turnstile.inside.lock();
        inside.connections -= 1;
        if let Some(count) = inside.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.per_address.remove(&self.address);
            }
        }
    }
}

impl Drop for OpeningTicket {
    fn drop(&mut self) {
        self.0.inside.lock().openings -= 1;
    }
}

fn refusal(status: StatusCode, why: &str) -> Box<Refusal> {
    let mut refusal = Refusal::application(status, why);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(COME_AGAIN.as_secs()));
    refusal
}

/// When to try again: nobody knows who will have left by then.
const COME_AGAIN: Duration = Duration::from_secs(5);
