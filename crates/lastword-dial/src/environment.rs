//! The proxy that the environment asks for: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`,
//! as curl reads them. Who reads the variables hands them in.

use core::net::IpAddr;

use crate::host::{Endpoint, Host};
use crate::proxy::{InvalidProxy, Proxy};
use crate::uri::{Scheme, WebSocketUri};

/// What the environment says about proxies. It is read once, and parsed when it is needed: a variable
/// that is wrong harms nobody who does not use it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    plain: Option<String>,
    tls: Option<String>,
    bypass: NoProxy,
}

impl Environment {
    /// Reads the variables through `read`.
    ///
    /// For `ws` that is the first that is set and not empty of `ws_proxy`, `http_proxy` and
    /// `all_proxy`, for `wss` of `wss_proxy`, `https_proxy` and `all_proxy`; each in lower case, then
    /// in upper case. `HTTP_PROXY` is not read: a CGI server puts the request's `Proxy` header there.
    pub fn read(read: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| read(name).filter(|value| !value.trim().is_empty()))
        };
        Self {
            plain: first(&["ws_proxy", "WS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"]),
            tls: first(&[
                "wss_proxy",
                "WSS_PROXY",
                "https_proxy",
                "HTTPS_PROXY",
                "all_proxy",
                "ALL_PROXY",
            ]),
            bypass: NoProxy::parse(&first(&["no_proxy", "NO_PROXY"]).unwrap_or_default()),
        }
    }

    /// The proxy on the way to `uri`, if there is one. There is none on the way to `localhost` and to
    /// loopback addresses: for a proxy, these are other hosts than for us.
    ///
    /// # Errors
    /// [`InvalidProxy`] if the variable for it holds no proxy.
    pub fn proxy_for(&self, uri: &WebSocketUri) -> Result<Option<Proxy>, InvalidProxy> {
        let value = match uri.scheme() {
            Scheme::Ws => &self.plain,
            Scheme::Wss => &self.tls,
        };
        match value {
            Some(value) if !is_ourselves(uri.host()) && !self.bypass.matches(uri.endpoint()) => {
                Proxy::parse(value.trim()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Whom one reaches without a proxy: a list, separated by commas or white space.
///
/// `*` is everybody; `example.com` and `.example.com` are that name and all below it; an address is
/// itself, and `10.0.0.0/8` all addresses that begin alike; `:port` behind a name or an address (of
/// IPv6 in brackets) means that port only. Names are not resolved for it.
#[derive(Clone, Debug, Default)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    who: Who,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Who {
    All,
    /// In lower case, without dots at its ends.
    Name(String),
    Network {
        address: IpAddr,
        prefix: u8,
    },
}

impl NoProxy {
    /// Reads a list. What is no entry matches nobody.
    pub fn parse(list: &str) -> Self {
        let parts = list.split(|found: char| found == ',' || found.is_whitespace());
        Self { entries: parts.filter_map(Entry::parse).collect() }
    }

    /// Whether one goes to `endpoint` without a proxy.
    pub fn matches(&self, endpoint: &Endpoint) -> bool {
        self.entries.iter().any(|entry| entry.matches(endpoint))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { who: Who::All, port: None });
        }
        if let Some(who) = network(text) {
            return Some(Self { who, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Some(who) = network(host) {
            return Some(Self { who, port });
        }
        let name = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        let name = match Host::parse(&name)? {
            Host::Name(name) => name,
            Host::Address(_) => return None,
        };
        Some(Self { who: Who::Name(name), port })
    }

    fn matches(&self, endpoint: &Endpoint) -> bool {
        if self.port.is_some_and(|port| port != endpoint.port) {
            return false;
        }
        match (&self.who, &endpoint.host) {
            (Who::All, _) => true,
            (Who::Name(name), Host::Name(host)) => {
                let host = host.strip_suffix('.').unwrap_or(host);
                host.strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Who::Network { address, prefix }, Host::Address(host)) => {
                contains(*address, *prefix, *host)
            }
            (Who::Name(_), Host::Address(_)) | (Who::Network { .. }, Host::Name(_)) => false,
        }
    }
}

fn is_ourselves(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Address(address) => address.to_canonical().is_loopback(),
    }
}

/// `address` or `address/prefix`; IPv6 with brackets or without.
fn network(text: &str) -> Option<Who> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = inner.unwrap_or(address).parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) => digits.parse().ok().filter(|&prefix| prefix <= longest)?,
        None => longest,
    };
    Some(Who::Network { address, prefix })
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let differing = match (network, address.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), _) => match address {
            IpAddr::V6(other) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            IpAddr::V4(_) => return false,
        },
        (IpAddr::V4(_), IpAddr::V6(_)) => return false,
    };
    differing >= u32::from(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, uri: &str, expected: bool) {
        let uri = WebSocketUri::parse(uri).unwrap();
        assert_eq!(NoProxy::parse(list).matches(uri.endpoint()), expected, "{list} {uri}");
    }

    #[test]
    fn no_proxy_matches_names_below_addresses_networks_and_ports() {
        check("", "ws://a", false);
        check("*", "ws://a", true);
        check("example.com", "ws://example.com", true);
        check("example.com", "ws://EXAMPLE.com.", true);
        check("example.com", "ws://a.example.com", true);
        check(".example.com", "ws://a.example.com", true);
        check("*.example.com", "ws://a.example.com", true);
        check("example.com", "ws://notexample.com", false);
        check("example.com", "ws://example.com.evil", false);
        check("a, b\tc", "ws://c", true);
        check("b\u{fc}cher.example", "ws://xn--bcher-kva.example", true);
        check("a:81", "ws://a", false);
        check("a:81", "ws://a:81", true);
        check("127.0.0.1", "ws://127.0.0.1:9", true);
        check("127.0.0.1:8", "ws://127.0.0.1:9", false);
        check("10.0.0.0/8", "ws://10.200.3.4", true);
        check("10.0.0.0/8", "ws://11.0.0.1", false);
        check("10.0.0.0/8", "ws://[::ffff:10.0.0.1]", true);
        check("0.0.0.0/0", "ws://1.2.3.4", true);
        check("0.0.0.0/0", "ws://[::1]", false);
        check("10.0.0.0/33", "ws://10.0.0.0", false);
        check("::1", "ws://[::1]", true);
        check("[::1]:80", "ws://[::1]", true);
        check("[::1]:81", "ws://[::1]", false);
        check("fe80::/10", "ws://[fe81::1]", true);
        check("localhost", "ws://127.0.0.1", false);
        check(":::", "ws://a", false);
    }

    #[test]
    fn the_schemes_own_variable_is_first_and_http_proxy_in_capitals_is_not_read() {
        let check = |variables: &[(&str, &str)], uri: &str, expected: &str| {
            let environment = Environment::read(|name| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            let proxy = environment.proxy_for(&WebSocketUri::parse(uri).unwrap());
            let shown = match proxy {
                Ok(proxy) => proxy.map(|proxy| proxy.to_string()).unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{variables:?} {uri}");
        };
        check(&[], "ws://a", "");
        check(&[("http_proxy", "p:1")], "ws://a", "http://p:1");
        check(&[("http_proxy", "p:1")], "wss://a", "");
        check(&[("HTTP_PROXY", "p:1")], "ws://a", "");
        check(&[("HTTPS_PROXY", "p:1")], "wss://a", "http://p:1");
        check(&[("https_proxy", "q:1"), ("HTTPS_PROXY", "p:1")], "wss://a", "http://q:1");
        check(&[("https_proxy", " "), ("ALL_PROXY", "socks5h://p")], "wss://a", "socks5h://p:1080");
        check(&[("ws_proxy", "p"), ("http_proxy", "q")], "ws://a", "http://p:80");
        check(&[("all_proxy", "p"), ("no_proxy", "a")], "ws://a", "");
        for here in ["ws://localhost", "ws://a.localhost", "ws://127.3.2.1:8", "ws://[::1]"] {
            check(&[("all_proxy", "p")], here, "");
        }
        check(&[("all_proxy", "p"), ("NO_PROXY", "a")], "ws://b", "http://p:80");
        check(&[("all_proxy", "ftp://p")], "ws://b", &InvalidProxy::Scheme.to_string());
        check(&[("all_proxy", "ftp://p"), ("no_proxy", "b")], "ws://b", "");
    }
}
