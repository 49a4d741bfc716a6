//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), as a client.

use core::net::{IpAddr, Ipv4Addr};

use crate::answer::{Offered, Progress, ProxyError, SocksRefusal};
use crate::credentials::Credentials;
use crate::host::{Endpoint, Host};
use crate::proxy::{Proxy, ProxyProtocol};

/// The handshake with a proxy of SOCKS.
#[derive(Debug)]
pub(crate) struct Socks {
    state: State,
    credentials: Option<Credentials>,
    /// The request of SOCKS5, until it is its turn.
    request: Vec<u8>,
    /// Of the answer that is not complete yet; no answer is longer than 262 bytes.
    answer: Vec<u8>,
    received: usize,
}

/// Which answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// SOCKS4's only one: 8 bytes.
    Reply4,
    /// The way to authenticate: 2 bytes.
    Method,
    /// Whether the credentials are accepted: 2 bytes.
    Authentication,
    /// Whether the tunnel stands: 4 bytes, an address of a kind that they tell, a port.
    Reply5,
    Open,
}

impl Socks {
    pub(crate) fn new(
        proxy: &Proxy,
        endpoint: &Endpoint,
        outgoing: &mut Vec<u8>,
    ) -> Result<Self, ProxyError> {
        let credentials = proxy.credentials().cloned();
        let mut socks = Self {
            state: State::Method,
            credentials,
            request: Vec::new(),
            answer: Vec::new(),
            received: 0,
        };
        if matches!(proxy.protocol(), ProxyProtocol::Socks4 | ProxyProtocol::Socks4a) {
            socks.state = State::Reply4;
            let user = socks.credentials.as_ref().map_or("", Credentials::user);
            outgoing.extend(request4(proxy.protocol(), endpoint, user)?);
        } else {
            socks.request = request5(proxy.protocol(), endpoint)?;
            match socks.offered() {
                Offered::Nobody => outgoing.extend([5, 1, NOBODY]),
                Offered::Password => outgoing.extend([5, 2, NOBODY, PASSWORD]),
            }
        }
        Ok(socks)
    }

    pub(crate) const fn received(&self) -> usize {
        self.received
    }

    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        outgoing: &mut Vec<u8>,
    ) -> Result<Progress, ProxyError> {
        self.received = self.received.saturating_add(bytes.len());
        for (index, &byte) in bytes.iter().enumerate() {
            if self.state == State::Open {
                return Err(ProxyError::Excess { bytes: bytes.len().saturating_sub(index) });
            }
            self.answer.push(byte);
            if self.is_complete()? {
                let answer = std::mem::take(&mut self.answer);
                self.state = self.advance(&answer, outgoing)?;
            }
        }
        Ok(if self.state == State::Open { Progress::Open } else { Progress::Unfinished })
    }

    /// Whether the answer has all its bytes; a wrong version is told at its first one.
    fn is_complete(&self) -> Result<bool, ProxyError> {
        let (version, wrong) = match self.state {
            State::Reply4 => (0, "expected version 0 of SOCKS4's reply"),
            State::Method | State::Reply5 => (5, "expected version 5 of SOCKS"),
            State::Authentication => (1, "expected version 1 of the authentication"),
            State::Open => return Ok(true),
        };
        if self.answer.first() != Some(&version) {
            return Err(ProxyError::Malformed(wrong));
        }
        let length = match (self.state, self.answer.as_slice()) {
            (State::Reply4, _) => 8,
            // A refusal is one at its second byte: some proxies send no more.
            (State::Reply5, &[_, code, ..]) if code != GRANTED => 2,
            (State::Reply5, &[_, _, _, IPV4, ..]) => 10,
            (State::Reply5, &[_, _, _, IPV6, ..]) => 22,
            (State::Reply5, &[_, _, _, NAME, length, ..]) => usize::from(length).saturating_add(7),
            (State::Reply5, &[_, _, _, NAME] | &[] | &[_] | &[_, _] | &[_, _, _]) => 5,
            (State::Reply5, _) => return Err(ProxyError::Malformed("unknown type of address")),
            (State::Method | State::Authentication | State::Open, _) => 2,
        };
        Ok(self.answer.len() >= length)
    }

    fn advance(&self, answer: &[u8], outgoing: &mut Vec<u8>) -> Result<State, ProxyError> {
        let code = answer.get(1).copied().unwrap_or_default();
        match (self.state, code, &self.credentials) {
            (State::Method, NOBODY, _) | (State::Authentication, GRANTED, _) => {
                outgoing.extend_from_slice(&self.request);
                Ok(State::Reply5)
            }
            (State::Method, PASSWORD, Some(credentials)) => {
                outgoing.push(1);
                for text in [credentials.user(), credentials.password()] {
                    push_counted(outgoing, text);
                }
                Ok(State::Authentication)
            }
            (State::Method, NO_METHOD, _) => Err(ProxyError::NoMethod { offered: self.offered() }),
            (State::Method, ..) => {
                Err(ProxyError::Malformed("chose a way to authenticate that was not offered"))
            }
            (State::Authentication, ..) => Err(ProxyError::Credentials),
            (State::Reply4, 90, _) | (State::Reply5, GRANTED, _) => Ok(State::Open),
            (State::Reply4, code, _) => Err(ProxyError::Socks(match code {
                91 => SocksRefusal::Failed,
                92 | 93 => SocksRefusal::Identity,
                code => SocksRefusal::Unknown(code),
            })),
            (State::Reply5, code, _) => Err(ProxyError::Socks(match code {
                1 => SocksRefusal::Failed,
                2 => SocksRefusal::Forbidden,
                3 => SocksRefusal::NetworkUnreachable,
                4 => SocksRefusal::HostUnreachable,
                5 => SocksRefusal::ConnectionRefused,
                6 => SocksRefusal::TtlExpired,
                7 => SocksRefusal::CommandNotSupported,
                8 => SocksRefusal::AddressTypeNotSupported,
                code => SocksRefusal::Unknown(code),
            })),
            (State::Open, ..) => Ok(State::Open),
        }
    }

    const fn offered(&self) -> Offered {
        match self.credentials {
            Some(_) => Offered::Password,
            None => Offered::Nobody,
        }
    }
}

fn request4(
    protocol: ProxyProtocol,
    endpoint: &Endpoint,
    user: &str,
) -> Result<Vec<u8>, ProxyError> {
    let mut request = vec![4, CONNECT];
    request.extend(endpoint.port.to_be_bytes());
    let name = match &endpoint.host {
        Host::Address(IpAddr::V4(address)) => {
            request.extend(address.octets());
            None
        }
        Host::Name(name) if protocol == ProxyProtocol::Socks4a => {
            // No host has this address: it says that a name follows.
            request.extend(Ipv4Addr::new(0, 0, 0, 1).octets());
            Some(name)
        }
        _ => return Err(ProxyError::Address { endpoint: endpoint.clone() }),
    };
    request.extend(user.bytes());
    request.push(0);
    if let Some(name) = name {
        request.extend(name.bytes());
        request.push(0);
    }
    Ok(request)
}

fn request5(protocol: ProxyProtocol, endpoint: &Endpoint) -> Result<Vec<u8>, ProxyError> {
    let mut request = vec![5, CONNECT, 0];
    match &endpoint.host {
        Host::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Host::Name(name) if protocol == ProxyProtocol::Socks5h => {
            request.push(NAME);
            push_counted(&mut request, name);
        }
        Host::Name(_) => return Err(ProxyError::Address { endpoint: endpoint.clone() }),
    }
    request.extend(endpoint.port.to_be_bytes());
    Ok(request)
}

/// A text behind its length, of which [`Proxy`] and [`Host`] know that one byte can tell it.
fn push_counted(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.bytes().take(usize::from(u8::MAX)));
}

const CONNECT: u8 = 1;

// RFC 1928 section 3: ways to authenticate.
const NOBODY: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

// RFC 1928 section 5: types of address.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// RFC 1928 section 6, and RFC 1929 section 2.
const GRANTED: u8 = 0;
