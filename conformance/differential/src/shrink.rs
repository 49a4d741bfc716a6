//! The smallest case that still shows what a larger one showed.

use crate::Case;
use crate::wire::walk;

/// How many cases are tried at most.
const PATIENCE: usize = 4000;

/// Takes away knobs, frames and bytes, as long as `shows` says that it is still the same.
pub fn shrink(case: &Case, mut shows: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut tries = 0;
    loop {
        let smaller = candidates(&best).into_iter().find(|candidate| {
            tries += 1;
            tries < PATIENCE && shows(candidate)
        });
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Cases that are simpler than this one, the boldest first.
fn candidates(case: &Case) -> Vec<Case> {
    let with = |wire: Vec<u8>| {
        let mut smaller = case.clone();
        smaller.wire = wire;
        smaller
    };
    let wire = &case.wire;
    let mut cases: Vec<Case> = case
        .simpler_knobs()
        .into_iter()
        .filter(|simple| simple.to_bytes()[..2] < case.to_bytes()[..2])
        .collect();
    for frame in walk(wire).frames.iter().rev() {
        let end = usize::try_from(frame.end).unwrap_or(usize::MAX).min(wire.len());
        cases.push(with([&wire[..frame.start], &wire[end..]].concat()));
    }
    let mut size = wire.len() / 2;
    while size > 0 {
        for start in (0..wire.len()).step_by(size).rev() {
            let end = (start + size).min(wire.len());
            cases.push(with([&wire[..start], &wire[end..]].concat()));
        }
        size /= 2;
    }
    // Shorter frames: a byte of the payload, and one of its length.
    for frame in walk(wire).frames {
        let end = usize::try_from(frame.end).unwrap_or(usize::MAX).min(wire.len());
        if (1..126).contains(&frame.len) && end > frame.start + 2 {
            let mut shorter = wire[..end - 1].to_vec();
            shorter[frame.start + 1] -= 1;
            shorter.extend(&wire[end..]);
            cases.push(with(shorter));
        }
    }
    cases
}
