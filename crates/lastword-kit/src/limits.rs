//! How many may be here, and how fast more may come: counted from the moment in which a stream is
//! accepted. Knows addresses and times that it is handed, no sockets and no clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword_proto::handshake::server::{Busy, Refusal};
use lastword_proto::{Bucket, Rate, TooFast};
use parking_lot::Mutex;

/// How many connections a server takes on, and how fast; all threads of a server together. Whoever is
/// one too many is answered at once, before its request is read: with 503, or with 429 when it is its
/// own doing, and with `Retry-After`. Over TLS it is hung up on, since an answer would cost a handshake.
///
/// An address is that of IPv4, or the first 64 bits of one of IPv6, which is what one subscriber has.
/// Behind a proxy all come from its address. What has no address, such as a Unix socket, is not held to
/// the limits of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections in total, those included that are still opening. `None`, the default: as many as
    /// the operating system has. Beyond it: 503.
    pub connections: Option<usize>,
    /// Connections from one address. `None`, the default: any number. Beyond it: 429.
    pub connections_per_address: Option<usize>,
    /// Connections that are still opening. `None`, the default: any number. Beyond it: 503.
    pub openings: Option<usize>,
    /// How fast connections may come. `None`, the default: as fast as they do. Beyond it: 503.
    pub opening_rate: Option<Rate>,
    /// How fast connections may come from one address. `None`, the default: as fast as they do. Beyond
    /// it: 429. A server remembers at most 131,072 addresses that have come lately; while there are
    /// more, those it does not know are held to `opening_rate` only.
    pub opening_rate_per_address: Option<Rate>,
}

/// Those who are here: one for all threads of a server.
#[derive(Debug)]
pub struct Turnstile {
    limits: Limits,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    connections: usize,
    openings: usize,
    coming: Option<Bucket>,
    /// Only if there are limits for them; without those that make no difference.
    addresses: HashMap<IpAddr, Visitor>,
    /// From how many addresses on it is looked for those that make no difference.
    crowd: usize,
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Visitor {
    connections: usize,
    coming: Option<Bucket>,
}

/// One who is here, until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    turnstile: Arc<Turnstile>,
    /// Only where addresses make a difference: a ticket is held for as long as its connection.
    address: Option<Box<IpAddr>>,
}

/// One who is still opening, until this is dropped.
#[derive(Debug)]
pub struct OpeningTicket(Arc<Turnstile>);

impl Turnstile {
    /// Nobody is here yet.
    pub fn new(limits: Limits) -> Self {
        let (connections, openings) = (0, 0);
        let (addresses, crowd) = (HashMap::new(), CROWD);
        let inside = Inside { connections, openings, coming: None, addresses, crowd };
        Self { limits, inside: Mutex::new(inside) }
    }

    /// Lets one more in, unless that is one too many.
    ///
    /// # Errors
    /// What is to be answered to one too many.
    pub fn enter(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<(Ticket, OpeningTicket), Box<Refusal>> {
        let address = address.filter(|_| self.tells_apart()).map(whose);
        let mut inside = self.inside.lock();
        inside.judge(&self.limits, address, now)?;
        inside.connections += 1;
        inside.openings += 1;
        if self.limits.connections_per_address.is_some()
            && let Some(address) = address
        {
            inside.addresses.entry(address).or_default().connections += 1;
        }
        let ticket = Ticket { turnstile: Arc::clone(self), address: address.map(Box::new) };
        Ok((ticket, OpeningTicket(Arc::clone(self))))
    }

    /// Whether addresses make a difference.
    const fn tells_apart(&self) -> bool {
        self.limits.connections_per_address.is_some()
            || self.limits.opening_rate_per_address.is_some()
    }
}

impl Inside {
    /// Whether there is room for one more; takes it from the rates if there is.
    fn judge(
        &mut self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Box<Refusal>> {
        let is_full =
            |count: usize, limit: Option<usize>| limit.is_some_and(|limit| count >= limit);
        let visitor = address.and_then(|address| self.addresses.get(&address));
        let from_there = visitor.map_or(0, |visitor| visitor.connections);
        let too_many = if is_full(from_there, limits.connections_per_address) {
            Some(Busy::ConnectionsPerAddress)
        } else if is_full(self.connections, limits.connections) {
            Some(Busy::Connections)
        } else if is_full(self.openings, limits.openings) {
            Some(Busy::Openings)
        } else {
            None
        };
        if let Some(busy) = too_many {
            return Err(Refusal::busy(busy, Some(COME_AGAIN)));
        }
        // Nothing is taken from either unless both have it.
        let theirs = limits.opening_rate_per_address.filter(|_| address.is_some());
        let theirs = take(visitor.and_then(|visitor| visitor.coming), theirs, now);
        let theirs = theirs.map_err(|too_fast| refusal(Busy::OpeningRatePerAddress, too_fast))?;
        let all = take(self.coming, limits.opening_rate, now);
        self.coming = all.map_err(|too_fast| refusal(Busy::OpeningRate, too_fast))?;
        if let (Some(address), Some(bucket)) = (address, theirs) {
            self.remember(address, bucket, now);
        }
        Ok(())
    }

    fn remember(&mut self, address: IpAddr, bucket: Bucket, now: Instant) {
        if self.addresses.len() >= self.crowd {
            self.addresses.retain(|_, visitor| {
                visitor.connections > 0 || visitor.coming.is_some_and(|coming| !coming.is_full(now))
            });
            // Looked through again when it has doubled, so that each costs no more than its share.
            self.crowd = self.addresses.len().saturating_mul(2).max(CROWD);
        }
        if self.addresses.len() < MOST_ADDRESSES || self.addresses.contains_key(&address) {
            self.addresses.entry(address).or_default().coming = Some(bucket);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = self.turnstile.inside.lock();
        inside.connections -= 1;
        let Some(address) = self.address.as_deref() else { return };
        if self.turnstile.limits.connections_per_address.is_some()
            && let Some(visitor) = inside.addresses.get_mut(address)
        {
            visitor.connections -= 1;
            if visitor.connections == 0 && visitor.coming.is_none() {
                inside.addresses.remove(address);
            }
        }
    }
}

impl Drop for OpeningTicket {
    fn drop(&mut self) {
        self.0.inside.lock().openings -= 1;
    }
}

/// What is left of a bucket, which is full if there was none, when one was taken from it; none where
/// nothing is limited.
fn take(
    bucket: Option<Bucket>,
    rate: Option<Rate>,
    now: Instant,
) -> Result<Option<Bucket>, TooFast> {
    let Some(rate) = rate else { return Ok(None) };
    let mut bucket = bucket.unwrap_or_else(|| Bucket::new(rate, now));
    bucket.take(1, now)?;
    Ok(Some(bucket))
}

/// Whose address it is: of IPv6 everybody has 64 bits for himself.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn refusal(busy: Busy, too_fast: TooFast) -> Box<Refusal> {
    Refusal::busy(busy, Some(too_fast.wait.min(LONGEST)))
}

/// When to try again: nobody knows who will have left by then.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// The longest time that is named: a rate of none at all would name the end of days.
const LONGEST: Duration = Duration::from_secs(3600);

/// So many addresses are kept without being looked through.
const CROWD: usize = 1024;

/// So many are kept at most, some 15 MB.
const MOST_ADDRESSES: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn turnstile(set: impl FnOnce(&mut Limits)) -> Arc<Turnstile> {
        let mut limits = Limits::default();
        set(&mut limits);
        Arc::new(Turnstile::new(limits))
    }

    #[track_caller]
    fn refused<T>(entered: Result<T, Box<Refusal>>) -> (u16, String) {
        let Err(refusal) = entered else { panic!("one too many came in") };
        let after = refusal.to_response().headers()["retry-after"].to_str().unwrap().to_owned();
        (refusal.status().as_u16(), after)
    }

    #[test]
    fn they_come_as_fast_as_they_may() {
        let turnstile =
            turnstile(|limits| limits.opening_rate = Some(Rate::per_second(1).burst(2)));
        let now = Instant::now();
        for _ in 0..2 {
            turnstile.enter(None, now).unwrap();
        }
        assert_eq!(refused(turnstile.enter(None, now)), (503, "1".into()));
        assert!(turnstile.enter(None, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn one_address_that_is_too_fast_takes_nothing_from_the_others() {
        let turnstile = turnstile(|limits| {
            limits.opening_rate = Some(Rate::per_second(3));
            limits.opening_rate_per_address = Some(Rate::per_minute(6).burst(1));
        });
        let now = Instant::now();
        let enter = |address: &str| turnstile.enter(Some(address.parse().unwrap()), now);
        enter("10.0.0.1").unwrap();
        for _ in 0..10 {
            assert_eq!(refused(enter("10.0.0.1")), (429, "10".into()));
            assert_eq!(refused(enter("::ffff:10.0.0.1")), (429, "10".into()));
        }
        enter("2001:db8::1").unwrap();
        assert_eq!(refused(enter("2001:db8::2")), (429, "10".into()));
        enter("2001:db8:0:1::1").unwrap();
        assert_eq!(refused(enter("2001:db8:0:2::1")), (503, "1".into()));
    }

    #[test]
    fn a_rate_of_none_names_no_end_of_days() {
        let turnstile = turnstile(|limits| limits.opening_rate = Some(Rate::per_second(0)));
        assert_eq!(refused(turnstile.enter(None, Instant::now())), (503, "3600".into()));
    }

    #[test]
    fn addresses_that_make_no_difference_any_more_are_forgotten() {
        let turnstile = turnstile(|limits| {
            limits.connections_per_address = Some(1);
            limits.opening_rate_per_address = Some(Rate::per_second(1));
        });
        let mut now = Instant::now();
        let address = |number: usize| Some(IpAddr::from((number as u32).to_be_bytes()));
        let (staying, _) = turnstile.enter(address(0), now).unwrap();
        for number in 1..50 * CROWD {
            turnstile.enter(address(number), now).unwrap();
            now += Duration::from_millis(1);
        }
        let known = turnstile.inside.lock().addresses.len();
        assert!(known <= 3 * CROWD, "{known}");
        assert_eq!(refused(turnstile.enter(address(0), now)).0, 429);
        drop(staying);
        assert!(turnstile.enter(address(0), now).is_ok());
    }

    #[test]
    fn more_addresses_than_are_kept_come_in_all_the_same() {
        let turnstile = turnstile(|limits| {
            limits.opening_rate_per_address = Some(Rate::per_minute(1));
        });
        let now = Instant::now();
        for number in 0..MOST_ADDRESSES as u32 + 10 {
            turnstile.enter(Some(IpAddr::from(number.to_be_bytes())), now).unwrap();
        }
        assert_eq!(turnstile.inside.lock().addresses.len(), MOST_ADDRESSES);
    }
}
