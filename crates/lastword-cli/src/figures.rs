//! Numbers for people: three digits that count, and a unit that fits.

use std::fmt;
use std::time::Duration;

/// A duration, as in `0.214 ms`, `21.4 ms` or `1.25 s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let text = if seconds < 1.0 {
            format!("{} ms", three_digits(seconds * 1e3))
        } else {
            format!("{} s", three_digits(seconds))
        };
        f.pad(&text)
    }
}

/// A count, as in `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// So many of something, as in `1 message` and `1,234 messages`.
pub(crate) fn many(count: u64, of: &str) -> String {
    format!("{} {of}{}", Count(count), if count == 1 { "" } else { "s" })
}

/// How often in a second: as a count, or with digits behind the point where that says more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) f64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 100.0 {
            f.pad(&three_digits(self.0))
        } else {
            let rounded = self.0.round() as u64;
            Count(rounded).fmt(f)
        }
    }
}

/// Bytes, or bytes in a second, as in `12.5 MB`; a MB is a million.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "kB", "MB", "GB", "TB"];
        let mut scaled = self.0;
        let mut unit = 0;
        while scaled >= 999.5 && unit + 1 < units.len() {
            scaled /= 1e3;
            unit += 1;
        }
        f.pad(&format!("{} {}", three_digits(scaled), units[unit]))
    }
}

/// A share, as in `12.5 %`; never 0 or 100 for what is neither.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) of: u64,
    pub(crate) all: u64,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 0 || self.all == 0 {
            return f.pad("0 %");
        }
        if self.of == self.all {
            return f.pad("100 %");
        }
        let percent = (100.0 * self.of as f64 / self.all as f64).clamp(0.01, 99.9);
        f.pad(&format!("{} %", three_digits(percent)))
    }
}

/// Of a number that is not negative: `0`, `0.0123`, `1.23`, `12.3`, `123`, `1234`.
pub(crate) fn three_digits(number: f64) -> String {
    if number <= 0.0 {
        return "0".to_owned();
    }
    // What rounds up to the next power of ten is one of its digits already.
    let before_point = (number * 1.0005).log10().floor();
    let decimals = (2.0 - before_point).clamp(0.0, 9.0) as usize;
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0 ms"),
            (214_000, "0.214 ms"),
            (12_345, "0.0123 ms"),
            (1_234_567, "1.23 ms"),
            (9_999_000, "10.0 ms"),
            (99_960_000, "100 ms"),
            (123_456_789, "123 ms"),
            (1_250_000_000, "1.25 s"),
            (75_000_000_000, "75.0 s"),
        ] {
            assert_eq!(Time(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn counts_are_grouped_and_bytes_scaled() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Count(count).to_string(), text);
        }
        for (bytes, text) in
            [(0.0, "0 B"), (999.0, "999 B"), (1000.0, "1.00 kB"), (12.5e6, "12.5 MB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Rate(0.5).to_string(), "0.500");
        assert_eq!(Rate(61_234.4).to_string(), "61,234");
    }

    #[test]
    fn a_share_is_nothing_or_all_only_if_it_is() {
        let share = |of, all| Share { of, all }.to_string();
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(1, 1_000_000), "0.0100 %");
        assert_eq!(share(999_999, 1_000_000), "99.9 %");
        assert_eq!(share(1, 4), "25.0 %");
    }
}
