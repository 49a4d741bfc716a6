//! What a connection says through `tracing`: who it is, and at its end one line.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lastword::{Client, CloseCode, Server};
use tokio::io::duplex;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn each_side_tells_its_end_once_with_what_became_of_its_messages() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let (near, far) = duplex(1000);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let (client, server) = tokio::join!(client, Server::new().accept(far));
    let (client, server) = (client.unwrap(), server.unwrap());
    client.send_confirmed("hello").await.unwrap();
    client.close(CloseCode::NORMAL, "done").await;
    server.ended().await;
    drop(server);
    tokio::time::sleep(Duration::from_secs(10)).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (side, facts) in [
        ("role=Client}", [r#"closed by us: 1000 (normal closure) "done""#, "confirmed=1"]),
        ("role=Server}", ["closed by the peer: 1000 (normal closure)", "received=1"]),
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(side)).collect();
        let [line] = lines[..] else { panic!("one line of {side}: {log}") };
        assert!(line.contains(" INFO ") && line.contains("clean=true"), "{line}");
        for fact in facts {
            assert!(line.contains(fact), "{fact:?}: {line}");
        }
    }
}

#[tokio::test]
async fn a_handler_that_passes_on_how_its_connection_ended_has_not_failed() {
    for (within, fails) in [(Duration::from_secs(60), false), (Duration::ZERO, true)] {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
        let _logging = tracing::subscriber::set_default(subscriber.finish());
        let bound = Server::new().bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(format!("ws://{}", bound.local_addr().unwrap()));
        let (done, is_done) = tokio::sync::oneshot::channel::<()>();
        let done = Arc::new(Mutex::new(Some(done)));
        let handler = move |mut ws: lastword::WebSocket| {
            let done = done.lock().unwrap().take();
            async move {
                let received = ws.recv_timeout(within).await;
                drop(done);
                received?;
                Ok(())
            }
        };
        let stop = async {
            let client = client.connect().await.unwrap();
            if within > Duration::ZERO {
                client.abort();
            } else {
                client.ended().await;
            }
            drop(is_done.await);
        };
        bound.serve_until(handler, stop).await;
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.contains("handler failed"), fails, "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_frame_is_traced_if_that_is_asked_for_and_with_it_states_and_timers() {
    let log = Log::default();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false).without_time();
    let frames = Targets::new().with_target("lastword::frame", tracing::Level::TRACE);
    let subscriber = tracing_subscriber::registry().with(lines).with(frames);
    let _logging = tracing::subscriber::set_default(subscriber);
    let (near, far) = duplex(1000);
    let client = Client::new("ws://in.memory/").connect_over(near);
    let (client, server) = tokio::join!(client, Server::new().accept(far));
    let (client, mut server) = (client.unwrap(), server.unwrap());
    client.send_confirmed("hello").await.unwrap();
    client.close(CloseCode::NORMAL, "done").await;
    assert_eq!(server.recv().await.unwrap(), Some("hello".into()));
    server.ended().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for frame in [
        r#"> Text "hello" [5 bytes]"#,
        r#"< Text "hello" [5 bytes]"#,
        "> Ping ",
        "< Pong ",
        r#"> Close 1000 "done""#,
        r#"< Close 1000 "done""#,
    ] {
        assert!(
            log.lines().any(|line| line.contains("TRACE") && line.contains(frame)),
            "{frame}: {log}"
        );
    }
}
