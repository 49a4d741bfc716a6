//! How latencies are spread, in as many characters as fit: a bar for each range, on a scale on which
//! each range is as many times longer than the one before.

use std::time::Duration;

use super::books::Times;
use crate::figures::{Count, Share, Time};

/// What can be drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Blocks in eighths.
    Blocks,
    /// `#`.
    Ascii,
}

/// A range of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    /// The longest that belongs to it, in nanoseconds.
    to: u64,
    count: u64,
}

/// How many ranges there are at most.
const RANGES: i32 = 12;
/// What a line has beside its bar.
const BESIDE: usize = 40;
/// Wider bars say no more.
const WIDEST: usize = 60;
const NARROWEST: usize = 10;

/// The picture, line by line; nothing of nothing.
pub(super) fn lines(times: &Times, width: usize, ink: Ink) -> Vec<String> {
    let ranges = ranges(times);
    let most = ranges.iter().map(|range| range.count).max().unwrap_or_default();
    let room = width.saturating_sub(BESIDE).clamp(NARROWEST, WIDEST);
    let mut so_far = 0;
    ranges
        .iter()
        .map(|range| {
            so_far += range.count;
            let to = Time(Duration::from_nanos(range.to)).to_string();
            let bar = bar(range.count, most, room, ink);
            let share = Share { of: so_far, all: times.len() }.to_string();
            format!(
                "  <= {to:>9}  {bar:<room$}  {:>11}  {share:>8}",
                Count(range.count).to_string()
            )
        })
        .collect()
}

fn ranges(times: &Times) -> Vec<Range> {
    if times.is_empty() {
        return Vec::new();
    }
    let (least, longest) = (times.min().max(1) as f64, times.max().max(1) as f64);
    let ratio = (longest / least).powf(1.0 / f64::from(RANGES));
    let mut from = 0;
    let mut ranges: Vec<Range> = Vec::new();
    for number in 1..=RANGES {
        let to = match number {
            RANGES => times.max(),
            _ => (least * ratio.powi(number)) as u64,
        };
        // A time is kept as the range of all that look alike in three digits.
        let to = times.highest_equivalent(to);
        if to < from {
            continue;
        }
        ranges.push(Range { to, count: times.count_between(from, to) });
        from = to + 1;
    }
    ranges
}

/// As long as its share of the longest; what is there is seen.
fn bar(count: u64, most: u64, room: usize, ink: Ink) -> String {
    if count == 0 || most == 0 {
        return String::new();
    }
    let steps = if ink == Ink::Blocks { EIGHTHS.len() } else { 1 };
    let length = (count as f64 / most as f64 * (room * steps) as f64).round() as usize;
    let length = length.max(1);
    match ink {
        Ink::Ascii => "#".repeat(length),
        Ink::Blocks => {
            let mut bar = "█".repeat(length / steps);
            if let Some(rest) = (length % steps).checked_sub(1) {
                bar.push(EIGHTHS[rest]);
            }
            bar
        }
    }
}

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

#[cfg(test)]
mod tests {
    use super::super::books::no_times;
    use super::*;

    fn times(all: &[(u64, u64)]) -> Times {
        let mut times = no_times();
        for (micros, count) in all {
            times.record_n(micros * 1000, *count).unwrap();
        }
        times
    }

    #[test]
    fn each_latency_stands_in_one_range() {
        for all in [
            &[(1, 1)][..],
            &[(100, 5), (101, 3)],
            &[(20, 1000), (30, 500), (40, 20), (5000, 1)],
            &[(1, 1), (3_600_000_000, 1)],
        ] {
            let times = times(all);
            let ranges = ranges(&times);
            assert_eq!(
                ranges.iter().map(|range| range.count).sum::<u64>(),
                times.len(),
                "{ranges:?}"
            );
            assert!(ranges.is_sorted_by(|a, b| a.to < b.to), "{ranges:?}");
        }
        assert!(lines(&no_times(), 80, Ink::Ascii).is_empty());
    }

    #[test]
    fn lines_fit_and_what_is_there_is_seen() {
        let times = times(&[(20, 1_000_000), (30, 500), (40, 20), (5000, 1)]);
        for (width, ink) in [(60, Ink::Ascii), (80, Ink::Blocks), (200, Ink::Blocks)] {
            let lines = lines(&times, width, ink);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
            let mark = if ink == Ink::Ascii { '#' } else { '▏' };
            assert!(lines.last().unwrap().contains(mark), "{lines:#?}");
            assert!(lines.last().unwrap().ends_with("100 %"), "{lines:#?}");
            assert_eq!(lines.iter().all(|line| line.is_ascii()), ink == Ink::Ascii);
        }
    }

    #[test]
    fn blocks_are_drawn_in_eighths() {
        assert_eq!(bar(8, 8, 2, Ink::Blocks), "██");
        assert_eq!(bar(5, 8, 2, Ink::Blocks), "█▎");
        assert_eq!(bar(1, 1000, 2, Ink::Blocks), "▏");
        assert_eq!(bar(0, 8, 2, Ink::Blocks), "");
    }
}
