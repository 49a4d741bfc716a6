//! Crowds at the door: handshakes that stay half open, connections that are reset at once. Whoever
//! is inside must not notice.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::baseline::Holding;
use crate::raw::{self, REQUEST};
use crate::report::Report;
use crate::served::{OPEN_TIMEOUT, Served};

/// `count` handshakes that are begun, dripped on, and never completed: all are given up.
pub(crate) fn half_open(served: &Served, count: usize, report: &mut Report) {
    report.title("handshakes that stay half open");
    // Both ends of each are ours.
    report.at_most("descriptors that it takes", 2 * count as u64 + 100, served.limit);
    let holding = Holding::now(served.runtime());
    let before = served.outcomes.too_late.load(Ordering::Relaxed);
    served.meanwhile(report, || {
        let started = Instant::now();
        let mut waiting = Vec::with_capacity(count);
        for number in 0..count {
            let Ok(mut stream) = raw::connect(served.address) else { continue };
            let cut = 1 + number % (REQUEST.len() - 2);
            let _ = stream.write_all(&REQUEST[..cut]);
            waiting.push((stream, cut));
        }
        println!("  opened in {:.1} s", started.elapsed().as_secs_f64());
        // A byte more of each is a sign of life, and no more time.
        for (stream, cut) in &mut waiting {
            let _ = stream.write_all(&REQUEST[*cut..=*cut]);
        }
        // Each is ended by the server: nobody here goes first.
        for (stream, _) in waiting {
            let _ = raw::read_out(stream);
        }
        println!("  all given up after {:.1} s", started.elapsed().as_secs_f64());
    });
    let late = served.outcomes.too_late.load(Ordering::Relaxed) - before;
    report.exactly("given up (open_timeout)", late, count as u64);
    report.tell("open_timeout, s", OPEN_TIMEOUT.as_secs_f64());
    holding.compare(served.runtime(), report);
}

/// `count` connections that are reset as soon as they stand.
pub(crate) fn resets(served: &Served, count: usize, report: &mut Report) {
    report.title("connections reset at once");
    let holding = Holding::now(served.runtime());
    let failed = std::sync::atomic::AtomicUsize::new(0);
    served.meanwhile(report, || {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..RESETTING {
                scope.spawn(|| {
                    for _ in 0..count / RESETTING {
                        match raw::connect(served.address) {
                            Ok(stream) => raw::reset(stream),
                            Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                        }
                    }
                });
            }
        });
        // Some echoes after it, too, however fast that was.
        std::thread::sleep(AFTER.saturating_sub(started.elapsed()));
        println!("  reset in {:.1} s", started.elapsed().as_secs_f64());
    });
    report.tell("connections", count);
    report.exactly("not connected", failed.into_inner(), 0);
    holding.compare(served.runtime(), report);
}

const RESETTING: usize = 2;
const AFTER: Duration = Duration::from_secs(1);
