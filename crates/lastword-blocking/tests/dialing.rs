//! The way to a server: proxies, redirects, Unix sockets, whom TLS trusts; and how each of it fails.

mod support;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use lastword_blocking::dial::{InvalidUri, ProxyError, RedirectRefused, SocksRefusal};
use lastword_blocking::proto::handshake::client::Error as Refusal;
use lastword_blocking::rustls::pki_types::ServerName;
use lastword_blocking::{
    Cancel, Client, CloseCode, Config, ConnectError, HostAddresses, Message, Phase, Proxy, Server,
    WebSocket, accept,
};
use lastword_fakes::{
    Authority, Place, SOCKS, certificates, http_proxy, https_proxy, nowhere, socks_proxy,
};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{echo, echo_server};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Says something short and something long: more than a socket, a record, or a buffer of TLS holds.
fn converse(mut ws: WebSocket) {
    for message in [Message::from("hello"), Message::binary(vec![7; 1 << 20])] {
        ws.send(message.clone()).unwrap();
        assert!(ws.recv_timeout(LIMIT).unwrap().unwrap() == message);
    }
    let ending = ws.close(CloseCode::NORMAL, "");
    assert!(ending.is_clean(), "{ending}");
}

fn redirecting(to: &str) -> Place {
    Place::answering(format!("HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n"))
}

fn via(scheme: &str, address: SocketAddr) -> Proxy {
    Proxy::parse(&format!("{scheme}{address}")).unwrap()
}

#[test]
fn http_proxies_open_tunnels_to_names_that_only_they_know() {
    let place = http_proxy(echo_server(Server::new()));
    let proxy = via("http://us%40er:secret@", place.address());
    converse(Client::new("ws://server.invalid:7").proxy(proxy).connect().unwrap());
    let asked = place.asked().concat();
    assert!(asked.starts_with("CONNECT server.invalid:7 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nProxy-Authorization: Basic dXNAZXI6c2VjcmV0\r\n"), "{asked}");
}

#[test]
fn tls_goes_through_the_tls_of_a_proxy() {
    let (server_tls, client_tls) = certificates();
    let (proxy_tls, trusts_proxy) = certificates();
    let server = echo_server(Server::new().tls(server_tls));
    let port = https_proxy(server, proxy_tls).address().port();
    let client = Client::new("wss://server.invalid/")
        .proxy(Proxy::parse(&format!("https://localhost:{port}")).unwrap())
        .proxy_tls(trusts_proxy)
        .tls_server_name(ServerName::try_from("localhost").unwrap())
        .tls(client_tls);
    converse(client.clone().connect().unwrap());

    // Both ways at once, from two threads: neither TLS waits for the other.
    let (sender, mut receiver) = client.connect().unwrap().split();
    let sending = thread::spawn(move || {
        for number in 0..20 {
            sender.send(Message::binary(vec![number; 100_000])).unwrap();
        }
        sender
    });
    for number in 0..20 {
        let came = receiver.recv_timeout(LIMIT).unwrap().unwrap();
        assert!(came == Message::binary(vec![number; 100_000]), "message {number}");
    }
    let sender = sending.join().unwrap();
    sender.close(CloseCode::NORMAL, "");
    assert!(sender.ended_timeout(LIMIT).unwrap().is_clean());
}

#[test]
fn an_open_connection_goes_through_the_tls_of_a_proxy_alone() {
    let (proxy_tls, trusts_proxy) = certificates();
    let port = https_proxy(echo_server(Server::new()), proxy_tls).address().port();
    let proxy = Proxy::parse(&format!("https://localhost:{port}")).unwrap();
    let client = Client::new("ws://server.invalid/").proxy(proxy);
    converse(client.clone().proxy_tls(trusts_proxy).connect().unwrap());
    // A proxy is verified, too, whoever else may be anybody.
    let error = client.danger_accept_invalid_certs().connect().unwrap_err();
    let ConnectError::ProxyUnreachable { source, .. } = error else { panic!("{error}") };
    assert!(matches!(&*source, ConnectError::Tls { host, .. } if host == "localhost"), "{source}");
}

#[test]
fn a_host_is_where_it_is_said_to_be_and_keeps_its_name() {
    let place = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let port = place.address().port();
    let elsewhere = HostAddresses::new("server.invalid", [[192, 0, 2, 7].into()]).unwrap();
    let here = HostAddresses::parse(&format!("server.invalid:{port}:127.0.0.1")).unwrap();
    // The last one counts.
    let client = Client::new(format!("ws://server.invalid:{port}/")).resolve(elsewhere.clone());
    let error = client.resolve(here.clone()).no_proxy().connect().unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(Refusal::Refused(_))), "{error}");
    let asked = place.asked().concat();
    assert!(asked.contains(&format!("Host: server.invalid:{port}\r\n")), "{asked}");
    // Another port is another matter.
    let client = Client::new("ws://server.invalid:9/").resolve(here);
    let error = client.no_proxy().connect().unwrap_err();
    assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");

    // A proxy's name may be given, too, and the proxy is asked for the address.
    let place = http_proxy(echo_server(Server::new()));
    let there = HostAddresses::new("proxy.invalid", [place.address().ip()]).unwrap();
    let proxy = Proxy::parse(&format!("http://proxy.invalid:{}", place.address().port())).unwrap();
    let client = Client::new("ws://server.invalid:7").proxy(proxy).resolve(there);
    converse(client.resolve(elsewhere).connect().unwrap());
    let asked = place.asked().concat();
    assert!(asked.starts_with("CONNECT 192.0.2.7:7 HTTP/1.1\r\n"), "{asked}");
}

#[test]
fn socks_opens_tunnels_in_each_of_its_versions() {
    let server = echo_server(Server::new());
    for case in SOCKS {
        let place = socks_proxy(server, case.turns);
        let client = Client::new(format!("ws://{}", case.server));
        converse(client.proxy(via(case.scheme, place.address())).connect().unwrap());
        let [has_to, did] = case.told_name(&place.asked_bytes().concat());
        assert_eq!(did, has_to, "{case:?}");
    }
}

#[test]
fn what_a_proxy_refuses_is_told_and_whether_to_try_again() {
    let needs = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n";
    let busy = "HTTP/1.1 503 x\r\n\r\n";
    for (answer, code, transient) in [(needs, 407, false), (busy, 503, true)] {
        let place = Place::answering(answer);
        let client = Client::new("ws://a.invalid").proxy(via("http://", place.address()));
        let error = client.connect().unwrap_err();
        assert_eq!(error.is_transient(), transient);
        let ConnectError::Proxy { source: ProxyError::Refused { status, .. }, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status, code);
    }
    let place = socks_proxy(nowhere(), &[(3, &[5, 0]), (16, &[5, 5])]);
    let client = Client::new("ws://a.invalid:7").proxy(via("socks5h://", place.address()));
    let error = client.connect().unwrap_err();
    assert!(error.is_transient());
    let refused = SocksRefusal::ConnectionRefused;
    assert!(
        matches!(&error, ConnectError::Proxy { source: ProxyError::Socks(why), .. } if *why == refused),
        "{error}"
    );
}

#[test]
fn a_proxy_that_hangs_up_is_told_from_one_that_refuses() {
    let proxy = via("http://", Place::answering("HTTP/1.1 ").address());
    let error = Client::new("ws://a.invalid").proxy(proxy).connect().unwrap_err();
    assert!(error.is_transient());
    let ConnectError::Proxy { source: ProxyError::Eof { bytes: 9 }, .. } = error else {
        panic!("{error}")
    };
}

#[test]
fn redirects_are_followed_without_the_credentials_to_other_origins() {
    let end = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let middle = redirecting(&format!("ws://{}/e", end.address()));
    let start = redirecting(&format!("http://{}/m", middle.address()));
    let client = Client::new(format!("ws://u:p@{}/s", start.address()))
        .header(COOKIE, HeaderValue::from_static("c=1"))
        .header("x-kept".parse().unwrap(), HeaderValue::from_static("1"))
        .user_agent(HeaderValue::from_static("me"));
    let error = client.connect().unwrap_err();
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

#[test]
fn a_redirect_leads_to_a_connection() {
    let server = echo_server(Server::new());
    let place = redirecting(&format!("ws://{server}/there"));
    let ws = Client::new(place.url()).connect().unwrap();
    assert_eq!(ws.opening().request().uri().path(), "/there");
    assert_eq!(ws.opening().peer_addr, Some(server));
    converse(ws);
}

#[test]
fn a_circle_of_redirects_ends_and_none_leads_out_of_a_stream() {
    let place = redirecting("/again");
    let client = Client::new(format!("ws://u:p@{}/", place.address()));
    let error = client.clone().connect().unwrap_err();
    assert!(
        matches!(error, ConnectError::Redirect(RedirectRefused::TooMany { limit: 10, .. })),
        "{error}"
    );
    assert!(!error.is_transient());
    let heads = place.asked();
    assert_eq!(heads.len(), 11);
    assert!(heads.iter().all(|head| head.contains("Authorization: Basic dTpw\r\n")));

    let error = client.clone().max_redirects(0).connect().unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(Refusal::Refused(_))), "{error}");

    let stream = TcpStream::connect(place.address()).unwrap();
    let error = client.connect_over(stream).unwrap_err();
    assert!(matches!(error, ConnectError::Redirect(RedirectRefused::OwnStream { .. })), "{error}");
}

#[test]
fn a_header_of_the_callers_own_goes_before_the_urls_user() {
    let place = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let client = Client::new(format!("ws://u:p@{}/", place.address()))
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
    client.connect().unwrap_err();
    let asked = place.asked().concat();
    assert!(asked.contains("Authorization: Bearer t\r\n") && !asked.contains("Basic"), "{asked}");
}

#[test]
fn unix_sockets_are_connected_to_by_their_path() {
    let folder = std::env::temp_dir().join(format!("lastword-blocking-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let accepting = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        echo(accept(stream).unwrap()).unwrap();
    });
    converse(Client::new("ws://localhost/").connect_unix(&path).unwrap());
    accepting.join().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let error = Client::new("ws://localhost/").connect_unix(&path).unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unix { path: p, source }
            if *p == path && source.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
}

#[test]
fn tls_trusts_whom_it_is_told_to_trust() {
    let (server_tls, client_tls) = certificates();
    let url = format!("wss://localhost:{}/", echo_server(Server::new().tls(server_tls)).port());
    let client = Client::new(&url).no_proxy();
    for stranger in [client.clone(), client.clone().tls_webpki_roots()] {
        let error = stranger.connect().unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_transient(), "{error}");
    }
    converse(client.clone().tls(client_tls).connect().unwrap());
    converse(client.danger_accept_invalid_certs().connect().unwrap());
}

#[test]
fn a_server_that_asks_who_comes_is_shown_a_certificate() {
    let authority = Authority::new("ours");
    let port = echo_server(Server::new().tls(authority.guard())).port();
    let client = Client::new(format!("wss://localhost:{port}")).no_proxy();
    let client = client.danger_accept_invalid_certs();
    let (chain, key) = authority.vouch_for("ada");
    converse(client.clone().tls_client_certificate(chain, key).connect().unwrap());

    let (chain, key) = Authority::new("theirs").vouch_for("ada");
    let stranger = client.clone().tls_client_certificate(chain, key);
    for (client, why) in [(client, "CertificateRequired"), (stranger, "UnknownCA")] {
        // In TLS 1.3 the server says so when our side of its handshake is over.
        let error = client.connect().unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
        let (ConnectError::Tls { source, .. } | ConnectError::Lost(source)) = &error else {
            panic!("{error:?}")
        };
        assert!(source.to_string().contains(why), "{source}");
    }
}

#[test]
fn all_addresses_that_failed_are_told() {
    let free = nowhere();
    let error = Client::new(format!("ws://{free}")).connect().unwrap_err();
    assert!(error.is_transient());
    let ConnectError::Connect { address, source, before } = error else { panic!("{error}") };
    assert_eq!((address, before.len()), (free.to_string(), 0));
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let client = Client::new(format!("ws://{free}")).local_address("::1".parse().unwrap());
    let error = client.connect().unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error}");
}

#[test]
fn a_connection_comes_from_the_address_that_was_named() {
    let here = "127.0.0.77".parse().unwrap();
    let server = echo_server(Server::new());
    let ws = Client::new(format!("ws://{server}")).local_address(here).connect().unwrap();
    assert_eq!(ws.opening().local_addr.unwrap().ip(), here);
    converse(ws);
}

#[test]
fn what_is_no_url_is_told_without_its_password() {
    let client = Client::new("ws://u:secret@a b/");
    let shown = format!("{client:?}");
    let error = client.connect().unwrap_err();
    assert!(matches!(error, ConnectError::Url { why: InvalidUri::Character(' '), .. }), "{error}");
    assert!(!error.to_string().contains("secret") && !shown.contains("secret"), "{error} {shown}");
}

#[test]
fn a_name_that_nobody_has_is_told() {
    let error = Client::new("ws://nobody.invalid/").no_proxy().connect().unwrap_err();
    assert!(
        matches!(&error, ConnectError::Resolve { host, .. } if host == "nobody.invalid"),
        "{error}"
    );
    assert!(error.is_transient());
}

/// Clients that get stuck, each in another phase.
fn stuck() -> Vec<(Phase, Client)> {
    let silent = Place::silent().address();
    // A tunnel to somebody who says nothing.
    let tunnel = http_proxy(silent).address();
    let wss = format!("wss://localhost:{}/", silent.port());
    vec![
        (Phase::Proxy, Client::new("ws://a.invalid").proxy(via("http://", silent))),
        (Phase::Proxy, Client::new("wss://a.invalid").proxy(via("socks5h://", silent))),
        (Phase::Tls, Client::new("ws://a.invalid").proxy(via("https://", silent))),
        (Phase::Tls, Client::new(wss).no_proxy()),
        (Phase::Tls, Client::new("wss://a.invalid").proxy(via("http://", tunnel))),
        (Phase::Handshake, Client::new(format!("ws://{silent}"))),
        (Phase::Handshake, Client::new("ws://a.invalid").proxy(via("http://", tunnel))),
    ]
}

#[test]
fn one_deadline_covers_all_phases() {
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(200);
    for (expected, client) in stuck() {
        let begun = Instant::now();
        let error = client.config(config.clone()).connect().unwrap_err();
        let error = match error {
            ConnectError::ProxyUnreachable { source, .. } => *source,
            other => other,
        };
        let ConnectError::TimedOut { limit, phase } = error else { panic!("{error}") };
        assert_eq!((limit, phase), (config.open_timeout, expected));
        assert!(begun.elapsed() < LIMIT);
    }
}

/// Cancels an opening after so long: in which phase it was.
fn cancelled_in(client: Client, after: Duration) -> Phase {
    let cancel = Cancel::new();
    let client = client.cancelled_by(&cancel);
    let opening = thread::spawn(move || client.connect());
    thread::sleep(after);
    let begun = Instant::now();
    cancel.cancel();
    let error = opening.join().unwrap().unwrap_err();
    assert!(begun.elapsed() < LIMIT / 10, "{:?}", begun.elapsed());
    let ConnectError::Cancelled { phase } = error else { panic!("{error}") };
    phase
}

#[test]
fn an_opening_is_cancelled_at_once_in_all_phases() {
    for (expected, client) in stuck() {
        // On a machine that is busy it takes its time to get there.
        let phase = [50, 500, 5000].into_iter().map(Duration::from_millis).find_map(|after| {
            let phase = cancelled_in(client.clone(), after);
            (phase == expected).then_some(phase)
        });
        assert_eq!(phase, Some(expected));
    }
    // What was cancelled before does not even begin.
    let place = Place::silent();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = Client::new(place.url()).cancelled_by(&cancel).connect().unwrap_err();
    assert!(matches!(error, ConnectError::Cancelled { .. }), "{error}");
    assert_eq!(place.asked().len(), 0);
}

#[test]
fn a_deadline_beyond_the_clock_is_none() {
    let mut config = Config::default();
    config.open_timeout = Duration::MAX;
    let url = format!("ws://{}", echo_server(Server::new()));
    converse(Client::new(url).config(config).connect().unwrap());
}

#[test]
fn an_open_connection_is_not_cancelled() {
    let cancel = Cancel::new();
    let url = format!("ws://{}", echo_server(Server::new()));
    let ws = Client::new(url).cancelled_by(&cancel).connect().unwrap();
    cancel.cancel();
    converse(ws);
}

#[test]
fn a_crowded_unix_socket_is_waited_for_by_the_deadline() {
    let folder = std::env::temp_dir().join(format!("lastword-crowded-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(200);
    // Nobody accepts: few find a place in the queue and wait for an answer, the others for a place.
    let client = Client::new("ws://localhost/").config(config);
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let (client, path) = (client.clone(), path.clone());
            thread::spawn(move || client.connect_unix(path).unwrap_err())
        })
        .collect();
    let phases: Vec<_> = opening
        .into_iter()
        .map(|opening| match opening.join().unwrap() {
            ConnectError::TimedOut { phase, .. } => phase,
            error => panic!("{error}"),
        })
        .collect();
    assert!(phases.contains(&Phase::Connecting), "{phases:?}");
    drop(listener);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_listener_that_is_slow_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let client = thread::spawn(move || converse(Client::new(url).connect().unwrap()));
    thread::sleep(Duration::from_millis(100));
    echo(accept(listener.accept().unwrap().0).unwrap()).unwrap();
    client.join().unwrap();
}
