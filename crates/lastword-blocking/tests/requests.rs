//! What a server says to a request before there is a connection: to those who may not come in, to
//! those who only ask how it is, and with what the application has to say about it.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode, header};
use lastword_blocking::{
    AcceptError, Answer, Client, Config, Credentials, HandlerError, Hosts, InvalidRoute, Origins,
    Params, Phase, Routes, Server, Subprotocols, Wants, WebSocket,
};
use support::{Running, assert_status, echo, request};

/// All that is answered to a peer that says this, and what the server makes of it.
fn answer_to(server: &Server, request: &str) -> (String, Result<(), AcceptError>) {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(request.as_bytes()).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    let result = server.clone().accept(near).map(drop);
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).unwrap();
    (String::from_utf8_lossy(&answer).into_owned(), result)
}

#[test]
fn a_health_check_is_answered_and_head_gets_no_body() {
    let server = Server::new().on_request(|incoming| match incoming.path() {
        "/health" => {
            assert_eq!(incoming.wants, Wants::Http);
            Answer::text(StatusCode::OK, "fine\n")
        }
        _ => Answer::accept(),
    });
    let get = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let (answer, result) = answer_to(&server, get);
    assert_status(&answer, "200 OK");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\nfine\n"));
    let Err(AcceptError::Refused(refusal)) = result else { panic!("{result:?}") };
    assert_eq!(refusal.status(), 200);

    let (answer, _) = answer_to(&server, &get.replace("GET", "HEAD"));
    assert_status(&answer, "200 OK");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");

    // What is not answered otherwise is refused as without a hook.
    let (answer, _) = answer_to(&server, &get.replace("/health", "/other"));
    assert_status(&answer, "426 Upgrade Required");
    let (answer, result) = answer_to(&server, &request("/", &[]));
    assert_status(&answer, "101 Switching Protocols");
    result.unwrap();
}

#[test]
fn ordinary_requests_have_a_hook_of_their_own_if_the_application_wants_that() {
    let no = || Answer::text(StatusCode::FORBIDDEN, "not you\n");
    let server = Server::new().on_request(move |_| no()).on_http(|incoming| {
        assert_eq!(incoming.wants, Wants::Http);
        Answer::text(StatusCode::OK, "fine\n")
    });
    let get = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_status(&answer_to(&server, get).0, "200 OK");
    assert_status(&answer_to(&server, &request("/", &[])).0, "403 Forbidden");
    // Whoever has no other hook accepts what is offered.
    let server = Server::new().on_http(|_| Answer::text(StatusCode::OK, "fine\n"));
    assert_status(&answer_to(&server, &request("/", &[])).0, "101 Switching Protocols");
}

#[test]
fn the_application_adds_headers_and_chooses_among_what_is_offered() {
    let server = Server::new()
        .subprotocols(Subprotocols::Optional(vec!["first".into()]))
        .on_request(|incoming| {
            let accept = Answer::accept();
            let accept = accept.header(header::SET_COOKIE, HeaderValue::from_static("a=b"));
            match incoming.query() {
                Some(chosen) => accept.subprotocol(chosen),
                None => accept,
            }
        });
    let offered = ["Sec-WebSocket-Protocol: first, second", "Sec-WebSocket-Protocol: third"];
    for (path, chosen) in [("/", "first"), ("/?second", "second"), ("/?third", "third")] {
        let (answer, result) = answer_to(&server, &request(path, &offered));
        assert_status(&answer, "101 Switching Protocols");
        assert!(answer.contains("Set-Cookie: a=b\r\n"), "{answer}");
        assert!(answer.contains(&format!("Sec-WebSocket-Protocol: {chosen}\r\n")), "{answer}");
        result.unwrap();
    }
    let (answer, result) = answer_to(&server, &request("/?fourth", &offered));
    assert_status(&answer, "500 Internal Server Error");
    assert!(result.unwrap_err().to_string().contains("\"fourth\" was chosen"));
}

#[test]
fn whoever_comes_from_elsewhere_or_calls_us_otherwise_never_meets_the_application() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let server = Server::new()
        .origins(Origins::Required(vec!["https://a.example".into()]))
        .hosts(Hosts::Only(vec!["a".into()]))
        .on_request(move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            Answer::accept()
        });
    let ours = request("/", &["Origin: https://a.example"]);
    assert_status(&answer_to(&server, &ours).0, "101 Switching Protocols");
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    // A refused request for a WebSocket is no plain HTTP request.
    for (request, status) in [
        (request("/", &["Origin: https://b.example"]), "403 Forbidden"),
        (request("/", &[]), "403 Forbidden"),
        (ours.replace("Host: a", "Host: b"), "421 Misdirected Request"),
    ] {
        assert_status(&answer_to(&server, &request).0, status);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "{request}");
    }
}

#[test]
fn only_the_right_name_and_password_come_in() {
    let server =
        Server::new().basic_auth("staff", |given: Credentials| given.are("ada", "love:lace"));
    let right = "Authorization: Basic YWRhOmxvdmU6bGFjZQ==";
    let (answer, result) = answer_to(&server, &request("/", &[right]));
    assert_status(&answer, "101 Switching Protocols");
    result.unwrap();
    for headers in [
        &[][..],
        &[right, right],
        &["Authorization: Basic YWRhOmxvdmU6bGFjZA=="],
        &["Authorization: Basic !!!!"],
        &["Authorization: Bearer YWRhOmxvdmU6bGFjZQ=="],
    ] {
        let (answer, result) = answer_to(&server, &request("/", headers));
        assert_status(&answer, "401 Unauthorized");
        let challenge = "Www-Authenticate: Basic realm=\"staff\", charset=\"UTF-8\"\r\n";
        assert!(answer.contains(challenge), "{answer}");
        assert!(matches!(result, Err(AcceptError::Refused(_))), "{headers:?}");
    }
}

#[test]
fn an_application_that_panics_over_a_request_costs_that_request_only() {
    let server = Server::new().on_request(|incoming| {
        assert_ne!(incoming.path(), "/bad", "a bug");
        Answer::accept()
    });
    let (answer, _) = answer_to(&server, &request("/bad", &[]));
    assert_status(&answer, "500 Internal Server Error");
    assert!(answer.ends_with("\r\n\r\ninternal error\n"), "{answer}");
    answer_to(&server, &request("/good", &[])).1.unwrap();
}

/// An application that decides when it is told to; and who is being decided about.
fn slow_application() -> (Server, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (decide, decided) = mpsc::channel();
    let (asked, is_asked) = mpsc::channel();
    let decided = std::sync::Mutex::new(decided);
    let server = Server::new().on_request(move |incoming| {
        assert!(incoming.peer_addr.unwrap().ip().is_loopback());
        asked.send(()).unwrap();
        let _ = decided.lock().unwrap().recv();
        Answer::accept()
    });
    (server, decide, is_asked)
}

#[test]
fn a_peer_does_not_wait_for_an_application_beyond_the_time_for_the_opening() {
    let (server, decide, _is_asked) = slow_application();
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(100);
    let running = Running::start(server.config(config), echo);
    let before = Instant::now();
    let mut peer = TcpStream::connect(running.address).unwrap();
    peer.write_all(request("/", &[]).as_bytes()).unwrap();
    // It is hung up on while the application still thinks.
    assert_eq!(peer.read(&mut [0; 100]).unwrap(), 0);
    let waited = before.elapsed();
    assert!((100..10_000).contains(&waited.as_millis()), "{waited:?}");
    decide.send(()).unwrap();
    let error = running.outcomes.recv().unwrap().result.unwrap_err();
    assert!(matches!(error, AcceptError::TimedOut { phase: Phase::Application, .. }), "{error}");
    assert_eq!(running.stop().stuck, 0);
}

#[test]
fn a_server_that_was_stopped_while_the_application_thought_answers_so() {
    let (server, decide, is_asked) = slow_application();
    let running = Running::start(server, echo);
    let url = running.url();
    let client = thread::spawn(move || Client::new(url).connect());
    is_asked.recv().unwrap();
    running.stop.stop();
    decide.send(()).unwrap();
    let refused = client.join().unwrap().unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    assert_eq!(running.stop().stuck, 0);
}

#[test]
fn a_path_leads_to_its_handler_elsewhere_or_nowhere() {
    let say = |what: &'static str| {
        move |ws: WebSocket, params: Params| {
            let param = |name| params.get(name).unwrap_or("none").to_owned();
            let (room, rest) = (param("room"), param("rest"));
            ws.send(format!("{what} {room} {rest}"))?;
            Ok::<_, HandlerError>(())
        }
    };
    let routes = Routes::new()
        .route("/chat/{room}", say("chat"))
        .and_then(|routes| routes.route("/chat/lobby", say("lobby")))
        .and_then(|routes| routes.route("/files/{*rest}", say("files")))
        .and_then(|routes| routes.redirect("/chat", "/chat/lobby"))
        .unwrap();
    let server = Server::new().on_request(|incoming| match incoming.header("x-token") {
        Some("right") => Answer::accept(),
        _ => Answer::text(StatusCode::FORBIDDEN, "no\n"),
    });
    let running = Running::routes(server, routes);
    let answer_to = |path: &str, headers: &[&str]| {
        let mut stream = TcpStream::connect(running.address).unwrap();
        stream.write_all(request(path, headers).as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let right = ["X-Token: right"];
    for (path, said) in [
        ("/chat/cats?x=1", "chat cats none"),
        ("/chat/lobby", "lobby none none"),
        ("/files/a/b/c", "files none a/b/c"),
    ] {
        let client = Client::new(format!("{}{path}", running.url()));
        let client = client.header(HeaderName::from_static("x-token"), "right".parse().unwrap());
        assert_eq!(client.connect().unwrap().recv().unwrap(), Some(said.into()), "{path}");
    }
    let answer = answer_to("/chat", &right);
    assert_status(&answer, "307 Temporary Redirect");
    assert!(answer.contains("Location: /chat/lobby\r\n"), "{answer}");
    for path in ["/", "/chat/", "/chat/a/b", "/Chat/lobby", "/files/"] {
        assert_status(&answer_to(path, &right), "404 Not Found");
        // Who may not come in is not told what there is.
        assert_status(&answer_to(path, &[]), "403 Forbidden");
    }
    assert_eq!(running.stop().stuck, 0);
}

#[test]
fn a_route_that_cannot_be_says_so() {
    let nothing = |_: WebSocket, _: Params| Ok(());
    let routes = || Routes::new().route("/a/{b}", nothing).unwrap();
    for path in ["", "a", "/a/{c}", "/a/{b}", "/{", "/{*rest}/more"] {
        let error = routes().route(path, nothing).unwrap_err();
        assert!(matches!(error, InvalidRoute::Path { .. }), "{error}");
        assert!(routes().redirect(path, "/").is_err());
    }
    let error = routes().redirect("/new", "/a b").unwrap_err();
    assert!(matches!(error, InvalidRoute::Target { .. }), "{error}");
}

#[test]
fn who_gives_openings_all_the_time_there_is_gives_them_that() {
    let mut config = Config::default();
    (config.open_timeout, config.linger) = (Duration::MAX, Duration::MAX);
    let running = Running::start(Server::new().config(config), echo);
    let mut ws = Client::new(running.url()).connect().unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hello".into()));
    drop(ws.close(lastword_blocking::CloseCode::NORMAL, ""));
    assert_eq!(running.ending().code(), 1000);
}
