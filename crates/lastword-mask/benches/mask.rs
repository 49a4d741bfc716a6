//! What masking costs, against one byte at a time and against a bare copy.
//!
//! `cargo bench -p lastword-mask` prints time (best of several runs);
//! `cargo bench -p lastword-mask -- counts` prints user instructions per call (needs valgrind).
//!
//! Payloads stand one after another behind their headers, as a batch from a socket does: masking
//! one and the same buffer over and over would measure the store buffer instead.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

type Mask = fn([u8; 4], usize, &[u8], &mut [u8], &mut Vec<u8>);

/// Each takes what it needs: a source, a place of the same length, an empty vector.
const WORKS: &[(&str, Mask)] = &[
    ("nothing", |_, _, _, _, _| {}),
    ("bytewise", |key, offset, _, place, _| bytewise(key, offset, place)),
    ("apply", |key, offset, _, place, _| lastword_mask::apply(key, offset, place)),
    ("append, bare", |_, _, source, _, vec| vec.extend_from_slice(source)),
    ("append", |key, offset, source, _, vec| lastword_mask::append(key, offset, source, vec)),
];

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => print_table(
            &[5, 16, 20, 64, 100, 128, 256, 512, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 20],
            time,
        ),
        ["counts"] => print_table(&[5, 13, 16, 20, 64, 100, 125, 128, 256, 512, 1 << 14], count),
        ["once", name, size, calls] => run(name, number(size), number(calls)),
        _ => eprintln!("usage: mask [counts]"),
    }
}

fn print_table(sizes: &[usize], measure: fn(&str, usize) -> String) {
    print!("{:14}", "");
    sizes.iter().for_each(|size| print!("{size:>10}"));
    println!();
    for (name, _) in WORKS {
        print!("{name:14}");
        sizes.iter().for_each(|&size| print!("{:>10}", measure(name, size)));
        println!();
    }
}

fn time(name: &str, size: usize) -> String {
    let calls = (50_000_000 / (size + 200)).next_multiple_of(64);
    let best = (0..9)
        .map(|_| {
            let start = Instant::now();
            run(name, size, calls);
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .fold(f64::MAX, f64::min);
    if size < 1 << 10 { format!("{best:.1} ns") } else { format!("{:.0} GB/s", size as f64 / best) }
}

fn count(name: &str, size: usize) -> String {
    let instructions = |calls: usize| -> Option<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args(["once", name, &size.to_string(), &calls.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        report.split("Collected :").nth(1)?.split_whitespace().next()?.parse().ok()
    };
    match (instructions(1280), instructions(2560)) {
        (Some(some), Some(twice)) => format!("{:.0}", (twice - some) / 1280.0),
        _ => "?".into(),
    }
}

fn run(name: &str, size: usize, calls: usize) {
    const HEADER: usize = 14;
    let Some((_, mask)) = WORKS.iter().find(|work| work.0 == name) else { return };
    let slots = ((1 << 15) / (size + HEADER)).next_power_of_two().clamp(1, 64);
    let source = vec![7; slots * (size + HEADER)];
    let mut place = source.clone();
    let mut vectors: Vec<Vec<u8>> = (0..slots).map(|_| Vec::with_capacity(size)).collect();
    for _ in 0..calls / slots {
        let sources = source.chunks_exact(size + HEADER);
        let places = place.chunks_exact_mut(size + HEADER);
        for ((source, place), vector) in sources.zip(places).zip(&mut vectors) {
            vector.clear();
            mask(black_box(KEY), black_box(1), &source[HEADER..], &mut place[HEADER..], vector);
        }
    }
    black_box((place, vectors));
}

fn bytewise(key: [u8; 4], offset: usize, payload: &mut [u8]) {
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[(offset + index) % 4];
    }
}

fn number(arg: &str) -> usize {
    arg.parse().expect("a number")
}
