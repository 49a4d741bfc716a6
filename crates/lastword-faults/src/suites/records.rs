//! TLS from the outside: records that are cut or damaged on the wire, and its end said or unsaid.

use lastword::proto::PeerSide;
use lastword::{Cause, CloseCode, Loss, Message, Role};

use super::{Stage, at_once, ending, hear, plain};
use crate::driver::Driver;
use crate::proxy::{Answers, Fault, Layer, Plan};
use crate::script::REASON;
use crate::stream::{Buffers, Transport};
use crate::tls::Certificates;

/// Header, type and tag of a record of TLS 1.3, around what it carries.
const RECORD_HEADER: u64 = 5;
const RECORD_REST: u64 = 1 + 16;

/// One message of this size is one record.
const SIZE: u64 = 100;

/// Records cut at each byte of their headers and inside, damaged in their bodies, and streams that
/// end without close_notify, or with nothing but that.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn records_of_tls(driver: &dyn Driver) {
    let tls = Certificates::new();
    let mut cases = Vec::new();
    for receiver in [Role::Server, Role::Client] {
        let (transport, layer, buffers) = (Transport::Tls, Layer::Wire, Buffers::Ordinary);
        let stage = Stage { transport, layer, buffers, receiver };
        let frame = SIZE + 2 + if receiver == Role::Server { 4 } else { 0 };
        let record = RECORD_HEADER + frame + RECORD_REST;
        for at in (0..=RECORD_HEADER + 1).chain([record / 2, record - 1, record, record * 2]) {
            for start in [0, record] {
                if start + at <= record * 2 {
                    cases.push((stage, record, start + at, Fault::Finish));
                    cases.push((stage, record, start + at, Fault::Reset));
                }
            }
        }
        for at in [RECORD_HEADER, record / 2, record - 1] {
            cases.push((stage, record, at, Fault::Flip(1)));
            cases.push((stage, record, record + at, Fault::Flip(0x80)));
        }
    }
    at_once(&cases, |(stage, record, at, fault)| {
        let context = format!("{stage:?} {fault:?} at {at} of records of {record}");
        let (proxy, mut receiver, sender) = stage.play(driver, &tls, plain(), plain());
        let (at, hold, fault) = (*at, record * 2, fault.clone());
        proxy.plan(Plan {
            sender: stage.receiver.peer(),
            at,
            hold,
            fault: fault.clone(),
            answers: Answers::Pass,
        });
        let message = Message::binary(vec![5; SIZE as usize]);
        for _ in 0..2 {
            assert_eq!(sender.send(message.clone()), Ok(()), "{context}");
        }
        let (messages, theirs) = hear(&mut *receiver, &context);
        let context = format!("{context}: {theirs}");
        // A record is whole or nothing; those before it stand.
        assert_eq!(messages.len() as u64, at / record, "{context}");
        assert_eq!(theirs.cut, None, "{context}");
        let ours = ending(&*sender, &context);
        let context = format!("{context} / {ours}");
        for ending in [&theirs, &ours] {
            let fits = match (&ending.cause, &fault) {
                // From the outside, TCP is all that can be ended.
                (Cause::Lost(Loss::Truncated), Fault::Finish) => true,
                (Cause::Lost(Loss::Reset(_)), Fault::Reset) => true,
                // The one finds the damage, the other is alerted.
                (Cause::Lost(Loss::Io(error)), Fault::Flip(_)) => {
                    error.kind == std::io::ErrorKind::InvalidData
                }
                _ => false,
            };
            assert!(fits, "{context}");
        }
    });
    for receiver in [Role::Server, Role::Client] {
        closed_without_close_notify(driver, &tls, receiver);
    }
}

/// Both close frames are across, and then TCP ends alone: the WebSocket ended well, and the
/// transport's own end is told for what it was.
fn closed_without_close_notify(driver: &dyn Driver, tls: &Certificates, receiver: Role) {
    let (transport, layer, buffers) = (Transport::Tls, Layer::Inside, Buffers::Ordinary);
    let stage = Stage { transport, layer, buffers, receiver };
    let (proxy, mut peer, sender) = stage.play(driver, tls, plain(), plain());
    let sender_role = receiver.peer();
    let close = 2 + 2 + REASON.len() as u64 + if sender_role == Role::Client { 4 } else { 0 };
    let plan = Plan {
        sender: sender_role,
        at: close,
        hold: close,
        fault: Fault::Truncate,
        answers: Answers::Pass,
    };
    proxy.plan(plan);
    sender.close(CloseCode::NORMAL, REASON);
    let (_, theirs) = hear(&mut *peer, "closed without close_notify");
    assert!(theirs.is_clean(), "{theirs}");
    assert_eq!(theirs.transport.peer, PeerSide::Truncated, "{theirs}");
}
