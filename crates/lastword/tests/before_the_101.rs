//! What a peer sends before it was answered: nothing of it is a frame before the 101 is out, and
//! silence costs it no more than the time for the opening.

mod support;

use std::time::Duration;

use lastword::rustls::ClientConnection;
use lastword::rustls::pki_types::ServerName;
use lastword::{AcceptError, Client, CloseCode, ConnectError, Phase, Server};
use support::tls::configs;
use support::{Running, masked};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// All that a server says to a peer that says `bytes` at once and then ends its stream.
async fn answer_to(server: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// The status line, and what stands behind the head.
#[track_caller]
fn parse(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    (head.lines().next().unwrap(), &answer[end + 4..])
}

fn request_with(header: &str) -> Vec<u8> {
    REQUEST.replace("Host: a\r\n", &format!("Host: a\r\n{header}\r\n")).into_bytes()
}

#[tokio::test]
async fn what_is_pipelined_behind_the_request_is_answered_behind_the_101() {
    let mut server = Running::echo().await;
    let said = [
        REQUEST.as_bytes().to_vec(),
        masked(0x89, b"early"),
        masked(0x81, b"first"),
        masked(0x88, &[3, 232]),
    ];
    let answer = answer_to(&server, &said.concat()).await;
    let (status, frames) = parse(&answer);
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    // The close overtook the pong: no ping needs an answer behind it. The echo is the handler's.
    assert!(frames.ends_with(&[0x88, 2, 3, 232]), "{frames:x?}");
    assert!(server.ending().await.is_clean());

    let said = [REQUEST.as_bytes().to_vec(), masked(0x89, b"early")].concat();
    let answer = answer_to(&server, &said).await;
    let (status, frames) = parse(&answer);
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    assert!(frames.is_empty() || frames == b"\x8a\x05early", "{frames:x?}");
    server.ending().await;

    // A peer that stays gets its pong.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&said).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x8a\x05early") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert_eq!(parse(&answer).0, "HTTP/1.1 101 Switching Protocols");
}

#[tokio::test]
async fn what_stands_behind_a_refused_request_is_never_a_frame() {
    let mut server = Running::echo().await;
    for behind in [masked(0x88, &[3, 232]), vec![0x83; 500], masked(0x89, b"ping"), vec![0xff; 9]] {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        let answer = answer_to(&server, &[request, behind].concat()).await;
        let (status, body) = parse(&answer);
        assert_eq!(status, "HTTP/1.1 426 Upgrade Required");
        assert_eq!(body, b"not a request to upgrade to WebSocket\n");
        let refused = server.outcomes.recv().await.unwrap().result.unwrap_err();
        assert!(matches!(refused, AcceptError::Refused(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_body_on_the_upgrade_is_refused_and_taken_for_nothing() {
    let mut server = Running::echo().await;
    let ping = masked(0x89, b"smuggled");
    let length = format!("Content-Length: {}", ping.len());
    for header in [length.as_str(), "Transfer-Encoding: chunked", "Content-Length: 1, 1"] {
        let said = [request_with(header), ping.clone()].concat();
        let answer = answer_to(&server, &said).await;
        let (status, body) = parse(&answer);
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{header}");
        assert_eq!(body, b"request has a body\n", "{header}");
        assert!(server.outcomes.recv().await.unwrap().result.is_err());
    }
    // A body of nothing is none.
    let said = [request_with("Content-Length: 0"), masked(0x88, &[3, 232])].concat();
    let answer = answer_to(&server, &said).await;
    let (status, frames) = parse(&answer);
    assert_eq!((status, frames), ("HTTP/1.1 101 Switching Protocols", &[0x88, 2, 3, 232][..]));
}

#[tokio::test]
async fn of_fifty_pipelined_requests_one_is_answered() {
    let mut server = Running::echo().await;
    let answer = answer_to(&server, REQUEST.repeat(50).as_bytes()).await;
    let (status, rest) = parse(&answer);
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    // To the connection the second is a frame against the rules: "G" is a reserved opcode.
    assert_eq!(rest[..4], [0x88, (rest.len() - 2) as u8, 3, 234], "{rest:x?}");
    assert_eq!(server.ending().await.sent.code(), 1002);

    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    let answer = answer_to(&server, plain.as_bytes()).await;
    let (status, rest) = parse(&answer);
    assert_eq!(status, "HTTP/1.1 426 Upgrade Required");
    assert_eq!(rest, b"not a request to upgrade to WebSocket\n");
}

#[tokio::test(start_paused = true)]
async fn half_a_record_of_tls_and_then_silence_is_given_up() {
    let (server, _) = configs();
    for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01"] {
        let (near, mut far) = duplex(1000);
        far.write_all(said).await.unwrap();
        let before = tokio::time::Instant::now();
        let error = Server::new().tls(server.clone()).accept(near).await.unwrap_err();
        assert!(matches!(error, AcceptError::TimedOut { phase: Phase::Tls, .. }), "{error}");
        assert_eq!(before.elapsed().as_secs(), 10, "after {said:x?}");
    }
}

/// TLS is established, session tickets and all, and then nobody says anything: a client that had
/// read the tickets, and a server that had sent them, wait for the handshake and no longer.
#[tokio::test(start_paused = true)]
async fn silence_behind_tls_and_its_session_tickets_is_given_up() {
    let (server, client) = configs();
    let (near, mut far) = duplex(100_000);
    let accepting = tokio::spawn(Server::new().tls(server.clone()).accept(near));
    let name = ServerName::try_from("localhost").unwrap();
    let mut mute = ClientConnection::new(client.clone(), name).unwrap();
    let mut buffer = vec![0; 10_000];
    while mute.is_handshaking() || mute.tls13_tickets_received() < 2 {
        let mut said = Vec::new();
        while mute.wants_write() {
            mute.write_tls(&mut said).unwrap();
        }
        far.write_all(&said).await.unwrap();
        let count = far.read(&mut buffer).await.unwrap();
        let mut came = &buffer[..count];
        while !came.is_empty() {
            mute.read_tls(&mut came).unwrap();
            mute.process_new_packets().unwrap();
        }
        // What TLS has to say at its end goes out, too.
        let mut said = Vec::new();
        while mute.wants_write() {
            mute.write_tls(&mut said).unwrap();
        }
        far.write_all(&said).await.unwrap();
    }
    let error = accepting.await.unwrap().unwrap_err();
    assert!(matches!(error, AcceptError::TimedOut { phase: Phase::Handshake, .. }), "{error}");

    // The client's side of it: a server that establishes TLS, reads the request, and is mute.
    let (near, mut far) = duplex(100_000);
    let opening = Client::new("wss://localhost/").tls(client).connect_over(near);
    let connecting = tokio::spawn(opening);
    let mut mute = lastword::rustls::ServerConnection::new(server).unwrap();
    loop {
        let count = far.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        let mut came = &buffer[..count];
        while !came.is_empty() {
            mute.read_tls(&mut came).unwrap();
            mute.process_new_packets().unwrap();
        }
        let mut said = Vec::new();
        while mute.wants_write() {
            mute.write_tls(&mut said).unwrap();
        }
        // It may be gone by now.
        let _ = far.write_all(&said).await;
    }
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Handshake, .. }), "{error}");
}

#[tokio::test]
async fn a_server_answers_others_while_some_are_half_open() {
    let server = Running::echo().await;
    let mut half_open = Vec::new();
    for size in 0..REQUEST.len() {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&REQUEST.as_bytes()[..size]).await.unwrap();
        half_open.push(stream);
    }
    let opening = tokio::time::timeout(Duration::from_secs(5), lastword::connect(server.url()));
    let ws = opening.await.unwrap().unwrap();
    ws.send_confirmed("served").await.unwrap();
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
    // Shutting down does not wait for them either: each is told 503.
    let stopping = tokio::spawn(server.stop());
    for mut stream in half_open {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 503 "));
    }
    assert_eq!(stopping.await.unwrap().stuck, 0);
}
