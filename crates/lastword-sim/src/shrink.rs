//! Makes a failing schedule short: leaves actions out for as long as the same rule breaks.

use crate::broken::Broken;
use crate::script::Script;

/// A shorter script that breaks the same rule, and how it does.
pub fn shrink(script: &Script, broken: &Broken) -> (Script, Broken) {
    let mut best = (script.clone(), broken.clone());
    // A plainer setup says more.
    attempt(&mut best, |script| script.setup = 0);
    let mut size = best.0.actions.len();
    while size > 0 {
        let mut at = 0;
        while at < best.0.actions.len() {
            let until = (at + size).min(best.0.actions.len());
            let shorter = attempt(&mut best, |script| {
                script.actions.drain(at..until);
            });
            at += if shorter { 0 } else { size };
        }
        size /= 2;
    }
    best
}

fn attempt(best: &mut (Script, Broken), change: impl FnOnce(&mut Script)) -> bool {
    let mut script = best.0.clone();
    change(&mut script);
    match script.play() {
        Err(broken) if broken.rule == best.1.rule => {
            *best = (script, broken);
            true
        }
        _ => false,
    }
}
