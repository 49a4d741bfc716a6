//! What the end of a handler means: to its peer, and in the log.

mod support;

use std::time::Duration;

use lastword_blocking::{Client, Server, WebSocket};
use support::Running;
use support::log::Log;

fn as_asked(mut ws: WebSocket) -> Result<(), lastword_blocking::HandlerError> {
    match ws.recv()?.unwrap().as_text().unwrap() {
        "fail" => return Err("out of order".into()),
        "panic" => panic!("as asked"),
        "late" => drop(ws.recv_timeout(Duration::ZERO)?),
        "wait" => drop(ws.recv_timeout(Duration::from_secs(60))?),
        _ => {}
    }
    Ok(())
}

/// Threads of the server log, so that the log is that of the process; all in one test, therefore.
#[test]
fn each_end_has_its_code_and_only_failures_of_the_handler_have_a_line() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    for (asked, code, line) in [
        ("done", 1000, None),
        ("fail", 1011, Some("handler failed error=out of order")),
        ("panic", 1011, Some("handler panicked")),
        ("late", 1011, Some("handler failed error=no message within 0ns")),
        ("wait", 1006, None),
    ] {
        log.clear();
        let running = Running::start(Server::new(), as_asked);
        let ws = Client::new(running.url()).connect().unwrap();
        if asked == "wait" {
            ws.send_confirmed(asked).unwrap();
            ws.abort();
        } else {
            ws.send(asked).unwrap();
        }
        assert_eq!(running.ending().code(), code, "{asked}");
        running.stop();
        let log = log.text();
        let failures: Vec<_> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert_eq!(failures.len(), usize::from(line.is_some()), "{asked}: {log}");
        if let Some(line) = line {
            // Whose connection it was stands in front.
            assert!(failures[0].contains(line) && failures[0].contains("peer=127.0.0.1:"), "{log}");
        }
    }
}
