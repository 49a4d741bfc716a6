//! After many openings that came to nothing, nothing is left of them: no thread, no descriptor. In a process
//! of its own.

#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use lastword_blocking::{Cancel, Client, Config, ConnectError, Proxy};
use lastword_fakes::{Place, http_proxy, nowhere};

fn threads_and_descriptors() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|of| fs::read_dir(of).unwrap().count())
}

#[test]
fn nothing_is_left_of_openings_that_were_refused_late_or_cancelled() {
    let silent = Place::silent().address();
    let refusing = Place::answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n").address();
    let tunnel = http_proxy(silent).address();
    let via = |proxy| Proxy::parse(&format!("http://{proxy}")).unwrap();
    let clients = || {
        [
            Client::new(format!("ws://localhost:{}/", silent.port())),
            Client::new(format!("wss://localhost:{}/", silent.port())),
            Client::new(format!("ws://{refusing}")),
            Client::new(format!("ws://{}", nowhere())),
            Client::new("ws://nobody.invalid/").no_proxy(),
            Client::new("ws://a.invalid/").proxy(via(silent)),
            Client::new("wss://a.invalid/").proxy(via(tunnel)),
        ]
    };
    let mut config = Config::default();
    config.open_timeout = Duration::from_millis(30);
    let round = |config: &Config| {
        for client in clients() {
            client.clone().config(config.clone()).connect().unwrap_err();
            let cancel = Cancel::new();
            let opening = thread::spawn({
                let client = client.cancelled_by(&cancel);
                move || client.connect()
            });
            thread::yield_now();
            cancel.cancel();
            let error = opening.join().unwrap().unwrap_err();
            let known = matches!(
                error,
                ConnectError::Cancelled { .. }
                    | ConnectError::Handshake(_)
                    | ConnectError::Connect { .. }
                    | ConnectError::Resolve { .. }
            );
            assert!(known, "{error}");
        }
    };
    // What the process opens once, for TLS and for names, belongs to the baseline.
    round(&config);
    let limit = Instant::now() + Duration::from_secs(20);
    let mut baseline = threads_and_descriptors();
    // The last threads of that round are on their way out.
    while Instant::now() < limit {
        thread::sleep(Duration::from_millis(200));
        let now = threads_and_descriptors();
        if now == baseline {
            break;
        }
        baseline = now;
    }
    for _ in 0..20 {
        round(&config);
    }
    let is_left =
        || threads_and_descriptors().iter().zip(baseline).any(|(now, before)| *now > before);
    let limit = Instant::now() + Duration::from_secs(20);
    while is_left() {
        assert!(Instant::now() < limit, "{:?} of {baseline:?} are left", threads_and_descriptors());
        thread::yield_now();
    }
}
