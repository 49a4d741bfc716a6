//! Schedules as text, one action a line, so that they can be kept, read and replayed.

use std::fmt;
use std::str::FromStr;

use crate::action::Action;
use crate::broken::Broken;
use crate::play::Rest;
use crate::setup::Setup;
use crate::world::World;

/// A schedule: how a world was made, what happened in it, and how it was brought to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The number of the [`Setup`].
    pub setup: u64,
    /// What happened.
    pub actions: Vec<Action>,
    /// How it was brought to its end.
    pub rest: Rest,
}

impl Script {
    /// Lets it happen, in a new world; how many actions there were, those of the end included.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn play(&self) -> Result<World, Broken> {
        let mut world = World::new(Setup::of(self.setup));
        for action in &self.actions {
            world.apply(*action)?;
        }
        world.come_to_rest(self.rest)?;
        Ok(world)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "setup {}", self.setup)?;
        for action in &self.actions {
            writeln!(f, "{action}")?;
        }
        match self.rest {
            Rest::Silence => writeln!(f, "silence"),
            Rest::Calm => writeln!(f, "calm"),
        }
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut script = Self { setup: 0, actions: Vec::new(), rest: Rest::Calm };
        for line in text.lines().map(str::trim) {
            match line.split_once(' ') {
                _ if line.is_empty() || line.starts_with('#') => {}
                Some(("setup", code)) => {
                    script.setup = code.parse().map_err(|_| format!("no setup: {line:?}"))?;
                }
                None if line == "silence" => script.rest = Rest::Silence,
                None if line == "calm" => script.rest = Rest::Calm,
                _ => script.actions.push(line.parse().map_err(|e| format!("{e}"))?),
            }
        }
        Ok(script)
    }
}
