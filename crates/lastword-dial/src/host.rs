//! Hosts and ports: a name in ASCII, or an address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use idna::AsciiDenyList;
use percent_encoding::percent_decode_str;

/// A host, as it is looked up, sent to proxies, and verified by TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a URI's host is a name or an address (RFC 3986)")]
pub enum Host {
    /// A name, in lower case, with its labels in the ASCII form of IDNA.
    Name(String),
    /// An address that was written as such.
    Address(IpAddr),
}

impl Host {
    /// The host of a URI: an IPv6 address in brackets, an IPv4 address, or a name, which may be
    /// international. What some resolvers would take for an address in an odd form (`127.1`,
    /// `0x7f000001`) is refused, so that all of us mean the same host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(address.into()));
        }
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        let name = idna::domain_to_ascii_cow(&decoded, AsciiDenyList::URL).ok()?;
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let last = name.strip_suffix('.').unwrap_or(&name).rsplit('.').next().unwrap_or_default();
        let looks_numeric = last.bytes().all(|byte| byte.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let is_name = !name.is_empty() && name.len() <= MAX_NAME && !looks_numeric;
        is_name.then(|| Self::Name(name.into_owned()))
    }

    /// Without the brackets of an IPv6 address: what is looked up, and what TLS verifies.
    pub fn bare(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// As in URIs and `Host` headers: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A host and a port. Its `Display` is `host:port`, as in `CONNECT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a host and a port are all there is to it")]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The longest name of DNS in text, with a dot at its end (RFC 1035 section 3.1).
const MAX_NAME: usize = 254;
