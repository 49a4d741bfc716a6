//! The client's side of the opening, through its public door.

use http::{HeaderMap, HeaderValue};
use lastword_proto::handshake::client::{Error, InvalidRequest, Opening, Options};
use lastword_proto::{Agreement, Config, ContextTakeover, DeflateConfig};
use proptest::prelude::*;

const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The nonce whose key is the RFC's sample.
const NONCE: [u8; 16] = *b"the sample nonce";

fn opening(subprotocols: &[&str], config: &Config) -> Opening {
    let mut options = Options::new(HeaderValue::from_static("a:1"), "/x?y".parse().unwrap());
    options.subprotocols = subprotocols.iter().map(|name| (*name).to_owned()).collect();
    Opening::new(options, config, NONCE).unwrap()
}

fn answer(lines: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n"
    )
}

fn result(wire: &str, subprotocols: &[&str], config: &Config) -> Result<Agreement, Error> {
    let mut opening = opening(subprotocols, config);
    match opening.receive(wire.as_bytes()) {
        Ok(Some(agreement)) => Ok(agreement),
        Ok(None) => Err(opening.receive_eof()),
        Err(error) => Err(error),
    }
}

#[track_caller]
fn check_fails(wire: &str, needle: &str) {
    let error = result(wire, &["a", "b"], &Config::default()).unwrap_err().to_string();
    assert!(error.contains(needle), "{needle:?} in {error:?}");
}

#[test]
fn the_request_is_what_the_rfc_asks_for() {
    let opening = opening(&["a", "b"], &Config::default());
    let wire = String::from_utf8(opening.request_bytes().to_vec()).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        wire,
        format!(
            "GET /x?y HTTP/1.1\r\nHost: a:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
             Sec-WebSocket-Protocol: a, b\r\nUser-Agent: lastword/{version}\r\n\r\n"
        )
    );
}

#[test]
fn headers_of_the_handshake_itself_and_bad_subprotocols_are_refused_to_the_caller() {
    let mut options = Options::new(HeaderValue::from_static("a"), "/".parse().unwrap());
    options.headers.insert("upgrade", HeaderValue::from_static("x"));
    let refused = Opening::new(options, &Config::default(), NONCE).unwrap_err();
    assert_eq!(refused, InvalidRequest::ReservedHeader(http::header::UPGRADE));
    let mut options = Options::new(HeaderValue::from_static("a"), "/".parse().unwrap());
    options.subprotocols = vec!["a, b".into()];
    assert!(Opening::new(options, &Config::default(), NONCE).is_err());
}

#[test]
fn a_valid_answer_is_an_agreement_with_what_follows_it() {
    let wire = answer("Sec-WebSocket-Protocol: b\r\n") + "frames";
    let agreement = result(&wire, &["a", "b"], &Config::default()).unwrap();
    assert_eq!(agreement.subprotocol.as_deref(), Some("b"));
    assert_eq!(&agreement.leftover[..], b"frames");
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_owned() + &answer("");
    assert!(result(&interim, &[], &Config::default()).is_ok());
}

#[test]
fn all_that_the_rfc_asks_a_client_to_verify_is_verified() {
    check_fails(&answer("").replace("WebSocket\r\n", "h2c\r\n"), "does not upgrade");
    check_fails(&answer("").replace("upgrade\r\n", "close\r\n"), "does not upgrade");
    check_fails(&answer("").replace(ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="), "expected \"s3p");
    check_fails(&answer("").replace(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n"), ""), "is \"\"");
    check_fails(&answer(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n")), "Accept");
    check_fails(&answer("Sec-WebSocket-Protocol: c\r\n"), "\"c\" was not offered");
    check_fails(&answer("Sec-WebSocket-Protocol: a, b\r\n"), "not offered");
    check_fails(
        &answer("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"),
        "not offered",
    );
    check_fails(&answer("Sec-WebSocket-Extensions: x-y\r\n"), "\"x-y\" was not offered");
    let extensions = |line: &str| answer(&format!("Sec-WebSocket-Extensions: {line}\r\n"));
    check_fails(&extensions("permessage-deflate, permessage-deflate"), "more than once");
    check_fails(&extensions("permessage-deflate; foo"), "unknown");
    check_fails(&extensions("permessage-deflate; client_max_window_bits"), "invalid value");
    check_fails(&extensions("permessage-deflate; client_max_window_bits=8"), "9 to 15");
    check_fails(&extensions("permessage-deflate; server_max_window_bits=16"), "invalid value");
    check_fails(
        &extensions("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"),
        "more than once",
    );
    check_fails("HTTP/1.1 101 Switching Protocols\r\nUpgrade", "bytes had come");
    check_fails("HTTP/2.0 101 x\r\n\r\n", "not 1.1");
    check_fails("SSH-2.0-OpenSSH\r\n\r\n", "is no HTTP: it begins with \"SSH-2.0-OpenSSH\\r");
}

#[test]
fn what_was_asked_for_has_to_be_confirmed() {
    let mut config = Config::default();
    let mut deflate = DeflateConfig::default();
    deflate.peer_takeover = ContextTakeover::None;
    deflate.peer_window_bits = 10;
    config.deflate = Some(deflate);
    let with = |line: &str| {
        result(&answer(&format!("Sec-WebSocket-Extensions: {line}\r\n")), &[], &config)
    };
    let good = with("permessage-deflate; server_no_context_takeover; server_max_window_bits=9");
    assert_eq!(good.unwrap().deflate.unwrap().server.window_bits, 9);
    let error = with("permessage-deflate; server_max_window_bits=9").unwrap_err();
    assert!(error.to_string().contains("not confirmed"));
    let error = with("permessage-deflate; server_no_context_takeover").unwrap_err();
    assert!(error.to_string().contains("exceeds the 10"), "{error}");
    assert!(result(&answer(""), &[], &config).unwrap().deflate.is_none());
}

#[test]
fn a_refusal_tells_status_headers_and_the_start_of_its_body() {
    let check = |wire: &str, body: &str| {
        let Err(Error::Refused(response)) = result(wire, &[], &Config::default()) else {
            panic!("{wire}")
        };
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.body(), body);
    };
    let head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n";
    check(&format!("{head}Content-Length: 4\r\n\r\nbusy and more"), "busy");
    check(&format!("{head}\r\nuntil the end"), "until the end");
    check(
        &format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n1;x\r\n!\r\n0\r\n\r\n"),
        "busy!",
    );
    check(&format!("{head}Content-Length: 99\r\n\r\ncut"), "cut");
    let mut config = Config::default();
    config.opening.max_refusal_body = 10;
    let wire = format!("{head}\r\n{}", "x".repeat(1000));
    let Err(Error::Refused(response)) = result(&wire, &[], &config) else { panic!() };
    assert_eq!(response.body().len(), 10);
}

#[test]
fn a_refusal_is_one_however_its_body_ends() {
    let mut opening = opening(&[], &Config::default());
    assert!(opening.refused().is_none());
    let head = b"HTTP/1.1 401 x\r\nContent-Length: 99\r\n\r\n";
    assert!(opening.receive(head).unwrap().is_none());
    assert!(opening.receive(b"slowly").unwrap().is_none());
    let Some(Error::Refused(response)) = opening.refused() else { panic!() };
    assert_eq!((response.status().as_u16(), &response.body()[..]), (401, &b"slowly"[..]));
    assert!(opening.refused().is_none());
}

#[test]
fn what_is_no_http_is_told_at_once_by_how_it_begins() {
    let began = |wire: &[u8]| match opening(&[], &Config::default()).receive(wire) {
        Err(Error::NotHttp { began }) => began,
        other => panic!("{other:?}"),
    };
    // An alert of TLS: the server expected no plain text.
    assert_eq!(began(b"\x15\x03\x01\0\x02\x02F")[..], b"\x15\x03\x01\0\x02\x02F"[..]);
    assert_eq!(began(b"SSH-2.0-OpenSSH\r\n\r\n")[..], b"SSH-2.0-OpenSSH\r\n\r\n"[..]);
    assert_eq!(began(b"HTTPS")[..], b"HTTPS"[..]);
    assert_eq!(began(&[b'x'; 1000]).len(), 32);
    let mut opening = opening(&[], &Config::default());
    for byte in b"HTTP/" {
        assert!(opening.receive(&[*byte]).unwrap().is_none());
    }
}

#[test]
fn headers_of_the_caller_are_sent() {
    let mut options = Options::new(HeaderValue::from_static("a"), "/".parse().unwrap());
    options.origin = Some(HeaderValue::from_static("https://a"));
    let mut headers = HeaderMap::new();
    headers.append("cookie", HeaderValue::from_static("a=b"));
    headers.insert("user-agent", HeaderValue::from_static("mine"));
    options.headers = headers;
    let opening = Opening::new(options, &Config::default(), NONCE).unwrap();
    let wire = String::from_utf8(opening.request_bytes().to_vec()).unwrap();
    for line in ["Origin: https://a\r\n", "Cookie: a=b\r\n", "User-Agent: mine\r\n"] {
        assert!(wire.contains(line), "{line} in {wire}");
    }
    assert!(!wire.contains("lastword/"));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_cut_changes_the_verdict(
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        at in 0_usize..200,
        cut in 0_usize..200,
    ) {
        let mut wire = answer("").into_bytes();
        let at = at.min(wire.len());
        wire.splice(at..(at + noise.len() / 2).min(wire.len()), noise);
        let verdict = |pieces: &[&[u8]]| {
            let mut opening = opening(&[], &Config::default());
            for piece in pieces {
                match opening.receive(piece) {
                    Ok(None) => {}
                    Ok(Some(_)) => return "agreed".to_owned(),
                    // Of what is no answer, as much is told as has come.
                    Err(Error::NotHttp { .. }) => return "no HTTP".to_owned(),
                    Err(error) => return error.to_string(),
                }
            }
            opening.receive_eof().to_string()
        };
        let (a, b) = wire.split_at(cut.min(wire.len()));
        prop_assert_eq!(verdict(&[a, b]), verdict(&[&wire]));
    }
}

#[test]
fn answers_that_few_servers_give_are_judged_as_well() {
    let config = Config::default();
    // Interim answers come before the real one, but not for ever.
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    assert!(result(&(interim.to_owned() + &answer("")), &[], &config).is_ok());
    let flood = interim.repeat(1000);
    assert!(matches!(result(&flood, &[], &config), Err(Error::TooManyInterim(_))));
    // A refusal whose body comes in pieces, has none, or is not what it says.
    let mut opening = opening(&[], &config);
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno";
    assert!(opening.receive(head.as_bytes()).unwrap().is_none());
    let Err(Error::Refused(refused)) = opening.receive(b"pe") else { panic!("refused") };
    assert_eq!(refused.body(), "nope");
    for empty in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        let Err(Error::Refused(refused)) = result(empty, &[], &config) else { panic!("{empty}") };
        assert!(refused.body().len() <= 5, "{refused:?}");
    }
    // Subprotocols: chosen twice, or empty.
    for lines in [
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n",
        "Sec-WebSocket-Protocol:\r\n",
    ] {
        assert!(result(&answer(lines), &["a"], &config).is_err(), "{lines}");
    }
    check_fails("HTTP/1.1 099 Odd\r\n\r\n", "status");
}

#[test]
fn extensions_that_few_servers_answer_are_judged_as_well() {
    let mut config = Config::default();
    let mut deflate = DeflateConfig::default();
    deflate.own_takeover = ContextTakeover::None;
    config.deflate = Some(deflate);
    let with = |line: &str| {
        result(&answer(&format!("Sec-WebSocket-Extensions: {line}\r\n")), &[], &config)
    };
    let offered = opening(&[], &config);
    let wire = String::from_utf8(offered.request_bytes().to_vec()).unwrap();
    assert!(wire.contains("; client_no_context_takeover\r\n"), "{wire}");
    for bits in 9..=15 {
        let agreed = with(&format!(",, permessage-deflate; client_max_window_bits={bits}"));
        let client = agreed.unwrap().deflate.unwrap().client;
        assert_eq!((client.window_bits, client.takeover), (bits.min(12), ContextTakeover::None));
    }
    for bad in [
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x-other",
        "x-other",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=\"a b\"",
        "permessage-deflate; server_max_window_bits=16",
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_chunked_refusal_that_is_cut_anywhere_keeps_what_came_of_it() {
    let head = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "4\r\nbusy\r\n6; x=y\r\n as ev\r\n0\r\n\r\n";
    for cut in 0..=body.len() {
        let wire = format!("{head}{}", &body[..cut]);
        let Err(Error::Refused(response)) = result(&wire, &[], &Config::default()) else {
            panic!("cut at {cut}")
        };
        let came = String::from_utf8(response.body().to_vec()).unwrap();
        assert!("busy as ev".starts_with(&came), "cut at {cut}: {came:?}");
        assert_eq!(came == "busy as ev", cut >= body.len() - 7, "cut at {cut}: {came:?}");
    }
}
