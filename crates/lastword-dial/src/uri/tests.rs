use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: Result<(&str, &str, &str), InvalidUri>) {
    let uri = WebSocketUri::parse(text);
    let found = uri.map(|uri| {
        let host = uri.host_header().to_str().unwrap().to_owned();
        (uri.endpoint().to_string(), host, uri.path().to_string())
    });
    let expected =
        expected.map(|(to, host, path)| (to.to_owned(), host.to_owned(), path.to_owned()));
    assert_eq!(found, expected, "{text}");
}

#[test]
fn uris_say_where_to_go_or_what_is_wrong_with_them() {
    check("ws://a", Ok(("a:80", "a", "/")));
    check("WSS://A/b?c", Ok(("a:443", "a", "/b?c")));
    check("ws://a:80/", Ok(("a:80", "a", "/")));
    check("ws://a:", Ok(("a:80", "a", "/")));
    check("wss://a:80/", Ok(("a:80", "a:80", "/")));
    check("ws://[::1]:9/x", Ok(("[::1]:9", "[::1]:9", "/x")));
    check("ws://[::1]", Ok(("[::1]:80", "[::1]", "/")));
    check("ws://127.0.0.1", Ok(("127.0.0.1:80", "127.0.0.1", "/")));
    check("ws://a?q=1", Ok(("a:80", "a", "/?q=1")));
    check("ws://my_service/", Ok(("my_service:80", "my_service", "/")));
    check(
        "ws://b\u{fc}cher.example/\u{fc}?\u{fc}={}",
        Ok(("xn--bcher-kva.example:80", "xn--bcher-kva.example", "/%C3%BC?%C3%BC=%7B%7D")),
    );
    check("ws://a/%2f%23", Ok(("a:80", "a", "/%2f%23")));
    check("ws://a/://b", Ok(("a:80", "a", "/://b")));

    check("http://a", Err(InvalidUri::Http));
    check("https://a", Err(InvalidUri::Https));
    for text in ["a:1", "/a", "", "ftp://a", "ws:a", "://a"] {
        check(text, Err(InvalidUri::Scheme));
    }
    check("ws://a/#b", Err(InvalidUri::Fragment));
    check("ws://a#b", Err(InvalidUri::Fragment));
    check("ws:// a", Err(InvalidUri::Character(' ')));
    check("ws://a/\r\nx: y", Err(InvalidUri::Character('\r')));
    check("ws://a\\b", Err(InvalidUri::Character('\\')));
    for text in [
        "ws://",
        "ws:///a",
        "ws://:80",
        "ws://[::1",
        "ws://::1/",
        "ws://[fe80::1%25eth0]",
        "ws://127.1",
        "ws://1.2.3.256",
        "ws://0x7f000001",
        "ws://a%00b",
        "ws://a<b",
    ] {
        check(text, Err(InvalidUri::Host));
    }
    for text in ["ws://a:0", "ws://a:65536", "ws://a:+1", "ws://a:x", "ws://[::1]:x"] {
        check(text, Err(InvalidUri::Port));
    }
    for text in ["ws://u:p@v@a", "ws://u%3a:p@a", "ws://u%0a:p@a", "ws://%ff@a"] {
        check(text, Err(InvalidUri::UserInfo));
    }
}

#[test]
fn user_information_becomes_credentials_and_is_shown_nowhere() {
    let uri = WebSocketUri::parse("ws://us%40er:pass%2Fw%c3%b6rd:x@a/b").unwrap();
    let credentials = uri.credentials().unwrap();
    assert_eq!((credentials.user(), credentials.password()), ("us@er", "pass/w\u{f6}rd:x"));
    let basic = credentials.basic();
    assert!(basic.is_sensitive());
    assert_eq!(basic.as_bytes(), b"Basic dXNAZXI6cGFzcy93w7ZyZDp4");
    assert_eq!(format!("{uri} {uri:?}"), "ws://a/b WebSocketUri(ws://a/b)");
    assert!(!format!("{credentials:?}").contains("pass"));
    let token = WebSocketUri::parse("ws://token@a").unwrap();
    assert_eq!(token.credentials().unwrap().password(), "");
}

proptest! {
    #[test]
    fn what_is_read_is_visible_ascii_and_reads_the_same_again(
        text in "(ws|wss)://([a-z0-9._:@%\\[\\]\u{fc}\u{3002}-]{0,12})([/?]\\PC{0,12})?|\\PC{0,24}",
    ) {
        if let Ok(uri) = WebSocketUri::parse(&text) {
            let shown = uri.to_string();
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown}");
            let again = WebSocketUri::parse(&shown).unwrap();
            prop_assert!(again.is_same_origin(&uri) && again.path() == uri.path(), "{shown}");
            prop_assert!(!uri.host_header().is_empty());
        }
    }
}
