//! A real hyper server, and clients of ours.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lastword::{CloseCode, ConnectError, HandlerError, Upgrades, WebSocket};
use lastword_hyper::{UpgradeLayer, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Serves each connection as `serve` does.
async fn run<T>(serve: impl Fn(TcpStream) -> T + Send + 'static) -> SocketAddr
where
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A service that upgrades whatever comes.
async fn upgrading(
    request: Request<Incoming>,
    upgrades: Upgrades,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(upgrade(request, &upgrades, echo))
}

async fn echoing(upgrades: &Upgrades) -> SocketAddr {
    let upgrades = upgrades.clone();
    run(move |stream| {
        let upgrades = upgrades.clone();
        let service = service_fn(move |request| upgrading(request, upgrades.clone()));
        let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        async { http.with_upgrades().await.unwrap() }
    })
    .await
}

#[track_caller]
fn check_clean(ending: &lastword::Ending, code: u16) {
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.code(), code);
}

async fn check_echo(address: SocketAddr) {
    let mut ws = lastword::connect(format!("ws://{address}/")).await.unwrap();
    for size in [0, 1, 126, 1 << 20] {
        ws.send(vec![7; size]).await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), size);
    }
    check_clean(&*ws.close(CloseCode::NORMAL, "").await, 1000);
}

#[tokio::test]
async fn a_server_of_http1_upgrades() {
    check_echo(echoing(&Upgrades::default()).await).await;
}

#[tokio::test]
async fn a_server_that_finds_out_which_http_it_is_upgrades() {
    let address = run(|stream| async {
        let service = service_fn(|request| upgrading(request, Upgrades::default()));
        let http = auto::Builder::new(TokioExecutor::new());
        http.serve_connection_with_upgrades(TokioIo::new(stream), service).await.unwrap();
    })
    .await;
    check_echo(address).await;
}

#[tokio::test]
async fn a_layer_of_tower_upgrades() {
    let address = run(|stream| async {
        let service = ServiceBuilder::new()
            .layer(UpgradeLayer::new(&Upgrades::default(), echo))
            .service_fn(async |_: Request<Incoming>| {
                Ok::<_, Infallible>(Response::new(Full::from("a page")))
            });
        let service = TowerToHyperService::new(service);
        let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        http.with_upgrades().await.unwrap();
    })
    .await;
    check_echo(address).await;
    let page = get(address).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\na page"), "{page}");
}

#[tokio::test]
async fn a_stream_that_is_no_socket_upgrades_too() {
    let (near, far) = tokio::io::duplex(1000);
    let service = service_fn(|request| upgrading(request, Upgrades::default()));
    let http = http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades();
    tokio::spawn(http);
    let mut ws = lastword::Client::new("ws://in.memory/").connect_over(near).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("hello"));
    check_clean(&*ws.close(CloseCode::NORMAL, "").await, 1000);
}

#[tokio::test]
async fn a_request_that_is_no_opening_is_answered_and_the_http_connection_goes_on() {
    let address = echoing(&Upgrades::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for last in [false, true] {
        let connection = if last { "close" } else { "keep-alive" };
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 426 Upgrade Required\r\n").count(), 2, "{answers}");
    assert!(answers.contains("\r\nupgrade: websocket\r\n"), "{answers}");
    assert!(answers.ends_with("not a request to upgrade to WebSocket\n"), "{answers}");
}

#[tokio::test]
async fn a_shutdown_ends_all_and_refuses_later_ones() {
    let upgrades = Upgrades::default();
    let address = echoing(&upgrades).await;
    let ws = lastword::connect(format!("ws://{address}/")).await.unwrap();
    ws.ping().await.unwrap();
    let farewells = upgrades.shut_down().await;
    assert_eq!((farewells.endings.len(), farewells.stuck), (1, 0));
    check_clean(&*ws.ended().await, 1001);
    let error = lastword::connect(format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(_)), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_hand_over_its_stream_is_told_of() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = lastword::Server::new();
    let upgrades = server.observe(move |outcome| tell.send(outcome.result).unwrap()).upgrades();
    let address = run(move |stream| {
        let upgrades = upgrades.clone();
        let service = service_fn(move |request| upgrading(request, upgrades.clone()));
        let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // `with_upgrades` was forgotten.
        async { drop(http.await) }
    })
    .await;
    let ws = lastword::connect(format!("ws://{address}/")).await.unwrap();
    assert!(!ws.ended().await.is_clean());
    let error = told.recv().await.unwrap().unwrap_err();
    assert!(matches!(error, lastword::AcceptError::Lost(_)), "{error}");
}

/// What is answered to an ordinary request.
async fn get(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
