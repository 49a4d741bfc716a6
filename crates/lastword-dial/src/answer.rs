//! What comes of the handshake with a proxy: how far it is, and what the proxy did instead.

use std::fmt;

use http::{HeaderMap, StatusCode};

use crate::host::Endpoint;

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a tunnel stands, or it does not yet")]
pub enum Progress {
    /// There is more to write, or to read.
    Unfinished,
    /// What is written from now on is for the server.
    Open,
}

/// What a proxy did instead of opening a tunnel.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It answered `CONNECT` with another status than 2xx.
    #[error("proxy refused CONNECT with {status}")]
    Refused {
        /// Its status; 407 asks for credentials.
        status: StatusCode,
        /// Its headers.
        headers: Box<HeaderMap>,
    },
    /// It does not take any way to authenticate that we offered (RFC 1928 section 3).
    #[error("proxy accepts no way to authenticate that was offered{}", .offered)]
    NoMethod {
        /// What was offered.
        offered: Offered,
    },
    /// It does not accept the credentials.
    #[error("proxy rejected the credentials")]
    Credentials,
    /// SOCKS refused, with its reason.
    #[error("proxy refused the connection: {}", .0)]
    Socks(SocksRefusal),
    /// What it answered is not the protocol.
    #[error("proxy's answer is malformed: {0}")]
    Malformed(&'static str),
    /// Its answer is too long.
    #[error("proxy's answer exceeds our limit of {limit} bytes (MAX_ANSWER)")]
    TooLong {
        /// [`MAX_ANSWER`](MAX_ANSWER).
        limit: usize,
    },
    /// Bytes came behind its answer, though nobody had asked the server for any.
    #[error("{bytes} unexpected bytes behind the proxy's answer")]
    Excess {
        /// How many.
        bytes: usize,
    },
    /// It ended the stream inside the handshake.
    #[error(
        "proxy closed the connection inside its handshake ({bytes} bytes of its answer had come)"
    )]
    Eof {
        /// How many bytes of the answer had come.
        bytes: usize,
    },
    /// Its protocol has no form for this address.
    #[error("the protocol of the proxy cannot carry the address {endpoint}")]
    Address {
        /// Where we wanted to go.
        endpoint: Endpoint,
    },
}

/// Why SOCKS refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksRefusal {
    /// SOCKS4's 91, SOCKS5's 1: no reason is given.
    Failed,
    /// SOCKS5's 2: a rule of the proxy forbids it.
    Forbidden,
    /// SOCKS5's 3.
    NetworkUnreachable,
    /// SOCKS5's 4; also how most proxies tell that a name did not resolve.
    HostUnreachable,
    /// SOCKS5's 5.
    ConnectionRefused,
    /// SOCKS5's 6.
    TtlExpired,
    /// SOCKS5's 7.
    CommandNotSupported,
    /// SOCKS5's 8.
    AddressTypeNotSupported,
    /// SOCKS4's 92 and 93: the user's `identd` did not confirm the user.
    Identity,
    /// Any other number.
    Unknown(u8),
}

impl fmt::Display for SocksRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "no reason given",
            Self::Forbidden => "forbidden by its rules",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused by the server",
            Self::TtlExpired => "TTL expired",
            Self::CommandNotSupported => "command not supported",
            Self::AddressTypeNotSupported => "address type not supported",
            Self::Identity => "identd did not confirm the user",
            Self::Unknown(code) => return write!(f, "unknown reason {code}"),
        })
    }
}

/// The longest answer of a proxy that is read, in bytes: head of HTTP, all interim ones included.
pub const MAX_ANSWER: usize = 16 * 1024;

/// Which ways to authenticate were offered to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the two that we speak")]
pub enum Offered {
    /// To be nobody: no credentials are set.
    Nobody,
    /// To be nobody, or to tell user and password.
    Password,
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => " (no credentials are set)",
            Self::Password => " (none, user and password)",
        })
    }
}
