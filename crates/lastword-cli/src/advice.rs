//! What to try next when there is no connection: a sentence for each thing that can be wrong.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use http::header::LOCATION;
use http::{Response, StatusCode};
use lastword::ConnectError;
use lastword::Phase;
use lastword::dial::{ProxyError, RedirectRefused, SocksRefusal};
use lastword::proto::handshake::client;
use lastword::rustls::pki_types::UnixTime;
use lastword::rustls::{AlertDescription, CertificateError, Error as TlsError};

/// What to try next, if there is anything.
pub(crate) fn of(error: &ConnectError) -> Option<Cow<'static, str>> {
    let advice = match error {
        ConnectError::Request(_) => "Try without it, or with another value.",
        ConnectError::Resolve { .. } => {
            "Check the name, or the network; --resolve HOST:PORT:ADDRESS goes without asking, --proxy socks5h:// lets a proxy ask."
        }
        ConnectError::Connect { source, .. } => connecting(source),
        ConnectError::Unix { source, .. } => match source.kind() {
            io::ErrorKind::NotFound => "There is no such socket (--unix).",
            io::ErrorKind::ConnectionRefused => {
                "Nobody listens there any more: the file is of a server that is gone."
            }
            _ => "Check who may use that socket (--unix).",
        },
        ConnectError::InvalidProxy(_) => {
            "Look at http_proxy, https_proxy and all_proxy, or go without: --no-proxy"
        }
        ConnectError::Proxy { proxy, source: ProxyError::Refused { status, .. } }
            if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
        {
            match proxy.credentials() {
                Some(_) => "The proxy does not take these credentials.",
                None => {
                    "The proxy wants to know who you are: --proxy http://user:password@host:port"
                }
            }
        }
        ConnectError::Proxy { proxy, source: ProxyError::Refused { status, .. } }
            if *status == StatusCode::UNAUTHORIZED && proxy.credentials().is_some() =>
        {
            "The proxy does not take these credentials."
        }
        ConnectError::ProxyUnreachable { .. } => {
            "Check the proxy (--proxy, or http_proxy, https_proxy and all_proxy), or go without it: --no-proxy"
        }
        ConnectError::Proxy { source, .. } => of_proxy(source),
        ConnectError::ProxyLost { .. } => NO_PROXY,
        ConnectError::Redirect(refused) => of_redirect(refused),
        ConnectError::Tls { source, .. } => return Some(tls(source)),
        ConnectError::Handshake(why) => answer(why)?,
        // In TLS 1.3 a server that refuses us says so when its handshake is over for us.
        ConnectError::Lost(source) => match alert(source) {
            Some(alert) => alerted(alert),
            // Within TLS, then: without it, an end of the stream is no failure.
            None if source.kind() == io::ErrorKind::UnexpectedEof => {
                "It hung up without a word: perhaps it asks for a certificate (--cert FILE --key FILE), or is no WebSocket server."
            }
            None => HUNG_UP,
        },
        ConnectError::TimedOut { phase, .. } => late(*phase),
        _ => return None,
    };
    Some(advice.into())
}

const HUNG_UP: &str =
    "It hung up without a word: perhaps it expects TLS (try wss://), or no WebSocket.";

const NO_PROXY: &str = "That is the proxy's doing; go without it: --no-proxy";

/// By what the proxy said, unless it was about who we are.
fn of_proxy(error: &ProxyError) -> &'static str {
    let unreached = "The proxy does not reach the server: check its name and port, or go without the proxy: --no-proxy";
    match error {
        ProxyError::Refused { status, .. } if matches!(status.as_u16(), 502..=504) => unreached,
        ProxyError::Socks(
            SocksRefusal::NetworkUnreachable
            | SocksRefusal::HostUnreachable
            | SocksRefusal::ConnectionRefused
            | SocksRefusal::TtlExpired,
        ) => unreached,
        ProxyError::NoMethod { .. } => {
            "The proxy wants to know who you are: --proxy socks5h://user:password@host:port"
        }
        ProxyError::Credentials => "Check the user and the password in --proxy.",
        ProxyError::Malformed(_) | ProxyError::Eof { .. } | ProxyError::TooLong { .. } => {
            "Is that a proxy of this kind? Check --proxy, or go without it: --no-proxy"
        }
        _ => NO_PROXY,
    }
}

/// By why it was not followed.
const fn of_redirect(refused: &RedirectRefused) -> &'static str {
    match refused {
        RedirectRefused::TooMany { .. } => {
            "Perhaps it goes in circles; --max-redirects N follows more of them, 0 shows the answer itself."
        }
        RedirectRefused::Downgrade { .. } => {
            "What was to be encrypted would not be any more: if that is meant, go there yourself."
        }
        RedirectRefused::Location { .. } => {
            "It sends clients where no WebSocket can be; --max-redirects 0 shows the answer itself."
        }
        _ => "Try the address that it names; --max-redirects 0 shows the answer itself.",
    }
}

fn connecting(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "Nobody listens there. Try another port, or start a server: lastword serve"
        }
        io::ErrorKind::AddrNotAvailable => {
            "Check --local-address: it has to be an address of this machine."
        }
        _ => "Check the address and the network; --open-timeout waits longer.",
    }
}

/// By what was waited for.
const fn late(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolving => {
            "The resolver does not answer; --resolve HOST:PORT:ADDRESS goes without."
        }
        Phase::Connecting => "Perhaps a firewall drops it all; --open-timeout waits longer.",
        Phase::Proxy => {
            "The proxy says nothing: wait longer (--open-timeout), or go without (--no-proxy)."
        }
        Phase::Tls => {
            "Somebody is there and does not speak TLS, or is slow: try ws://, or --open-timeout."
        }
        _ => {
            "Somebody is there and says nothing: another protocol, a server that is stuck, or a slow one (--open-timeout)."
        }
    }
}

/// By what the server said instead of what a WebSocket server says.
fn answer(why: &client::Error) -> Option<&'static str> {
    use lastword::proto::handshake::{HeadError, NegotiationError};
    Some(match why {
        client::Error::Refused(response) => return refused(response),
        client::Error::NotHttp { began } if is_tls(began) => {
            "That is TLS, where ws:// was asked for: try wss://."
        }
        client::Error::NotHttp { began } if began.starts_with(b"SSH-") => {
            "That is an SSH server: check the port."
        }
        client::Error::NotHttp { .. } => "Another protocol is spoken there: check the port.",
        client::Error::Head(
            HeadError::HeadersTooLong { .. } | HeadError::TooManyHeaders { .. },
        ) => "Its answer has more headers than a client takes: check what is behind that address.",
        client::Error::Head(_) => {
            "It is a web server, whose answer is malformed: check what is behind that address."
        }
        client::Error::Eof { bytes: 0 } => HUNG_UP,
        client::Error::Eof { .. } => "It hung up in the middle of its answer: look at its log.",
        client::Error::NoUpgrade | client::Error::Accept { .. } => {
            "Perhaps it is no WebSocket server, or something in between answers from a cache: lastword check says more."
        }
        client::Error::Negotiation(NegotiationError::Subprotocol(_)) => {
            "It speaks a subprotocol that was not offered: --subprotocol NAME offers one."
        }
        client::Error::Negotiation(_) => {
            "The server's compression is not as it was offered: --no-compression goes without; lastword check says more."
        }
        _ => return None,
    })
}

fn refused(response: &Response<Bytes>) -> Option<&'static str> {
    let leads_on = response.headers().contains_key(LOCATION);
    Some(match response.status().as_u16() {
        401 => {
            "It wants to know who you are, or does not know you: --user NAME, --bearer-file FILE, or -H 'Authorization: …'"
        }
        403 => "Perhaps it wants an --origin, or other credentials.",
        404 => "Check the path of the URL.",
        426 => "Perhaps it is no WebSocket server, or wants another version than 13.",
        400 => "Perhaps it is no WebSocket server, or not under this path.",
        429 | 503 => "It is busy; --reconnect tries again, after as long as it asks for.",
        502 | 504 => {
            "Something in front of the server does not reach it: look at that, and whether the server runs."
        }
        500..=599 => "The server itself has failed: look at its log.",
        200..=299 => "That is an ordinary web server's answer: check the path of the URL.",
        300..=399 if !leads_on => "It sends you elsewhere, and does not say where.",
        300..=399 => {
            "It sends you elsewhere: follow with --max-redirects, or try the address that it names."
        }
        status if response.status().is_client_error() && status != 407 => {
            "What it says above is its reason; lastword connect -v shows what was asked."
        }
        _ => return None,
    })
}

/// A record of TLS: an alert, or a handshake.
fn is_tls(began: &[u8]) -> bool {
    matches!(began, [0x15 | 0x16, 0x03, ..] | [0x15 | 0x16])
}

/// What rustls said.
fn rustls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// What the other side of TLS objected to.
fn alert(error: &io::Error) -> Option<AlertDescription> {
    match rustls_error(error)? {
        TlsError::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn alerted(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => {
            "It asks for a certificate of yours: --cert FILE --key FILE"
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "It does not accept your certificate (--cert): ask who runs it which one it wants."
        }
        AlertDescription::UnrecognisedName => {
            "It does not know that name: --server-name NAME asks for another one."
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "It speaks another version of TLS than 1.2 and 1.3, or asks for a certificate (--cert FILE --key FILE)."
        }
        _ => "The server ended TLS: look at its log.",
    }
}

/// Which certificate, and why not.
fn tls(error: &io::Error) -> Cow<'static, str> {
    let Some(TlsError::InvalidCertificate(why)) = rustls_error(error) else {
        return other_than_certificate(error).into();
    };
    match why {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "The server's certificate expired on {}: it has to get a new one (--insecure goes on all the same).",
            day(*not_after)
        )
        .into(),
        CertificateError::Expired => {
            "The server's certificate has expired: it has to get a new one (--insecure goes on all the same).".into()
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "The server's certificate is valid from {} on: is the clock of this machine right?",
            day(*not_before)
        )
        .into(),
        CertificateError::NotValidYet => {
            "The server's certificate is not valid yet: is the clock of this machine right?".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "The server's certificate is for another name: --server-name NAME, if that is meant.".into()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "Nobody that is trusted here has signed the server's certificate: --ca FILE trusts who did.".into()
        }
        _ => "The server's certificate cannot be trusted: --ca FILE, or --insecure for a test.".into(),
    }
}

/// The day of a moment, as people know it.
fn day(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%Y-%m-%d").to_string()
}

fn other_than_certificate(error: &io::Error) -> &'static str {
    match rustls_error(error) {
        Some(TlsError::InvalidMessage(_)) => "That is no TLS: try ws:// instead of wss://.",
        Some(TlsError::AlertReceived(alert)) => alerted(*alert),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "It hung up inside the handshake of TLS: perhaps it speaks none (try ws://)."
        }
        _ => "Try ws:// if the server speaks no TLS.",
    }
}
