//! Peers and networks that are there and do nothing, or almost nothing.

use std::time::{Duration, Instant};

use lastword::{Cause, Farewell, First, Message, TimeOut};

use super::{PATIENCE, Stage, at_once, check_account, ending, hear, plain, say, sending};
use crate::driver::{Driver, Received};
use crate::proxy::{Answers, Fault, Plan};
use crate::script::{Last, Script, said};
use crate::stream::Buffers;
use crate::tls::Certificates;

/// Silence at every few places of a script: the keepalive finds out, in time.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn silences(driver: &dyn Driver) {
    let tls = Certificates::new();
    let scripts = [Script::farewell(), Script::large()];
    let mut cases = Vec::new();
    for stage in Stage::all() {
        let opening = stage.opening(driver, &tls).said_by(stage.receiver);
        for script in &scripts {
            let places = script.places(stage.receiver.peer());
            // Sampled, and always behind the last byte.
            let last = places.len() - 1;
            cases.extend(places.iter().step_by(5).map(|&at| (stage, opening, script, at)));
            cases.push((stage, opening, script, places[last]));
        }
    }
    at_once(&cases, |&(stage, opening, script, at)| {
        let role = stage.receiver.peer();
        let context = format!("{stage:?} {:?} silence at {at}", script.last);
        let mut receiving = plain();
        receiving.ping_interval = Some(INTERVAL);
        receiving.ping_timeout = Some(LIMIT);
        receiving.close_timeout = LIMIT;
        let mut sending = sending(script);
        sending.close_timeout = LIMIT;
        let (hold, fault) = (script.size(role) as u64, Fault::Silence);
        let answers = Answers::Lost;
        let plan = Plan { sender: role, at: at as u64, hold, fault, answers };
        let (_proxy, mut receiver, sender) = loop {
            let played = stage.play(driver, &tls, receiving.clone(), sending.clone());
            // On a machine that is busy the first ping may have passed before the plan came, and
            // its pong would be counted. Then the stage is set once more.
            if played.0.traffic_until(plan.clone()).said_by(stage.receiver) == opening {
                break played;
            }
        };
        let started = Instant::now();
        say(&*sender, script);
        let came = script.cut(role, at);
        let (messages, theirs) = hear(&mut *receiver, &context);
        let context = format!("{context}: {theirs}");
        assert!(started.elapsed() < INTERVAL + LIMIT * 2 + PATIENCE / 2, "{context}");
        assert_eq!(messages, came.messages, "{context}");
        assert_eq!(theirs.received, came.farewell, "{context}");
        check_account(&*receiver, &theirs, 0, &context);
        if came.farewell == said() {
            // Both close frames are across; that TCP stays is none of the WebSocket's.
            assert!(theirs.is_clean(), "{context}");
        } else {
            let found_out = matches!(
                theirs.cause,
                Cause::TimedOut(TimeOut::Pong { limit: LIMIT, silent, .. }) if silent >= LIMIT
            );
            assert!(found_out, "{context}");
            assert_eq!(theirs.first, Some(First::Us), "{context}");
            // It was told, as far as can be known.
            assert_eq!(theirs.sent.code(), 1011, "{context}");
            assert_eq!(theirs.cut.and_then(|cut| cut.frame), came.frame, "{context}");
        }
        let ours = match script.last {
            Last::Stays => sender.abort(),
            Last::Closes => ending(&*sender, &context),
        };
        let context = format!("{context} / {ours}");
        match script.last {
            Last::Stays => assert_eq!(ours.cause, Cause::Aborted, "{context}"),
            Last::Closes => {
                let cause = Cause::TimedOut(TimeOut::Closing { limit: LIMIT });
                assert_eq!((&ours.cause, &ours.sent), (&cause, &said()), "{context}");
            }
        }
        check_account(&*sender, &ours, script.messages.len(), &context);
    });
}

/// From some place on, the rest comes byte by byte: late, whole, and a sign of life.
///
/// # Panics
/// When something is lost, or given up.
pub fn drips(driver: &dyn Driver) {
    let tls = Certificates::new();
    let script = Script::farewell();
    let mut cases = Vec::new();
    for stage in Stage::all() {
        for frame in script.frames(stage.receiver.peer()) {
            cases.push((stage, frame.start + 1));
        }
    }
    at_once(&cases, |&(stage, at)| {
        let role = stage.receiver.peer();
        let context = format!("{stage:?} drip from {at}");
        let mut receiving = plain();
        receiving.ping_interval = Some(INTERVAL);
        // Longer than the machine may keep the proxy from its next drop.
        receiving.ping_timeout = Some(PATIENCE);
        let (proxy, mut receiver, sender) = stage.play(driver, &tls, receiving, sending(&script));
        proxy.plan(Plan {
            sender: role,
            at: at as u64,
            hold: 0,
            fault: Fault::Drip,
            answers: Answers::Pass,
        });
        say(&*sender, &script);
        let (messages, theirs) = hear(&mut *receiver, &context);
        assert_eq!(messages, script.messages, "{context}: {theirs}");
        assert!(theirs.is_clean(), "{context}: {theirs}");
        let ours = ending(&*sender, &context);
        assert!(ours.is_clean(), "{context}: {ours}");
        assert_eq!(ours.first, Some(First::Us), "{context}: {ours}");
    });
}

/// A peer that takes nothing more: the write timeout finds out, and gives back what did not leave.
/// What the peer still says is heard until then.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn a_peer_that_reads_no_more(driver: &dyn Driver) {
    let tls = Certificates::new();
    let cases: Vec<Stage> =
        Stage::all().map(|stage| Stage { buffers: Buffers::Small, ..stage }).collect();
    at_once(&cases, |stage| {
        let context = format!("{stage:?} reads no more");
        let mut stalled = plain();
        stalled.write_timeout = Some(WRITE_LIMIT);
        let (proxy, mut receiver, sender) = stage.play(driver, &tls, stalled, plain());
        // The side under test is the one that writes.
        let plan = Plan {
            sender: stage.receiver,
            at: 0,
            hold: 0,
            fault: Fault::StopReading,
            answers: Answers::Pass,
        };
        proxy.plan(plan);
        assert_eq!(receiver.send("small enough for the kernel".into()), Ok(()));
        let large = Message::binary(vec![1; 8 << 20]);
        assert_eq!(receiver.send(large.clone()), Ok(()));
        assert_eq!(sender.send("still heard".into()), Ok(()));
        match receiver.recv(PATIENCE) {
            Received::Message(message) => assert_eq!(message, "still heard".into(), "{context}"),
            other => panic!("{context}: {other:?}"),
        }
        let theirs = ending(&*receiver, &context);
        let context = format!("{context}: {theirs}");
        assert_eq!(
            theirs.cause,
            Cause::TimedOut(TimeOut::Write { limit: WRITE_LIMIT }),
            "{context}"
        );
        assert_eq!((&theirs.sent, &theirs.received), (&Farewell::Silence, &Farewell::Silence));
        let ledger = theirs.ledger;
        assert_eq!((ledger.handed_over.messages, ledger.unsent.messages), (1, 1), "{context}");
        assert!(theirs.waiting > 0, "{context}");
        assert_eq!(receiver.take_unsent(), [large], "{context}");
        // The peer has heard nothing of all this.
        assert!(sender.ending(Duration::ZERO).is_none(), "{context}");
        assert_eq!(sender.abort().cause, Cause::Aborted, "{context}");
    });
}

const INTERVAL: Duration = Duration::from_millis(80);
const LIMIT: Duration = Duration::from_millis(120);

/// Long enough for a busy machine to say something else meanwhile.
const WRITE_LIMIT: Duration = Duration::from_millis(1500);
