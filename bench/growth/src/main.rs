//! Does a fixed piece of the protocol's work and counts what it allocates; `growth.py` runs it under
//! callgrind, which counts the instructions of `curve::counted`, and judges the figures.
//!
//! `growth list` tells the curves, `growth run CURVE X...` goes through points of one; both in JSON
//! lines.

mod curve;
mod curves;
mod driven;
mod wire;

use std::process::ExitCode;

use serde_json::json;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => list(),
        ["run", name, ref points @ ..] => {
            let Some(curve) = curves::all().into_iter().find(|curve| curve.name == name) else {
                eprintln!("no curve {name:?}; `growth list` tells them");
                return ExitCode::FAILURE;
            };
            for point in points {
                let Ok(x) = point.parse() else {
                    eprintln!("{point:?} is not a number");
                    return ExitCode::FAILURE;
                };
                let done = (curve.run)(x);
                let allocated = done.allocated;
                println!(
                    "{}",
                    json!({
                        "curve": name, "x": x, "units": done.units, "bytes": done.bytes,
                        "allocations": allocated.count_total,
                        "allocated_bytes": allocated.bytes_total,
                        "peak_bytes": allocated.bytes_max,
                    })
                );
            }
        }
        _ => {
            eprintln!("usage: growth list | growth run CURVE X...");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn list() {
    for curve in curves::all() {
        println!(
            "{}",
            json!({
                "curve": curve.name, "title": curve.title, "x": curve.x, "unit": curve.unit,
                "small": curve.small, "large": curve.large, "long": curve.long,
            })
        );
    }
}
