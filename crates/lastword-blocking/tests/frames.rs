//! Each frame is told of, if somebody listens. In a process of its own: threads log to what is global.

mod support;

use lastword_blocking::{CloseCode, Config};
use support::log::Log;
use support::{Over, pair};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn each_frame_is_traced_if_that_is_asked_for() {
    let log = Log::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
    let frames = Targets::new().with_target("lastword::frame", tracing::Level::TRACE);
    let subscriber = tracing_subscriber::registry().with(lines).with(frames);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (client, mut server) = pair(Over::Tcp, Config::default());
    client.send_confirmed("hello").unwrap();
    client.close(CloseCode::NORMAL, "done");
    assert_eq!(server.recv().unwrap(), Some("hello".into()));
    server.ended();

    let log = log.text();
    for frame in [
        r#"> Text "hello" [5 bytes]"#,
        r#"< Text "hello" [5 bytes]"#,
        "> Ping ",
        "< Pong ",
        r#"> Close 1000 "done""#,
        r#"< Close 1000 "done""#,
    ] {
        let told = log.lines().any(|line| line.contains("TRACE") && line.contains(frame));
        assert!(told, "{frame}: {log}");
    }
}
