//! `lastword relay` between real peers: what it shows, what it keeps, and how each fault ends for the
//! client. The table of docs/cli/relay.md is what is tested here, line by line.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword::rustls::ServerConfig;
use lastword::rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use support::running::{Folder, Running, run};

const DOCS: &str = include_str!("../../../docs/cli/relay.md");

/// The rows of the table of faults: what goes wrong, the client's exit code, and what it says, or what
/// comes if it has nothing to say.
fn documented_faults() -> Vec<[&'static str; 3]> {
    let rows = DOCS.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [fault, code, said] = cells[..] else { return None };
        let fault = fault.strip_prefix('`')?.strip_suffix('`')?;
        code.parse::<i32>().ok().map(|_| [fault, code, said])
    });
    rows.collect()
}

#[test]
fn each_fault_ends_for_the_client_as_the_documentation_says() {
    let rows = documented_faults();
    assert!(rows.len() >= 15, "{rows:?}");
    let server = Running::echo();
    let url = server.url();
    let check = &|[fault, code, said]: [&str; 3]| {
        let mut relay = Running::relay(&url, &["--no-heads", "--fault", fault]);
        let options = "-m one -m two -m three --listen --timeout 3 --ping-interval 1 --ping-timeout 0.5 \
                       --open-timeout 1 --close-timeout 0.5 --no-compression";
        let to = relay.url();
        let options: Vec<&str> = ["connect", &to].into_iter().chain(options.split(' ')).collect();
        let client = run(&options, "");
        assert_eq!(client.code.unwrap().to_string(), code, "{fault}: {}{}", client.out, client.err);
        if code == "0" {
            let came: Vec<&str> = client.out.lines().collect();
            assert_eq!(came.join(", "), said, "{fault}");
        } else if let Some(said) = said.strip_prefix('`') {
            let said = said.trim_end_matches('`');
            assert!(client.err.contains(said), "{fault}: {said:?} in {:?}", client.err);
        }
        relay.line_with(&format!("! {fault}"));
    };
    std::thread::scope(|scope| {
        for row in rows {
            scope.spawn(move || check(row));
        }
    });
}

#[test]
fn each_frame_is_shown_with_its_direction_and_its_end() {
    let server = Running::echo();
    let mut relay = Running::relay(&server.url(), &[]);
    let long = "lorem ".repeat(500);
    let client =
        run(&["connect", &relay.url(), "-m", "be\u{7}ll", "-m", &long, "-n", "2", "--listen"], "");
    assert_eq!(client.code, Some(0));
    relay.line_with("-> GET / HTTP/1.1");
    relay.line_with("> sec-websocket-version: 13");
    relay.line_with("<- HTTP/1.1 101 Switching Protocols");
    relay.line_with("-> text (5 bytes) \"be\\u{7}ll\"");
    // Compressed on the wire, plain here.
    let line = relay.line_with("of 3000, compressed) \"lorem lorem");
    assert!(line.contains("-> text ("), "{line}");
    relay.line_with("-> close (2 bytes) 1000 (normal closure)");
    relay.line_with("<- close (2 bytes) 1000 (normal closure)");
    relay.line_with("server finished (FIN) after");
    relay.line_with("client finished (FIN) after");
    #[cfg(unix)]
    {
        let (summary, code) = relay.stop();
        assert!(summary.contains("1 connection, 6 frames"), "{summary}");
        assert_eq!(code, Some(0));
    }
}

/// A server that takes all until the end of the stream and answers with it.
fn swallow(listener: TcpListener, answer: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).unwrap();
        stream.write_all(&answer).unwrap();
        came
    })
}

#[test]
fn bytes_pass_untouched_whatever_they_are() {
    // No HTTP; a request and frames of all opcodes and bits; a request, and then nonsense.
    let noise: Vec<u8> =
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut frames = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    frames.extend((0..=255).flat_map(|first| [first, 0x82, 1, 2, 3, 4, 7, 8]));
    let half = [b"GET / HTTP/1.1\r\n\r\n", &noise[..1001]].concat();
    for sent in [noise, frames, half] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("ws://{}", listener.local_addr().unwrap());
        let answer: Vec<u8> = sent.iter().rev().copied().collect();
        let server = swallow(listener, answer.clone());
        let relay = Running::relay(&target, &[]);
        let mut client = TcpStream::connect(&relay.address).unwrap();
        client.write_all(&sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut came = Vec::new();
        client.read_to_end(&mut came).unwrap();
        assert!(came == answer && server.join().unwrap() == sent);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_bounded_whatever_passes() {
    const SIZE: usize = 32 << 20;
    let folder = Folder::new("relay-memory");
    let options = ["--record", &folder.path("a.jsonl"), "-f", "client at text \"zz\" cut"];
    // One frame that is longer than all that may be kept.
    let mut sent = b"GET / HTTP/1.1\r\n\r\n\x82\xff".to_vec();
    sent.extend((SIZE as u64).to_be_bytes());
    sent.extend([1, 2, 3, 4]);
    sent.resize(sent.len() + SIZE, b'x');
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("ws://{}", listener.local_addr().unwrap());
    let server = swallow(listener, sent.clone());
    let relay = Running::relay(&target, &options);
    let mut client = TcpStream::connect(&relay.address).unwrap();
    let before = relay.peak_memory();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut came = Vec::new();
    client.read_to_end(&mut came).unwrap();
    assert!(came == sent && server.join().unwrap() == sent);
    let grown = relay.peak_memory() - before;
    assert!(grown < SIZE as u64 / 2, "{grown}");
}

#[test]
fn a_reset_is_passed_on_as_a_reset_and_shown_as_one() {
    let server = Running::echo();
    let breaking = Running::relay(&server.url(), &["--fault", "server at text \"two\" reset"]);
    let mut tap = Running::relay(&breaking.url(), &[]);
    let client = run(&["connect", &tap.url(), "-m", "one", "-m", "two", "--listen"], "");
    assert_eq!(client.code, Some(4));
    assert!(client.err.contains("reset"), "{}", client.err);
    tap.line_with("server reset (RST) after");
}

#[test]
fn delays_and_rates_take_their_time_and_lose_nothing() {
    let server = Running::echo();
    for (fault, least) in [
        ("server at start delay 300ms", 600),
        ("client at frame 1 stall 500ms", 500),
        // Of 30 bytes the first two may pass at once.
        ("server at frame 1 throttle 50", 400),
    ] {
        let relay = Running::relay(&server.url(), &["--fault", fault]);
        let began = Instant::now();
        let message = "m".repeat(28);
        let client = run(
            &["connect", &relay.url(), "-m", &message, "-n", "1", "--listen", "--no-compression"],
            "",
        );
        assert_eq!((client.code, client.out), (Some(0), format!("{message}\n")), "{fault}");
        assert!(began.elapsed() >= Duration::from_millis(least), "{fault}: {:?}", began.elapsed());
    }
}

#[test]
fn a_script_may_speak_of_one_connection_and_of_none_that_comes() {
    let folder = Folder::new("relay-script");
    let script = folder.path("faults.txt");
    std::fs::write(
        &script,
        "# the first goes well\n\nconnection 2 server at text \"hi\" reset  # \"quoted\"\n\
         client at frame 99 drop\n",
    )
    .unwrap();
    let server = Running::echo();
    let mut relay = Running::relay(&server.url(), &["--script", &script]);
    // The second one is lost.
    let codes: Vec<_> = (0..3)
        .map(|_| run(&["connect", &relay.url(), "-m", "hi", "-n", "1", "--listen"], "").code)
        .collect();
    assert_eq!(codes, [Some(0), Some(4), Some(0)]);
    relay.line_with("#1");
    relay.line_with("it never came to: client at frame 99 drop");
    relay.line_with("! connection 2 server at text \"hi\" reset");
}

#[test]
fn what_cannot_be_understood_is_told_with_its_line() {
    let folder = Folder::new("relay-wrong");
    let script = folder.path("faults.txt");
    std::fs::write(&script, "client at frame 1 drop\n\nserver at frame x cut\n").unwrap();
    let check = |args: &[&str], code, needle: &str| {
        let ran = run(args, "");
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        assert!(ran.err.contains(needle), "{needle:?} in {:?}", ran.err);
    };
    let relay = ["relay", "0", "ws://127.0.0.1:1"];
    check(
        &[&relay[..], &["--script", &script]].concat(),
        2,
        "faults.txt, line 3: expected the number of a frame, from 1; came \"x\"",
    );
    check(&[&relay[..], &["-f", "server cut"]].concat(), 2, "expected at or after; came \"cut\"");
    check(&[&relay[..], &["--script", "/nonexistent"]].concat(), 2, "cannot read /nonexistent");
    check(&["relay", "0", "http://a"], 2, "did you mean ws?");
    check(&["relay", "a", "ws://a"], 2, "expected HOST:PORT or a port");
    check(&[&relay[..], &["--record", "/nonexistent/x"]].concat(), 2, "cannot record to");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&["relay", &port, "ws://127.0.0.1:1"], 1, "try another port");
}

fn recorded(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_recording_has_frames_messages_and_ends_but_no_secrets_and_no_more_than_was_asked_for() {
    let folder = Folder::new("relay-record");
    let (file, token) = (folder.path("a.jsonl"), folder.path("token"));
    std::fs::write(&token, "hush-hush\n").unwrap();
    let server = Running::echo();
    let mut relay = Running::relay(&server.url(), &["--record", &file, "--record-limit", "100"]);
    let long = "x".repeat(1000);
    let to = format!("{}/path?room=7&access_token=hush-hush", relay.url());
    let options = ["--bearer-file", &token, "--cookie", "id=hush-hush", "--listen", "-n", "2"];
    let client = run(&[&["connect", &to, "-m", &long, "-m", "hi"], &options[..]].concat(), "");
    assert_eq!(client.code, Some(0), "{}", client.err);
    relay.lines_with(&["client finished", "server finished"]);
    relay.stop();
    let lines = recorded(&file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hush-hush"), "{text}");
    assert!(text.contains("room=7"), "{text}");
    let of = |ev: &str| lines.iter().filter(|line| line["ev"] == ev).collect::<Vec<_>>();
    assert_eq!(
        (lines[0]["ev"].as_str(), lines[0]["version"].as_u64()),
        (Some("recording"), Some(1))
    );
    let open = of("open")[0];
    assert_eq!(open["response"]["start"], "HTTP/1.1 101 Switching Protocols");
    assert_eq!(of("msg").len(), 4);
    let messages: Vec<_> = of("msg").into_iter().filter(|m| m["from"] == "client").collect();
    let kept =
        (&messages[0]["len"], messages[0]["text"].as_str().map(str::len), &messages[0]["cut"]);
    assert_eq!(kept, (&1000.into(), Some(100), &true.into()));
    assert_eq!((&messages[1]["text"], &messages[1]["cut"]), (&"hi".into(), &Value::Null));
    assert_eq!(of("frame")[0]["opcode"], 1);
    let closes = of("close");
    assert_eq!((&closes[0]["from"], &closes[0]["code"]), (&"client".into(), &1000.into()));
    assert_eq!(of("stream").len(), 2);
}

#[test]
fn a_target_behind_tls_is_spoken_to_by_its_own_name() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = Folder::new("relay-tls");
    let ca = folder.path("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(lastword::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hosts = ["localhost", "target.invalid"].map(str::to_owned);
    let hosts = lastword::Hosts::Only(hosts.to_vec());
    let server = lastword::Server::new().hosts(hosts).tls(Arc::new(config));
    let bound = runtime.block_on(server.bind("127.0.0.1:0")).unwrap();
    let port = bound.local_addr().unwrap().port();
    runtime.spawn(bound.serve(async |mut ws: lastword::WebSocket| {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    }));
    let here = format!("target.invalid:{port}:127.0.0.1");
    for (host, trust) in [
        ("localhost", &["--ca", &ca][..]),
        ("target.invalid", &["--insecure", "--resolve", &here]),
        ("target.invalid", &["--ca", &ca, "--server-name", "localhost", "--resolve", &here]),
    ] {
        let target = format!("wss://{host}:{port}");
        let mut relay = Running::relay(&target, &[&["--rewrite-host"], trust].concat());
        let client = run(&["connect", &relay.url(), "-m", "hi", "-n", "1", "--listen"], "");
        assert_eq!((client.code, client.out.as_str()), (Some(0), "hi\n"), "{}", client.err);
        relay.line_with(&format!("> host: {host}:"));
        relay.line_with("server finished");
    }
}

#[test]
fn a_target_that_says_nothing_is_given_up_and_the_client_hears_of_it() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("wss://{}", silent.local_addr().unwrap());
    let relay = Running::relay(&target, &["--insecure", "--open-timeout", "0.1"]);
    let client = run(&["connect", &relay.url()], "");
    assert_eq!(client.code, Some(1));
    assert!(client.err.contains("refused the connection with 502 Bad Gateway"), "{}", client.err);
    assert!(client.err.contains("the relay got no connection to its target: opening"));
}

#[test]
fn without_a_target_the_client_hears_of_it_and_the_next_one_is_taken() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let relay = Running::relay(&target, &[]);
    for _ in 0..2 {
        assert_eq!(run(&["connect", &relay.url()], "").code, Some(1));
    }
}

#[test]
fn a_reader_that_has_read_enough_ends_it_well() {
    let server = Running::echo();
    let mut relay = Running::relay(&server.url(), &[]);
    relay.close_output();
    run(&["connect", &relay.url(), "-m", "hi", "-n", "1"], "");
    assert_eq!(relay.code(), Some(0));
}
