//! What a connection says through `tracing`: who it is, and at its end one line.

use std::io::Write;
use std::sync::{Arc, Mutex};

use lastword::{Client, CloseCode, Server};
use tokio::io::duplex;
use tracing_subscriber::fmt::MakeWriter;

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
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (side, facts) in [
        (
            r#"websocket{role=Client}"#,
            [r#"closed by us: 1000 (normal closure) "done""#, "confirmed=1"],
        ),
        (r#"websocket{role=Server}"#, ["closed by the peer: 1000 (normal closure)", "received=1"]),
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(side)).collect();
        let [line] = lines[..] else { panic!("one line of {side}: {log}") };
        assert!(line.contains(" INFO ") && line.contains("clean=true"), "{line}");
        for fact in facts {
            assert!(line.contains(fact), "{fact:?}: {line}");
        }
    }
}
