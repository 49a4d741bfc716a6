//! Randomness for the core: seeds of masking keys, keys of handshakes.
//!
//! A strong generator for each thread, seeded from the operating system once (RFC 6455
//! section 10.3 asks for strong entropy).

use std::cell::RefCell;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

thread_local! {
    static GENERATOR: RefCell<ChaCha12Rng> = RefCell::new(ChaCha12Rng::from_seed(from_system()));
}

/// `N` fresh random bytes.
///
/// # Panics
/// When the operating system has no randomness: without it no connection is safe.
pub fn fresh<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(&mut bytes));
    bytes
}

fn from_system() -> [u8; 32] {
    let mut seed = [0; 32];
    // Without randomness there are no masking keys, and so no safe connection at all.
    getrandom::fill(&mut seed).expect("the operating system has randomness");
    seed
}
