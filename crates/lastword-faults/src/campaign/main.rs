//! Tens of thousands of abnormal ends against a server, and what is left of them: nothing.
//!
//! `cargo run --release -p lastword-faults` runs it in full, with `-- --short` in a tenth of it.
//! Three campaigns: ends of all kinds (inside TLS as well), handshakes that stay half open, connections that
//! are reset as soon as they stand. Whoever is served meanwhile must not notice. Prints figures; the
//! exit code says whether all held.

mod baseline;
mod crowd;
mod ends;
mod raw;
mod report;
mod served;

use std::process::ExitCode;

use lastword_faults::Certificates;

use crate::report::Report;
use crate::served::Served;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let share = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => 1,
        (Some("--short"), None) => 10,
        _ => {
            eprintln!("usage: lastword-faults [--short]");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    let limit = baseline::raise_limit();
    let sealed = Served::start(limit, Some(Certificates::new()));
    ends::run(&sealed, 4_000 / share, &mut report);
    sealed.stop(&mut report);
    let served = Served::start(limit, None);
    ends::run(&served, 20_000 / share, &mut report);
    crowd::half_open(&served, 5_000 / share, &mut report);
    crowd::resets(&served, 10_000 / share, &mut report);
    served.stop(&mut report);
    report.conclude()
}
