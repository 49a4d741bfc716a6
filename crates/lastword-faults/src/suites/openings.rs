//! The opening handshake, cut or stalled at bytes all through it, either way.

use std::time::{Duration, Instant};

use lastword::{Cause, Loss, Role};

use super::{PATIENCE, Stage, at_once, ending, plain};
use crate::driver::{Driver, NoConnection};
use crate::proxy::{Answers, Fault, Plan};
use crate::stream::Transport;
use crate::tls::Certificates;

fn places(size: u64) -> impl Iterator<Item = u64> {
    (0..size).filter(move |at| at % 9 == 0 || *at < 4 || size - at < 5)
}

/// Ended, truncated or reset inside the request and inside the answer.
///
/// # Panics
/// When a side is told something else, or too late.
pub fn openings_cut_anywhere(driver: &dyn Driver) {
    let tls = Certificates::new();
    let mut cases = Vec::new();
    for stage in Stage::all() {
        let size = stage.opening(driver, &tls).said_by(stage.receiver.peer());
        let mut faults = vec![Fault::Finish, Fault::Reset];
        if stage.transport == Transport::Tls {
            faults.push(Fault::Truncate);
        }
        for at in places(size) {
            cases.extend(faults.iter().map(|fault| (stage, at, size, fault.clone())));
        }
    }
    at_once(&cases, |(stage, at, size, fault)| {
        let context = format!("opening {stage:?} {fault:?} at {at} of {size}");
        let (at, hold, fault) = (*at, *size, fault.clone());
        let plan = Plan {
            sender: stage.receiver.peer(),
            at,
            hold,
            fault: fault.clone(),
            answers: Answers::Pass,
        };
        let (_proxy, receiver, sender) =
            stage.open(driver, &tls, plain(), plain(), |proxy| proxy.plan(plan));
        let unix = stage.transport == Transport::Unix;
        let expected = match fault {
            Fault::Truncate => NoConnection::Truncated,
            // The Unix domain ends in order where nothing is left unread.
            Fault::Reset if !unix => NoConnection::Reset,
            _ => NoConnection::Eof(at as usize),
        };
        match receiver.map(drop) {
            // A server writes its session tickets when the reset may be there already.
            Err(NoConnection::Tls(why)) if stage.receiver == Role::Server => {
                assert_eq!(expected, NoConnection::Reset, "{context}: {why}");
            }
            result => assert_eq!(result, Err(expected), "{context}"),
        }
        // The client gets no answer; the server had given it, and was left alone with it.
        match sender {
            Err(error) => assert_ne!(error, NoConnection::TimedOut, "{context}"),
            Ok(peer) => {
                assert_eq!(stage.receiver, Role::Client, "{context}");
                let ours = ending(&*peer, &context);
                let fits = match (&ours.cause, &fault) {
                    (Cause::Lost(Loss::Eof), Fault::Finish) => true,
                    (Cause::Lost(Loss::Truncated), Fault::Truncate) => true,
                    (Cause::Lost(Loss::Reset(_)), Fault::Reset) => true,
                    (Cause::Lost(Loss::Eof), Fault::Reset) => unix,
                    _ => false,
                };
                assert!(fits, "{context}: {ours}");
            }
        }
    });
}

/// Silent from some byte on, or dripping all through it: given up when the time for the whole
/// opening is over, not the time for a byte.
///
/// # Panics
/// When a side waits too long, or not long enough.
pub fn openings_that_stall(driver: &dyn Driver) {
    let tls = Certificates::new();
    let mut cases = Vec::new();
    for stage in Stage::all() {
        let size = stage.opening(driver, &tls).said_by(stage.receiver.peer());
        cases.extend(places(size).step_by(6).map(|at| (stage, at, Fault::Silence)));
        cases.push((stage, 0, Fault::Drip));
    }
    at_once(&cases, |(stage, at, fault)| {
        let context = format!("opening {stage:?} {fault:?} at {at}");
        let mut hasty = plain();
        hasty.open_timeout = if *fault == Fault::Drip { PATIENCE } else { LIMIT };
        let (at, hold, fault) = (*at, 0, fault.clone());
        let dripping = fault == Fault::Drip;
        let plan = Plan { sender: stage.receiver.peer(), at, hold, fault, answers: Answers::Pass };
        let started = Instant::now();
        let (_proxy, receiver, sender) =
            stage.open(driver, &tls, hasty.clone(), hasty, |proxy| proxy.plan(plan));
        let took = started.elapsed();
        if dripping {
            assert!(receiver.is_ok() && sender.is_ok(), "{context}");
            return;
        }
        assert_eq!(receiver.map(drop), Err(NoConnection::TimedOut), "{context}");
        assert!(took >= LIMIT && took < LIMIT + PATIENCE / 2, "{context}: {took:?}");
        if stage.receiver == Role::Server {
            assert_eq!(sender.map(drop), Err(NoConnection::TimedOut), "{context}");
        }
    });
}

const LIMIT: Duration = Duration::from_millis(400);
