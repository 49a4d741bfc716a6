//! All suites, on tokio's driver.

mod every_suite;

use lastword_faults::Tokio;

fn driver() -> Tokio {
    Tokio::new()
}
