//! Addresses that stand where the resolver's answer would: a server that is not in DNS yet, one machine out
//! of several behind a name, a test.

use core::net::{IpAddr, SocketAddr};
use std::fmt;

use crate::host::{Endpoint, Host};

/// The addresses of a host, given instead of looked up. The host stays the name that is asked for, in
/// `Host`, in SNI and when a certificate is verified.
///
/// ```
/// use lastword_dial::{HostAddresses, WebSocketUri};
///
/// let given = HostAddresses::parse("example.com:443:192.0.2.7,[2001:db8::7]").unwrap();
/// let uri = WebSocketUri::parse("wss://example.com/feed").unwrap();
/// assert_eq!(given.of(uri.endpoint()).unwrap().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// `None` for each.
    name: Option<String>,
    /// `None` for each.
    port: Option<u16>,
    addresses: Vec<IpAddr>,
}

/// Why a text gives no addresses to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHostAddresses {
    /// Not three parts.
    #[error("expected HOST:PORT:ADDRESS[,ADDRESS...]")]
    Form,
    /// What is no name of a host. An address is not looked up, so that it can be given no other.
    #[error("expected the name of a host, or * for each")]
    Host,
    /// What is no port.
    #[error("expected a port from 1 to 65535")]
    Port,
    /// None, or what is none.
    #[error("expected IPv4 or IPv6 addresses, with commas in between")]
    Address,
}

impl HostAddresses {
    /// The host of this name, at whatever port, has these addresses. International names may be written as
    /// such.
    ///
    /// # Errors
    /// [`InvalidHostAddresses`]: the name is none, or there is no address.
    pub fn new(
        name: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, InvalidHostAddresses> {
        let Some(Host::Name(name)) = Host::parse(name) else {
            return Err(InvalidHostAddresses::Host);
        };
        Self { name: Some(name), port: None, addresses: Vec::new() }.at(addresses)
    }

    /// Reads `HOST:PORT:ADDRESS[,ADDRESS...]`, as curl does; `*` stands for each host. Addresses of IPv6 may
    /// be in brackets.
    ///
    /// # Errors
    /// [`InvalidHostAddresses`]: what was expected in the place where something else came.
    pub fn parse(text: &str) -> Result<Self, InvalidHostAddresses> {
        let mut parts = text.splitn(3, ':');
        let (Some(host), Some(port), Some(list)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidHostAddresses::Form);
        };
        let name = match (host, Host::parse(host)) {
            ("*", _) => None,
            (_, Some(Host::Name(name))) => Some(name),
            _ => return Err(InvalidHostAddresses::Host),
        };
        let port = port.parse().ok().filter(|&port| port != 0).ok_or(InvalidHostAddresses::Port)?;
        let addresses: Option<Vec<_>> = list.split(',').map(address).collect();
        let addresses = addresses.ok_or(InvalidHostAddresses::Address)?;
        Self { name, port: Some(port), addresses: Vec::new() }.at(addresses)
    }

    fn at(
        mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, InvalidHostAddresses> {
        self.addresses.extend(addresses);
        if self.addresses.is_empty() { Err(InvalidHostAddresses::Address) } else { Ok(self) }
    }

    /// Where this endpoint is, if this says so. They are tried in the order of
    /// [`interleave`](crate::interleave), as those of a resolver are.
    pub fn of(&self, endpoint: &Endpoint) -> Option<Vec<SocketAddr>> {
        let Host::Name(name) = &endpoint.host else { return None };
        let is_meant = self.name.as_ref().is_none_or(|ours| ours == name)
            && self.port.is_none_or(|ours| ours == endpoint.port);
        let located = |&address| SocketAddr::new(address, endpoint.port);
        is_meant.then(|| self.addresses.iter().map(located).collect())
    }
}

/// As it is parsed; with `*` for each port, too.
impl fmt::Display for HostAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("*"))?;
        match self.port {
            Some(port) => write!(f, ":{port}")?,
            None => f.write_str(":*")?,
        }
        for (number, &address) in self.addresses.iter().enumerate() {
            f.write_str(if number == 0 { ":" } else { "," })?;
            Host::Address(address).fmt(f)?;
        }
        Ok(())
    }
}

fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(given: &HostAddresses, uri: &str) -> Option<Vec<String>> {
        let uri = crate::WebSocketUri::parse(uri).unwrap();
        let found = given.of(uri.endpoint())?;
        Some(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_host_at_its_port_is_where_it_is_said_to_be_and_no_other_is() {
        let given =
            HostAddresses::parse("Bücher.example:8443:192.0.2.7,2001:db8::7,[::1]").unwrap();
        assert_eq!(given.to_string(), "xn--bcher-kva.example:8443:192.0.2.7,[2001:db8::7],[::1]");
        assert_eq!(HostAddresses::parse(&given.to_string()), Ok(given.clone()));
        assert_eq!(
            found(&given, "ws://BÜCHER.example:8443").unwrap(),
            ["192.0.2.7:8443", "[2001:db8::7]:8443", "[::1]:8443"]
        );
        for other in ["wss://bücher.example", "ws://example:8443", "ws://127.0.0.1:8443"] {
            assert_eq!(found(&given, other), None, "{other}");
        }
        let each = HostAddresses::parse("*:80:127.0.0.1").unwrap();
        assert_eq!(found(&each, "ws://a").unwrap(), ["127.0.0.1:80"]);
        assert_eq!(found(&each, "wss://a"), None);
        // An address says where it is.
        assert_eq!(found(&each, "ws://192.0.2.1"), None);
        let everywhere = HostAddresses::new("a.example", ["::1".parse().unwrap()]).unwrap();
        assert_eq!(found(&everywhere, "ws://a.example").unwrap(), ["[::1]:80"]);
        assert_eq!(found(&everywhere, "wss://a.example").unwrap(), ["[::1]:443"]);
        assert_eq!(everywhere.to_string(), "a.example:*:[::1]");
    }

    #[test]
    fn what_gives_no_addresses_is_told_by_its_wrong_part() {
        use InvalidHostAddresses::{Address, Form, Host, Port};
        for (text, why) in [
            ("", Form),
            ("a", Form),
            ("a:1", Form),
            (":1:127.0.0.1", Host),
            ("127.0.0.1:1:127.0.0.1", Host),
            ("[::1]:1:127.0.0.1", Host),
            ("a b:1:127.0.0.1", Host),
            ("a::127.0.0.1", Port),
            ("a:0:127.0.0.1", Port),
            ("a:65536:127.0.0.1", Port),
            ("a:x:127.0.0.1", Port),
            ("a:1:", Address),
            ("a:1:b", Address),
            ("a:1:127.0.0.1,", Address),
            ("a:1:[127.0.0.1]", Address),
            ("a:1:[::1", Address),
            ("a:1:127.0.0.1:80", Address),
        ] {
            assert_eq!(HostAddresses::parse(text), Err(why), "{text}");
        }
        assert_eq!(HostAddresses::new("a", []), Err(Address));
        assert_eq!(HostAddresses::new("::1", ["::1".parse().unwrap()]), Err(Host));
    }
}
