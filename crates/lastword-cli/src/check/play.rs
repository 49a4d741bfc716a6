//! Says what a probe says, on a connection of its own, and waits for what comes of it, never longer than
//! was allowed. Judges nothing.

use std::time::Duration;

use lastword::{ConnectError, Message};
use tokio::time::Instant;

use super::flood;
use super::line::Line;
use super::opening::{answer, begin, edited};
use super::probe::{Expect, Offer, Probe, Say};
use super::seen::{Opened, Seen};
use super::talk::{GOODBYE, Talk};
use super::wire::{self, FIN};
use crate::args::Target;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For an answer.
    pub(super) patience: Duration,
    /// For what a server should do by itself.
    pub(super) long: Duration,
}

/// What is known of the server before it is probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) opens: bool,
    /// Whether messages come back.
    pub(super) echoes: bool,
}

/// Plays one round.
pub(super) async fn play(
    target: &Target,
    probe: &Probe,
    say: &Say,
    waits: Waits,
    facts: Facts,
) -> Result<Seen, ConnectError> {
    let mut line = Line::new(target.dial().await?);
    let began = Instant::now();
    let wait = if matches!(probe.expect, Expect::GivesUp) { waits.long } else { waits.patience };
    let until = began + wait;
    let mut opening = begin(target, probe.offer)?;
    let mut came = Vec::new();
    let mut request = opening.request_bytes().to_vec();
    match say {
        Say::Bytes(bytes) => {
            line.put(bytes, until).await;
        }
        Say::RequestInPieces => line.put_apart(&request, until).await,
        Say::Request(edits) => {
            request = edited(&request, edits);
            line.put(&request, until).await;
        }
        Say::Frames(_) | Say::Flood(_) => {
            line.put(&request, until).await;
        }
    }
    let opened = answer(&mut line, &mut opening, &mut came, until).await;
    let seen = Seen::of_opening(opened, began.elapsed(), line.end);
    let agreed = match &seen.opened {
        Opened::Agreed { deflate } => *deflate,
        _ => return Ok(seen),
    };
    if probe.offer != Offer::Nothing && agreed.is_none() {
        return Ok(seen);
    }
    let mut talk = Talk::new(line, &came, seen, waits);
    match say {
        Say::Frames(steps) => {
            talk.say(steps).await;
            talk.listen(probe.expect, facts).await;
        }
        Say::Flood(flood) => flood::flood(&mut talk, target, *flood, facts).await,
        Say::Bytes(_) | Say::RequestInPieces | Say::Request(_) => talk.leave().await,
    }
    Ok(talk.over())
}

/// Whether messages come back, and what became of an ordinary opening.
pub(super) async fn survey(target: &Target, waits: Waits) -> Result<(Seen, Facts), ConnectError> {
    let mut line = Line::new(target.dial().await?);
    let began = Instant::now();
    let until = began + waits.patience;
    let mut opening = begin(target, Offer::Nothing)?;
    let mut came = Vec::new();
    let request = opening.request_bytes().clone();
    line.put(&request, until).await;
    let opened = answer(&mut line, &mut opening, &mut came, until).await;
    let opens = matches!(opened, Opened::Agreed { .. });
    let seen = Seen::of_opening(opened, began.elapsed(), line.end);
    if !opens {
        return Ok((seen, Facts { opens, echoes: false }));
    }
    let mut talk = Talk::new(line, &came, seen, waits);
    let (until, text) =
        (Instant::now() + waits.patience.min(GOODBYE), Message::from("lastword check"));
    talk.line.put(&wire::masked(FIN | wire::TEXT, text.payload()), until).await;
    let echoes = talk.wait_for(wire::TEXT, text.payload(), until).await;
    talk.leave().await;
    Ok((talk.over(), Facts { opens, echoes }))
}
