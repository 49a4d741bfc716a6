//! What a process holds: descriptors, threads, tasks, memory. Read where the kernel tells it.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;

use crate::report::Report;

/// What is held at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    descriptors: usize,
    threads: usize,
    tasks: usize,
}

impl Holding {
    pub(crate) fn now(runtime: &Handle) -> Self {
        let count = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            tasks: runtime.metrics().num_alive_tasks(),
        }
    }

    /// Waits until no more than this is held; says what is, after [`SETTLE`] at the latest.
    pub(crate) fn compare(self, runtime: &Handle, report: &mut Report) {
        let started = Instant::now();
        let mut now = Self::now(runtime);
        while now != self && started.elapsed() < SETTLE {
            std::thread::sleep(Duration::from_millis(5));
            now = Self::now(runtime);
        }
        report.exactly("open descriptors", now.descriptors, self.descriptors);
        report.exactly("threads", now.threads, self.threads);
        report.exactly("tasks", now.tasks, self.tasks);
        report.tell("back after, ms", started.elapsed().as_millis());
    }
}

/// Resident memory, in KiB.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// As many descriptors as the machine lets us have; how many that is.
pub(crate) fn raise_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How long the last connections may take to be gone: more than any timeout of the server.
const SETTLE: Duration = Duration::from_secs(15);
