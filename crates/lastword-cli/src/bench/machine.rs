//! What the load costs the machine that it runs on: whether it was the load that was slow.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// The work of this process so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    at: Instant,
    /// Of all threads; `None` where the system does not tell.
    processor: Option<Duration>,
    /// How long the runtime's threads had something to do.
    busy: Duration,
}

/// The work between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worked {
    pub(super) time: Duration,
    pub(super) processor: Option<Duration>,
    /// The share of the time in which the runtime's threads had something to do, from 0 to 1.
    pub(super) busy: f64,
}

impl Effort {
    pub(super) fn so_far(runtime: &Handle) -> Self {
        Self { at: Instant::now(), processor: processor_time(), busy: busy(runtime) }
    }

    /// What was done since then.
    pub(super) fn since(&self, before: &Self, threads: usize) -> Worked {
        let time = self.at.saturating_duration_since(before.at);
        let processor = self.processor.zip(before.processor);
        let all = time.as_secs_f64() * threads as f64;
        let busy = self.busy.saturating_sub(before.busy).as_secs_f64();
        Worked {
            time,
            processor: processor.map(|(now, before)| now.saturating_sub(before)),
            busy: if all > 0.0 { (busy / all).min(1.0) } else { 0.0 },
        }
    }
}

#[cfg(target_has_atomic = "64")]
fn busy(runtime: &Handle) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

#[cfg(not(target_has_atomic = "64"))]
fn busy(_: &Handle) -> Duration {
    Duration::ZERO
}

#[cfg(unix)]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
const fn processor_time() -> Option<Duration> {
    None
}

/// Asks for as many open files, which sockets are, as the system allows; how many that is, if there is a limit.
pub(super) fn allow_many_sockets() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it is refused, the old limit holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        getrlimit(Resource::Nofile).current
    }
    #[cfg(not(unix))]
    None
}

/// Asks the system to wake this thread when it is time, and not up to 50 µs later.
pub(super) fn wake_on_time() {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

/// How many characters fit into a line of standard output.
pub(super) fn width() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        && size.ws_col > 0
    {
        return size.ws_col.into();
    }
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(USUAL_WIDTH)
}

const USUAL_WIDTH: usize = 80;
