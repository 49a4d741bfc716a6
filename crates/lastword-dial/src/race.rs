//! In which order the addresses of a name are tried, and how long each has before the next may join
//! (happy eyeballs, RFC 8305).

use core::net::SocketAddr;
use std::time::Duration;

/// How long an attempt runs alone before the next one joins it (RFC 8305 section 5).
pub const STAGGER: Duration = Duration::from_millis(250);

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
}
