//! Worlds of two or more cores, with schedules of the fuzzer's own: after each step every rule of an
//! ending holds. Eight bytes are the setup, one says how it comes to rest, then three are an action.
#![no_main]

use lastword_sim::action::Action;
use lastword_sim::play::Rest;
use lastword_sim::script::Script;
use lastword_sim::setup::Setup;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((setup, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((&rest, actions)) = rest.split_first() else { return };
    let actions = actions.as_chunks::<3>().0.iter().map(|&chunk| Action::from_bytes(chunk));
    let script = Script {
        setup: u64::from_le_bytes(*setup) % Setup::COUNT,
        actions: actions.collect(),
        rest: if rest % 2 == 0 { Rest::Calm } else { Rest::Silence },
    };
    if let Err(broken) = script.play() {
        panic!("{broken}\nfor `lastword-sim play -`:\n{script}");
    }
});
