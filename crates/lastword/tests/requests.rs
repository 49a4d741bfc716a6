//! What a server says to a request before there is a connection: to those who may not come in, to
//! those who only ask how it is, and with what the application has to say about it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderValue, StatusCode, header};
use lastword::{
    AcceptError, Answer, Client, Credentials, Hosts, InvalidRoute, Origins, Params, Phase, Routes,
    Server, Subprotocols, Wants, WebSocket,
};
use support::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn request(path: &str, headers: &[&str]) -> String {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// All that is answered to a peer that says this, and what the server makes of it.
async fn answer_to(server: &Server, request: &str) -> (String, Result<(), AcceptError>) {
    let (near, mut far) = duplex(1 << 16);
    far.write_all(request.as_bytes()).await.unwrap();
    far.shutdown().await.unwrap();
    let result = server.clone().accept(near).await.map(drop);
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await.unwrap();
    (String::from_utf8_lossy(&answer).into_owned(), result)
}

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    let line = answer.lines().next();
    assert_eq!(line, Some(format!("HTTP/1.1 {status}").as_str()), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn one_who_answers_over_http_is_not_asked_about_websockets_and_the_other_only_about_them() {
    let server = Server::new()
        .on_http(async |incoming| Answer::text(StatusCode::OK, format!("{:?}\n", incoming.wants)))
        .on_request(async |incoming| {
            assert_eq!(incoming.wants, Wants::WebSocket);
            match incoming.path() {
                "/" => Answer::accept(),
                _ => Answer::text(StatusCode::FORBIDDEN, "no\n"),
            }
        });
    let (answer, _) = answer_to(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_status(&answer, "200 OK");
    assert!(answer.ends_with("\r\n\r\nHttp\n"), "{answer}");
    assert_status(&answer_to(&server, &request("/", &[])).await.0, "101 Switching Protocols");
    assert_status(&answer_to(&server, &request("/x", &[])).await.0, "403 Forbidden");
    // Alone, it leaves openings to nobody's word.
    let server = Server::new().on_http(async |_| Answer::text(StatusCode::NOT_FOUND, "\n"));
    assert_status(&answer_to(&server, &request("/x", &[])).await.0, "101 Switching Protocols");
}

#[tokio::test]
async fn a_health_check_is_answered_and_head_gets_no_body() {
    let server = Server::new().on_request(async |incoming| match incoming.path() {
        "/health" => {
            assert_eq!(incoming.wants, Wants::Http);
            assert_eq!(incoming.query(), Some("deep"));
            Answer::text(StatusCode::OK, "fine\n")
        }
        _ => Answer::accept(),
    });
    let get = "GET /health?deep HTTP/1.1\r\nHost: a\r\n\r\n";
    let (answer, result) = answer_to(&server, get).await;
    assert_status(&answer, "200 OK");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\nfine\n"));
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    let Err(AcceptError::Refused(refusal)) = result else { panic!("{result:?}") };
    assert_eq!(refusal.status(), 200);

    let (answer, _) = answer_to(&server, &get.replace("GET", "HEAD")).await;
    assert_status(&answer, "200 OK");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");

    // What is not answered otherwise is refused as without a hook.
    let (answer, _) = answer_to(&server, &get.replace("/health", "/other")).await;
    assert_status(&answer, "426 Upgrade Required");
    let (answer, result) = answer_to(&server, &request("/", &[])).await;
    assert_status(&answer, "101 Switching Protocols");
    result.unwrap();
}

#[tokio::test]
async fn an_answer_of_the_application_cannot_contradict_its_own_framing() {
    let server = Server::new().on_request(async |incoming| {
        let status = incoming.path()[1..].parse().unwrap();
        let response = http::Response::builder()
            .status::<StatusCode>(status)
            .header("content-length", "999")
            .header("transfer-encoding", "chunked")
            .header("connection", "keep-alive")
            .header("x-mine", "kept");
        Answer::from(response.body("body".into()).unwrap())
    });
    for (asked, status, length, body) in [
        (302, "302 Found", Some("4"), "body"),
        (204, "204 No Content", None, ""),
        (304, "304 Not Modified", Some("4"), ""),
        (101, "500 Internal Server Error", Some("4"), "body"),
    ] {
        let (answer, _) = answer_to(&server, &request(&format!("/{asked}"), &[])).await;
        assert_status(&answer, status);
        let (head, said) = answer.split_once("\r\n\r\n").unwrap();
        let lengths: Vec<_> =
            head.lines().filter_map(|line| line.strip_prefix("Content-Length: ")).collect();
        assert_eq!(lengths, Vec::from_iter(length), "{answer}");
        assert_eq!(said, body);
        assert!(head.contains("X-Mine: kept") && head.contains("Connection: close"), "{answer}");
        assert!(!head.contains("chunked"), "{answer}");
    }
}

#[tokio::test]
async fn the_application_adds_headers_and_chooses_among_what_is_offered() {
    let server = Server::new()
        .subprotocols(Subprotocols::Optional(vec!["first".into()]))
        .on_request(async |incoming| {
            let name = header::SET_COOKIE;
            let accept = Answer::accept().header(name, HeaderValue::from_static("a=b"));
            let accept = accept.header(header::UPGRADE, HeaderValue::from_static("smuggled"));
            match incoming.query() {
                Some(chosen) => accept.subprotocol(chosen),
                None => accept,
            }
        });
    let offered = ["Sec-WebSocket-Protocol: first, second", "Sec-WebSocket-Protocol: third"];
    for (path, chosen) in [("/", "first"), ("/?second", "second"), ("/?third", "third")] {
        let (answer, result) = answer_to(&server, &request(path, &offered)).await;
        assert_status(&answer, "101 Switching Protocols");
        assert!(answer.contains("Set-Cookie: a=b\r\n"), "{answer}");
        assert!(answer.contains(&format!("Sec-WebSocket-Protocol: {chosen}\r\n")), "{answer}");
        assert!(!answer.contains("smuggled"), "{answer}");
        result.unwrap();
    }
    let (answer, result) = answer_to(&server, &request("/?fourth", &offered)).await;
    assert_status(&answer, "500 Internal Server Error");
    assert!(result.unwrap_err().to_string().contains("\"fourth\" was chosen"));
}

#[tokio::test]
async fn whoever_comes_from_elsewhere_or_calls_us_otherwise_never_meets_the_application() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let server = Server::new()
        .origins(Origins::Required(vec!["https://a.example".into()]))
        .hosts(Hosts::Only(vec!["a".into()]))
        .on_request(move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            async { Answer::accept() }
        });
    let ours = request("/", &["Origin: https://a.example"]);
    assert_status(&answer_to(&server, &ours).await.0, "101 Switching Protocols");
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    // A refused request for a WebSocket is no plain HTTP request.
    for (request, status) in [
        (request("/", &["Origin: https://b.example"]), "403 Forbidden"),
        (request("/", &[]), "403 Forbidden"),
        (ours.replace("Host: a", "Host: b"), "421 Misdirected Request"),
    ] {
        assert_status(&answer_to(&server, &request).await.0, status);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "{request}");
    }
}

#[tokio::test]
async fn only_the_right_name_and_password_come_in() {
    let server = Server::new().basic_auth("the \"staff\"\r\n", async |given: Credentials| {
        assert!(!format!("{given:?}").contains(given.password()));
        given.are("ada", "love:lace")
    });
    let right = "Authorization: Basic YWRhOmxvdmU6bGFjZQ==";
    for headers in [&[right][..], &[&right.replace("Basic", "bAsIc ")]] {
        let (answer, result) = answer_to(&server, &request("/", headers)).await;
        assert_status(&answer, "101 Switching Protocols");
        result.unwrap();
    }
    for headers in [
        &[][..],
        &[right, right],
        &["Authorization: Basic YWRhOmxvdmU6bGFjZA=="],
        &["Authorization: Basic YWRhOmxvdmU="],
        &["Authorization: Basic YWRh"],
        &["Authorization: Basic !!!!"],
        &["Authorization: Basic /////w=="],
        &["Authorization: Basic"],
        &["Authorization: Bearer YWRhOmxvdmU6bGFjZQ=="],
    ] {
        let (answer, result) = answer_to(&server, &request("/", headers)).await;
        assert_status(&answer, "401 Unauthorized");
        let challenge =
            "Www-Authenticate: Basic realm=\"the \\\"staff\\\"\", charset=\"UTF-8\"\r\n";
        assert!(answer.contains(challenge), "{answer}");
        assert!(matches!(result, Err(AcceptError::Refused(_))), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_decide_is_not_waited_for_beyond_the_time_for_the_opening() {
    let server = Server::new().on_request(|_| std::future::pending());
    let before = tokio::time::Instant::now();
    let (answer, result) = answer_to(&server, &request("/", &[])).await;
    assert_eq!((answer.as_str(), before.elapsed().as_secs()), ("", 10));
    let error = result.unwrap_err();
    assert!(matches!(error, AcceptError::TimedOut { phase: Phase::Application, .. }), "{error}");
}

#[tokio::test]
async fn an_application_that_panics_over_a_request_costs_that_request_only() {
    let server = Server::new().on_request(async |incoming| {
        assert_ne!(incoming.path(), "/bad", "a bug");
        Answer::accept()
    });
    let (answer, _) = answer_to(&server, &request("/bad", &[])).await;
    assert_status(&answer, "500 Internal Server Error");
    assert!(answer.ends_with("\r\n\r\ninternal error\n"), "{answer}");
    answer_to(&server, &request("/good", &[])).await.1.unwrap();
}

#[tokio::test]
async fn a_server_that_shuts_down_does_not_wait_for_what_the_application_decides() {
    let (asked, is_asked) = tokio::sync::oneshot::channel();
    let asked = std::sync::Mutex::new(Some(asked));
    let server = Server::new().on_request(move |incoming| {
        let peer = incoming.peer_addr.unwrap();
        asked.lock().unwrap().take().unwrap().send((peer, incoming.local_addr)).unwrap();
        std::future::pending()
    });
    let running = Running::start(server, support::echo).await;
    let address = running.address;
    let client = tokio::spawn(Client::new(running.url()).connect());
    let (peer, local) = is_asked.await.unwrap();
    assert!(peer.ip().is_loopback());
    assert_eq!(local, Some(address));
    running.stop().await;
    let refused = client.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
}

#[tokio::test]
async fn a_path_leads_to_its_handler_elsewhere_or_nowhere() {
    let say = |what: &'static str| {
        move |ws: WebSocket, params: Params| async move {
            let param = |name| params.get(name).unwrap_or("none").to_owned();
            let (room, rest) = (param("room"), param("rest"));
            ws.send(format!("{what} {room} {rest}")).await?;
            Ok(())
        }
    };
    let routes = Routes::new()
        .route("/chat/{room}", say("chat"))
        .and_then(|routes| routes.route("/chat/lobby", say("lobby")))
        .and_then(|routes| routes.route("/files/{*rest}", say("files")))
        .and_then(|routes| routes.redirect("/chat", "/chat/lobby"))
        .and_then(|routes| routes.redirect("/old/{room}", "wss://other.example/new"))
        .unwrap();
    let server = Server::new().on_request(async |incoming| match incoming.header("x-token") {
        Some("right") => Answer::accept(),
        _ => Answer::text(StatusCode::FORBIDDEN, "no\n"),
    });
    let bound = server.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(bound.serve_routes_until(routes, async { drop(stopped.await) }));
    let answer_to = async |path: &str, headers: &[&str]| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request(path, headers).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let right = ["X-Token: right"];
    for (path, said) in [
        ("/chat/cats?x=1", "chat cats none"),
        ("/chat/lobby", "lobby none none"),
        ("/chat/a%2Fb", "chat a%2Fb none"),
        ("/files/a/b/c", "files none a/b/c"),
    ] {
        let answer = answer_to(path, &right).await;
        assert_status(&answer, "101 Switching Protocols");
        assert!(answer.contains(said), "{answer}");
    }
    for (path, target) in [("/chat", "/chat/lobby"), ("/old/x", "wss://other.example/new")] {
        let answer = answer_to(path, &right).await;
        assert_status(&answer, "307 Temporary Redirect");
        assert!(answer.contains(&format!("Location: {target}\r\n")), "{answer}");
    }
    for path in ["/", "/chat/", "/chat/a/b", "/Chat/lobby", "/files/"] {
        assert_status(&answer_to(path, &right).await, "404 Not Found");
        // Who may not come in is not told what there is.
        assert_status(&answer_to(path, &[]).await, "403 Forbidden");
    }
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap().stuck, 0);
}

#[test]
fn a_route_that_cannot_be_says_so() {
    let nothing = async |_: WebSocket, _: Params| Ok(());
    let routes = || Routes::new().route("/a/{b}", nothing).unwrap();
    for path in ["", "a", "/a/{c}", "/a/{b}", "/{", "/{}", "/{*rest}/more"] {
        let error = routes().route(path, nothing).unwrap_err();
        assert!(matches!(error, InvalidRoute::Path { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
        assert!(routes().redirect(path, "/").is_err());
    }
    for target in ["", "/a b", "/a\r\nX-Smuggled: 1", "ws://"] {
        let error = routes().redirect("/new", target).unwrap_err();
        assert!(matches!(error, InvalidRoute::Target { .. }), "{error}");
    }
}
