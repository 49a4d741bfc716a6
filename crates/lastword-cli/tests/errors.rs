//! Each error as a user sees it: what happened, whose fault it was, and what to type next. All of them stand in
//! `tests/snapshots/errors`.

// What the operating system says of an error differs from one to the next.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::Arc;

use lastword::rustls::{ServerConfig, ServerConnection, StreamOwned};
use lastword_fakes::{Authority, Place, nowhere};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use support::running::{Folder, Running};
use support::snapshot::{Session, steady};

/// A session in a folder of its own.
fn session(name: &str) -> (Session, Folder) {
    let folder = Folder::new(&format!("errors-{name}"));
    let mut session = Session::default();
    session.masks(&folder.path(""), "FOLDER/");
    (session, folder)
}

/// The place's address is written as `NAME`.
fn named(session: &mut Session, address: SocketAddr, name: &str) -> String {
    session.masks(&address.to_string(), name);
    format!("ws://{address}")
}

#[test]
fn nobody_there() {
    let (mut session, folder) = session("nobody");
    let url = named(&mut session, nowhere(), "NOBODY");
    session.runs(&["connect", &url]);
    let port = url.rsplit(':').next().unwrap();
    session.masks(port, "PORT");
    let resolve = format!("two.example:{port}:127.0.0.1,127.0.0.2");
    session.runs(&["connect", &format!("ws://two.example:{port}"), "--resolve", &resolve]);
    session.runs(&["ping", &url]);
    session.runs(&["bench", &url, "-q"]);
    session.runs(&["check", &url]);
    session.runs(&["connect", "ws://me:secret@no-such-host.invalid/"]);
    session.runs(&["connect", &url, "--local-address", "192.0.2.1"]);
    session.runs(&["connect", "ws://localhost", "--unix", &folder.path("no-such.sock")]);
    drop(UnixListener::bind(folder.path("left-behind.sock")).unwrap());
    session.runs(&["connect", "ws://localhost", "--unix", &folder.path("left-behind.sock")]);
    session.compare("errors/nobody.txt");
}

#[test]
fn no_answer() {
    let (mut session, _folder) = session("silence");
    let silent = Place::silent();
    let url = named(&mut session, silent.address(), "SILENT");
    session.runs(&["connect", &url, "--open-timeout", "0.1"]);
    session.runs(&["connect", &url.replace("ws:", "wss:"), "--open-timeout", "0.1"]);
    session.runs(&[
        "connect",
        &url,
        "--proxy",
        &url.replace("ws:", "http:"),
        "--open-timeout",
        "0.1",
    ]);
    let mute = Place::new(|mut stream, _| drop(stream.read(&mut [0; 4096])));
    let url = named(&mut session, mute.address(), "MUTE");
    session.runs(&["connect", &url]);
    session.runs(&["connect", &url.replace("ws:", "wss:")]);
    let resetting = Place::new(|stream, _| drop(stream.peek(&mut [0])));
    let url = named(&mut session, resetting.address(), "RESETTING");
    session.runs(&["connect", &url]);
    let brief = Place::answering("HTTP/1.1 101 Switch");
    let url = named(&mut session, brief.address(), "BRIEF");
    session.runs(&["connect", &url]);
    session.compare("errors/silence.txt");
}

/// What servers of HTTP say, and what it is called here.
const ANSWERS: &[(&str, &str)] = &[
    ("FORBIDDEN", "HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\norigin missing\n"),
    ("MISSING", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    ("BAD", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    ("GONE", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"),
    (
        "VERSIONS",
        "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n",
    ),
    ("BUSY", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"),
    ("DOWN", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
    ("GATEWAY", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    ("BROKEN", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
    (
        "COLOURFUL",
        "HTTP/1.1 418 I'm a teapot\r\nX-Colour: \x1b[31m\r\nContent-Length: 5\r\n\r\n\x1b[2J\n",
    ),
    ("UNCHANGED", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    (
        "SOMEBODY",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    ),
    ("SSH", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    ("TLS", "\x15\x03\x01\x00\x02\x02\x0a"),
];

#[test]
fn answers_that_are_no_connection() {
    let (mut session, _folder) = session("answers");
    let wants = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\
                 Set-Cookie: id=secret\r\nContent-Length: 0\r\n\r\n";
    let strict = Place::answering(wants);
    let url = named(&mut session, strict.address(), "STRICT");
    session.runs(&["connect", &url]);
    session.runs_with(&["connect", &url, "--user", "me"], &[("LASTWORD_PASSWORD", "wrong")]);
    let lines: Vec<String> = (1..=12).map(|line| format!("<p>{line}</p>\n")).collect();
    let page = lines.concat();
    let heads: String = (0..200).map(|number| format!("X-{number}: {number}\r\n")).collect();
    let talkative = Place::answering(format!("HTTP/1.1 101 Switching Protocols\r\n{heads}\r\n"));
    let url = named(&mut session, talkative.address(), "TALKATIVE");
    session.runs(&["connect", &url]);
    let web = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let web = Place::answering(web);
    let url = named(&mut session, web.address(), "WEB");
    session.runs(&["connect", &url]);
    for (name, answer) in ANSWERS {
        let place = Place::answering(*answer);
        let url = named(&mut session, place.address(), name);
        session.runs(&["connect", &url]);
    }
    // Of the key, which is another each time.
    session.hides("expected \"", "\"", "ANSWER");
    session.compare("errors/answers.txt");
}

#[test]
fn answers_about_what_nobody_asked_for() {
    let (mut session, _folder) = session("negotiation");
    for (name, header) in [
        ("CHATTY", "Sec-WebSocket-Protocol: chat\r\n"),
        ("EXTENDED", "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"),
    ] {
        let place = Place::new(move |mut stream, _| {
            let head = read_head(&mut stream);
            let key = head.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = lastword::proto::handshake::accept_key(key);
            let _ = write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{header}\r\n"
            );
        });
        let url = named(&mut session, place.address(), name);
        session.runs(&["connect", &url]);
    }
    session.compare("errors/negotiation.txt");
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A server that opens for everybody, says these bytes, and hangs up.
fn opening_and_saying(bytes: &'static [u8]) -> Place {
    Place::new(move |mut stream, _| {
        support::answer_opening(&mut stream);
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    })
}

#[test]
fn endings_that_are_not_as_they_should_be() {
    let (mut session, folder) = session("endings");
    for (name, bytes, more) in [
        ("LEAVING", &b"\x81\x02hi\x88\x02\x03\xe9"[..], &[][..]),
        ("ANGRY", b"\x88\x0a\x0f\xa0so long\x1b", &[]),
        ("GONE", b"\x81\x02hi", &[]),
        ("TORN", b"\x82\x7d123", &[]),
        ("MASKED", b"\x81\x82\0\0\0\0hi", &[]),
        ("GARBLED", b"\x81\x02\xff\xfe", &[]),
        ("LARGE", b"\x82\x7e\xff\xff", &["--max-message-size", "1K"]),
        ("SPARSE", b"\x81\x02hi\x88\x02\x03\xe8", &["--expect", "2"]),
    ] {
        let place = opening_and_saying(bytes);
        let url = named(&mut session, place.address(), name);
        session.runs(&[&["connect", &url, "--listen"], more].concat());
    }
    let mute = Place::new(|mut stream, _| {
        support::answer_opening(&mut stream);
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let url = named(&mut session, mute.address(), "MUTE");
    session.runs(&["ping", &url, "-n", "1", "-t", "0.1", "-q", "--close-timeout", "0.1"]);
    session.runs(&["connect", &url, "-m", "hi", "-n", "1", "-t", "0.1", "--close-timeout", "0.1"]);
    let echo = Running::echo();
    let url = named(&mut session, echo.address.parse().unwrap(), "ECHO");
    let open = r#"{"ev":"open","connection":1,"seconds":0}"#;
    let msg = |from: &str, text: &str| {
        format!(
            r#"{{"ev":"msg","connection":1,"seconds":0,"from":"{from}","kind":"text","text":"{text}"}}"#
        )
    };
    let path = folder.path("recording.jsonl");
    let lines = [open, &msg("client", "one"), &msg("server", "two")].join("\n");
    std::fs::write(&path, recording_of(&lines)).unwrap();
    session.runs(&["replay", &path, &url, "--compare"]);
    session.compare("errors/endings.txt");
}

#[test]
fn redirects_that_are_not_followed() {
    let (mut session, folder) = session("redirects");
    let to = |location: &str| {
        Place::answering(format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let moved = to("/again");
    let socket = folder.path("moved.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(
            b"HTTP/1.1 302 Found\r\nLocation: ws://other.example/\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let url = named(&mut session, moved.address(), "MOVED");
    session.runs(&["connect", &url, "--max-redirects", "0"]);
    session.runs(&["connect", &url, "--max-redirects", "2"]);
    session.runs(&["check", &url, "--max-redirects", "2"]);
    let lost = to("ftp://example.com/");
    let url = named(&mut session, lost.address(), "LOST");
    session.runs(&["connect", &url]);
    let nowhere = Place::answering("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    let url = named(&mut session, nowhere.address(), "NOWHERE");
    session.runs(&["connect", &url]);
    let (downgrading, _) = lastword_fakes::certificates();
    let place = over_tls(
        downgrading,
        "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    );
    let url = named(&mut session, place.address(), "CARELESS").replace("ws:", "wss:");
    session.runs(&["connect", &url, "--insecure"]);
    session.runs(&["connect", "ws://localhost", "--unix", &socket]);
    session.compare("errors/redirects.txt");
}

/// A server behind TLS that says `answer` to whatever comes, as far as it comes.
fn over_tls(config: Arc<ServerConfig>, answer: &'static str) -> Place {
    Place::new(move |stream, _| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
        }
        // What it still wants to say of an error.
        let _ = stream.flush();
        while matches!(stream.sock.read(&mut [0; 4096]), Ok(1..)) {}
    })
}

#[test]
fn certificates_that_are_not_trusted() {
    let (mut session, folder) = session("tls");
    let server = |name: &str, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(4000, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let (cert_file, key_file) =
            (folder.path(&format!("{name}.pem")), folder.path(&format!("{name}.key")));
        std::fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let server =
            Running::start(&["serve", "--port", "0", "--cert", &cert_file, "--key", &key_file]);
        let url = format!("wss://{}", server.address.replace("127.0.0.1", "localhost"));
        (server, url, cert_file)
    };
    let connect = |session: &mut Session, url: &str, more: &[&str]| {
        let port = url.rsplit(':').next().unwrap();
        session.masks(port, "PORT");
        let resolve = format!("localhost:{port}:127.0.0.1");
        session.runs(&[&["connect", url, "--resolve", &resolve], more].concat());
    };
    let (_good, url, good) = server("good", &|_| ());
    connect(&mut session, &url, &[]);
    let other = server("other", &|_| ());
    connect(&mut session, &url, &["--ca", &other.2]);
    connect(&mut session, &url, &["--ca", &good, "--server-name", "elsewhere.example"]);
    let (_expired, url, expired) =
        server("expired", &|params| params.not_after = date_time_ymd(2021, 1, 1));
    connect(&mut session, &url, &["--ca", &expired]);
    let (_early, url, early) =
        server("early", &|params| params.not_before = date_time_ymd(3000, 1, 1));
    connect(&mut session, &url, &["--ca", &early]);
    // Nobody to be trusted, and nobody to be trusted with.
    let plain = Running::echo();
    let address: SocketAddr = plain.address.parse().unwrap();
    let url = named(&mut session, address, "PLAIN").replace("ws:", "wss:");
    session.runs(&["connect", &url]);
    let encrypted = Running::start(&["serve", "--port", "0", "--tls"]);
    let address: SocketAddr = encrypted.address.parse().unwrap();
    let url = named(&mut session, address, "ENCRYPTED");
    session.runs(&["connect", &url]);
    session.hides("verification time ", " (UNIX)", "NOW");
    session.hides("not valid after 1609459200 (", " seconds ago", "N");
    session.hides("not valid before 32503680000 (", " seconds in", "N");
    session.compare("errors/tls.txt");
}

#[test]
fn certificates_that_a_server_asks_for() {
    let (mut session, folder) = session("client-tls");
    let (authority, stranger) = (Authority::new("who is trusted"), Authority::new("a stranger"));
    let place = over_tls(authority.guard(), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let url = named(&mut session, place.address(), "ASKING").replace("ws:", "wss:");
    session.runs(&["connect", &url, "--insecure"]);
    let (chain, key) = stranger.vouch_for("me");
    let pem = |label: &str, bytes: &[u8]| {
        let text = data_encoding::BASE64.encode(bytes);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let (cert_file, key_file) = (folder.path("me.pem"), folder.path("me.key"));
    std::fs::write(&cert_file, pem("CERTIFICATE", &chain[0])).unwrap();
    std::fs::write(&key_file, pem("PRIVATE KEY", key.secret_der())).unwrap();
    session.runs(&["connect", &url, "--insecure", "--cert", &cert_file, "--key", &key_file]);
    session.compare("errors/client-certificates.txt");
}

#[test]
fn proxies_that_do_not_lead_there() {
    let (mut session, _folder) = session("proxies");
    let url = "ws://example.com";
    let nobody = named(&mut session, nowhere(), "NOBODY").replace("ws:", "http:");
    session.runs(&["connect", url, "--proxy", &nobody]);
    session.runs_with(&["connect", url], &[("http_proxy", &nobody)]);
    session.runs(&["connect", url, "--proxy", "http://no-such-host.invalid"]);
    for (name, answer) in [
        (
            "ASKING",
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        ),
        ("FORBIDDING", "HTTP/1.1 403 Forbidden\r\n\r\n"),
        ("CLUELESS", "HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        ("MUTE", ""),
        ("SSH", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    ] {
        let place = Place::answering(answer);
        let proxy = named(&mut session, place.address(), name).replace("ws:", "http:");
        session.runs(&["connect", url, "--proxy", &proxy]);
    }
    let resetting = Place::new(|stream, _| drop(stream.peek(&mut [0])));
    let proxy = named(&mut session, resetting.address(), "RESETTING").replace("ws:", "http:");
    session.runs(&["connect", url, "--proxy", &proxy]);
    for (name, scheme, turns) in SOCKS {
        let place = Place::new(move |mut stream, _| {
            for (count, answer) in *turns {
                if stream.read_exact(&mut vec![0; *count]).is_err()
                    || stream.write_all(answer).is_err()
                {
                    return;
                }
            }
        });
        let proxy = named(&mut session, place.address(), name).replace("ws://", scheme);
        session.runs(&["connect", url, "--proxy", &proxy]);
    }
    session.runs(&["connect", url, "--proxy", "ftp://127.0.0.1"]);
    session.runs(&["connect", url, "--proxy", "http://127.0.0.1/path"]);
    session.runs(&["connect", url, "--proxy", "http://127.0.0.1:99999"]);
    session.runs_with(&["connect", url], &[("http_proxy", "ftp://127.0.0.1")]);
    session.compare("errors/proxies.txt");
}

/// After so many bytes, this is said.
type Turns = &'static [(usize, &'static [u8])];

const SOCKS: &[(&str, &str, Turns)] = &[
    ("STRICT", "socks5h://", &[(3, &[5, 0xff])]),
    ("SUSPICIOUS", "socks5h://me:wrong@", &[(4, &[5, 2]), (10, &[1, 1])]),
    ("RULED", "socks5h://", &[(3, &[5, 0]), (18, &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0])]),
    ("UNABLE", "socks5h://", &[(3, &[5, 0]), (18, &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0])]),
    ("OLD", "socks4a://", &[(21, &[0, 91, 0, 0, 0, 0, 0, 0])]),
];

#[test]
fn urls_that_are_none() {
    let (mut session, _folder) = session("urls");
    for url in [
        "http://example.com",
        "https://example.com/feed",
        "ftp://example.com",
        "ws://",
        "ws:/example.com",
        "ws://example.com/#part",
        "ws://example.com/a b",
        "ws://example.com:99999",
        "ws://example.com:http",
        "ws://me:p@ss@example.com",
        "ws://:secret@exa mple.com",
        "ws://exa mple.com",
        "ws://::1:9000",
        "",
    ] {
        session.runs(&["connect", url]);
    }
    for subcommand in ["ping", "bench", "check", "record"] {
        session.runs(&[subcommand, "http://example.com"]);
    }
    session.runs(&["relay", "0", "http://example.com"]);
    session.compare("errors/urls.txt");
}

#[test]
fn places_where_nobody_can_listen() {
    let (mut session, folder) = session("listening");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    session.masks(&port, "TAKEN");
    let recording = folder.path("recording.jsonl");
    std::fs::write(&recording, recording_of(r#"{"ev":"open","connection":1,"seconds":0}"#))
        .unwrap();
    session.runs(&["serve", "--port", &port]);
    session.runs(&["relay", &port, "ws://example.com"]);
    session.runs(&["replay", &recording, "--serve", &port]);
    session.runs(&["serve", "--host", "192.0.2.1", "--port", "0"]);
    session.runs(&["relay", "no-such-host.invalid:0", "ws://example.com"]);
    session.runs(&["serve", "--unix", &folder.path("no-such/path.sock")]);
    let _taken = UnixListener::bind(folder.path("taken.sock")).unwrap();
    session.runs(&["serve", "--unix", &folder.path("taken.sock")]);
    std::fs::write(folder.path("file"), "").unwrap();
    session.runs(&["serve", "--unix", &folder.path("file")]);
    session.compare("errors/listening.txt");
}

#[test]
fn ports_of_the_administrator() {
    // Root may, and so may everybody in many containers.
    if TcpListener::bind("127.0.0.1:1").is_ok() {
        return;
    }
    let (mut session, _folder) = session("privileged");
    session.runs(&["serve", "--port", "1"]);
    session.runs(&["relay", "1", "ws://example.com"]);
    session.compare("errors/privileged-port.txt");
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let (mut session, folder) = session("files");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path(name), text).unwrap();
        folder.path(name)
    };
    let (missing, directory) = (folder.path("missing"), folder.path("directory"));
    std::fs::create_dir(&directory).unwrap();
    let url = "ws://127.0.0.1:1";
    let no_header = write("headers", "X-Key: 1\n\nno header\n");
    let no_pem = write("no.pem", "hello\n");
    let broken_pem =
        write("broken.pem", "-----BEGIN CERTIFICATE-----\nhello!\n-----END CERTIFICATE-----\n");
    let no_certificate = write(
        "no-certificate.pem",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = write("certificate.pem", &made.cert.pem());
    let other_key = write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let lines = write("lines", "two\nlines\n");
    let faults = write("faults", "# what goes wrong\nserver at frame 2 explode\n");
    let control = write("control", "a\u{1b}[31m\n");
    for args in [
        &["--header-file", &missing][..],
        &["--header-file", &directory],
        &["--header-file", &no_header],
        &["--user", "me"],
        &["--user", "me", "--password-file", &missing],
        &["--user", "me", "--password-file", &control],
        &["--bearer-file", &missing],
        &["--bearer-file", &control],
        &["--ca", &missing],
        &["--ca", &no_pem],
        &["--ca", &broken_pem],
        &["--ca", &no_certificate],
        &["--cert", &certificate],
        &["--cert", &certificate, "--key", &missing],
        &["--cert", &certificate, "--key", &no_pem],
        &["--cert", &other_key, "--key", &other_key],
        &["--ca", &certificate, "--cert", &certificate, "--key", &other_key],
        &["--cert", &certificate, "--key", &other_key],
    ] {
        session.runs(&[&["connect", url], args].concat());
    }
    let echo = Running::echo();
    let echo_url = named(&mut session, echo.address.parse().unwrap(), "ECHO");
    session.runs(&["connect", &echo_url, "--send-file", &missing]);
    session.runs(&["connect", &echo_url, "--send-file", &directory]);
    session.runs(&["record", &echo_url, &directory]);
    session.runs(&["record", &echo_url, &folder.path("missing/recording")]);
    session.runs(&["bench", &echo_url, "--csv", &directory]);
    session.runs(&["bench", &echo_url, "--svg", &folder.path("missing/latency.svg")]);
    session.runs(&["relay", "0", url, "--script", &missing]);
    session.runs(&["relay", "0", url, "--script", &faults]);
    session.runs(&["relay", "0", url, "--record", &directory]);
    session.runs(&["relay", "0", "wss://127.0.0.1:1", "--ca", &no_pem]);
    session.runs(&["serve", "--port", "0", "--cert", &missing, "--key", &missing]);
    session.runs(&["serve", "--port", "0", "--cert", &certificate, "--key", &no_pem]);
    session.runs(&["serve", "--port", "0", "--cert", &certificate, "--key", &other_key]);
    session.runs(&["serve", "--port", "0", "--dir", &missing]);
    session.runs(&["serve", "--port", "0", "--dir", &lines]);
    session.runs(&["serve", "--port", "0", "--user", "me"]);
    session.runs(&["serve", "--port", "0", "--user", "me", "--password-file", &missing]);
    session.compare("errors/files.txt");
}

/// A recording with these lines.
fn recording_of(lines: &str) -> String {
    format!("{{\"ev\":\"recording\",\"version\":1}}\n{lines}\n")
}

#[test]
fn recordings_that_cannot_be_replayed() {
    let (mut session, folder) = session("recordings");
    let url = "ws://127.0.0.1:1";
    session.runs(&["replay", &folder.path("missing.jsonl"), url]);
    let open = r#"{"ev":"open","connection":1,"seconds":0}"#;
    let msg = |rest: &str| format!("{open}\n{{\"ev\":\"msg\",\"connection\":1,{rest}}}");
    for (name, text) in [
        ("empty", String::new()),
        ("text", "hello\n".to_owned()),
        ("other", "{\"hello\":1}\n".to_owned()),
        ("headless", format!("{open}\n")),
        ("newer", "{\"ev\":\"recording\",\"version\":2}\n".to_owned()),
        ("unopened", recording_of(r#"{"ev":"refused","connection":1,"seconds":0}"#)),
        ("numberless", recording_of(r#"{"ev":"open"}"#)),
        ("timeless", recording_of(&msg(r#""from":"client","kind":"text","text":"a""#))),
        (
            "backwards",
            recording_of(&msg(r#""seconds":-1,"from":"client","kind":"text","text":"a""#)),
        ),
        ("nameless", recording_of(&msg(r#""seconds":0,"kind":"text","text":"a""#))),
        ("contentless", recording_of(&msg(r#""seconds":0,"from":"client","kind":"text""#))),
        (
            "garbled",
            recording_of(&msg(r#""seconds":0,"from":"client","kind":"binary","binary":"!""#)),
        ),
        ("cut", recording_of(&msg(r#""seconds":0,"cut":true"#))),
    ] {
        let path = folder.path(&format!("{name}.jsonl"));
        std::fs::write(&path, text).unwrap();
        session.runs(&["replay", &path, url]);
    }
    let path = folder.path("good.jsonl");
    std::fs::write(&path, recording_of(open)).unwrap();
    session.runs(&["replay", &path, url, "--connection", "7"]);
    session.runs(&["replay", &path]);
    session.runs(&["replay", &path, "http://example.com"]);
    session.compare("errors/recordings.txt");
}

#[test]
fn values_that_are_none() {
    let (mut session, _folder) = session("values");
    let url = "ws://127.0.0.1:1";
    for args in [
        &["connect", url, "--timeout", "soon"][..],
        &["connect", url, "--timeout", "1d"],
        &["connect", url, "--timeout", "-1"],
        &["connect", url, "--timeout", "1e400"],
        &["connect", url, "--ping-interval", "never"],
        &["connect", url, "--max-message-size", "big"],
        &["connect", url, "--max-message-size", "99999999999G"],
        &["connect", url, "--header", "no colon"],
        &["connect", url, "--header", "a b: c"],
        &["connect", url, "--header", "Upgrade: h2c"],
        &["connect", url, "--cookie", "no equals sign"],
        &["connect", url, "--cookie", "a=b; c=d"],
        &["connect", url, "--origin", "\u{7f}"],
        &["connect", url, "--subprotocol", "a b"],
        &["connect", url, "--expect", "-1"],
        &["connect", url, "--expect", "many"],
        &["connect", url, "--content", "json"],
        &["connect", url, "--framing", "words"],
        &["connect", url, "--report", "xml"],
        &["connect", url, "--color", "sometimes"],
        &["connect", url, "--local-address", "here"],
        &["connect", url, "--max-redirects", "many"],
        &["connect", url, "--resolve", "nonsense"],
        &["connect", url, "--resolve", "a:1:localhost"],
        &["connect", "wss://127.0.0.1:1", "--server-name", "a b"],
        &["connect", url, "--listen", "--wait", "1"],
        &["connect", url, "--insecure", "--ca", "file"],
        &["ping", url, "--interval", "1ms"],
        &["ping", url, "--size", "126"],
        &["ping", url, "--count", "0"],
        &["ping", url, "--interval", "10ms", "--timeout", "1h"],
        &["bench", url, "--rate", "0"],
        &["bench", url, "--rate", "many"],
        &["bench", url, "--connections", "0"],
        &["bench", url, "--rate", "5", "--in-flight", "2"],
        &["check", url, "--jobs", "0"],
        &["check", url, "--only", "weather"],
        &["check", url, "--hard"],
        &["check", url, "--yes"],
        &["serve", "--port", "99999"],
        &["serve", "--host", "a b"],
        &["serve", "--threads", "0"],
        &["serve", "--binary"],
        &["serve", "--exec", "cat", "--broadcast"],
        &["relay", "here", url],
        &["relay", "::1:9000", url],
        &["replay", "file", url, "--speed", "0"],
        &["replay", "file", url, "--serve", "9000"],
    ] {
        session.runs(args);
    }
    session.compare("errors/values.txt");
}

#[test]
fn faults_that_are_none() {
    let (mut session, _folder) = session("faults");
    for fault in [
        "",
        "proxy at start cut",
        "connection x client at start cut",
        "client",
        "client now cut",
        "client at end cut",
        "client at frame 0 cut",
        "client at byte cut",
        "client at text x cut",
        "client at text \"\" cut",
        "client at start drop",
        "client at start drop most",
        "client at start delay",
        "client at start delay soon",
        "client at start throttle 0",
        "client at start throttle fast",
        "client at start corrupt 0x00",
        "client at start explode",
        "client at start cut now",
    ] {
        session.runs(&["relay", "0", "ws://127.0.0.1:1", "--fault", fault]);
    }
    session.compare("errors/faults.txt");
}

#[test]
fn commands_that_are_none() {
    let (mut session, _folder) = session("commands");
    for args in [
        &["conect"][..],
        &["connect"],
        &["connect", "--heder", "a: b"],
        &["connect", "ws://127.0.0.1:1", "ws://127.0.0.1:2"],
        &["ping"],
        &["bench"],
        &["check"],
        &["record"],
        &["relay"],
        &["relay", "0"],
        &["replay"],
        &["serve", "ws://127.0.0.1:1"],
        &["explain", "the weather"],
        &["completions"],
        &["completions", "cmd"],
        &["man", "weather"],
        &["connect", "ws://127.0.0.1:1", "--quiet", "--verbose"],
        &["record", "ws://127.0.0.1:1", "--report", "json"],
    ] {
        session.runs(args);
    }
    session.compare("errors/commands.txt");
}

#[test]
fn a_recording_is_not_lost_to_a_typing_error() {
    let folder = Folder::new("errors-kept");
    let path = folder.path("recording.jsonl");
    std::fs::write(&path, "what was recorded").unwrap();
    let output = steady(&["record", "http://127.0.0.1:1", &path]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was recorded");
}

#[test]
fn input_that_is_none() {
    let (mut session, _folder) = session("input");
    // What is echoed might come before the end, or not.
    let quiet = Running::start(&["serve", "--port", "0", "--exec", "cat >/dev/null"]);
    let url = named(&mut session, quiet.address.parse().unwrap(), "QUIET");
    let echo = Running::echo();
    let echo_url = named(&mut session, echo.address.parse().unwrap(), "ECHO");
    for (args, input) in [
        (&["connect", &url][..], &b"one\n\xff\n"[..]),
        (&["connect", &url, "--null"], b"one\0\xff\0"),
        (&["connect", &url, "--framing", "whole"], b"\xff"),
        (&["connect", &url, "--json"], b"{\"text\":\"one\"}\nhello\n"),
        (&["connect", &url, "--json"], b"{\"binary\":\"!\"}\n"),
        (&["connect", &echo_url, "--expect", "2", "--timeout", "0.2"], b"one\n"),
    ] {
        let mut child = steady(args).stdin(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        session.ran(args, &[], &child.wait_with_output().unwrap());
    }
    session.compare("errors/input.txt");
}
