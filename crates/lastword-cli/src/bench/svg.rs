//! Latency by percentile, as a drawing: the nearer to 100 %, the wider each step, so that the few slow
//! messages have as much room as the many fast ones.

use std::fmt::Write;
use std::time::Duration;

use super::books::Times;
use super::curve::{self, Point};
use crate::figures::Time;

/// The size of the drawing, and of what surrounds the curve.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 60.0;

/// How many marks the scale of times has, about.
const MARKS: f64 = 6.0;

/// Percentiles that have a line of their own, as far as there are messages beyond them.
const LINES: [(f64, &str); 7] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.99999, "99.999 %"),
];

/// The drawing; without messages, its frame alone.
pub(super) fn draw(times: &Times, title: &str, subtitle: &str) -> String {
    let points = curve::points(times);
    let plot = Plot::of(&points, times.len());
    let mut svg = String::new();
    // A `String` takes all that is written to it.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"17\" fill=\"#222222\">{}</text>\n\
         <text x=\"{LEFT}\" y=\"50\" fill=\"#666666\">{}</text>\n",
        escape(title),
        escape(subtitle),
    );
    plot.scale_of_times(&mut svg);
    plot.scale_of_percentiles(&mut svg);
    if !points.is_empty() {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", plot.x(point.quantile), plot.y(point.nanos)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>",
            path.join(" ")
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a point stands.
#[derive(Clone, Copy, Debug)]
struct Plot {
    /// How many times a tenth is left at the right edge: 3 is 99.9 %.
    nines: f64,
    /// The longest time of the scale, and between two marks of it.
    top: f64,
    step: f64,
}

impl Plot {
    fn of(points: &[Point], messages: u64) -> Self {
        // Beyond one message there is nothing to see.
        let nines = (messages.max(10) as f64).log10().min(5.0);
        let longest = points.last().map_or(1.0, |point| point.nanos.max(1) as f64);
        let step = round_step(longest / MARKS);
        Self { nines, top: (longest / step).ceil() * step, step }
    }

    fn x(&self, quantile: f64) -> f64 {
        let nines = if quantile < 1.0 { -(1.0 - quantile).log10() } else { self.nines };
        LEFT + (WIDTH - LEFT - RIGHT) * (nines / self.nines).min(1.0)
    }

    fn y(&self, nanos: u64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (nanos as f64 / self.top)
    }

    fn scale_of_times(&self, svg: &mut String) {
        let mut mark = 0.0;
        while mark <= self.top + self.step / 2.0 {
            let y = self.y(mark as u64);
            let right = WIDTH - RIGHT;
            let time = Time(Duration::from_nanos(mark as u64));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\n\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444444\">{time}</text>",
                LEFT - 8.0,
                y + 4.0,
            );
            mark += self.step;
        }
    }

    fn scale_of_percentiles(&self, svg: &mut String) {
        let bottom = HEIGHT - BOTTOM;
        for (quantile, name) in LINES {
            if -(1.0_f64 - quantile).log10() > self.nines {
                break;
            }
            let x = self.x(quantile);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\n\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444444\">{name}</text>",
                bottom + 20.0,
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444444\">messages answered within</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            bottom + 44.0,
        );
    }
}

/// 1, 2 or 5 times a power of ten, at least as much.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step).unwrap_or(10.0);
    factor * power
}

/// Text in a document of XML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no way to write them.
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::books::no_times;
    use super::*;

    #[test]
    fn all_points_lie_in_the_frame_and_no_text_ends_it() {
        let mut times = no_times();
        for micros in 1..=100_000 {
            times.record(micros * 1000).unwrap();
        }
        let svg = draw(&times, "ws://a/?b=1&c=</text><script>", "\u{1b}[2J");
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{svg}");
        let start = svg.find("points=\"").unwrap() + "points=\"".len();
        let points = &svg[start..start + svg[start..].find('"').unwrap()];
        let mut last = (0.0, HEIGHT);
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
            assert!(x >= last.0 && y <= last.1, "{point} comes after {last:?}");
            last = (x, y);
        }
        assert!(svg.contains("99.99 %") && !svg.contains("99.9999"));
    }

    #[test]
    fn without_messages_there_is_a_frame() {
        let svg = draw(&no_times(), "a", "b");
        assert!(svg.ends_with("</svg>\n") && !svg.contains("polyline") && !svg.contains("NaN"));
    }

    #[test]
    fn marks_stand_at_round_times() {
        for (step, round) in [(0.9, 1.0), (1.1, 2.0), (3.0, 5.0), (6.0, 10.0), (1234.0, 2000.0)] {
            assert!((round_step(step) - round).abs() < 1e-9, "{step}");
        }
    }
}
