//! What each error of an opening is worth: the same for whoever asks whether it is transient, and for whoever
//! comes back.

use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use lastword_dial::{InvalidProxy, InvalidUri, Proxy, ProxyError, SocksRefusal};
use lastword_kit::rustls::{AlertDescription, Error as TlsError};
use lastword_kit::{ConnectError, Phase};
use lastword_proto::handshake::client;
use lastword_retry::Verdict;

#[track_caller]
fn check(error: ConnectError, expected: Verdict) {
    assert_eq!(error.verdict(), expected, "{error:?}");
    assert_eq!(error.is_transient(), expected != Verdict::Fatal, "{error:?}");
}

fn proxy(source: ProxyError) -> ConnectError {
    ConnectError::Proxy { proxy: Box::new(Proxy::parse("http://p").unwrap()), source }
}

fn refused_by_proxy(status: u16, headers: &[(&'static str, &str)]) -> ConnectError {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let status = StatusCode::from_u16(status).unwrap();
    proxy(ProxyError::Refused { status, headers: Box::new(map) })
}

fn tls(source: io::Error) -> ConnectError {
    ConnectError::Tls { host: "a".to_owned(), source }
}

#[test]
fn what_the_network_does_may_pass() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let host = "a".to_owned();
    check(ConnectError::Resolve { host, source: io::Error::other("no") }, Verdict::Retry);
    let address = "127.0.0.1:1".to_owned();
    check(ConnectError::Connect { address, source: refused(), before: vec![] }, Verdict::Retry);
    check(ConnectError::Unix { path: "a".into(), source: refused() }, Verdict::Retry);
    check(ConnectError::Lost(refused()), Verdict::Retry);
    check(ConnectError::Handshake(client::Error::Eof { bytes: 0 }), Verdict::Retry);
    for phase in [Phase::Resolving, Phase::Connecting, Phase::Proxy, Phase::Tls, Phase::Handshake] {
        check(ConnectError::TimedOut { limit: Duration::ZERO, phase }, Verdict::Retry);
        // Of a proxy it is worth what it is worth of a server.
        let proxy = Proxy::parse("http://a").unwrap();
        let late = ConnectError::TimedOut { limit: Duration::ZERO, phase };
        check(late.on_the_way_to(&proxy), Verdict::Retry);
        // Whoever cancels wants no other attempt.
        check(ConnectError::Cancelled { phase }.on_the_way_to(&proxy), Verdict::Fatal);
        check(ConnectError::Cancelled { phase }, Verdict::Fatal);
    }
}

#[test]
fn what_the_caller_asked_for_stays_as_it_is() {
    check(ConnectError::Url { url: "a".to_owned(), why: InvalidUri::Scheme }, Verdict::Fatal);
    check(ConnectError::InvalidProxy(InvalidProxy::Scheme), Verdict::Fatal);
    let unsupported = io::Error::from(io::ErrorKind::Unsupported);
    check(ConnectError::Unix { path: "a".into(), source: unsupported }, Verdict::Fatal);
}

#[test]
fn a_proxy_is_judged_as_a_server_is() {
    for status in 400..600 {
        let expected = Verdict::on_status(StatusCode::from_u16(status).unwrap());
        check(refused_by_proxy(status, &[]), expected);
    }
    let asked = refused_by_proxy(503, &[("retry-after", "7")]);
    check(asked, Verdict::RetryAfter(Duration::from_secs(7)));
    check(refused_by_proxy(407, &[("retry-after", "7")]), Verdict::Fatal);
    check(proxy(ProxyError::Eof { bytes: 3 }), Verdict::Retry);
    check(proxy(ProxyError::Socks(SocksRefusal::ConnectionRefused)), Verdict::Retry);
    check(proxy(ProxyError::Credentials), Verdict::Fatal);
    check(proxy(ProxyError::Malformed("x")), Verdict::Fatal);
}

#[test]
fn what_tls_objects_to_stays_and_a_server_in_trouble_may_recover() {
    let objects = |error: TlsError| tls(io::Error::new(io::ErrorKind::InvalidData, error));
    check(
        objects(TlsError::InvalidCertificate(lastword_kit::rustls::CertificateError::Expired)),
        Verdict::Fatal,
    );
    check(objects(TlsError::AlertReceived(AlertDescription::InternalError)), Verdict::Retry);
    check(objects(TlsError::AlertReceived(AlertDescription::CertificateRequired)), Verdict::Fatal);
    check(tls(io::Error::other("no name")), Verdict::Fatal);
    check(tls(io::ErrorKind::UnexpectedEof.into()), Verdict::Retry);
    check(tls(io::ErrorKind::ConnectionReset.into()), Verdict::Retry);
}
