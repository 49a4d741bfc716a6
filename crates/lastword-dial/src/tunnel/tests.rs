//! Handshakes with fake proxies: each answer whole, byte by byte, and ended at every byte.

use proptest::prelude::*;

use super::*;
use crate::answer::{MAX_ANSWER, Offered, SocksRefusal};
use crate::uri::WebSocketUri;

fn tunnel(proxy: &str, uri: &str) -> Result<Tunnel, ProxyError> {
    Tunnel::new(&Proxy::parse(proxy).unwrap(), WebSocketUri::parse(uri).unwrap().endpoint())
}

/// What is written in all, and what comes of it, if the proxy answers `answers`, each after
/// something was written, in pieces of `size` bytes.
fn talk(
    tunnel: &mut Tunnel,
    answers: &[&[u8]],
    size: usize,
) -> (Vec<u8>, Result<Progress, ProxyError>) {
    let (mut written, mut progress) = (Vec::new(), Progress::Unfinished);
    for answer in answers {
        while !tunnel.to_write().is_empty() {
            let some = tunnel.to_write().len().min(size);
            written.extend_from_slice(&tunnel.to_write()[..some]);
            tunnel.wrote(some);
        }
        for piece in answer.chunks(size) {
            assert_eq!(progress, Progress::Unfinished);
            match tunnel.receive(piece) {
                Ok(now) => progress = now,
                Err(error) => return (written, Err(error)),
            }
        }
    }
    (written, Ok(progress))
}

/// The proxy opens the tunnel with these answers, however they are cut, and not a byte before.
#[track_caller]
fn check_open(proxy: &str, uri: &str, answers: &[&[u8]], expected: &[u8]) {
    for size in [1, 2, 3, usize::MAX] {
        let (written, progress) = talk(&mut tunnel(proxy, uri).unwrap(), answers, size);
        assert_eq!(progress.unwrap(), Progress::Open);
        assert_eq!(written, expected, "{}", String::from_utf8_lossy(&written));
    }
    let (last, before) = answers.split_last().unwrap();
    for end in 0..last.len() {
        let mut cut = tunnel(proxy, uri).unwrap();
        let answers: Vec<&[u8]> = before.iter().copied().chain([&last[..end]]).collect();
        assert_eq!(talk(&mut cut, &answers, 1).1.unwrap(), Progress::Unfinished, "{end}");
        let came = answers.iter().map(|answer| answer.len()).sum();
        assert!(matches!(cut.receive_eof(), ProxyError::Eof { bytes } if bytes == came));
    }
    let mut excess = tunnel(proxy, uri).unwrap();
    let more = [*last, b"xy"].concat();
    let answers: Vec<&[u8]> = before.iter().copied().chain([more.as_slice()]).collect();
    let error = talk(&mut excess, &answers, usize::MAX).1.unwrap_err();
    assert!(matches!(error, ProxyError::Excess { bytes: 2 }), "{error}");
}

#[track_caller]
fn check_refused(proxy: &str, answers: &[&[u8]], expected: &str) {
    for size in [1, usize::MAX] {
        let error = talk(&mut tunnel(proxy, "ws://a").unwrap(), answers, size).1.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn http_is_asked_by_name_and_opens_with_any_2xx() {
    let agent = concat!("User-Agent: lastword/", env!("CARGO_PKG_VERSION"));
    let plain = format!("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n{agent}\r\n\r\n");
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n",
        "HTTP/1.1 299 \r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\n\n",
    ] {
        check_open("http://p", "wss://a", &[answer.as_bytes()], plain.as_bytes());
    }
    let basic = format!(
        "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n{agent}\r\n\
         Proxy-Authorization: Basic dTpw\r\n\r\n"
    );
    check_open("https://u:p@p", "ws://[::1]", &[b"HTTP/1.1 200 OK\r\n\r\n"], basic.as_bytes());
}

#[test]
fn http_refuses_with_its_status_and_headers() {
    let answer = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno";
    check_refused("p", &[answer], "proxy refused CONNECT with 407 Proxy Authentication Required");
    let Err(ProxyError::Refused { headers, .. }) = tunnel("p", "ws://a").unwrap().receive(answer)
    else {
        panic!("not refused")
    };
    assert_eq!(headers["proxy-authenticate"], "Basic");
    check_refused(
        "p",
        &[b"SSH-2.0-x\r\n\r\n"],
        "proxy's answer is malformed: not an answer of HTTP/1",
    );
}

#[test]
fn the_limit_of_an_answer_holds_however_it_is_cut() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let (last, most) = ("HTTP/1.1 200 OK\r\n\r\n", MAX_ANSWER / interim.len());
    let pad = |spare| format!("HTTP/1.1 103 {}\r\n\r\n", "x".repeat(spare));
    let spare = MAX_ANSWER - (most - 2) * interim.len() - last.len() - pad(0).len();
    for (more, expected) in [(0, "Ok(Open)"), (1, "Err(TooLong { limit: 16384 })")] {
        let answer = interim.repeat(most - 2) + &pad(spare + more) + last;
        assert_eq!(answer.len(), MAX_ANSWER + more);
        for size in [1, 1000, usize::MAX] {
            let (_, verdict) =
                talk(&mut tunnel("p", "ws://a").unwrap(), &[answer.as_bytes()], size);
            assert_eq!(format!("{verdict:?}"), expected, "in pieces of {size}");
        }
    }
}

#[test]
fn an_endless_answer_is_given_up_at_the_limit() {
    for start in [&b"HTTP/1.1 200 OK\r\nx: "[..], b"", b"HTTP/1.1 200 OK\r\n"] {
        let mut tunnel = tunnel("p", "ws://a").unwrap();
        tunnel.receive(start).unwrap();
        for _ in start.len()..MAX_ANSWER {
            assert_eq!(tunnel.receive(b"y").unwrap(), Progress::Unfinished);
        }
        let error = tunnel.receive(b"y").unwrap_err();
        assert!(matches!(error, ProxyError::TooLong { limit: MAX_ANSWER }), "{error}");
    }
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let mut tunnel = tunnel("p", "ws://a").unwrap();
    let error = (0..MAX_ANSWER).find_map(|_| tunnel.receive(interim).err()).unwrap();
    assert!(matches!(error, ProxyError::TooLong { .. }), "{error}");
}

#[test]
fn socks4_takes_addresses_and_4a_names() {
    let granted = &[0, 90, 0, 0, 0, 0, 0, 0][..];
    check_open("socks4://p", "ws://1.2.3.4:258", &[granted], &[4, 1, 1, 2, 1, 2, 3, 4, 0]);
    check_open(
        "socks4://me@p",
        "ws://1.2.3.4:258",
        &[granted],
        b"\x04\x01\x01\x02\x01\x02\x03\x04me\0",
    );
    check_open("socks4a://p", "ws://a.b:258", &[granted], b"\x04\x01\x01\x02\0\0\0\x01\0a.b\0");
    check_open("socks4a://p", "ws://1.2.3.4:258", &[granted], &[4, 1, 1, 2, 1, 2, 3, 4, 0]);
    for (proxy, uri) in
        [("socks4://p", "ws://a"), ("socks4://p", "ws://[::1]"), ("socks4a://p", "ws://[::1]")]
    {
        assert!(matches!(tunnel(proxy, uri), Err(ProxyError::Address { .. })));
    }
    for (code, why) in [
        (91, "no reason given"),
        (92, "identd did not confirm the user"),
        (93, "identd did not confirm the user"),
        (7, "unknown reason 7"),
    ] {
        let why = format!("proxy refused the connection: {why}");
        check_refused("socks4a://p", &[&[0, code, 0, 0, 0, 0, 0, 0]], &why);
    }
    check_refused(
        "socks4a://p",
        &[b"H"],
        "proxy's answer is malformed: expected version 0 of SOCKS4's reply",
    );
}

#[test]
fn socks5_takes_addresses_and_5h_names_with_credentials_or_without() {
    let ipv4 = &[5, 0, 0, 1, 9, 9, 9, 9, 9, 9][..];
    let ipv6 = &[&[5, 0, 0, 4][..], &[9; 18]].concat()[..];
    let name = &[5, 0, 0, 3, 2, b'x', b'y', 9, 9][..];
    let nameless = &[5, 0, 0, 3, 0, 9, 9][..];
    for reply in [ipv4, ipv6, name, nameless] {
        let asked = b"\x05\x01\0\x05\x01\0\x03\x03a.b\x01\x02";
        check_open("socks5h://p", "ws://a.b:258", &[&[5, 0], reply], asked);
    }
    let asked = b"\x05\x02\0\x02\x01\x01u\x02pw\x05\x01\0\x01\x01\x02\x03\x04\x01\x02";
    check_open("socks5://u:pw@p", "ws://1.2.3.4:258", &[&[5, 2], &[1, 0], ipv4], asked);
    let asked = b"\x05\x02\0\x02\x05\x01\0\x01\x01\x02\x03\x04\x01\x02";
    check_open("socks5://u:pw@p", "ws://1.2.3.4:258", &[&[5, 0], ipv4], asked);
    let asked = [&[5, 1, 0, 5, 1, 0, 4][..], &[0; 15], &[1, 1, 2]].concat();
    check_open("socks5://p", "ws://[::1]:258", &[&[5, 0], ipv4], &asked);
    assert!(matches!(tunnel("socks5://p", "ws://a"), Err(ProxyError::Address { .. })));
}

#[test]
fn socks5_refuses_in_each_of_its_ways() {
    check_refused(
        "socks5h://p",
        &[&[5, 0xff]],
        "proxy accepts no way to authenticate that was offered (no credentials are set)",
    );
    let mut offered = tunnel("socks5h://u:p@p", "ws://a").unwrap();
    let refused = offered.receive(&[5, 0xff]).unwrap_err();
    assert!(matches!(refused, ProxyError::NoMethod { offered: Offered::Password }));
    check_refused("socks5h://u:p@p", &[&[5, 2], &[1, 1]], "proxy rejected the credentials");
    for method in [1, 2, 0x80] {
        check_refused(
            "socks5h://p",
            &[&[5, method]],
            "proxy's answer is malformed: chose a way to authenticate that was not offered",
        );
    }
    for code in 1..=u8::MAX {
        let mut refused = tunnel("socks5h://p", "ws://a").unwrap();
        let error = talk(&mut refused, &[&[5, 0], &[5, code]], 1).1.unwrap_err();
        let ProxyError::Socks(why) = error else { panic!("{error}") };
        assert_eq!(why == SocksRefusal::Unknown(code), code > 8, "{code}: {why}");
    }
    check_refused(
        "socks5h://p",
        &[&[4]],
        "proxy's answer is malformed: expected version 5 of SOCKS",
    );
    check_refused(
        "socks5h://p",
        &[&[5, 0], &[5, 0, 0, 2]],
        "proxy's answer is malformed: unknown type of address",
    );
}

#[test]
fn a_proxy_is_refused_whose_protocol_cannot_carry_its_credentials() {
    let long = "x".repeat(256);
    for text in [
        "socks4://u:p@p".to_owned(),
        "socks5://u@p".to_owned(),
        "socks5://:p@p".to_owned(),
        format!("socks5h://{long}:p@p"),
        format!("socks5h://u:{long}@p"),
    ] {
        assert_eq!(Proxy::parse(&text), Err(crate::proxy::InvalidProxy::Credentials), "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_a_proxy_sends_it_is_an_error_or_an_answer(
        which in 0_usize..6,
        answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let proxy = ["http://p", "https://u:p@p", "socks4://p", "socks4a://p", "socks5://u:p@p", "socks5h://p"][which];
        let mut tunnel = tunnel(proxy, "ws://1.2.3.4").unwrap();
        for answer in answers {
            tunnel.wrote(usize::MAX);
            match tunnel.receive(&answer) {
                Ok(Progress::Unfinished) => {}
                Ok(Progress::Open) | Err(_) => break,
            }
        }
    }
}
