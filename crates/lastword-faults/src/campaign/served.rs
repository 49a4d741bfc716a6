//! The server, and those who are served while others misbehave: how long their echoes take.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lastword::{AcceptError, Config, HandlerError, Server, WebSocket};
use lastword_faults::Certificates;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::raw;
use crate::report::Report;

/// An echo server on a port of its own.
pub(crate) struct Served {
    runtime: Runtime,
    pub(crate) address: SocketAddr,
    pub(crate) outcomes: Arc<Outcomes>,
    /// How many descriptors there may be.
    pub(crate) limit: u64,
    /// Whom its clients trust, if it speaks TLS.
    pub(crate) tls: Option<Certificates>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<lastword::Report>,
}

/// What the server was told of each stream that it accepted.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) all: AtomicU64,
    pub(crate) clean: AtomicU64,
    pub(crate) too_late: AtomicU64,
}

impl Served {
    pub(crate) fn start(limit: u64, tls: Option<Certificates>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the machine has two threads for us");
        let outcomes = Arc::new(Outcomes::default());
        let mut config = Config::default();
        config.open_timeout = OPEN_TIMEOUT;
        config.close_timeout = CLOSE_TIMEOUT;
        let told = Arc::clone(&outcomes);
        let mut server = Server::new().config(config);
        if let Some(tls) = &tls {
            server = server.tls(Arc::clone(&tls.server));
        }
        let server = server.observe(move |outcome| {
            told.all.fetch_add(1, Ordering::Relaxed);
            match outcome.result {
                Ok(ending) if ending.is_clean() => told.clean.fetch_add(1, Ordering::Relaxed),
                Err(AcceptError::TimedOut { .. }) => told.too_late.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        });
        let bound = runtime.block_on(server.bind("127.0.0.1:0")).expect("the loopback has a port");
        let address = bound.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let serving = bound.serve_until(echo, async { stopped.await.unwrap_or(()) });
        let task = runtime.spawn(serving);
        Self { runtime, address, outcomes, limit, tls, stop, task }
    }

    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Shuts down: nobody is left to be waited for.
    pub(crate) fn stop(self, report: &mut Report) {
        report.title("shutdown");
        let _ = self.stop.send(());
        let last = self.runtime.block_on(self.task).expect("the server does not panic");
        report.exactly("connections left", last.endings.len(), 0);
        report.exactly("handlers stuck", last.stuck, 0);
    }

    /// Runs `trouble` while some clients echo; reports how long their echoes took meanwhile.
    pub(crate) fn meanwhile(&self, report: &mut Report, trouble: impl FnOnce()) {
        let over = AtomicBool::new(false);
        let mut latencies = std::thread::scope(|scope| {
            let echoing: Vec<_> =
                (0..ECHOING).map(|_| scope.spawn(|| echoes(self.address, &over))).collect();
            trouble();
            over.store(true, Ordering::Relaxed);
            let told = echoing.into_iter().map(|client| client.join().unwrap_or_default());
            told.collect::<Vec<_>>()
        });
        let served = latencies.iter().filter(|latencies| !latencies.is_empty()).count();
        report.exactly("clients served meanwhile", served, ECHOING);
        let mut all: Vec<Duration> = latencies.drain(..).flatten().collect();
        all.sort_unstable();
        let at = |share: usize| all.get(all.len() * share / 1000).copied().unwrap_or_default();
        report.tell("their echoes", all.len());
        report.tell("median, µs", at(500).as_micros());
        report.at_most("99th percentile, µs", at(990).as_micros(), P99.as_micros());
        let longest = all.last().copied().unwrap_or(Duration::MAX);
        report.at_most("longest, µs", longest.as_micros(), LONGEST.as_micros());
    }
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Echoes until told to stop, then closes; empty if anything went wrong.
fn echoes(server: SocketAddr, over: &AtomicBool) -> Vec<Duration> {
    let conversation = || -> std::io::Result<Vec<Duration>> {
        let mut stream = raw::open(server)?;
        let mut latencies = Vec::new();
        let (asked, mut answer) = (raw::frame(0x82, &[7; 64]), [0; 66]);
        while !over.load(Ordering::Relaxed) {
            let asked_at = Instant::now();
            stream.write_all(&asked)?;
            stream.read_exact(&mut answer)?;
            latencies.push(asked_at.elapsed());
            // Others have to have the machine, too: this measures a server, not two cores.
            std::thread::sleep(Duration::from_micros(500));
        }
        stream.write_all(&raw::frame(0x88, &[3, 232]))?;
        raw::read_out(stream)?;
        Ok(latencies)
    };
    conversation().unwrap_or_default()
}

/// How many clients are served while others misbehave.
const ECHOING: usize = 4;

/// What they may notice, on a machine that has other work to do as well.
const P99: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// Half-open handshakes are given up after this.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
