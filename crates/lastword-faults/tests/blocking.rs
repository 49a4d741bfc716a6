//! All suites, on the driver of threads.

mod every_suite;

use lastword_faults::Blocking;

const fn driver() -> Blocking {
    Blocking
}
