//! The authority of a URI: user information, host and port (RFC 3986 section 3.2).

use crate::credentials::Credentials;
use crate::host::Host;

/// An authority; the port only if there is one.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// Which part of an authority is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    UserInfo,
    Host,
    Port,
}

impl Authority {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let (credentials, rest) = match text.rsplit_once('@') {
            // A second `@` has to be escaped; else two readers see two hosts.
            Some((userinfo, _)) if userinfo.contains('@') => return Err(Wrong::UserInfo),
            Some((userinfo, rest)) => {
                (Some(Credentials::of_userinfo(userinfo).ok_or(Wrong::UserInfo)?), rest)
            }
            None => (None, text),
        };
        let colon = rest.rfind(':').filter(|&at| rest.rfind(']').is_none_or(|end| end < at));
        let (host, port) = match colon.and_then(|at| rest.split_at_checked(at)) {
            Some((host, port)) => (host, port.trim_start_matches(':')),
            None => (rest, ""),
        };
        let host = Host::parse(host).ok_or(Wrong::Host)?;
        let port = match port {
            "" => None,
            // `parse` would take a sign.
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|&port| port != 0).ok_or(Wrong::Port)?)
            }
            _ => return Err(Wrong::Port),
        };
        Ok(Self { credentials, host, port })
    }
}
