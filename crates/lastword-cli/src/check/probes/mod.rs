//! The table of probes, by area. A row is data: nothing here says or judges anything.

mod closing;
mod control;
mod deflate;
mod frames;
mod hard;
mod limits;
mod opening;
mod text;

use super::probe::{Force, Probe};

/// An area, and what it is called.
pub(super) struct Area {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) probes: &'static [Probe],
}

/// All of them, in the order in which they are shown.
pub(super) static AREAS: [Area; 8] = [
    Area { name: "opening", title: "Opening handshake", probes: opening::PROBES },
    Area { name: "frame", title: "Frames", probes: frames::PROBES },
    Area { name: "control", title: "Pings and pongs", probes: control::PROBES },
    Area { name: "text", title: "Text", probes: text::PROBES },
    Area { name: "close", title: "Closing and endings", probes: closing::PROBES },
    Area { name: "deflate", title: "Compression", probes: deflate::PROBES },
    Area { name: "limit", title: "Limits and timeouts", probes: limits::PROBES },
    Area { name: "hard", title: "Under load", probes: hard::PROBES },
];

/// The probes that were asked for: those whose name has one of the words, if there are any, and of the
/// hard ones none unless they may be used.
pub(super) fn chosen(words: &[String], force: Force) -> Vec<&'static Probe> {
    let probes = AREAS.iter().flat_map(|area| area.probes);
    probes
        .filter(|probe| words.is_empty() || words.iter().any(|word| probe.id.contains(word)))
        .filter(|probe| probe.force == Force::Gentle || force == Force::Hard)
        .collect()
}
