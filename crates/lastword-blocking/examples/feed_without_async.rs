//! A feed that survives its server, without `async`:
//! `cargo run -p lastword-blocking --example feed_without_async ws://127.0.0.1:8765`, beside a server that is
//! stopped and started as you like. Enter says goodbye.

use std::time::{Duration, Instant};
use std::{io, thread};

use lastword_blocking::{Backoff, Client, CloseCode, Resend, State};

fn main() {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:8765".to_owned());
    let mut backoff = Backoff::default();
    backoff.max_elapsed = Some(Duration::from_mins(10));

    let mut feed = Client::new(url)
        .reconnecting()
        .backoff(backoff)
        // What was accepted and did not leave goes first on the next connection; nothing arrives twice.
        .resend(Resend::Unsent)
        .on_state(|state| match state {
            State::Connecting { attempt } => println!("connecting, attempt {attempt}"),
            State::Waiting { until, because } => {
                let pause = until.saturating_duration_since(Instant::now());
                println!("{because}; again in {:.1} s", pause.as_secs_f64());
            }
            _ => {}
        });

    let control = feed.control();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        // Wakes it from a pause, gives up an attempt, or says goodbye to the server.
        control.close(CloseCode::GOING_AWAY, "interrupted");
    });

    for mut ws in &mut feed {
        // Each connection begins anew: subscribe.
        if ws.send("subscribe").is_err() {
            continue;
        }
        // An end that is not clean is an error here; the feed has learned of it, too.
        while let Ok(Some(message)) = ws.recv() {
            println!("received {message:?}");
        }
    }
    let unsent = feed.unsent();
    if let Some(stopped) = feed.stopped() {
        println!("{stopped}; {} messages were not sent", unsent.len());
    }
}
