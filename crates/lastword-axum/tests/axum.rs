//! A real axum server, and clients of ours and of others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use futures_util::{SinkExt, StreamExt};
use lastword::{
    Client, CloseCode, ConnectError, HandlerError, Server, Subprotocols, Upgrades, WebSocket,
};
use lastword_axum::{Refused, Upgrade, UpgradeLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite;
use tower::ServiceExt;

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Where it runs, how to stop it, and when it has stopped.
type Running = (SocketAddr, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>);

async fn run(app: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Who is not interested in its end drops the sender.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .into_future();
    (address, stop, tokio::spawn(serving))
}

async fn echoing() -> Running {
    let handler = async |upgrade: Upgrade| -> Response { upgrade.serve(echo) };
    run(Router::new().route("/", any(handler))).await
}

#[tokio::test]
async fn an_echo_over_all_sizes_and_a_clean_close() {
    let (address, ..) = echoing().await;
    let mut ws = lastword::connect(format!("ws://{address}")).await.unwrap();
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        ws.send(vec![7; size]).await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), size);
    }
    let ending = ws.close(CloseCode::NORMAL, "done").await;
    assert!(ending.is_clean(), "{ending}");
}

#[tokio::test]
async fn a_client_of_tungstenite_talks_to_it() {
    let (address, ..) = echoing().await;
    let (mut ws, response) =
        tokio_tungstenite::connect_async(format!("ws://{address}")).await.unwrap();
    assert_eq!(response.status(), 101);
    let messages =
        [tungstenite::Message::text("hello"), tungstenite::Message::binary(vec![1; 70_000])];
    for message in messages {
        ws.send(message.clone()).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap(), message);
    }
    ws.send(tungstenite::Message::Ping("there?".into())).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap(), tungstenite::Message::Pong("there?".into()));
    ws.close(None).await.unwrap();
    assert!(matches!(ws.next().await, Some(Ok(tungstenite::Message::Close(_)))));
    assert!(ws.next().await.is_none());
}

#[tokio::test]
async fn frames_right_behind_the_request_are_not_lost() {
    let (address, ..) = echoing().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // "hi", masked with zeros.
    bytes.extend(b"\x81\x82\0\0\0\0hi");
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hi") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(b"\r\n\r\n\x81\x02hi"), "{answer:?}");
}

#[tokio::test]
async fn the_socket_is_found_in_what_axum_hands_over() {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
    let handler = async move |upgrade: Upgrade| -> Response {
        upgrade.serve(async move |ws| {
            let peer = ws.opening().peer_addr;
            tell.lock().unwrap().take().unwrap().send(peer).unwrap();
            ws.abort();
            Ok(())
        })
    };
    let (address, ..) = run(Router::new().route("/", any(handler))).await;
    let ws = lastword::connect(format!("ws://{address}")).await.unwrap();
    assert_eq!(told.await.unwrap(), ws.opening().local_addr);
    let ending = ws.ended().await;
    assert!(ending.to_string().contains("reset"), "{ending}");
}

#[tokio::test]
async fn a_connection_lives_and_ends_while_its_handler_is_elsewhere() {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
    let handler = async move |upgrade: Upgrade| -> Response {
        upgrade.serve(async move |ws| {
            // Receives nothing, and looks only when it is over.
            let ending = ws.ended().await;
            tell.lock().unwrap().take().unwrap().send(ending).unwrap();
            Ok(())
        })
    };
    let (address, ..) = run(Router::new().route("/", any(handler))).await;
    let ws = lastword::connect(format!("ws://{address}")).await.unwrap();
    ws.ping().await.unwrap();
    ws.send_confirmed("read by the endpoint, if not by the handler").await.unwrap();
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
    let theirs = told.await.unwrap();
    assert!(theirs.is_clean(), "{theirs}");
    assert_eq!(theirs.code(), 1000);
}

#[tokio::test]
async fn a_graceful_shutdown_ends_connections_that_axum_has_let_go_of() {
    let upgrades = Upgrades::default();
    let handler = async |upgrade: Upgrade| -> Response { upgrade.serve(echo) };
    let app = Router::new().route("/", any(handler)).layer(Extension(upgrades.clone()));
    let (address, stop, serving) = run(app).await;
    let url = format!("ws://{address}");
    let clients = [lastword::connect(&url).await.unwrap(), lastword::connect(&url).await.unwrap()];
    for client in &clients {
        client.ping().await.unwrap();
    }
    assert_eq!(upgrades.count(), 2);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    // axum is gone; its connections are not.
    clients[0].ping().await.unwrap();
    let farewells = upgrades.shut_down().await;
    assert_eq!((farewells.endings.len(), farewells.stuck), (2, 0));
    for client in clients {
        let ending = client.ended().await;
        assert!(ending.is_clean(), "{ending}");
        assert_eq!(ending.code(), 1001);
    }
}

#[tokio::test]
async fn settings_come_from_the_extension() {
    let mut config = lastword::Config::default();
    config.max_message_size = 100;
    let subprotocols = Subprotocols::Optional(vec!["chat".into()]);
    let upgrades = Server::new().config(config).subprotocols(subprotocols).upgrades();
    let handler = async |upgrade: Upgrade| -> Response {
        assert_eq!(upgrade.agreement().subprotocol.as_deref(), Some("chat"));
        upgrade.serve(echo)
    };
    let app = Router::new().route("/", any(handler)).layer(Extension(upgrades));
    let (address, ..) = run(app).await;
    let ws = Client::new(format!("ws://{address}")).subprotocol("chat").connect().await.unwrap();
    assert_eq!(ws.opening().subprotocol.as_deref(), Some("chat"));
    ws.send("a".repeat(101)).await.unwrap();
    assert_eq!(ws.ended().await.code(), 1009);
}

#[tokio::test]
async fn what_is_no_opening_is_refused_before_the_handler_runs() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let handler = async |upgrade: Upgrade| -> Response {
        RUNS.fetch_add(1, Ordering::Relaxed);
        upgrade.serve(echo)
    };
    let app = Router::new().route("/", any(handler));
    let request = || {
        http::Request::get("/")
            .header("host", "localhost")
            .header("connection", "Upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let valid = || request().header("upgrade", "websocket");
    let cases = [
        (request(), 426, "not a request to upgrade"),
        (valid().method("POST"), 405, "POST is not GET"),
        (valid().header("content-length", "1"), 400, "has a body"),
        (valid().version(http::Version::HTTP_2), 505, "came over HTTP/2.0"),
        // Nobody is there who could hand over a stream.
        (valid(), 500, "cannot hand over its stream"),
    ];
    for (request, status, why) in cases {
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{why}");
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(why), "{why}: {body:?}");
    }
    assert_eq!(RUNS.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_handler_may_look_at_a_refusal_and_answer_otherwise() {
    let handler = async |upgrade: Result<Upgrade, Refused>| match upgrade {
        Ok(upgrade) => upgrade.serve(echo),
        Err(refused) => {
            assert_eq!(refused.refusal().status(), 426);
            "a page".into_response()
        }
    };
    let app = Router::new().route("/", get(handler));
    let request = http::Request::get("/").header("host", "localhost");
    let request = request.body(axum::body::Body::empty()).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200);
    let (address, ..) = run(app).await;
    lastword::connect(format!("ws://{address}")).await.unwrap();
}

#[tokio::test]
async fn a_layer_serves_what_asks_for_a_websocket_and_leaves_the_rest_to_the_routes() {
    let page = Router::new().route("/", get(async || "a page"));
    let app = page.layer(UpgradeLayer::new(&Upgrades::default(), echo));
    let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, "a page");
    let (address, ..) = run(app).await;
    let mut ws = lastword::connect(format!("ws://{address}/anywhere")).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("hello"));
}

#[tokio::test]
async fn a_response_that_axum_does_not_send_leaves_nothing_behind() {
    let upgrades = Upgrades::default();
    let handler = async |upgrade: Upgrade| -> Response {
        // Another answer than that which promises a connection.
        drop(upgrade.serve(echo));
        "changed my mind".into_response()
    };
    let app = Router::new().route("/", any(handler)).layer(Extension(upgrades.clone()));
    let (address, ..) = run(app).await;
    let error = lastword::connect(format!("ws://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(_)), "{error}");
    while upgrades.count() > 0 {
        tokio::task::yield_now().await;
    }
}
