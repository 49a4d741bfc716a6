//! Random schedules: a seed decides the setup, how likely each kind of action is, and all that
//! happens. Which kinds happen at all differs from seed to seed, so that rare ones meet.

use fastrand::Rng;

use crate::action::{Act, Action};
use crate::play::Rest;
use crate::script::Script;
use crate::setup::Setup;

impl Script {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let setup = if rng.u8(..4) == 0 { 0 } else { rng.u64(..Setup::COUNT) };
        let table = likelihoods(&mut rng);
        let length = [20, 60, 200, 1000][rng.usize(..4)];
        let actions = (0..length).map(|_| draw(&mut rng, &table)).collect();
        let rest = if rng.bool() { Rest::Calm } else { Rest::Silence };
        Self { setup, actions, rest }
    }
}

/// For each of 256 numbers the kind of action that it stands for.
fn likelihoods(rng: &mut Rng) -> Vec<u8> {
    let weights: Vec<u32> = (0..Act::KINDS)
        .map(|kind| match Act::of(kind, 0) {
            Act::Write(_) | Act::Read(_) | Act::Turn => rng.u32(1..60),
            Act::Send(_) | Act::SendPrepared(_) | Act::Fetch(_) => rng.u32(..40),
            Act::Part(_)
            | Act::LastPart(_)
            | Act::Ping
            | Act::PingWith(_)
            | Act::Pong(_)
            | Act::TakePart
            | Act::Abandon
            | Act::Keepalive(_)
            | Act::Confirm
            | Act::Forward
            | Act::Stall
            | Act::Flow
            | Act::Bounce
            | Act::Pass(_)
            | Act::Wait => rng.u32(..10) * u32::from(rng.bool()),
            // What ends things is rare, and mostly absent.
            _ => u32::from(rng.u8(..4) == 0),
        })
        .collect();
    let total: u32 = weights.iter().sum();
    let mut table: Vec<u8> = Vec::with_capacity(RESOLUTION);
    for (kind, weight) in weights.iter().enumerate() {
        let share = (*weight as usize * RESOLUTION).div_ceil(total as usize);
        table.extend(std::iter::repeat_n(kind as u8, share));
    }
    table
}

fn draw(rng: &mut Rng, table: &[u8]) -> Action {
    let kind = table[rng.usize(..table.len())];
    // Amounts are mostly "all", often tiny, sometimes anything.
    let number = match rng.u8(..4) {
        0 | 1 => u8::MAX,
        2 => rng.u8(1..8),
        _ => rng.u8(..),
    };
    let number = match Act::of(usize::from(kind), number) {
        Act::Fetch(_) | Act::Write(_) | Act::Read(_) => number,
        _ => rng.u8(..),
    };
    Action::from_bytes([rng.u8(..4), kind, number])
}

/// How finely likelihoods are told apart.
const RESOLUTION: usize = 1024;
