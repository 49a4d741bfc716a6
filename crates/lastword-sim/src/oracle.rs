//! The rules: what must hold after each step, of each ending, and of a world that came to its end.
//!
//! Facts on one side (what was handed to the kernels, what the applications did, what the network
//! did), claims of the core on the other. A rule that does not hold is named.

use lastword_proto::{
    Cause, Cut, Ending, Farewell, First, FrameCut, Loss, OurSide, PeerSide, TimeOut, Unconfirmed,
};

use crate::broken::Broken;
use crate::side::Side;
use crate::witness::Place;
use crate::world::World;

/// Holds a rule; what was seen is told only if it does not hold.
fn rule(holds: bool, rule: &'static str, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(rule, seen())) }
}

/// What holds after each step, at the side that acted and at the one across.
///
/// # Errors
/// The first rule that does not hold.
#[inline]
pub fn holds(world: &World, index: usize) -> Result<(), Broken> {
    let (side, peer) = (&world.sides[index], &world.sides[index ^ 1]);
    wire_is_right(side)?;
    ledger_is_true(world, side, peer)?;
    buffers_are_bounded(world, side)?;
    deadlines_are_kept(world, side)
}

/// What this side handed to its kernel is a right stream of frames.
fn wire_is_right(side: &Side) -> Result<(), Broken> {
    match side.written.broken {
        None => Ok(()),
        Some(complaint) => Err(Broken::new(complaint, format!("{:?} wrote otherwise", side.role))),
    }
}

/// The ledger never claims more than is true, nor less than is known.
fn ledger_is_true(world: &World, side: &Side, peer: &Side) -> Result<(), Broken> {
    let ledger = side.ledger();
    let (confirmed, over) = (ledger.confirmed.messages, ledger.handed_over.messages);
    let accepted = side.accepted.len() as u64;
    rule(confirmed + over == side.written.messages, "handed over is what the kernel took", || {
        format!("{} and {} of {}", confirmed, over, side.written.messages)
    })?;
    let unsent = ledger.unsent.messages;
    rule(confirmed + over + unsent == accepted, "every accepted message is accounted for", || {
        format!("{confirmed} and {over} and {unsent} of {accepted}")
    })?;
    if !peer.diary.tainted && !side.diary.tainted {
        rule(confirmed <= peer.given.messages, "confirmed messages were read by the peer", || {
            format!("{confirmed}, and {} were", peer.given.messages)
        })?;
        let answered = side.asked.iter().filter(|(id, _)| side.connection.answered(*id).is_some());
        let upto = answered.map(|(_, upto)| *upto).max().unwrap_or_default();
        rule(upto <= peer.given.messages, "an answered ping proves what it claims", || {
            format!("{upto} messages, and {} were read", peer.given.messages)
        })?;
    }
    let received = ledger.delivered.messages + ledger.discarded.messages;
    rule(received <= side.given.messages || side.diary.tainted, "no message is made up", || {
        format!("{received} of {}", side.given.messages)
    })?;
    if side.connection.is_open() && !side.diary.tainted && !has_limits(world, side) {
        rule(received == side.given.messages, "a whole message is delivered or counted", || {
            format!("{received} of {}", side.given.messages)
        })?;
    }
    rule(
        side.fetched <= ledger.delivered.messages || side.diary.stopped,
        "what is fetched was delivered",
        || format!("{} of {}", side.fetched, ledger.delivered.messages),
    )
}

/// No buffer grows beyond its limit, but for one message, or one read.
fn buffers_are_bounded(world: &World, side: &Side) -> Result<(), Broken> {
    let config = world.setup.config(side.role);
    let waiting = side.connection.waiting();
    let all: usize = side.accepted.iter().map(|message| message.len + FRAMING).sum();
    rule(waiting <= all + SLACK, "no more waits than was accepted", || {
        format!("{waiting} bytes of {all}")
    })?;
    let room = side.connection.has_room();
    rule(room == (waiting < config.send_buffer), "room is what the limit leaves", || {
        format!("{room}: {waiting} of {}", config.send_buffer)
    })
}

/// A closing that has its deadline behind it is over as soon as the driver reports that.
fn deadlines_are_kept(world: &World, side: &Side) -> Result<(), Broken> {
    if side.is_over() {
        let quiet = side.connection.poll_timeout().is_none();
        return rule(quiet, "an end leaves no timer behind", || "one is armed".to_owned());
    }
    let Some(began) = side.diary.began else { return Ok(()) };
    let armed = side.connection.poll_timeout();
    let limit = began + world.setup.config(side.role).close_timeout;
    rule(armed.is_some_and(|at| at <= limit), "a closing has a deadline", || {
        format!("{armed:?}, and it began at {began:?}")
    })
}

/// What holds of an ending, when the application fetches it.
///
/// # Errors
/// The first rule that does not hold.
pub fn ended(world: &World, index: usize) -> Result<(), Broken> {
    let side = &world.sides[index];
    let Some(ending) = side.connection.ending() else {
        return Err(Broken::new("an ending that was told can be read again", "there is none"));
    };
    is_true(world, index, ending)
}

/// Whether an ending agrees with the facts.
///
/// # Errors
/// The first rule that does not hold.
pub fn is_true(world: &World, index: usize, ending: &Ending) -> Result<(), Broken> {
    let (side, peer) = (&world.sides[index], &world.sides[index ^ 1]);
    let told = || format!("{:?}: {ending} ({ending:?})", side.role);
    farewells_are_true(side, ending, &told)?;
    cause_is_true(world, side, ending, &told)?;
    first_is_true(side, ending, &told)?;
    cut_is_true(side, ending, &told)?;
    transport_is_true(side, ending, &told)?;
    messages_are_accounted_for(world, side, peer, ending, &told)?;
    let ordered = ending.opened_at <= ending.began_at && ending.began_at <= ending.ended_at;
    rule(ordered && ending.ended_at <= world.now, "times are in order", told)
}

type Told<'a> = &'a dyn Fn() -> String;

fn farewells_are_true(side: &Side, ending: &Ending, told: Told<'_>) -> Result<(), Broken> {
    let sent = side.written.close.as_deref();
    rule(body(&ending.sent).as_deref() == sent, "`sent` is what left", told)?;
    if let Some(body) = body(&ending.received) {
        let came = side.given.close.as_deref();
        let same = came == Some(&body[..]) || side.diary.tainted;
        rule(same, "`received` is what came", told)?;
    } else if !side.diary.tainted && !gave_up(ending) {
        rule(side.given.close.is_none(), "a close frame that came is told", told)?;
    }
    let clean = ending.is_clean();
    let both = ending.sent != Farewell::Silence && ending.received != Farewell::Silence;
    rule(!clean || both, "clean means that both close frames are across", told)?;
    rule(ending.code() == ending.received.code(), "the code is the peer's", told)
}

/// Whether we stopped reading frames before the peer ended.
const fn gave_up(ending: &Ending) -> bool {
    matches!(
        ending.cause,
        Cause::Violation(_) | Cause::TimedOut(TimeOut::Pong { .. } | TimeOut::Write { .. })
    ) || has_given_up_later(ending)
}

const fn has_given_up_later(ending: &Ending) -> bool {
    // A violation while our close was under way: the first cause stays, the violation is beside it.
    !ending.also.is_empty()
}

fn cause_is_true(
    world: &World,
    side: &Side,
    ending: &Ending,
    told: Told<'_>,
) -> Result<(), Broken> {
    let diary = &side.diary;
    let config = world.setup.config(side.role);
    let took = ending.ended_at - ending.began_at;
    let holds = match &ending.cause {
        Cause::Closed => {
            let asked = diary.closed || ending.received != Farewell::Silence;
            asked && (ending.is_clean() || diary.tainted || !ending.also.is_empty())
        }
        // Whatever is lost behind the last close frame is not why it ended.
        Cause::Lost(_)
            if ending.sent != Farewell::Silence && ending.received != Farewell::Silence =>
        {
            false
        }
        Cause::Lost(Loss::Eof) => diary.eof,
        Cause::Lost(_) => diary.failed,
        Cause::Violation(_) => diary.tainted || has_limits(world, side),
        Cause::TimedOut(TimeOut::Closing { limit }) => {
            took >= *limit && *limit <= config.close_timeout
        }
        Cause::TimedOut(TimeOut::Pong { limit, silent, .. }) => {
            Some(*limit) == side.pace.timeout && silent >= limit
        }
        Cause::TimedOut(TimeOut::Idle { limit }) => Some(*limit) == config.idle_timeout,
        Cause::TimedOut(TimeOut::Write { limit }) => Some(*limit) == config.write_timeout,
        Cause::Aborted => diary.aborted || ending.discarded > config.max_discard as u64,
        Cause::Dropped => diary.dropped,
        Cause::Shutdown => diary.shut_down,
        _ => false,
    };
    rule(holds, "the cause is what happened", told)?;
    let own = diary.closed || diary.shut_down || diary.dropped || diary.aborted || diary.late;
    let from_outside = matches!(ending.cause, Cause::Lost(_) | Cause::Violation(_));
    rule(
        own || from_outside || ending.received != Farewell::Silence,
        "nothing ends for no reason",
        told,
    )
}

/// Whether this side has limits that an honest peer may run into.
fn has_limits(world: &World, side: &Side) -> bool {
    let config = world.setup.config(side.role);
    config.max_message_size < 100 || config.max_frame_size < 100 || config.max_fragments.is_some()
}

fn first_is_true(side: &Side, ending: &Ending, told: Told<'_>) -> Result<(), Broken> {
    let diary = &side.diary;
    let ours = diary.closed
        || diary.shut_down
        || diary.dropped
        || diary.aborted
        || diary.late
        || matches!(ending.cause, Cause::Violation(_) | Cause::Aborted);
    let theirs = diary.eof || diary.failed || ending.received != Farewell::Silence;
    let holds = match ending.first {
        None => false,
        Some(First::Us) => ours,
        Some(First::Peer) => theirs,
        Some(First::Both) => ours && ending.received != Farewell::Silence,
    };
    rule(holds, "who was first is true", told)
}

fn cut_is_true(side: &Side, ending: &Ending, told: Told<'_>) -> Result<(), Broken> {
    let violated = matches!(ending.cause, Cause::Violation(_));
    if violated || gave_up(ending) || side.diary.tainted {
        return rule(!violated || ending.cut.is_none(), "a violation says where it was", told);
    }
    let place = side.given.place();
    let same = match (&ending.cut, place) {
        (None, None) => true,
        (Some(cut), Some(place)) => is_cut_at(cut, place),
        _ => false,
    };
    rule(same, "the cut is where the stream stopped", || format!("{}, at {place:?}", told()))
}

fn is_cut_at(cut: &Cut, place: Place) -> bool {
    let frame = match cut.frame {
        None => place.header.is_none() && place.payload.is_none(),
        Some(FrameCut::Header { bytes }) => place.header == Some(bytes),
        Some(FrameCut::Payload { came, of, .. }) => place.payload == Some((came, of)),
    };
    let message = match (cut.message, place.message) {
        (None, None) => true,
        (Some(cut), Some((frames, bytes))) => {
            cut.fragments == frames && (cut.compressed || cut.bytes as u64 == bytes)
        }
        _ => false,
    };
    frame && message
}

fn transport_is_true(side: &Side, ending: &Ending, told: Told<'_>) -> Result<(), Broken> {
    let diary = &side.diary;
    let peers = match ending.transport.peer {
        PeerSide::Open => !diary.eof && !diary.failed,
        PeerSide::Finished => diary.eof,
        _ => diary.failed,
    };
    rule(peers, "how the peer's half ended is true", told)?;
    let finished = ending.transport.ours != OurSide::Finished || diary.finished;
    rule(finished, "how our half ended is true", told)
}

fn messages_are_accounted_for(
    world: &World,
    side: &Side,
    peer: &Side,
    ending: &Ending,
    told: Told<'_>,
) -> Result<(), Broken> {
    let ledger = ending.ledger;
    let received = ledger.delivered.messages + ledger.discarded.messages;
    if !side.diary.tainted && !gave_up(ending) {
        rule(received == side.given.messages, "a whole message is delivered or counted", || {
            format!("{received} of {}: {}", side.given.messages, told())
        })?;
    }
    let whole = !side.diary.stopped && side.fetched_ending.is_some();
    rule(
        !whole || side.fetched == ledger.delivered.messages,
        "what was delivered is fetched before the ending",
        || format!("{} fetched: {}", side.fetched, told()),
    )?;
    if side.fetched_ending.is_none() {
        return Ok(());
    }
    let index = if std::ptr::eq(side, &world.sides[0]) {
        0
    } else {
        world.sides.iter().position(|s| std::ptr::eq(s, side)).unwrap_or_default()
    };
    let left = side.written.messages as usize;
    let back = side.accepted.iter().enumerate().skip(left);
    let back: Vec<_> = back.filter(|(_, m)| world.comes_back(m.how)).map(|(at, _)| at).collect();
    let same = back.len() == side.unsent.len()
        && back.iter().zip(&side.unsent).all(|(&at, message)| world.is_sent(index, at, message));
    rule(same, "what is handed back had not left, and is all that had not", || {
        format!("{} came back, of {back:?}: {}", side.unsent.len(), told())
    })?;
    if world.setup.config(side.role).unconfirmed == Unconfirmed::Kept {
        let confirmed = ledger.confirmed.messages as usize;
        let kept = side.accepted.iter().enumerate().take(left).skip(confirmed);
        let kept: Vec<_> =
            kept.filter(|(_, m)| world.comes_back(m.how)).map(|(at, _)| at).collect();
        let same = kept.len() == side.unconfirmed.len()
            && kept.iter().zip(&side.unconfirmed).all(|(&at, m)| world.is_sent(index, at, m));
        rule(same, "what is kept had left and was not confirmed", || {
            format!("{} kept, of {kept:?}: {}", side.unconfirmed.len(), told())
        })?;
    }
    let _ = peer;
    Ok(())
}

/// What holds of a world in which every connection has ended.
///
/// # Errors
/// The first rule that does not hold.
pub fn world_ended(world: &World) -> Result<(), Broken> {
    for (index, side) in world.sides.iter().enumerate() {
        ended(world, index)?;
        let fetched = side.fetched_ending.is_some() || !side.has_application();
        rule(fetched, "the ending is told", || format!("not to the {:?}", side.role))?;
    }
    for pair in world.sides.chunks_exact(2) {
        let (Some(client), Some(server)) =
            (pair[0].connection.ending(), pair[1].connection.ending())
        else {
            continue;
        };
        let told = || format!("client: {client} ({client:?}); server: {server} ({server:?})");
        let tainted = pair.iter().any(|side| side.diary.tainted);
        for (one, other) in [(client, server), (server, client)] {
            let known = other.received == Farewell::Silence || other.received == one.sent;
            rule(known || tainted, "what one received the other had sent", told)?;
        }
        let strange = |ending: &Ending| {
            ending.transport.ours == OurSide::Aborted
                || ending
                    .also
                    .iter()
                    .chain([&ending.cause])
                    .any(|cause| matches!(cause, Cause::Violation(_) | Cause::TimedOut(_)))
        };
        let undisturbed = world.faults == 0 && !strange(client) && !strange(server);
        let clean = client.is_clean() && server.is_clean();
        rule(clean || !undisturbed, "without a fault both ends are clean", told)?;
    }
    Ok(())
}

/// The payload of a close frame.
fn body(farewell: &Farewell) -> Option<Vec<u8>> {
    match farewell {
        Farewell::Silence => None,
        Farewell::Empty => Some(Vec::new()),
        Farewell::Said(frame) => {
            Some([&frame.code().get().to_be_bytes()[..], frame.reason().as_bytes()].concat())
        }
    }
}

/// What a frame adds to a payload, for as many fragments as a message may be cut into, roughly.
const FRAMING: usize = 14;
/// Control frames, and headers of fragments, that may wait beside the data.
const SLACK: usize = 64 << 10;
