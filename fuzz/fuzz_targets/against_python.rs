//! Any bytes before us and before Python `websockets`, compression included: the same verdict, or a
//! difference that is listed. `WEBSOCKETS_PYTHON` names the interpreter that has it.

#![no_main]

use std::sync::{LazyLock, Mutex};

use lastword_differential::{Case, Websockets, compare};
use libfuzzer_sys::fuzz_target;

static JUDGE: LazyLock<Mutex<Websockets>> = LazyLock::new(|| {
    let python = std::env::var_os("WEBSOCKETS_PYTHON").expect("WEBSOCKETS_PYTHON is set");
    Mutex::new(Websockets::start(python.as_ref()).expect("the interpreter starts"))
});

fuzz_target!(|data: &[u8]| {
    let mut judge = JUDGE.lock().expect("one thread");
    if let Err(disagreement) = compare(&Case::from_bytes(data), &mut *judge) {
        panic!("{disagreement}");
    }
});
