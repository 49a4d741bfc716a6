//! Each frame is told of, if somebody listens. In a process of its own: threads log to what is global.

mod support;

use lastword_blocking::{CloseCode, Config};
use support::log::Log;
use support::{Over, pair};

#[test]
fn each_frame_is_traced_if_that_is_asked_for() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_env_filter("lastword::frame=trace");
    let subscriber = subscriber.with_writer(log.clone()).with_ansi(false).finish();
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
