//! In which order the addresses of a name are tried, and how long each has before the next may join
//! (happy eyeballs, RFC 8305).

use core::net::SocketAddr;
use std::time::{Duration, Instant};
use std::vec;

/// How long an attempt runs alone before the next one joins it (RFC 8305 section 5).
pub const STAGGER: Duration = Duration::from_millis(250);

/// The addresses of a name, and whose turn it is.
///
/// A driver asks [`begin`](Self::begin) until it names nobody, waits until an attempt has come to
/// something or [`due`](Self::due) has come, and asks again. The first attempt that stands wins.
///
/// ```
/// use std::time::Instant;
/// use lastword_dial::{Race, STAGGER};
///
/// let addresses = ["127.0.0.1:80", "[::1]:80", "127.0.0.2:80"].map(|text| text.parse().unwrap());
/// let (mut race, now) = (Race::among(addresses), Instant::now());
/// assert_eq!(race.begin(now), Some(addresses[0]));
/// // The next one waits, but not for an attempt that has failed.
/// assert_eq!((race.begin(now), race.due()), (None, Some(now + STAGGER)));
/// race.failed();
/// assert_eq!(race.begin(now), Some(addresses[1]));
/// ```
#[derive(Clone, Debug)]
pub struct Race {
    waiting: vec::IntoIter<SocketAddr>,
    /// When the next one may begin; `None`: at once.
    begins_at: Option<Instant>,
}

impl Race {
    /// A race among these addresses, in the order of [`interleave`]. Nobody has begun.
    pub fn among(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { waiting: interleave(addresses).into_iter(), begins_at: None }
    }

    /// The address whose attempt begins now. `None` if that has to wait, or none is left: when no
    /// attempt runs either, all have failed.
    pub fn begin(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.begins_at.is_some_and(|at| now < at) {
            return None;
        }
        let address = self.waiting.next()?;
        self.begins_at = now.checked_add(STAGGER);
        Some(address)
    }

    /// When to ask again, if no attempt fails before; `None` if no address is left.
    pub fn due(&self) -> Option<Instant> {
        self.begins_at.filter(|_| self.waiting.len() > 0)
    }

    /// An attempt has failed: the next one need not wait for it.
    pub const fn failed(&mut self) {
        self.begins_at = None;
    }
}

/// The addresses, each once, the two families in turn, and the resolver's first one first: if one
/// family is dead, the second attempt is of the other (RFC 8305 section 4).
pub fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut given: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !given.contains(&address) {
            given.push(address);
        }
    }
    let first = given.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut order = Vec::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[&str], expected: &[&str]) {
        let order = interleave(given.iter().map(|text| text.parse().unwrap()));
        let order: Vec<_> = order.iter().map(ToString::to_string).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn families_take_turns_and_the_resolvers_first_is_first() {
        check(&[], &[]);
        check(&["1.1.1.1:1"], &["1.1.1.1:1"]);
        check(&["[::1]:1", "[::2]:1", "1.1.1.1:1"], &["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        check(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
        check(&["1.1.1.1:1", "1.1.1.1:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1"]);
    }

    #[test]
    fn each_begins_a_quarter_of_a_second_after_the_one_before_or_when_one_has_failed() {
        let addresses = [1, 2, 3, 4].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let [first, second, third, fourth] = addresses;
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut race = Race::among(addresses);
        assert_eq!(race.begin(start), Some(first));
        assert_eq!((race.begin(start), race.due()), (None, Some(at(250))));
        assert_eq!(race.begin(at(249)), None);
        // Whoever comes late lets the one after it wait its own time.
        assert_eq!(race.begin(at(260)), Some(second));
        assert_eq!((race.begin(at(260)), race.due()), (None, Some(at(510))));
        race.failed();
        assert_eq!(race.begin(at(300)), Some(third));
        assert_eq!((race.begin(at(300)), race.due()), (None, Some(at(550))));
        race.failed();
        race.failed();
        // Two failures at once are no reason for two to begin.
        assert_eq!(race.begin(at(301)), Some(fourth));
        assert_eq!((race.begin(at(9999)), race.due()), (None, None));
        race.failed();
        assert_eq!((race.begin(at(9999)), race.due()), (None, None));
        assert_eq!((Race::among([]).begin(start), Race::among([]).due()), (None, None));
    }
}
