//! The server's side of the opening, through its public door.

use std::sync::Arc;

use http::StatusCode;
use lastword_proto::handshake::server::{
    Busy, Hosts, Offer, Opening, Options, Origins, Refusal, RefusalReason, Step, Subprotocols,
};
use lastword_proto::{Config, ContextTakeover, Exchange};
use proptest::prelude::*;

const GOOD: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn opening(options: Options) -> Opening {
    Opening::new(Arc::new(options), Arc::new(Config::default()))
}

fn offer(request: &str) -> Box<Offer> {
    let read = || match opening(Options::default()).receive(request.as_bytes()) {
        Step::Offer(offer) => offer,
        step => panic!("{step:?}"),
    };
    let parsed = of_parsed(Options::default(), request).expect("is valid in either way");
    let ((ours, _), (theirs, agreement)) = (parsed.accept().unwrap(), read().accept().unwrap());
    assert_eq!(ours, theirs, "the other way in: {request}");
    assert_eq!(agreement.exchange.response().status(), 101);
    read()
}

/// The same request, by the way of those that an HTTP server has parsed.
fn of_parsed(options: Options, request: &str) -> Result<Box<Offer>, Box<Refusal>> {
    let parsed = Exchange::new(request.as_bytes(), b"").request();
    Offer::of_request(&parsed, Arc::new(options), Arc::new(Config::default()))
}

#[track_caller]
fn check_refused(request: &str, status: u16, needles: &[&str]) {
    check_refused_by(Options::default(), request, status, needles);
}

#[track_caller]
fn check_refused_by(options: Options, request: &str, status: u16, needles: &[&str]) {
    let refusal = match opening(options.clone()).receive(request.as_bytes()) {
        Step::Refused(refusal) => refusal,
        Step::Offer(offer) => offer.accept().expect_err("is refused"),
        Step::More => panic!("more? {request}"),
    };
    assert_eq!(refusal.status().as_u16(), status, "{}", refusal.reason());
    let answer = String::from_utf8(refusal.to_bytes().to_vec()).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nConnection: "), "{answer}");
    for needle in needles {
        assert!(answer.contains(needle), "{needle:?} in {answer}");
    }
    // What is not even HTTP, no HTTP server hands on.
    if !matches!(refusal.reason(), RefusalReason::Head(_)) {
        let twin = of_parsed(options, request).and_then(|offer| offer.accept());
        let twin = twin.expect_err("is refused in either way");
        assert_eq!((twin.status(), twin.reason()), (refusal.status(), refusal.reason()));
        let response = twin.to_response();
        assert_eq!(response.status(), refusal.status());
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(body.starts_with(&refusal.reason().to_string()), "{body}");
        assert_eq!(
            response.headers().contains_key("upgrade"),
            response.headers().contains_key("connection"),
        );
    }
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn the_request_of_the_rfc_is_answered_with_its_101() {
    let request =
        with("Sec-WebSocket-Version", "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Version");
    let (answer, agreement) = offer(&request).accept().unwrap();
    assert_eq!(
        std::str::from_utf8(&answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(agreement.exchange.request().uri(), "/chat?x=1");
    assert_eq!(agreement.deflate, None);
    assert!(agreement.leftover.is_empty());
}

#[test]
fn every_refusal_has_its_proper_answer() {
    check_refused(&with("GET", "POST"), 405, &["Allow: GET\r\n"]);
    check_refused(&with("HTTP/1.1", "HTTP/1.0"), 505, &[]);
    check_refused(&with("HTTP/1.1", "HTTP/2.0"), 505, &[]);
    check_refused(&with("Upgrade: websocket\r\n", ""), 426, &["Upgrade: websocket\r\n"]);
    check_refused(&with("keep-alive, Upgrade", "keep-alive"), 426, &[]);
    check_refused(&with(": 13", ": 8"), 426, &["Sec-WebSocket-Version: 13\r\n", "\"8\""]);
    check_refused(&with("Sec-WebSocket-Version: 13\r\n", ""), 400, &[]);
    check_refused(&with(": 13\r\n", ": 13\r\nSec-WebSocket-Version: 13\r\n"), 400, &[]);
    check_refused(&with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400, &["16 bytes"]);
    check_refused(&with("dGhlIHNhbXBsZSBub25jZQ==", "not base64!"), 400, &[]);
    check_refused(&with("Host: example.com\r\n", ""), 400, &["0 Host"]);
    check_refused(&with("Host: example.com", "Host: a\r\nHost: b"), 400, &["2 Host"]);
    check_refused(&with("Host", "Content-Length: 5\r\nHost"), 400, &["body"]);
    check_refused(&with("Host", "Transfer-Encoding: chunked\r\nHost"), 400, &["body"]);
    check_refused(&with("/chat?x=1", "/a<b"), 400, &["target"]);
    check_refused(&with("Host: example.com", "Host : example.com"), 400, &[]);
    check_refused(&with("Host: example.com", "Host: example.com\r\n folded"), 400, &[]);
    check_refused("GET / HTTP/1.1\n", 400, &["LF without CR"]);
    check_refused("\x16\x03\x01\x02\r\n\r\n", 400, &[]);
    check_refused(&with("/chat?x=1", &"a".repeat(9000)), 414, &["max_start_line"]);
    check_refused(
        &with("Host", &format!("X: {}\r\nHost", "a".repeat(40_000))),
        431,
        &["max_header_bytes"],
    );
    check_refused(&with("Host", &format!("{}Host", "X: y\r\n".repeat(130))), 431, &["max_headers"]);
    let only = || {
        let mut options = Options::default();
        options.origins = Origins::Only(vec!["https://example.com".into()]);
        options
    };
    for origin in ["https://evil.com", "https://example.com.evil.com", "https://example.co", "null"]
    {
        let request = with("Host", &format!("Origin: {origin}\r\nHost"));
        check_refused_by(only(), &request, 403, &[]);
    }
    let mut options = Options::default();
    options.subprotocols = Subprotocols::Required(vec!["a".into()]);
    check_refused_by(options, &with("Host", "Sec-WebSocket-Protocol: b\r\nHost"), 400, &[]);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let Step::Refused(refusal) =
        opening(Options::default()).receive(with("GET", "HEAD").as_bytes())
    else {
        panic!()
    };
    let answer = refusal.to_bytes();
    assert!(answer.ends_with(b"\r\n\r\n"));
    assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn limits_are_refused_as_soon_as_they_are_proven_broken() {
    let mut line = opening(Options::default());
    let mut sent = 0;
    while matches!(line.receive(b"a"), Step::More) {
        sent += 1;
    }
    assert_eq!(sent, 8192);
}

#[test]
fn the_server_takes_its_own_preferred_subprotocol_that_the_client_offers() {
    for (offered, chosen) in
        [("b, a", Some("a")), ("b", Some("b")), ("c", None), ("a ,b", Some("a"))]
    {
        let mut options = Options::default();
        options.subprotocols = Subprotocols::Optional(vec!["a".into(), "b".into()]);
        let request = with("Host", &format!("Sec-WebSocket-Protocol: {offered}\r\nHost"));
        let Step::Offer(offer) = opening(options).receive(request.as_bytes()) else { panic!() };
        let (answer, agreement) = offer.accept().unwrap();
        assert_eq!(agreement.subprotocol.as_deref(), chosen);
        let text = String::from_utf8(answer.to_vec()).unwrap();
        assert_eq!(text.contains("Sec-WebSocket-Protocol"), chosen.is_some());
    }
}

#[track_caller]
fn check_deflate(offered: &str, answer: Option<&str>) {
    let request = with("Host", &format!("Sec-WebSocket-Extensions: {offered}\r\nHost"));
    let (bytes, agreement) = offer(&request).accept().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    assert_eq!(line, answer, "{offered}");
    assert_eq!(agreement.deflate.is_some(), answer.is_some());
    if let Some(deflate) = agreement.deflate {
        let kept = !text.contains("server_no_context_takeover");
        assert_eq!(deflate.server.takeover == ContextTakeover::Kept, kept);
    }
}

#[test]
fn compression_is_negotiated_by_the_rules() {
    let plain = "permessage-deflate; server_max_window_bits=12";
    check_deflate("permessage-deflate", Some(plain));
    check_deflate("permessage-deflate; client_max_window_bits", Some(plain));
    check_deflate(
        "permessage-deflate; client_max_window_bits=\"10\"",
        Some("permessage-deflate; server_max_window_bits=12; client_max_window_bits=10"),
    );
    check_deflate(
        "permessage-deflate; server_max_window_bits=9",
        Some("permessage-deflate; server_max_window_bits=9"),
    );
    check_deflate(
        "permessage-deflate; client_max_window_bits=8",
        Some("permessage-deflate; server_max_window_bits=12; client_max_window_bits=8"),
    );
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12";
    check_deflate(
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        Some(both),
    );
    // An offer that cannot be taken is declined; the next is looked at.
    check_deflate("permessage-deflate; server_max_window_bits=8", None);
    check_deflate("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(plain));
    check_deflate("x-other; a=b, permessage-deflate", Some(plain));
    for bad in [
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=0",
        "server_max_window_bits=1099511627776",
        "client_max_window_bits=7",
        "client_max_window_bits=\"\"",
        "server_no_context_takeover=1",
        "unknown",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=9",
    ] {
        check_deflate(&format!("permessage-deflate; {bad}"), None);
    }
    for malformed in
        ["permessage-deflate; =", ";", "permessage-deflate; client_max_window_bits=\"15", "a b"]
    {
        check_deflate(malformed, None);
    }
    check_deflate("", None);
}

#[test]
fn a_request_cut_anywhere_is_the_same_request_and_what_follows_is_left_over() {
    let wire = format!("{GOOD}\u{81}frames");
    for cut in 0..wire.len() {
        if !wire.is_char_boundary(cut) {
            continue;
        }
        let mut opening = opening(Options::default());
        let first = opening.receive(&wire.as_bytes()[..cut]);
        let (offer, rest) = match first {
            Step::More => match opening.receive(&wire.as_bytes()[cut..]) {
                Step::Offer(offer) => (offer, &[][..]),
                step => panic!("cut at {cut}: {step:?}"),
            },
            // The rest reaches the connection by itself.
            Step::Offer(offer) => (offer, &wire.as_bytes()[cut..]),
            Step::Refused(refusal) => panic!("cut at {cut}: {}", refusal.reason()),
        };
        let (_, agreement) = offer.accept().unwrap();
        let follows = [&agreement.leftover[..], rest].concat();
        assert_eq!(follows, &wire.as_bytes()[GOOD.len()..]);
    }
}

#[test]
fn what_follows_a_refused_request_is_not_looked_at() {
    let mut opening = opening(Options::default());
    assert!(matches!(opening.receive(with("GET", "PUT").as_bytes()), Step::Refused(_)));
    assert!(matches!(opening.receive(GOOD.as_bytes()), Step::More));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_cut_changes_the_verdict(
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        at in 0_usize..300,
        cut in 0_usize..300,
    ) {
        let mut wire = GOOD.as_bytes().to_vec();
        let at = at.min(wire.len());
        wire.splice(at..(at + noise.len() / 2).min(wire.len()), noise);
        let status = |pieces: &[&[u8]]| {
            let mut opening = opening(Options::default());
            for piece in pieces {
                match opening.receive(piece) {
                    Step::More => {}
                    Step::Offer(_) => return Some(101),
                    Step::Refused(refusal) => return Some(refusal.status().as_u16()),
                }
            }
            None
        };
        let (a, b) = wire.split_at(cut.min(wire.len()));
        prop_assert_eq!(status(&[a, b]), status(&[&wire]));
    }
}

#[test]
fn an_application_may_look_at_the_request_and_refuse_it() {
    let offered = offer(GOOD);
    assert_eq!(offered.request().uri().path(), "/chat");
    let mut refusal = offered.refuse(StatusCode::UNAUTHORIZED, "who are you?");
    refusal.headers_mut().insert("www-authenticate", "Basic".parse().unwrap());
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    assert!(refusal.reason().to_string().contains("who are you?"));
    let answer = String::from_utf8(refusal.to_bytes().to_vec()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("asic"), "{answer}");
    let mut opening = opening(Options::default());
    assert!(matches!(opening.receive(b"GET / HT"), Step::More));
    assert_eq!(opening.received(), 8);
}

#[test]
fn a_server_that_asks_for_nothing_answers_a_bare_offer_barely() {
    let mut config = Config::default();
    let mut deflate = lastword_proto::DeflateConfig::default();
    deflate.own_window_bits = 15;
    config.deflate = Some(deflate);
    let request = with(
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions: ,permessage-deflate\r\nSec-WebSocket-Version",
    );
    let mut opening = Opening::new(Arc::new(Options::default()), Arc::new(config));
    let Step::Offer(offer) = opening.receive(request.as_bytes()) else { panic!("an offer") };
    let (answer, _) = offer.accept().unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    assert!(answer.contains("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "{answer}");
}

/// Whether a request with these bytes in place of `from` is served.
fn is_served(from: &str, to: &[u8]) -> bool {
    let at = GOOD.find(from).unwrap();
    let request = [&GOOD.as_bytes()[..at], to, &GOOD.as_bytes()[at + from.len()..]].concat();
    matches!(opening(Options::default()).receive(&request), Step::Offer(_))
}

#[test]
fn what_is_served_is_valid_by_the_types_of_http() {
    for byte in 0..=u8::MAX {
        let (name, value) = ([b'x', byte, b'y'], [b'x', byte, b'y']);
        let field = [&name[..], b": z\r\nHost"].concat();
        let valid = http::HeaderName::from_bytes(&name).is_ok();
        // A colon ends the name: what is behind it is the value.
        assert_eq!(is_served("Host", &field), valid || byte == b':', "in a name: {byte:#x}");
        let field = [b"X: ", &value[..], b"\r\nHost"].concat();
        let valid = http::HeaderValue::from_bytes(&value).is_ok();
        assert_eq!(is_served("Host", &field), valid, "in a value: {byte:#x}");
        for target in [[b'/', byte, b'a'], [b'a', byte, b'/'], [b'?', byte, b'a']] {
            let text = std::str::from_utf8(&target).ok();
            let valid = text.is_some_and(|text| text.parse::<http::Uri>().is_ok())
                && byte.is_ascii_graphic();
            assert_eq!(is_served("/chat?x=1", &target), valid, "in a target: {byte:#x}");
        }
    }
}

#[test]
fn headers_of_the_application_are_added_and_replace_none_of_the_handshake() {
    let mut options = Options::default();
    options.headers.insert("server", "lastword".parse().unwrap());
    options.headers.insert("upgrade", "h2c".parse().unwrap());
    options.headers.insert("sec-websocket-accept", "forged".parse().unwrap());
    let Step::Offer(offer) = opening(options).receive(GOOD.as_bytes()) else { panic!("an offer") };
    let (answer, _) = offer.accept().unwrap();
    assert_eq!(
        std::str::from_utf8(&answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nServer: lastword\r\n\r\n"
    );
}

#[test]
fn a_request_with_more_fields_than_a_browser_sends_is_read_whole() {
    for fields in 0..=120 {
        let request = with("Host", &format!("{}Host", "X: y\r\n".repeat(fields)));
        let offered = offer(&request);
        assert_eq!(offered.request().headers().get_all("x").iter().count(), fields);
        assert_eq!(offered.accept().unwrap().1.exchange.request().headers().len(), fields + 5);
    }
}

#[test]
fn more_fields_than_a_map_of_headers_holds_are_refused_whatever_the_limit() {
    let mut config = Config::default();
    (config.opening.max_headers, config.opening.max_header_bytes) = (usize::MAX, usize::MAX);
    let config = Arc::new(config);
    let verdict = |fields: usize| {
        let request = with("Host", &format!("{}Host", "X:\r\n".repeat(fields)));
        Opening::new(Arc::new(Options::default()), Arc::clone(&config)).receive(request.as_bytes())
    };
    // Five fields are there anyway.
    let Step::Offer(most) = verdict(24_576 - 5) else { panic!("the most that a map holds") };
    assert_eq!(most.request().headers().len(), 24_576);
    let Step::Refused(refusal) = verdict(24_576 - 4) else { panic!("more than a map holds") };
    assert_eq!(refusal.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(refusal.reason().to_string().contains("24576"));
}

#[test]
fn a_parsed_request_is_held_to_the_same_limits_and_has_to_be_of_http_1_1() {
    let refused = |request: http::request::Builder| {
        let request = request.body(()).unwrap();
        Offer::of_request(&request, Arc::default(), Arc::default()).expect_err("is refused")
    };
    let get = || http::Request::get("/").header("host", "example.com");
    let cases = [
        (get().version(http::Version::HTTP_2), 505, "came over HTTP/2.0"),
        (get().version(http::Version::HTTP_3), 505, "came over HTTP/3.0"),
        (get().version(http::Version::HTTP_10), 505, "HTTP version is not 1.1"),
        (get().uri(format!("/{}", "a".repeat(8192))), 414, "max_start_line"),
        (get().header("x", "a".repeat(40_000)), 431, "max_header_bytes"),
        ((0..200).fold(get(), |get, _| get.header("x", "y")), 431, "max_headers"),
        (get().header("host", "example.org"), 400, "2 Host headers"),
    ];
    for (request, status, needle) in cases {
        let refusal = refused(request);
        assert_eq!(refusal.status(), status, "{}", refusal.reason());
        assert!(refusal.reason().to_string().contains(needle), "{}", refusal.reason());
    }
}

/// The status and the reason of the refusal, or 101.
fn verdict(options: Options, header: &str) -> u16 {
    let request = with("Host: example.com\r\n", header);
    match opening(options).receive(request.as_bytes()) {
        Step::Offer(_) => 101,
        Step::Refused(refusal) => refusal.status().as_u16(),
        Step::More => panic!("not complete: {request}"),
    }
}

#[test]
fn a_star_stands_for_a_part_of_a_name_and_for_nothing_else() {
    let only = Origins::Only(vec!["https://*.example.com".into(), "http://a*b*c:1".into()]);
    for (origin, status) in [
        ("https://www.example.com", 101),
        ("https://a.b.example.com", 101),
        ("https://example.com", 403),
        ("https://.example.com", 403),
        ("https://www.example.com:8443", 403),
        ("https://evil.com/.example.com", 403),
        ("https://evil.com:80.example.com", 403),
        ("https://user@a.example.com", 403),
        ("https://*.example.com", 403),
        ("https://www.example.com.evil.com", 403),
        ("http://www.example.com", 403),
        ("http://axbbxc:1", 101),
        ("http://abc:1", 403),
        ("http://axbxc:12", 403),
        ("null", 403),
    ] {
        let options = || {
            let mut options = Options::default();
            options.origins = only.clone();
            options
        };
        let header = format!("Host: server.example.com\r\nOrigin: {origin}\r\n");
        assert_eq!(verdict(options(), &header), status, "{origin}");
        // One that is served does not let another one in.
        let header = format!("{header}Origin: https://evil.com\r\n");
        assert_eq!(verdict(options(), &header), 403, "{origin} and another");
    }
}

#[test]
fn a_request_without_an_origin_is_served_unless_one_is_required() {
    let list = || vec!["https://example.com".to_owned()];
    for (origins, without, with) in [
        (Origins::Any, 101, 101),
        (Origins::Only(list()), 101, 101),
        (Origins::Only(Vec::new()), 101, 403),
        (Origins::Required(list()), 403, 101),
        (Origins::Required(Vec::new()), 403, 403),
    ] {
        let mut options = Options::default();
        options.origins = origins.clone();
        let host = "Host: server.example.com\r\n";
        assert_eq!(verdict(options.clone(), host), without, "{origins:?}");
        let header = format!("{host}Origin: https://example.com\r\n");
        assert_eq!(verdict(options, &header), with, "{origins:?}");
    }
}

#[test]
fn a_request_under_a_name_that_is_not_ours_is_misdirected() {
    let ours = ["example.com", "*.example.org", "[::1]", "127.0.0.1:8765"];
    for (host, status) in [
        ("example.com", 101),
        ("EXAMPLE.com:80", 101),
        ("a.example.org:1", 101),
        ("example.org", 421),
        ("[::1]", 101),
        ("[::1]:8765", 101),
        ("[::2]", 421),
        ("127.0.0.1:8765", 101),
        ("127.0.0.1:8766", 421),
        ("127.0.0.1", 421),
        ("evil@a.example.org", 421),
        ("rebound.evil.com", 421),
        ("", 421),
    ] {
        let mut options = Options::default();
        options.hosts = Hosts::Only(ours.map(String::from).to_vec());
        assert_eq!(verdict(options, &format!("Host: {host}\r\n")), status, "{host}");
    }
    // A whole URI as target goes before Host.
    let mut options = Options::default();
    options.hosts = Hosts::Only(vec!["server.example.com".into()]);
    let request = with("GET /chat?x=1 ", "GET http://evil.com/chat ");
    check_refused_by(options, &request, 421, &["host \"evil.com\" is not served here"]);
}

#[test]
fn an_ordinary_request_that_was_refused_can_be_looked_at_once() {
    let mut opening = opening(Options::default());
    let request = b"HEAD /health?deep HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(opening.receive(request), Step::Refused(_)));
    let request = opening.take_ordinary_request().unwrap();
    assert_eq!((request.method().as_str(), request.uri().path()), ("HEAD", "/health"));
    assert!(opening.take_ordinary_request().is_none());
    assert!(matches!(opening.receive(b"more"), Step::More));

    let mut opening = self::opening(Options::default());
    let invalid = with("Version: 13", "Version: 8");
    assert!(matches!(opening.receive(invalid.as_bytes()), Step::Refused(_)));
    assert!(opening.take_ordinary_request().is_none());

    let mut opening = self::opening(Options::default());
    assert!(matches!(opening.receive(b"\x16\x03\x01 TLS\r\n\r\n"), Step::Refused(_)));
    assert!(opening.take_ordinary_request().is_none());
}

#[test]
fn a_request_of_http_1_0_is_an_ordinary_one_unless_it_wants_more() {
    for (request, method) in [
        ("GET /health HTTP/1.0\r\n\r\n", Some("GET")),
        ("HEAD /health HTTP/1.0\r\nHost: a\r\n\r\n", Some("HEAD")),
        ("GET /health HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", None),
        ("GET /health HTTP/1.0\r\nbroken\r\n\r\n", None),
        ("GET /health HTTP/2.0\r\n\r\n", None),
    ] {
        let mut opening = opening(Options::default());
        let Step::Refused(refusal) = opening.receive(request.as_bytes()) else {
            panic!("{request}")
        };
        let ordinary = opening.take_ordinary_request();
        assert_eq!(ordinary.as_ref().map(|request| request.method().as_str()), method, "{request}");
        if let Some(ordinary) = ordinary {
            assert_eq!(ordinary.version(), http::Version::HTTP_10);
            assert_eq!(refusal.status(), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
            let is_silent = refusal.to_bytes().ends_with(b"\r\n\r\n");
            assert_eq!(is_silent, ordinary.method() == http::Method::HEAD);
        }
    }
}

#[test]
fn the_application_chooses_a_subprotocol_only_among_those_that_are_offered() {
    let request = with("Sec-WebSocket-Key", "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Key");
    let mut chosen = offer(&request);
    chosen.choose_subprotocol("b").unwrap();
    chosen.headers_mut().insert("x-own", 1.into());
    let (bytes, agreement) = chosen.accept().unwrap();
    assert_eq!(agreement.subprotocol.as_deref(), Some("b"));
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains("Sec-WebSocket-Protocol: b\r\nX-Own: 1\r\n"), "{text}");
    let mut options = Options::default();
    options.subprotocols = Subprotocols::Required(vec!["a".into()]);
    let Step::Offer(asked) = opening(options).receive(request.as_bytes()) else { panic!("valid") };
    assert_eq!(asked.accept().unwrap().1.subprotocol.as_deref(), Some("a"));
    let refusal = offer(&request).choose_subprotocol("c").unwrap_err();
    assert_eq!(refusal.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        refusal.reason().to_string(),
        "subprotocol \"c\" was chosen and had not been offered"
    );
}

#[test]
fn an_answer_of_the_applications_own_is_sent_as_it_is_but_for_its_framing() {
    let response = |status: u16| {
        let response = http::Response::builder()
            .status(status)
            .header("x-own", "1")
            .header("connection", "keep-alive")
            .header("transfer-encoding", "chunked")
            .header("content-length", "99");
        Refusal::of_response(response.body("fine".into()).unwrap())
    };
    let sent = |refusal: &Refusal| String::from_utf8(refusal.to_bytes().to_vec()).unwrap();
    let fine = "HTTP/1.1 200 OK\r\nX-Own: 1\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(sent(&response(200)), format!("{fine}fine"));
    assert_eq!(sent(&response(200).without_body()), fine);
    // What has no body by its status has no length either.
    let empty = "HTTP/1.1 204 No Content\r\nX-Own: 1\r\nConnection: close\r\n\r\n";
    assert_eq!(sent(&response(204)), empty);
    assert!(!sent(&response(304)).ends_with("fine"));
    let unchanged = http::Response::builder().status(304).body(Default::default()).unwrap();
    let unchanged = sent(&Refusal::of_response(unchanged));
    assert_eq!(unchanged, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    // To say 101 is to mean it.
    assert_eq!(response(101).status(), StatusCode::INTERNAL_SERVER_ERROR);
    let mut later = response(503);
    later.headers_mut().insert("retry-after", 7.into());
    assert!(sent(&later).contains("Retry-After: 7\r\n"));
    assert_eq!(later.to_response().body(), "fine");
}

#[test]
fn an_ordinary_request_that_was_answered_is_told_with_what_it_asked_for() {
    for (method, body) in [("GET", "fine"), ("HEAD", "")] {
        let request = http::Request::builder().method(method).uri("/a?b").body(()).unwrap();
        let refusal = Refusal::of_ordinary(&request, http::Response::new("fine".into()));
        assert!(
            refusal.to_bytes().ends_with(format!("Content-Length: 4\r\n\r\n{body}").as_bytes())
        );
        let told = format!("answered by the application: {method} \"/a?b\"");
        assert_eq!(refusal.reason().to_string(), told);
    }
}

#[test]
fn who_comes_when_all_is_taken_hears_which_limit_it_was_and_when_to_come_again() {
    let wait = std::time::Duration::from_millis(1001);
    for (busy, name, status) in [
        (Busy::Connections, "connections", 503),
        (Busy::ConnectionsPerAddress, "connections_per_address", 429),
        (Busy::Openings, "openings", 503),
        (Busy::OpeningRate, "opening_rate", 503),
        (Busy::OpeningRatePerAddress, "opening_rate_per_address", 429),
        (Busy::ShuttingDown, "shutting_down", 503),
    ] {
        assert_eq!(busy.name(), name);
        let refusal = Refusal::busy(busy, Some(wait));
        assert_eq!(refusal.status(), status);
        let response = refusal.to_response();
        assert_eq!(response.headers()["retry-after"], "2", "rounded up");
        assert_eq!(response.body(), format!("{}\n", refusal.reason()).as_bytes());
        assert!(name == "shutting_down" || refusal.reason().to_string().contains(name));
        assert!(Refusal::busy(busy, None).to_response().headers().get("retry-after").is_none());
    }
}
