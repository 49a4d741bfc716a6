//! The way to a server: proxies, redirects, Unix sockets, whom TLS trusts; and how each of it fails.

mod support;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue};
use lastword::dial::{InvalidUri, ProxyError, RedirectRefused, SocksRefusal};
use lastword::proto::handshake::client::Error as Refusal;
use lastword::rustls::pki_types::ServerName;
use lastword::{
    Client, CloseCode, Config, ConnectError, HostAddresses, Phase, Proxy, Server, WebSocket,
};
use lastword_fakes::{Place, SOCKS, certificates, http_proxy, https_proxy, nowhere, socks_proxy};
use support::{Running, echo};
use tokio::net::TcpStream;

async fn converse(mut ws: WebSocket) {
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap(), "hello".into());
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
}

fn redirecting(to: &str) -> Place {
    Place::answering(format!("HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n"))
}

fn via(scheme: &str, address: SocketAddr) -> Proxy {
    Proxy::parse(&format!("{scheme}{address}")).unwrap()
}

#[tokio::test]
async fn http_proxies_open_tunnels_to_names_that_only_they_know() {
    let server = Running::echo().await;
    let place = http_proxy(server.address);
    let proxy = via("http://us%40er:secret@", place.address());
    converse(Client::new("ws://server.invalid:7").proxy(proxy).connect().await.unwrap()).await;
    let asked = place.asked().concat();
    assert!(asked.starts_with("CONNECT server.invalid:7 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nProxy-Authorization: Basic dXNAZXI6c2VjcmV0\r\n"), "{asked}");
    server.stop().await;
}

#[tokio::test]
async fn tls_goes_through_the_tls_of_a_proxy() {
    let (server_tls, client_tls) = certificates();
    let (proxy_tls, trusts_proxy) = certificates();
    let server = Running::start(Server::new().tls(server_tls), echo).await;
    let port = https_proxy(server.address, proxy_tls).address().port();
    let client = Client::new("wss://server.invalid/")
        .proxy(Proxy::parse(&format!("https://localhost:{port}")).unwrap())
        .proxy_tls(trusts_proxy)
        .tls_server_name(ServerName::try_from("localhost").unwrap())
        .tls(client_tls);
    converse(client.connect().await.unwrap()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_host_is_where_it_is_said_to_be_and_keeps_its_name() {
    let place = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let port = place.address().port();
    let elsewhere = HostAddresses::new("server.invalid", [[192, 0, 2, 7].into()]).unwrap();
    let here = HostAddresses::parse(&format!("server.invalid:{port}:127.0.0.1")).unwrap();
    // The last one counts.
    let client = Client::new(format!("ws://server.invalid:{port}/")).resolve(elsewhere.clone());
    let error = client.resolve(here.clone()).no_proxy().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(Refusal::Refused(_))), "{error}");
    let asked = place.asked().concat();
    assert!(asked.contains(&format!("Host: server.invalid:{port}\r\n")), "{asked}");
    // Another port is another matter.
    let client = Client::new("ws://server.invalid:9/").resolve(here);
    let error = client.no_proxy().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");

    // A proxy's name may be given, too, and the proxy is asked for the address.
    let server = Running::echo().await;
    let place = http_proxy(server.address);
    let there = HostAddresses::new("proxy.invalid", [place.address().ip()]).unwrap();
    let proxy = Proxy::parse(&format!("http://proxy.invalid:{}", place.address().port())).unwrap();
    let client = Client::new("ws://server.invalid:7").proxy(proxy).resolve(there);
    converse(client.resolve(elsewhere).connect().await.unwrap()).await;
    let asked = place.asked().concat();
    assert!(asked.starts_with("CONNECT 192.0.2.7:7 HTTP/1.1\r\n"), "{asked}");
    server.stop().await;
}

#[tokio::test]
async fn socks_opens_tunnels_in_each_of_its_versions() {
    let server = Running::echo().await;
    for case in SOCKS {
        let place = socks_proxy(server.address, case.turns);
        let client = Client::new(format!("ws://{}", case.server));
        let client = client.proxy(via(case.scheme, place.address()));
        converse(client.connect().await.unwrap()).await;
        let [has_to, did] = case.told_name(&place.asked_bytes().concat());
        assert_eq!(did, has_to, "{case:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_and_whether_to_try_again() {
    let needs = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n";
    let busy = "HTTP/1.1 503 x\r\n\r\n";
    for (answer, code, transient) in [(needs, 407, false), (busy, 503, true)] {
        let place = Place::answering(answer);
        let client = Client::new("ws://a.invalid").proxy(via("http://", place.address()));
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.is_transient(), transient);
        let ConnectError::Proxy { source: ProxyError::Refused { status, .. }, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status, code);
    }
    let place = socks_proxy(nowhere(), &[(3, &[5, 0]), (16, &[5, 5])]);
    let client = Client::new("ws://a.invalid:7").proxy(via("socks5h://", place.address()));
    let error = client.connect().await.unwrap_err();
    assert!(error.is_transient());
    let refused = SocksRefusal::ConnectionRefused;
    assert!(
        matches!(&error, ConnectError::Proxy { source: ProxyError::Socks(why), .. } if *why == refused),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_that_hangs_up_or_says_nothing_is_told_from_one_that_refuses() {
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(300);
    let client = Client::new("ws://a.invalid").config(config);
    let hangs_up = via("http://", Place::answering("HTTP/1.1 ").address());
    let error = client.clone().proxy(hangs_up).connect().await.unwrap_err();
    assert!(error.is_transient());
    let ConnectError::Proxy { source: ProxyError::Eof { bytes: 9 }, .. } = error else {
        panic!("{error}")
    };
    let says_nothing = via("http://", Place::silent().address());
    let error = client.proxy(says_nothing).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Proxy, .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_without_the_credentials_to_other_origins() {
    let end = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let middle = redirecting(&format!("ws://{}/e", end.address()));
    let start = redirecting(&format!("http://{}/m", middle.address()));
    let client = Client::new(format!("ws://u:p@{}/s", start.address()))
        .header(COOKIE, HeaderValue::from_static("c=1"))
        .header("x-kept".parse().unwrap(), HeaderValue::from_static("1"))
        .user_agent(HeaderValue::from_static("me"));
    let error = client.connect().await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Handshake(Refusal::Refused(answer)) if answer.status() == 403),
        "{error}"
    );
    for (place, path, secret) in [(start, "/s", true), (middle, "/m", false), (end, "/e", false)] {
        let asked = place.asked().concat();
        assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
        assert_eq!(asked.contains("Authorization: Basic dTpw\r\n"), secret, "{asked}");
        assert_eq!(asked.contains("Cookie: c=1\r\n"), secret, "{asked}");
        assert!(asked.contains("X-Kept: 1\r\n") && asked.contains("User-Agent: me\r\n"), "{asked}");
        assert_eq!(asked.matches("User-Agent").count(), 1);
    }
}

#[tokio::test]
async fn a_host_of_the_callers_own_is_sent_and_left_behind_at_another_origin() {
    let end = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let start = redirecting(&format!("ws://{}/e", end.address()));
    let client = Client::new(format!("ws://{}/", start.address()));
    client.header(HOST, HeaderValue::from_static("virtual.example")).connect().await.unwrap_err();
    let asked = start.asked().concat();
    assert!(asked.contains("Host: virtual.example\r\n"), "{asked}");
    assert_eq!(asked.matches("Host:").count(), 1);
    let asked = end.asked().concat();
    assert!(asked.contains(&format!("Host: {}\r\n", end.address())), "{asked}");
}

#[tokio::test]
async fn a_circle_of_redirects_ends_and_none_leads_out_of_a_stream() {
    let place = redirecting("/again");
    let client = Client::new(format!("ws://u:p@{}/", place.address()));
    let error = client.clone().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Redirect(RedirectRefused::TooMany { limit: 10, .. })),
        "{error}"
    );
    assert!(!error.is_transient());
    let heads = place.asked();
    assert_eq!(heads.len(), 11);
    assert!(heads.iter().all(|head| head.contains("Authorization: Basic dTpw\r\n")));

    let error = client.clone().max_redirects(0).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(Refusal::Refused(_))), "{error}");

    let stream = TcpStream::connect(place.address()).await.unwrap();
    let error = client.connect_over(stream).await.unwrap_err();
    assert!(matches!(error, ConnectError::Redirect(RedirectRefused::OwnStream { .. })), "{error}");
}

#[tokio::test]
async fn a_header_of_the_callers_own_goes_before_the_urls_user() {
    let place = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let client = Client::new(format!("ws://u:p@{}/", place.address()))
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
    client.connect().await.unwrap_err();
    let asked = place.asked().concat();
    assert!(asked.contains("Authorization: Bearer t\r\n") && !asked.contains("Basic"), "{asked}");
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_are_connected_to_by_their_path() {
    let folder = std::env::temp_dir().join(format!("lastword-dialing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let accepting = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(lastword::accept(stream).await.unwrap()).await.unwrap();
    });
    converse(Client::new("ws://localhost/").connect_unix(&path).await.unwrap()).await;
    accepting.await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let error = Client::new("ws://localhost/").connect_unix(&path).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unix { path: p, source }
            if *p == path && source.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
}

#[tokio::test]
async fn tls_trusts_whom_it_is_told_to_trust() {
    let (server_tls, _) = certificates();
    let server = Running::start(Server::new().tls(server_tls), echo).await;
    let url = format!("wss://localhost:{}/", server.address.port());
    let client = Client::new(&url).no_proxy();
    for stranger in [client.clone(), client.clone().tls_webpki_roots()] {
        let error = stranger.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_transient(), "{error}");
    }
    converse(client.danger_accept_invalid_certs().connect().await.unwrap()).await;
    server.stop().await;
}

#[tokio::test]
async fn all_addresses_that_failed_are_told() {
    let free = nowhere();
    let error = Client::new(format!("ws://{free}")).connect().await.unwrap_err();
    assert!(error.is_transient());
    let ConnectError::Connect { address, source, before } = error else { panic!("{error}") };
    assert_eq!((address, before.len()), (free.to_string(), 0));
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let client = Client::new(format!("ws://{free}")).local_address("::1".parse().unwrap());
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn a_deadline_beyond_the_clock_is_none() {
    let mut config = Config::default();
    config.open_timeout = Duration::MAX;
    let server = Running::echo().await;
    converse(Client::new(server.url()).config(config).connect().await.unwrap()).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_url_is_told_without_its_password() {
    let client = Client::new("ws://u:secret@a b/");
    let shown = format!("{client:?}");
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Url { why: InvalidUri::Character(' '), .. }), "{error}");
    assert!(!error.to_string().contains("secret") && !shown.contains("secret"), "{error} {shown}");
}
