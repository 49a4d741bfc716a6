//! Lets a world go on, one [`Action`] at a time, and holds the rules of `oracle` against each step; and
//! brings it to its end.

use std::time::{Duration, Instant};

use crate::action::{Act, Action};
use crate::broken::Broken;
use crate::link::{Held, Reset};
use crate::oracle;
use crate::side::Side;
use crate::world::{MANY, World};

/// How a world is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The links die without a sign.
    Silence,
    /// The network does its work; when nothing else happens, the applications close.
    Calm,
}

impl World {
    /// Lets `action` happen; what may not or cannot happen, does not.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn apply(&mut self, action: Action) -> Result<(), Broken> {
        self.steps += 1;
        let index = usize::from(action.end) % self.sides.len();
        let told = self.sides[index].fetched_ending.is_some();
        self.perform(index, action.act)?;
        if !told && self.sides[index].fetched_ending.is_some() {
            oracle::ended(self, index)?;
        }
        let now = self.now;
        for index in [index, index ^ 1] {
            self.sides[index].note(now);
            oracle::holds(self, index)?;
        }
        Ok(())
    }

    /// Brings everything to its end, and holds every rule against it.
    ///
    /// # Errors
    /// The first rule that does not hold; above all that every connection ends in bounded time.
    pub fn come_to_rest(&mut self, rest: Rest) -> Result<(), Broken> {
        for index in 0..self.sides.len() {
            let socket = &mut self.sides[index].socket;
            match rest {
                Rest::Silence => {
                    socket.dead = true;
                    self.faults += 1;
                }
                Rest::Calm => socket.stalled = false,
            }
        }
        let patience: Duration = self.sides.iter().map(|side| side.patience(&self.setup)).sum();
        let mut until = self.now + patience;
        let mut asked = false;
        for _ in 0..MANY {
            self.let_flow()?;
            if self.sides.iter().all(Side::is_over) {
                return oracle::world_ended(self);
            }
            let soonest = self.sides.iter().filter_map(|s| s.connection.poll_timeout()).min();
            let soonest = soonest.filter(|&at| at <= until);
            // Nothing ends by itself where nobody asks for an end and everybody is there.
            let content = |side: &Side| side.connection.is_open() || side.is_over();
            if !asked && (soonest.is_none() || self.sides.iter().all(content) && rest == Rest::Calm)
            {
                asked = true;
                until = self.now + patience;
                for index in 0..self.sides.len() {
                    let now = self.now;
                    self.sides[index].close(0, now);
                }
                continue;
            }
            let Some(soonest) = soonest else { break };
            self.now = self.now.max(soonest);
        }
        let open = self.sides.iter().filter(|side| !side.is_over()).count();
        Err(Broken::new(
            "every connection ends in bounded time",
            format!("{open} did not within {patience:?}: {:?}", self.sides[0].connection),
        ))
    }

    /// Drivers and applications do all they can at this instant.
    fn let_flow(&mut self) -> Result<(), Broken> {
        for _ in 0..MANY {
            let before = self.mark();
            for index in 0..self.sides.len() {
                self.apply(Action { end: index as u8, act: Act::Turn })?;
                self.apply(Action { end: index as u8, act: Act::Fetch(u8::MAX) })?;
                self.apply(Action { end: index as u8, act: Act::Bounce })?;
            }
            if self.mark() == before {
                return Ok(());
            }
        }
        Err(Broken::new("a world without new wishes comes to rest", "it does not"))
    }

    fn mark(&self) -> Vec<(u64, usize, u64, Option<Instant>, Held, Reset)> {
        let of = |side: &Side| {
            let (deadline, socket) = (side.connection.poll_timeout(), &side.socket);
            let written = side.ledger().handed_over.bytes + side.ledger().confirmed.bytes;
            let counts = (written, socket.flight.len(), side.fetched);
            (counts.0, counts.1, counts.2, deadline, socket.held, socket.reset)
        };
        self.sides.iter().map(of).collect()
    }
}
