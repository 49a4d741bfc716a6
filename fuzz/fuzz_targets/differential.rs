//! Any bytes before us and before tungstenite: the same verdict, or a difference that is listed.

#![no_main]

use lastword_differential::{Case, Tungstenite, compare};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(disagreement) = compare(&Case::from_bytes(data), &mut Tungstenite) {
        panic!("{disagreement}");
    }
});
