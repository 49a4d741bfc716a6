//! Latency by percentile, as points: for a table of comma-separated values, and for a drawing.

use std::fmt::Write;

use super::books::Times;

/// So much of all messages was answered within this time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// From 0 to 1.
    pub(super) quantile: f64,
    pub(super) nanos: u64,
    /// Messages within that time.
    pub(super) within: u64,
}

/// How many points lie on each half of what is left to 100 %.
const STEPS: u32 = 8;

/// The curve, from the least to the longest; closer together where it goes up.
pub(super) fn points(times: &Times) -> Vec<Point> {
    if times.is_empty() {
        return Vec::new();
    }
    let point = |value: hdrhistogram::iterators::IterationValue<u64>| Point {
        quantile: value.quantile_iterated_to(),
        nanos: value.value_iterated_to().min(times.max()),
        within: times.count_between(0, value.value_iterated_to()),
    };
    let mut points: Vec<Point> = times.iter_quantiles(STEPS).map(point).collect();
    points.dedup_by(|next, last| {
        next.nanos == last.nanos && next.within == last.within && next.quantile < 1.0
    });
    points
}

/// A line for each point, under a line of names.
pub(super) fn csv(times: &Times) -> String {
    let mut text = String::from("percentile,latency_ms,messages_within\n");
    for Point { quantile, nanos, within } in points(times) {
        // A `String` takes all that is written to it.
        let _ = writeln!(text, "{:.6},{:.6},{within}", quantile * 100.0, nanos as f64 / 1e6);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::books::no_times;
    use super::*;

    #[test]
    fn the_curve_goes_up_and_ends_with_all_messages() {
        let mut times = no_times();
        for micros in 1..=10_000 {
            times.record(micros * 1000).unwrap();
        }
        let points = points(&times);
        assert!(points.len() > 20);
        assert!(points.is_sorted_by(|a, b| {
            a.quantile <= b.quantile && a.nanos <= b.nanos && a.within <= b.within
        }));
        let last = points.last().unwrap();
        assert_eq!((last.quantile, last.nanos, last.within), (1.0, times.max(), 10_000));
        assert_eq!(csv(&times).lines().count(), points.len() + 1);
        assert!(csv(&no_times()).lines().eq(["percentile,latency_ms,messages_within"]));
    }
}
