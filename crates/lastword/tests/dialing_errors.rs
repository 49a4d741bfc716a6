//! What each step of an opening says when it fails, and whether it is worth another try.

mod support;

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY};
use lastword::dial::{ProxyError, RedirectRefused};
use lastword::proto::handshake::client;
use lastword::rustls::pki_types::ServerName;
use lastword::{Client, Config, ConnectError, Phase, Proxy, Server};
use support::tls::configs;
use support::{Running, echo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener that reads a request, says `answer`, and goes.
async fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut came = [0; 4096];
            drop(stream.read(&mut came).await);
            drop(stream.write_all(&answer).await);
            // Unread bytes would make a reset of its end, which may overtake the answer.
            drop(stream.shutdown().await);
            tokio::spawn(async move {
                while stream.read(&mut came).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

/// The error, with all that it says, and whether it is transient.
async fn failure(client: Client) -> (ConnectError, String, bool) {
    let error = client.connect().await.unwrap_err();
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(why) = source {
        said = format!("{said}: {why}");
        source = why.source();
    }
    let transient = error.is_transient();
    (error, said, transient)
}

#[tokio::test]
async fn options_that_contradict_the_handshake_are_the_callers_fault() {
    let client = Client::new("ws://127.0.0.1:1/");
    let value = HeaderValue::from_static("x");
    for (client, expected) in [
        (
            client.clone().header(SEC_WEBSOCKET_KEY, value.clone()),
            "header sec-websocket-key is set",
        ),
        (client.clone().header(CONNECTION, value), "header connection is set"),
        (client.subprotocol("a b"), "subprotocol \"a b\" is not a token"),
    ] {
        // Before anybody is spoken to, but not before there is a connection.
        let address = answering("").await;
        let client = client.no_proxy();
        let stream = TcpStream::connect(address).await.unwrap();
        let error = client.connect_over(stream).await.unwrap_err();
        assert!(matches!(error, ConnectError::Request(_)), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_with_what_the_resolver_said() {
    let (error, said, transient) = failure(Client::new("ws://nobody.invalid").no_proxy()).await;
    assert!(matches!(&error, ConnectError::Resolve { host, .. } if host == "nobody.invalid"));
    assert!(said.starts_with("cannot resolve \"nobody.invalid\": "), "{said}");
    assert!(transient);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_comes_from_the_address_that_it_is_told_to_come_from() {
    let mut server = Running::echo().await;
    let from = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    // The name has addresses of both families; those of the other one are not reached.
    let url = format!("ws://localhost:{}", server.address.port());
    for url in [server.url(), url] {
        let ws = Client::new(url).local_address(from).connect().await.unwrap();
        assert_eq!(ws.opening().local_addr.unwrap().ip(), from);
        drop(ws);
        assert_eq!(server.outcomes.recv().await.unwrap().peer.unwrap().ip(), from);
    }
    // One that is not ours.
    let elsewhere = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
    let (error, _, transient) = failure(Client::new(server.url()).local_address(elsewhere)).await;
    let ConnectError::Connect { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(transient);
    server.stop().await;
}

/// What was met on the way, and that the error says whether it was the way to the proxy.
#[track_caller]
fn met(error: ConnectError, is_proxy: bool) -> ConnectError {
    match error {
        ConnectError::ProxyUnreachable { source, .. } if is_proxy => *source,
        error if !is_proxy => error,
        other => panic!("{other:?} says nothing of a proxy"),
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_taken_for_the_server() {
    let free = lastword_fakes::nowhere();
    let client =
        |proxy: &str| Client::new("ws://server.invalid").proxy(Proxy::parse(proxy).unwrap());
    let (error, said, transient) = failure(client(&format!("http://u:secret@{free}"))).await;
    assert!(
        matches!(met(error, true), ConnectError::Connect { address, .. } if address == free.to_string())
    );
    assert!(
        said.starts_with(&format!("cannot reach the proxy http://{free}: cannot connect to")),
        "{said}"
    );
    assert!(transient && !said.contains("secret"));
    let (error, said, transient) = failure(client("socks5://proxy.invalid")).await;
    assert!(
        matches!(met(error, true), ConnectError::Resolve { host, .. } if host == "proxy.invalid"),
        "{said}"
    );
    assert!(transient);
}

#[tokio::test]
async fn tls_names_whom_it_failed_with_be_it_the_proxy() {
    let (server_tls, _) = configs();
    let server = Running::start(Server::new().tls(server_tls), echo).await;
    let port = server.address.port();
    // The same server, once as the server and once for a proxy: its certificate is nobody's.
    let direct = Client::new(format!("wss://localhost:{port}")).no_proxy();
    let proxy = Proxy::parse(&format!("https://localhost:{port}")).unwrap();
    let through = Client::new("ws://server.invalid").proxy(proxy);
    // Whoever trusts any server does not trust any proxy by that.
    let trusting = through.clone().danger_accept_invalid_certs();
    for (client, is_proxy) in [(direct, false), (through, true), (trusting, true)] {
        let (error, said, transient) = failure(client).await;
        let error = met(error, is_proxy);
        assert!(matches!(&error, ConnectError::Tls { host, .. } if host == "localhost"), "{said}");
        assert!(said.contains("invalid peer certificate"), "{said}");
        assert!(!transient);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_by_that_name() {
    let (server_tls, client_tls) = configs();
    let server = Running::start(Server::new().tls(server_tls), echo).await;
    let url = format!("wss://localhost:{}", server.address.port());
    let other = ServerName::try_from("elsewhere.example").unwrap();
    let client = Client::new(url).no_proxy().tls(client_tls).tls_server_name(other);
    let (error, said, transient) = failure(client).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{said}");
    assert!(said.contains("elsewhere.example"), "{said}");
    assert!(!transient);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_told_from_tls_that_breaks_off() {
    let (_, client_tls) = configs();
    for (answer, transient) in [(&b"HTTP/1.1 400 x\r\n\r\n"[..], false), (b"", true)] {
        let port = answering(answer).await.port();
        let client = Client::new(format!("wss://localhost:{port}")).no_proxy();
        let (error, said, retry) = failure(client.tls(client_tls.clone())).await;
        assert!(matches!(error, ConnectError::Tls { .. }), "{said}");
        assert_eq!(retry, transient, "{said}");
    }
}

#[tokio::test]
async fn proxies_that_speak_otherwise_are_told_from_those_that_refuse() {
    type Is = fn(&ProxyError) -> bool;
    let cases: [(&str, &[u8], Is, bool); 8] = [
        ("http", b"SSH-2.0-x\r\n\r\n", |e| matches!(e, ProxyError::Malformed(_)), false),
        (
            "http",
            b"HTTP/1.1 200 x\r\n\r\nGIF",
            |e| matches!(e, ProxyError::Excess { bytes: 3 }),
            false,
        ),
        ("http", &[b'x'; 20_000], |e| matches!(e, ProxyError::TooLong { .. }), false),
        ("http", b"", |e| matches!(e, ProxyError::Eof { bytes: 0 }), true),
        ("socks5", b"HTTP/1.1", |e| matches!(e, ProxyError::Malformed(_)), false),
        ("socks5", &[5, 0xff], |e| matches!(e, ProxyError::NoMethod { .. }), false),
        ("socks4", &[0, 93, 0, 0, 0, 0, 0, 0], |e| matches!(e, ProxyError::Socks(_)), false),
        ("socks4", &[0], |e| matches!(e, ProxyError::Eof { bytes: 1 }), true),
    ];
    for (scheme, answer, is, transient) in cases {
        let address = answering(answer).await;
        let proxy =
            Proxy::parse(&format!("{scheme}://u@{address}").replace("5://u@", "5://")).unwrap();
        let (error, said, retry) = failure(Client::new("ws://127.0.0.9:7").proxy(proxy)).await;
        let ConnectError::Proxy { proxy, source } = &error else { panic!("{scheme}: {said}") };
        assert!(is(source), "{scheme}: {said}");
        assert_eq!(proxy.to_string(), format!("{scheme}://{address}"));
        assert!(said.contains(&address.to_string()), "{said}");
        assert_eq!(retry, transient, "{scheme}: {said}");
    }
}

#[tokio::test]
async fn what_socks_4_cannot_carry_is_told_before_the_proxy_hears_of_it() {
    let address = answering("").await;
    let proxy = Proxy::parse(&format!("socks4://{address}")).unwrap();
    let (error, said, transient) = failure(Client::new("ws://[::9]:7").proxy(proxy)).await;
    assert!(
        matches!(error, ConnectError::Proxy { source: ProxyError::Address { .. }, .. }),
        "{said}"
    );
    assert!(said.ends_with("cannot carry the address [::9]:7"), "{said}");
    assert!(!transient);
}

#[tokio::test]
async fn redirects_that_are_not_followed_say_why() {
    let redirect =
        |to: &str| format!("HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n");
    let address = answering(redirect("mailto:a@b")).await;
    let (error, said, transient) = failure(Client::new(format!("ws://{address}"))).await;
    assert!(matches!(error, ConnectError::Redirect(RedirectRefused::Location { .. })), "{said}");
    assert!(said.contains("mailto:a@b"), "{said}");
    assert!(!transient);

    // From wss to ws: over a stream that is encrypted already, so that only the judge is asked.
    let (near, mut far) = tokio::io::duplex(10_000);
    let opening = tokio::spawn(Client::new("wss://localhost").connect_over(near));
    far.read_u8().await.unwrap();
    far.write_all(redirect("ws://localhost/").as_bytes()).await.unwrap();
    let error = opening.await.unwrap().unwrap_err();
    assert!(
        matches!(error, ConnectError::Redirect(RedirectRefused::Downgrade { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn answers_that_open_nothing_are_told_for_what_they_are() {
    type Is = fn(&client::Error) -> bool;
    let cases: [(&str, Is, bool); 6] = [
        ("SSH-2.0-x\r\n\r\n", |e| matches!(e, client::Error::NotHttp { .. }), false),
        ("HTTP/1.1 101 x\r\n\r\n", |e| matches!(e, client::Error::NoUpgrade), false),
        (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Accept: x\r\n\r\n",
            |e| matches!(e, client::Error::Accept { came, .. } if came == "x"),
            false,
        ),
        ("HTTP/1.1 1", |e| matches!(e, client::Error::Eof { bytes: 10 }), true),
        ("", |e| matches!(e, client::Error::Eof { bytes: 0 }), true),
        ("HTTP/1.1 503 x\r\n\r\nbusy", |e| matches!(e, client::Error::Refused(_)), true),
    ];
    for (answer, is, transient) in cases {
        let address = answering(answer).await;
        let (error, said, retry) = failure(Client::new(format!("ws://{address}"))).await;
        let ConnectError::Handshake(why) = &error else { panic!("{said}") };
        assert!(is(why), "{said}");
        assert_eq!(retry, transient, "{said}");
    }
}

#[tokio::test]
async fn a_refusal_whose_body_never_ends_is_told_when_the_time_is_over() {
    let head = "HTTP/1.1 401 x\r\nContent-Length: 99\r\n\r\nwho";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Stays, and says nothing more.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(100);
    let (error, said, _) = failure(Client::new(url).config(config)).await;
    let ConnectError::Handshake(client::Error::Refused(answer)) = error else { panic!("{said}") };
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (401, &b"who"[..]));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_server_that_resets_inside_the_handshake_is_told_as_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Unread bytes, and gone: a reset.
        stream.readable().await.unwrap();
    });
    let (error, said, transient) = failure(Client::new(format!("ws://{address}"))).await;
    let ConnectError::Lost(source) = &error else { panic!("{said}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
    assert!(transient);
}

#[tokio::test]
async fn an_opening_that_takes_too_long_says_in_which_phase() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(100);
    let proxy = Proxy::parse(&format!("https://{address}")).unwrap();
    for (client, expected, is_proxy) in [
        (Client::new(format!("ws://{address}")), Phase::Handshake, false),
        (Client::new(format!("wss://{address}")), Phase::Tls, false),
        (Client::new("ws://a.invalid").proxy(proxy), Phase::Tls, true),
    ] {
        let (error, said, transient) = failure(client.config(config.clone())).await;
        let ConnectError::TimedOut { limit, phase } = met(error, is_proxy) else {
            panic!("{said}")
        };
        assert_eq!((limit, phase), (config.open_timeout, expected));
        assert!(said.contains("open_timeout"), "{said}");
        assert!(transient);
    }
}
