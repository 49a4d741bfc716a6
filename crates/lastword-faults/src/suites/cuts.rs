//! A stream that is ended, truncated, half closed or reset at every place of a script.

use lastword::proto::PeerSide;
use lastword::{Cause, CloseCode, Ending, Farewell, First, Loss};

use super::{Stage, at_once, check_account, ending, hear, plain, say, sending};
use crate::driver::Driver;
use crate::proxy::{Answers, Fault, Plan};
use crate::script::{Last, Script, said};
use crate::stream::Transport;
use crate::tls::Certificates;

struct Case<'a> {
    stage: Stage,
    script: &'a Script,
    at: usize,
    fault: Fault,
}

fn faults(transport: Transport) -> Vec<Fault> {
    let mut faults = vec![Fault::Finish, Fault::HalfClose, Fault::Reset];
    if transport == Transport::Tls {
        faults.push(Fault::Truncate);
    }
    faults
}

/// Between frames, at each byte of a header, at the first, middle and last byte of a payload,
/// between fragments, inside a close frame and behind it.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn streams_cut_anywhere(driver: &dyn Driver) {
    let tls = Certificates::new();
    let scripts = [Script::farewell(), Script::large()];
    let mut cases = Vec::new();
    for stage in Stage::all() {
        for script in &scripts {
            for at in script.places(stage.receiver.peer()) {
                for fault in faults(stage.transport) {
                    // What a reset leaves of more than a window is the kernel's to say.
                    if fault != Fault::Reset || at < WINDOW {
                        cases.push(Case { stage, script, at, fault });
                    }
                }
            }
        }
    }
    at_once(&cases, |case| check(driver, &tls, case));
}

fn check(driver: &dyn Driver, tls: &Certificates, case: &Case<'_>) {
    let Case { stage, script, at, fault } = case;
    let role = stage.receiver.peer();
    let context = format!("{stage:?} {:?} {fault:?} at {at}", script.last);
    let (proxy, mut receiver, sender) = stage.play(driver, tls, plain(), sending(script));
    let (at, hold) = (*at as u64, script.size(role) as u64);
    let mut accepted = 0;
    if stage.transport == Transport::Unix && *fault == Fault::Reset {
        proxy.plan(Plan { sender: role, at, hold, fault: Fault::Reset, answers: Answers::Unread });
        assert_eq!(receiver.send("unread".into()), Ok(()), "{context}");
        accepted = 1;
    } else {
        proxy.plan(Plan { sender: role, at, hold, fault: fault.clone(), answers: Answers::Pass });
    }
    say(&*sender, script);

    let came = script.cut(role, at as usize);
    let (messages, theirs) = hear(&mut *receiver, &context);
    let context = format!("{context}: {theirs}");
    assert_eq!(messages, came.messages, "{context}");
    assert_eq!(theirs.ledger.delivered.messages, came.messages.len() as u64, "{context}");
    assert_eq!(theirs.received, came.farewell, "{context}");
    check_account(&*receiver, &theirs, accepted, &context);
    if came.farewell == Farewell::Silence {
        assert!(lost_by(&theirs, fault), "{context}");
        assert_eq!(theirs.first, Some(First::Peer), "{context}");
        assert_eq!(theirs.sent, Farewell::Silence, "{context}");
        let (frame, message) = theirs.cut.map_or((None, None), |cut| (cut.frame, cut.message));
        assert_eq!(frame, came.frame, "{context}");
        let message = message.map(|message| (message.fragments, message.bytes));
        assert_eq!(message, came.unfinished, "{context}");
    } else if *fault == Fault::Reset {
        // Our answer raced the reset; either is told as it was.
        assert!(theirs.is_clean() || lost_by(&theirs, fault), "{context}");
    } else {
        assert!(theirs.is_clean(), "{context}");
        assert_eq!(theirs.cause, Cause::Closed, "{context}");
        assert_eq!((theirs.first, &theirs.sent), (Some(First::Peer), &said()), "{context}");
    }

    let ours = ending(&*sender, &context);
    let context = format!("{context} / {ours}");
    check_account(&*sender, &ours, script.messages.len(), &context);
    assert_eq!(ours.ledger.unsent.messages, 0, "{context}");
    assert_eq!(ours.cut, None, "{context}");
    let answered = *fault == Fault::HalfClose && came.farewell == said();
    match script.last {
        Last::Closes => {
            assert_eq!((ours.first, &ours.sent), (Some(First::Us), &said()), "{context}");
        }
        Last::Stays => assert_eq!(ours.first, Some(First::Peer), "{context}"),
    }
    if answered {
        assert!(ours.is_clean(), "{context}");
        assert_eq!(ours.received, said(), "{context}");
    } else {
        assert_eq!(ours.received, Farewell::Silence, "{context}");
        // All that it said was read, so that a Unix socket ends in order.
        let read = stage.transport == Transport::Unix && *fault == Fault::Reset;
        assert!(lost_by(&ours, if read { &Fault::Finish } else { fault }), "{context}");
    }
}

/// Whether it was lost in the way in which the fault takes a connection away.
fn lost_by(ending: &Ending, fault: &Fault) -> bool {
    match (&ending.cause, fault) {
        (Cause::Lost(Loss::Eof), Fault::Finish | Fault::HalfClose) => {
            ending.transport.peer == PeerSide::Finished
        }
        (Cause::Lost(Loss::Truncated), Fault::Truncate) => {
            ending.transport.peer == PeerSide::Truncated
        }
        (Cause::Lost(Loss::Reset(_)), Fault::Reset) => {
            matches!(ending.transport.peer, PeerSide::Reset(_))
        }
        _ => false,
    }
}

/// The side under test has closed; the peer's answer is cut at each of its bytes.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn an_answer_to_a_close_cut_anywhere(driver: &dyn Driver) {
    let tls = Certificates::new();
    let answer = Script { messages: Vec::new(), fragment_size: 1000, last: Last::Closes };
    let mut cases = Vec::new();
    for stage in Stage::all() {
        for at in 0..=answer.size(stage.receiver.peer()) {
            for fault in faults(stage.transport) {
                cases.push(Case { stage, script: &answer, at, fault });
            }
        }
    }
    at_once(&cases, |case| {
        let Case { stage, script, at, fault } = case;
        let role = stage.receiver.peer();
        let context = format!("answer {stage:?} {fault:?} at {at}");
        let (proxy, mut receiver, sender) = stage.play(driver, &tls, plain(), sending(script));
        let (at, hold, fault) = (*at as u64, script.size(role) as u64, fault.clone());
        proxy.plan(Plan { sender: role, at, hold, fault: fault.clone(), answers: Answers::Pass });
        receiver.close(CloseCode::NORMAL, crate::script::REASON);
        let (messages, theirs) = hear(&mut *receiver, &context);
        let context = format!("{context}: {theirs}");
        assert!(messages.is_empty(), "{context}");
        assert_eq!((theirs.first, &theirs.sent), (Some(First::Us), &said()), "{context}");
        let came = script.cut(role, at as usize);
        assert_eq!(theirs.received, came.farewell, "{context}");
        if came.farewell == said() {
            assert!(theirs.is_clean(), "{context}");
        } else {
            // All was read when it was let go: a Unix socket ends in order.
            let in_order = stage.transport == Transport::Unix && fault == Fault::Reset;
            let fault = if in_order { Fault::Finish } else { fault };
            assert!(lost_by(&theirs, &fault), "{context}");
            assert_eq!(theirs.cut.and_then(|cut| cut.frame), came.frame, "{context}");
        }
        // The answer had left whole: to whoever gave it, the closing is complete.
        let ours = ending(&*sender, &context);
        assert!(ours.is_clean(), "{context} / {ours}");
        assert_eq!((ours.first, &ours.received), (Some(First::Peer), &said()), "{context}");
    });
}

/// What a socket holds at least for a reader that has not begun.
const WINDOW: usize = 60_000;
