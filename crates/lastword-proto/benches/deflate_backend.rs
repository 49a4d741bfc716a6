//! Which codec to compress with: `cargo bench -p lastword-proto --bench deflate_backend`.
//!
//! Messages like those of a market feed, level 1, context takeover, a flush behind each.

use std::time::Instant;

use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress};

fn main() {
    println!("{:>8}  {:>16}  {:>16}  {:>7}", "bytes", "zlib-rs µs", "miniz_oxide µs", "ratio");
    for size in [100, 1000, 16_000, 64_000] {
        let messages: Vec<Vec<u8>> = (0..64).map(|seed| message(size, seed)).collect();
        let mut out = vec![0; size * 2 + 64];
        let parameters =
            zlib_rs::DeflateConfig { level: 1, window_bits: -15, ..Default::default() };
        let mut zlib = zlib_rs::Deflate::new_with_config(parameters);
        let zlib = time(&messages, |plain| {
            zlib.compress(plain, &mut out, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        });
        let flags = miniz_oxide::deflate::core::create_comp_flags_from_zip_params(1, -15, 0);
        let mut miniz = Box::new(CompressorOxide::new(flags));
        let miniz = time(&messages, |plain| {
            compress(&mut miniz, plain, &mut out, TDEFLFlush::Sync);
        });
        println!("{size:>8}  {zlib:>16.2}  {miniz:>16.2}  {:>7.1}", miniz / zlib);
    }
}

/// Microseconds a message, the best of five.
fn time(messages: &[Vec<u8>], mut work: impl FnMut(&[u8])) -> f64 {
    let rounds = 20;
    (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                messages.iter().for_each(|message| work(message));
            }
            start.elapsed().as_secs_f64() * 1e6 / (rounds * messages.len()) as f64
        })
        .fold(f64::INFINITY, f64::min)
}

fn message(size: usize, seed: u32) -> Vec<u8> {
    let mut text = String::new();
    let mut number = seed.wrapping_mul(2_654_435_761);
    while text.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (price, quantity) = (number >> 12, number & 0xff);
        text += &format!(r#"{{"e":"trade","s":"BTCUSDT","p":{price},"q":{quantity}}}"#);
    }
    text.truncate(size);
    text.into_bytes()
}
