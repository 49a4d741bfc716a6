//! The way to a server: proxies, redirects, Unix sockets, whom TLS trusts; and how each of it fails.

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use lastword::dial::{InvalidUri, ProxyError, RedirectRefused, SocksRefusal};
use lastword::proto::handshake::client::Error as Refusal;
use lastword::rustls::pki_types::ServerName;
use lastword::{Client, CloseCode, Config, ConnectError, Phase, Proxy, Server, WebSocket};
use support::tls::configs;
use support::{Running, echo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listener that says `answer` to whatever comes first, and keeps what came.
async fn answering(answer: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            kept.lock().unwrap().push(head);
            stream.write_all(answer).await.unwrap();
        }
    });
    (address, asked)
}

/// A head of HTTP, or what came until the end.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Opens a tunnel to `server` as `CONNECT` asks for one, and gives the request back.
async fn tunnel_http(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    server: SocketAddr,
) -> String {
    let head = read_head(&mut stream).await;
    let mut far = TcpStream::connect(server).await.unwrap();
    // Byte by byte, as far as the network lets it be.
    for byte in b"HTTP/1.1 200 OK\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    let _ = copy_bidirectional(&mut stream, &mut far).await;
    head
}

/// After so many bytes have come, this is said.
type Turn = (usize, &'static [u8]);

/// A proxy of SOCKS that takes its turns, and then opens a tunnel to `server`.
async fn tunnel_socks(mut stream: TcpStream, server: SocketAddr, turns: &[Turn]) -> Vec<u8> {
    let mut asked = Vec::new();
    for (count, answer) in turns {
        let mut came = vec![0; *count];
        stream.read_exact(&mut came).await.unwrap();
        asked.extend(came);
        stream.write_all(answer).await.unwrap();
    }
    let mut far = TcpStream::connect(server).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut far).await;
    asked
}

async fn converse(mut ws: WebSocket) {
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap(), "hello".into());
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
}

fn via(scheme: &str, address: SocketAddr) -> Proxy {
    Proxy::parse(&format!("{scheme}{address}")).unwrap()
}

#[tokio::test]
async fn http_proxies_open_tunnels_to_names_that_only_they_know() {
    let server = Running::echo().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = via("http://us%40er:secret@", listener.local_addr().unwrap());
    let far = server.address;
    let tunnel =
        tokio::spawn(async move { tunnel_http(listener.accept().await.unwrap().0, far).await });
    converse(Client::new("ws://server.invalid:7").proxy(proxy).connect().await.unwrap()).await;
    let asked = tunnel.await.unwrap();
    assert!(asked.starts_with("CONNECT server.invalid:7 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nProxy-Authorization: Basic dXNAZXI6c2VjcmV0\r\n"), "{asked}");
    server.stop().await;
}

#[tokio::test]
async fn tls_goes_through_the_tls_of_a_proxy() {
    let (server_tls, client_tls) = configs();
    let (proxy_tls, trusts_proxy) = configs();
    let server = Running::start(Server::new().tls(server_tls), echo).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let far = server.address;
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        let stream = TlsAcceptor::from(proxy_tls).accept(stream).await.unwrap();
        tunnel_http(stream, far).await
    });
    let client = Client::new("wss://server.invalid/")
        .proxy(Proxy::parse(&format!("https://localhost:{port}")).unwrap())
        .proxy_tls(trusts_proxy)
        .tls_server_name(ServerName::try_from("localhost").unwrap())
        .tls(client_tls);
    converse(client.connect().await.unwrap()).await;
    server.stop().await;
}

#[tokio::test]
async fn socks_opens_tunnels_in_each_of_its_versions() {
    let server = Running::echo().await;
    let granted4: &'static [u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
    let granted5: &'static [u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let cases: [(&str, &str, &[Turn]); 5] = [
        ("socks4://", "127.0.0.9:7", &[(9, granted4)]),
        ("socks4a://me@", "a.invalid:7", &[(21, granted4)]),
        ("socks5://", "127.0.0.9:7", &[(3, &[5, 0]), (10, granted5)]),
        ("socks5://", "[::9]:7", &[(3, &[5, 0]), (22, granted5)]),
        ("socks5h://u:p@", "a.invalid:7", &[(4, &[5, 2]), (5, &[1, 0]), (16, granted5)]),
    ];
    for (scheme, host, turns) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client =
            Client::new(format!("ws://{host}")).proxy(via(scheme, listener.local_addr().unwrap()));
        let far = server.address;
        let tunnel = async { tunnel_socks(listener.accept().await.unwrap().0, far, turns).await };
        let talk = async { converse(client.connect().await.unwrap()).await };
        let (asked, ()) = tokio::join!(tunnel, talk);
        let knows_name = asked.windows(9).any(|some| some == b"a.invalid");
        assert_eq!(knows_name, host.starts_with('a'), "{scheme}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_and_whether_to_try_again() {
    let needs = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n";
    let busy = b"HTTP/1.1 503 x\r\n\r\n";
    for (answer, code, transient) in [(&needs[..], 407, false), (busy, 503, true)] {
        let (address, _) = answering(answer).await;
        let client = Client::new("ws://a.invalid").proxy(via("http://", address));
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.is_transient(), transient);
        let ConnectError::Proxy { source: ProxyError::Refused { status, .. }, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status, code);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = via("socks5h://", listener.local_addr().unwrap());
    let refuse = async {
        let mut stream = listener.accept().await.unwrap().0;
        stream.read_exact(&mut [0; 3]).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        stream.read_exact(&mut [0; 16]).await.unwrap();
        stream.write_all(&[5, 5]).await.unwrap();
        stream
    };
    let client = Client::new("ws://a.invalid:7").proxy(proxy);
    let (_stream, opened) = tokio::join!(refuse, client.connect());
    let error = opened.unwrap_err();
    assert!(error.is_transient());
    let refused = SocksRefusal::ConnectionRefused;
    assert!(
        matches!(&error, ConnectError::Proxy { source: ProxyError::Socks(why), .. } if *why == refused),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_that_hangs_up_or_says_nothing_is_told_from_one_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = via("http://", listener.local_addr().unwrap());
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(300);
    let client = Client::new("ws://a.invalid").proxy(proxy).config(config);
    let hang_up = async {
        let mut stream = listener.accept().await.unwrap().0;
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 ").await.unwrap();
    };
    let (error, ()) = tokio::join!(client.clone().connect(), hang_up);
    let error = error.unwrap_err();
    assert!(error.is_transient());
    let ConnectError::Proxy { source: ProxyError::Eof { bytes: 9 }, .. } = error else {
        panic!("{error}")
    };
    // Nobody accepts, so that nothing is ever answered.
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Proxy, .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_without_the_credentials_to_other_origins() {
    let (end, at_end) = answering(b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n").await;
    let elsewhere =
        format!("HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: ws://{end}/e\r\n\r\n");
    let (middle, at_middle) = answering(elsewhere.leak().as_bytes()).await;
    let first = "HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: ";
    let (start, at_start) =
        answering(format!("{first}http://{middle}/m\r\n\r\n").leak().as_bytes()).await;
    let client = Client::new(format!("ws://u:p@{start}/s"))
        .header(COOKIE, HeaderValue::from_static("c=1"))
        .header("x-kept".parse().unwrap(), HeaderValue::from_static("1"))
        .user_agent(HeaderValue::from_static("me"));
    let error = client.connect().await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Handshake(Refusal::Refused(answer)) if answer.status() == 403),
        "{error}"
    );
    for (asked, path, secret) in
        [(&at_start, "/s", true), (&at_middle, "/m", false), (&at_end, "/e", false)]
    {
        let asked = asked.lock().unwrap().concat();
        assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
        assert_eq!(asked.contains("Authorization: Basic dTpw\r\n"), secret, "{asked}");
        assert_eq!(asked.contains("Cookie: c=1\r\n"), secret, "{asked}");
        assert!(asked.contains("X-Kept: 1\r\n") && asked.contains("User-Agent: me\r\n"), "{asked}");
        assert_eq!(asked.matches("User-Agent").count(), 1);
    }
}

#[tokio::test]
async fn a_circle_of_redirects_ends_and_none_leads_out_of_a_stream() {
    let answer = b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n";
    let (address, asked) = answering(answer).await;
    let client = Client::new(format!("ws://u:p@{address}/"));
    let error = client.clone().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Redirect(RedirectRefused::TooMany { limit: 10, .. })),
        "{error}"
    );
    assert!(!error.is_transient());
    let heads = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(heads.len(), 11);
    assert!(heads.iter().all(|head| head.contains("Authorization: Basic dTpw\r\n")));

    let error = client.clone().max_redirects(0).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(Refusal::Refused(_))), "{error}");

    let stream = TcpStream::connect(address).await.unwrap();
    let error = client.connect_over(stream).await.unwrap_err();
    assert!(matches!(error, ConnectError::Redirect(RedirectRefused::OwnStream { .. })), "{error}");
}

#[tokio::test]
async fn a_header_of_the_callers_own_goes_before_the_urls_user() {
    let (address, asked) = answering(b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n").await;
    let client = Client::new(format!("ws://u:p@{address}/"))
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
    client.connect().await.unwrap_err();
    let asked = asked.lock().unwrap().concat();
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
    let (server_tls, _) = configs();
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
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
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
async fn what_is_no_url_is_told_without_its_password() {
    let client = Client::new("ws://u:secret@a b/");
    let shown = format!("{client:?}");
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Url { why: InvalidUri::Character(' '), .. }), "{error}");
    assert!(!error.to_string().contains("secret") && !shown.contains("secret"), "{error} {shown}");
}
