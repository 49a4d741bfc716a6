//! Masking against `memcpy`, by size: `cargo bench -p lastword-mask`.

use std::hint::black_box;
use std::time::Instant;

fn main() {
    println!("{:>9}  {:>12}  {:>12}", "bytes", "mask GB/s", "memcpy GB/s");
    for size in [16, 64, 128, 256, 1024, 16 << 10, 256 << 10, 1 << 20] {
        let mut bytes = vec![7_u8; size];
        let mut copy = vec![0_u8; size];
        let rounds = (64 << 20) / size;
        let mask = time(rounds, || lastword_mask::apply([1, 2, 3, 4], 0, black_box(&mut bytes)));
        let memcpy = time(rounds, || black_box(&mut copy).copy_from_slice(black_box(&bytes)));
        let rate = |nanoseconds: f64| size as f64 / nanoseconds;
        println!("{size:>9}  {:>12.1}  {:>12.1}", rate(mask), rate(memcpy));
    }
}

/// Nanoseconds a round, the best of five.
fn time(rounds: usize, mut work: impl FnMut()) -> f64 {
    let run = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / rounds as f64
    };
    (0..5).map(|_| run(&mut work)).fold(f64::INFINITY, f64::min)
}
