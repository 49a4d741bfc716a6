//! Processes as the kernel sees them: time on a processor, memory, descriptors.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

/// What a stretch of the load cost.
pub struct Meter {
    server: ClockId,
    began: Instant,
    server_before: Duration,
    load_before: Duration,
}

impl Meter {
    pub fn start(server: i32) -> Self {
        let server = ClockId::pid_cpu_clock_id(Pid::from_raw(server)).expect("the server is alive");
        Self {
            server,
            began: Instant::now(),
            server_before: spent(server),
            load_before: spent(ClockId::CLOCK_PROCESS_CPUTIME_ID),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Seconds on the clock, and on a processor, until now.
    pub fn result(&self) -> serde_json::Value {
        serde_json::json!({
            "seconds": self.elapsed().as_secs_f64(),
            "server": (spent(self.server) - self.server_before).as_secs_f64(),
            "load": (spent(ClockId::CLOCK_PROCESS_CPUTIME_ID) - self.load_before).as_secs_f64(),
        })
    }
}

/// User and system time of all its threads, to the nanosecond.
fn spent(clock: ClockId) -> Duration {
    Duration::from(clock.now().expect("the process is alive"))
}

/// Bytes that a process holds for itself, in user space: what it would give back if it ended.
pub fn private_bytes(process: i32) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let table = fs::read_to_string(path).expect("the server is alive, and ours");
    let lines = table.lines().filter(|line| line.starts_with("Private_"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>() * 1024
}

pub fn raise_limit_of_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("what is allowed");
}

/// How many connections a process may hold beside what it opens for itself, if the server's limit is
/// like ours.
pub fn most_connections() -> usize {
    const FOR_ITSELF: usize = 200;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    most as usize - FOR_ITSELF
}

pub fn wait_until_listening(port: u16) {
    let v4 = format!(":{port:04X} 00000000:0000 0A");
    let v6 = format!(":{port:04X} 00000000000000000000000000000000:0000 0A");
    let listens = |path, row: &str| fs::read_to_string(path).is_ok_and(|table| table.contains(row));
    let patience = Instant::now() + Duration::from_secs(20);
    while !listens("/proc/net/tcp", &v4) && !listens("/proc/net/tcp6", &v6) {
        assert!(Instant::now() < patience, "nobody listens on port {port}");
        sleep(Duration::from_millis(5));
    }
}
