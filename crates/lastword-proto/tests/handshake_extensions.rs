//! Extensions of the application's own in openings: offered, answered, checked (RFC 6455 section 9.1).

mod stamp;

use std::sync::Arc;

use http::HeaderValue;
use lastword_proto::handshake::client::{Error, Opening, Options};
use lastword_proto::handshake::server;
use lastword_proto::handshake::{NegotiationError, extensions_in};
use lastword_proto::{Agreement, Config, InvalidExtension, Parameters, ReservedBits};
use stamp::{STAMP, Stamp};

/// Another that claims another bit, one that claims the same as `STAMP`, and one that claims none.
const OTHER: Stamp = Stamp { name: "x-other", bits: ReservedBits::RSV3, first: 0 };
const RIVAL: Stamp = Stamp { name: "x-rival", bits: ReservedBits::RSV2, first: 0 };
const PLAIN: Stamp = Stamp { name: "x-plain", bits: ReservedBits::NONE, first: 7 };

const DEFLATE: &str = "permessage-deflate; client_max_window_bits";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn config(extensions: &[Stamp]) -> Config {
    let mut config = Config::default();
    for extension in extensions {
        config.extensions.add(extension.clone()).unwrap();
    }
    config
}

/// What was agreed on, as it is shown to tests.
fn shown(agreement: &Agreement) -> String {
    let own = agreement.extensions.iter();
    let own = own.map(|own| format!("{}{}", own.extension().name(), own.parameters()));
    own.chain(agreement.deflate.map(|_| "deflate".to_owned())).collect::<Vec<_>>().join(", ")
}

/// What a server with all of them makes of an offer: the value of its header, and what it agrees on.
fn answer(config: &Config, offers: &[&str]) -> (String, String) {
    let mut request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_owned();
    for offer in offers {
        request += &format!("Sec-WebSocket-Extensions: {offer}\r\n");
    }
    request += "\r\n";
    let mut opening = server::Opening::new(Arc::default(), Arc::new(config.clone()));
    let server::Step::Offer(offer) = opening.receive(request.as_bytes()) else { panic!("valid") };
    let (_, agreement) = offer.accept().unwrap();
    let response = agreement.exchange.response();
    let said = response.headers().get("sec-websocket-extensions");
    (said.map_or("", |said| said.to_str().unwrap()).to_owned(), shown(&agreement))
}

/// What a client makes of an answer.
fn check(config: &Config, answer: &str) -> Result<String, NegotiationError> {
    let options = Options::new(HeaderValue::from_static("a"), "/".parse().unwrap());
    let mut opening = Opening::new(options, config, *b"the sample nonce").unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n"
    );
    match opening.receive(answer.as_bytes()) {
        Ok(agreement) => Ok(shown(&agreement.expect("the answer is whole"))),
        Err(Error::Negotiation(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_client_offers_its_extensions_in_their_order_and_deflate_behind_them() {
    let offered = |config: &Config| {
        let options = Options::new(HeaderValue::from_static("a"), "/".parse().unwrap());
        let opening = Opening::new(options, config, [0; 16]).unwrap();
        let request = String::from_utf8(opening.request_bytes().to_vec()).unwrap();
        let line = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        line.map(str::to_owned)
    };
    let both = [STAMP, PLAIN];
    assert_eq!(offered(&config(&both)), Some(format!("x-stamp, x-plain; first=7, {DEFLATE}")));
    let mut without = config(&both);
    without.deflate = None;
    assert_eq!(offered(&without).as_deref(), Some("x-stamp, x-plain; first=7"));
    without.extensions = Default::default();
    assert_eq!(offered(&without), None);
}

#[test]
fn a_server_takes_the_first_offer_of_each_that_it_can_accept_beside_the_others() {
    let all = config(&[STAMP, OTHER, RIVAL, PLAIN]);
    for (offers, answered) in [
        (&["x-stamp"][..], "x-stamp"),
        (&["x-nobody, x-stamp"], "x-stamp"),
        (&["X-Stamp"], "x-stamp"),
        (&["x-stamp; first=9"], "x-stamp; first=9"),
        (&["x-stamp; first=\"9\""], "x-stamp; first=9"),
        // Declined for its parameters; a later offer may do.
        (&["x-stamp; first=300"], ""),
        (&["x-stamp; first"], ""),
        (&["x-stamp; second=1"], ""),
        (&["x-stamp; second=1, x-stamp; first=3, x-stamp"], "x-stamp; first=3"),
        // The client's order is its preference, in one field or in several.
        (&["x-other, x-stamp"], "x-other, x-stamp"),
        (&["x-other", "x-stamp"], "x-other, x-stamp"),
        (&["x-plain; first=1, x-stamp"], "x-plain; first=1, x-stamp"),
        // Whoever comes second for a bit gets none.
        (&["x-stamp, x-rival"], "x-stamp"),
        (&["x-rival, x-stamp"], "x-rival"),
        (&["x-rival; second=1, x-stamp"], "x-stamp"),
        // Deflate is always the last on the way out.
        (
            &["permessage-deflate, x-stamp"],
            "x-stamp, permessage-deflate; server_max_window_bits=12",
        ),
        (&["x-stamp, permessage-deflate; what"], "x-stamp"),
        // The first that will do is taken, and what is offered behind it is not asked for.
        (
            &["permessage-deflate, x-stamp, permessage-deflate; server_max_window_bits=9"],
            "x-stamp, permessage-deflate; server_max_window_bits=12",
        ),
        // A list that is none is not answered at all.
        (&["x-stamp, ;"], ""),
        (&["x-stamp", "x-other; ="], ""),
    ] {
        let (said, agreed) = answer(&all, offers);
        assert_eq!(said, answered, "{offers:?}");
        let agreed = agreed.replace("deflate", "permessage-deflate; server_max_window_bits=12");
        assert_eq!(agreed, answered, "{offers:?}");
    }
}

#[test]
fn a_client_lives_with_what_it_offered_and_with_nothing_else() {
    let all = config(&[STAMP, OTHER, RIVAL, PLAIN]);
    let named = str::to_owned;
    for (answer, agreed) in [
        ("", Ok("")),
        ("x-stamp", Ok("x-stamp")),
        ("x-other, x-stamp", Ok("x-other, x-stamp")),
        ("x-stamp, permessage-deflate", Ok("x-stamp, deflate")),
        ("x-plain; first=7", Ok("x-plain; first=7")),
        ("x-nobody", Err(NegotiationError::NotOffered(named("x-nobody")))),
        ("x-stamp, x-nobody", Err(NegotiationError::NotOffered(named("x-nobody")))),
        ("x-stamp, X-STAMP", Err(NegotiationError::AnsweredTwice(named("X-STAMP")))),
        ("x-stamp, x-rival", Err(NegotiationError::BitClaimedTwice(named("x-rival")))),
        ("permessage-deflate, x-stamp", Err(NegotiationError::Order(named("x-stamp")))),
        ("x-stamp, ;", Err(NegotiationError::Malformed)),
    ] {
        assert_eq!(check(&all, answer), agreed.map(named), "{answer:?}");
    }
    let refused = check(&all, "x-stamp; first=1").unwrap_err().to_string();
    let expected = "answer about extension \"x-stamp\": Parameters([(\"first\", Some(\"1\"))]) \
        instead of Parameters([])";
    assert_eq!(refused, expected);
    // Without deflate of our own, it is one like others, and was not offered.
    let mut without = all;
    without.deflate = None;
    let not_offered = NegotiationError::NotOffered(named("permessage-deflate"));
    assert_eq!(check(&without, "x-stamp, permessage-deflate"), Err(not_offered));
}

#[test]
fn what_is_answered_can_be_read_in_the_response() {
    let read = |value: &'static str| {
        let response = http::Response::builder().header("sec-websocket-extensions", value);
        extensions_in(&response.body(()).unwrap())
    };
    let first = Parameters::default().with("first", "7").unwrap();
    let expected = vec![
        ("x-plain".to_owned(), first),
        ("permessage-deflate".to_owned(), Parameters::default().with_flag("a").unwrap()),
    ];
    assert_eq!(read("x-plain; first=7 , permessage-deflate ;a"), expected);
    assert_eq!(read("x-plain; first="), []);
    assert_eq!(extensions_in(&http::Response::new(())), []);
}

#[test]
fn an_extension_has_a_name_of_its_own_that_can_stand_in_a_header() {
    let mut config = config(&[STAMP]);
    for name in ["", "two words", "x;y", "x-stämp"] {
        let error = config.extensions.add(Stamp { name, ..STAMP }).unwrap_err();
        assert_eq!(error.to_string(), format!("name of an extension: {name:?} is not a token"));
    }
    for name in ["x-stamp", "X-Stamp", "permessage-deflate", "Permessage-Deflate"] {
        let error = config.extensions.add(Stamp { name, ..STAMP }).unwrap_err();
        assert_eq!(error, InvalidExtension::Taken(name.to_owned()));
    }
    assert_eq!(config.extensions.names().collect::<Vec<_>>(), ["x-stamp"]);
    assert_eq!(format!("{:?}", config.extensions), r#"["x-stamp"]"#);
}

#[test]
fn configurations_are_equal_that_share_their_extensions() {
    let (one, other) = (config(&[STAMP]), config(&[STAMP]));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
    assert_ne!(one, config(&[]));
}

#[test]
fn a_server_that_keeps_the_largest_window_says_nothing_of_it_unless_it_was_asked() {
    let mut largest = config(&[]);
    let mut deflate = lastword_proto::DeflateConfig::default();
    deflate.own_window_bits = 15;
    largest.deflate = Some(deflate);
    for (offer, said) in [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
    ] {
        assert_eq!(answer(&largest, &[offer]).0, said);
    }
}
