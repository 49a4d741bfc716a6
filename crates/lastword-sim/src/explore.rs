//! Every order of what can happen in a small world, breadth first, over the real core.
//!
//! Two worlds are the same state if all that decides what they will do next is the same:
//! `Connection::anatomy` of both sides, both sockets, the time, and what may still happen. From each
//! state the world is also brought to its end, in silence and in calm: wherever it stands, every rule
//! holds to the last.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::action::{Act, Action};
use crate::broken::Broken;
use crate::play::Rest;
use crate::script::Script;
use crate::setup::Setup;
use crate::world::World;

/// A small world, by what may happen in it, how often.
#[derive(Clone, Debug)]
pub struct Space {
    /// What it is called.
    pub name: &'static str,
    /// How deep it is explored in the short form, and in the long one.
    pub depths: [usize; 2],
    /// What may happen, and how often at most.
    pub budget: Vec<(Action, u8)>,
}

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Distinct states.
    pub states: usize,
    /// Actions that led to them, or back to known ones.
    pub steps: u64,
    /// The length of the longest way to a state.
    pub depth: usize,
    /// Whether there are no others.
    pub exhausted: bool,
}

impl Space {
    /// The worlds that are explored. In each both sides write, read and fetch; what else may happen
    /// makes the difference.
    pub fn all() -> Vec<Self> {
        use Act::{
            Abort, Bounce, Close, Confirm, Cut, Drop, Fetch, Garble, Lose, Pass, Ping, Read, Reset,
            Send, Turn, Vanish, Wait, Write,
        };
        // All at once, or in two goes of which the first is one byte.
        let io = [(Write(255), 3), (Read(255), 3), (Fetch(255), 2)];
        let torn = [(Write(255), 3), (Write(1), 1), (Read(255), 3), (Read(1), 1), (Fetch(255), 2)];
        let space = |name, depths, common: &[(Act, u8)], client: &[(Act, u8)], server: &[_]| {
            let of = |end: u8, own: &[(Act, u8)]| -> Vec<(Action, u8)> {
                let acts = common.iter().chain(own);
                acts.map(|&(act, most)| (Action { end, act }, most)).collect()
            };
            Self { name, depths, budget: [of(0, client), of(1, server)].concat() }
        };
        let close = [(Send(0), 1), (Close(0), 1)];
        vec![
            space("close", [10, 14], &io, &close, &close),
            space("torn frames", [8, 11], &torn, &close, &close),
            space(
                "pings",
                [8, 11],
                &io,
                &[(Send(0), 1), (Confirm, 1), (Ping, 1)],
                &[(Ping, 1), (Close(1), 1)],
            ),
            space(
                "cut",
                [8, 11],
                &io,
                &[(Send(0), 1), (Close(0), 1), (Cut(4), 1)],
                &[(Send(0), 1), (Close(0), 1), (Cut(0), 1)],
            ),
            space(
                "reset",
                [8, 11],
                &io,
                &[(Send(0), 1), (Close(0), 1), (Reset, 1)],
                &[(Send(0), 1), (Close(0), 1), (Lose, 1), (Reset, 1)],
            ),
            space(
                "leaving",
                [8, 11],
                &io,
                &[(Send(0), 1), (Drop, 1), (Abort, 1), (Bounce, 1)],
                &[(Send(0), 1), (Drop, 1), (Close(0), 1)],
            ),
            space(
                "violation",
                [8, 11],
                &io,
                &[(Send(0), 1), (Garble(1), 1), (Close(0), 1)],
                &[(Send(0), 1), (Close(0), 1), (Ping, 1)],
            ),
            space(
                "time",
                [8, 11],
                &io,
                &[(Send(0), 1), (Close(0), 1), (Wait, 3), (Turn, 3)],
                &[(Turn, 3), (Vanish, 1), (Pass(200), 1)],
            ),
        ]
    }
}

/// Explores `space` to `depth` actions.
///
/// # Errors
/// The shortest way to a state in which a rule does not hold, and the rule.
pub fn explore(space: &Space, depth: usize) -> Result<Found, Box<(Script, Broken)>> {
    let mut found = Found { exhausted: true, ..Found::default() };
    let mut known = HashSet::new();
    let mut frontier = vec![Path::new()];
    known.insert(fingerprint(&walk(space, &Path::new())?, &left(space, &Path::new())));
    while !frontier.is_empty() {
        if found.depth == depth {
            found.exhausted = false;
            break;
        }
        let mut next = Vec::new();
        for path in &frontier {
            let mut left = left(space, path);
            for choice in 0..space.budget.len() {
                if left[choice] == 0 {
                    continue;
                }
                found.steps += 1;
                left[choice] -= 1;
                let longer: Path = path.iter().copied().chain([choice as u8]).collect();
                let world = walk(space, &longer)?;
                if known.insert(fingerprint(&world, &left)) {
                    end(space, &longer, world, Rest::Silence)?;
                    end(space, &longer, walk(space, &longer)?, Rest::Calm)?;
                    next.push(longer);
                }
                left[choice] += 1;
            }
        }
        found.depth += 1;
        frontier = next;
    }
    found.states = known.len();
    Ok(found)
}

/// What happened, as indices into the budget.
type Path = Vec<u8>;

/// How often each thing may still happen.
fn left(space: &Space, path: &[u8]) -> Vec<u8> {
    let mut left: Vec<u8> = space.budget.iter().map(|(_, most)| *most).collect();
    for &choice in path {
        left[usize::from(choice)] -= 1;
    }
    left
}

/// The world at the end of a path: cores are not copied, so it is walked anew.
fn walk(space: &Space, path: &[u8]) -> Result<World, Box<(Script, Broken)>> {
    let mut world = World::new(Setup::of(0));
    for &choice in path {
        let (action, _) = space.budget[usize::from(choice)];
        world
            .apply(action)
            .map_err(|broken| Box::new((script(space, path, Rest::Calm), broken)))?;
    }
    Ok(world)
}

fn end(
    space: &Space,
    path: &[u8],
    mut world: World,
    rest: Rest,
) -> Result<(), Box<(Script, Broken)>> {
    world.come_to_rest(rest).map_err(|broken| Box::new((script(space, path, rest), broken)))
}

fn script(space: &Space, path: &[u8], rest: Rest) -> Script {
    let actions = path.iter().map(|&choice| space.budget[usize::from(choice)].0).collect();
    Script { setup: 0, actions, rest }
}

fn fingerprint(world: &World, left: &[u8]) -> u64 {
    let mut hashing = Hashing(DefaultHasher::new());
    left.hash(&mut hashing.0);
    world.now.hash(&mut hashing.0);
    for side in &world.sides {
        // The diary and the witnesses are the oracle's memory: what it will hold a side to.
        let messages = (side.accepted.len(), side.fetched, side.abandoned);
        let memory = (&side.diary, messages, side.pace, side.is_over());
        let (anatomy, socket, hand) = (side.connection.anatomy(), &side.socket, &side.hand);
        let result = write!(hashing, "{anatomy:?}{socket:?}{hand:?}{memory:?}");
        debug_assert!(result.is_ok(), "a hasher takes all");
    }
    hashing.0.finish()
}

/// Text that is hashed and forgotten.
struct Hashing(DefaultHasher);

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
