//! A feed that survives its server: `cargo run -p lastword --example reconnecting_feed ws://127.0.0.1:8765`,
//! beside a server that is stopped and started as you like. Ctrl-C says goodbye.

use std::time::Duration;

use lastword::{Backoff, Because, Client, CloseCode, Resend, State, Verdict};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:8765".to_owned());
    let mut backoff = Backoff::default();
    backoff.max_elapsed = Some(Duration::from_mins(10));

    let mut feed = Client::new(url)
        .reconnecting()
        .backoff(backoff)
        // What was accepted and did not leave goes first on the next connection; nothing arrives twice.
        .resend(Resend::Unsent)
        // Knows one thing better than the default: this server says 4000 when it moves us elsewhere.
        .classify(|because| match because {
            Because::Ended(ending) if ending.code() == 4000 => Verdict::Retry,
            because => because.verdict(),
        })
        .on_state(|state| match state {
            State::Connecting { attempt } => println!("connecting, attempt {attempt}"),
            State::Waiting { until, because } => {
                let pause = until.saturating_duration_since(std::time::Instant::now());
                println!("{because}; again in {:.1} s", pause.as_secs_f64());
            }
            _ => {}
        });

    let control = feed.control();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Wakes it from a pause, or says goodbye to the server.
            control.close(CloseCode::GOING_AWAY, "interrupted");
        }
    });

    while let Some(mut ws) = feed.next().await {
        // Each connection begins anew: subscribe.
        if ws.send("subscribe").await.is_err() {
            continue;
        }
        // An end that is not clean is an error here; the feed has learned of it, too.
        while let Ok(Some(message)) = ws.recv().await {
            println!("received {message:?}");
        }
    }
    let unsent = feed.unsent();
    if let Some(stopped) = feed.stopped() {
        println!("{stopped}; {} messages were not sent", unsent.len());
    }
    Ok(())
}
