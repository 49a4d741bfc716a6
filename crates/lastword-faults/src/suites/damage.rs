//! Bytes that nobody sent, and bits that turned over: the receiver fails the connection and says
//! why, and the peer hears it.

use lastword::proto::{HeaderError, Opcode};
use lastword::{Cause, First, Role, Violation};

use super::{Stage, at_once, check_account, ending, hear, plain, say, sending};
use crate::driver::Driver;
use crate::proxy::{Answers, Fault, Plan};
use crate::script::{Last, Script, said};
use crate::tls::Certificates;

struct Damage {
    /// Which frame of [`Script::farewell`]: short, medium, three fragments, empty, close.
    frame: usize,
    /// How many bytes into the frame; `None`: its first byte of payload.
    byte: Option<usize>,
    fault: Fault,
    violation: Violation,
    /// How many messages come before it.
    whole: usize,
}

fn damages(sender: Role) -> Vec<Damage> {
    let header = |error| Violation::Header(error);
    let mask = match sender {
        Role::Client => HeaderError::Unmasked,
        Role::Server => HeaderError::Masked,
    };
    let lone = match sender {
        Role::Client => vec![0x80, 0x80, 1, 2, 3, 4],
        Role::Server => vec![0x80, 0x00],
    };
    let damage =
        |frame, byte, fault, violation, whole| Damage { frame, byte, fault, violation, whole };
    let flip = Fault::Flip;
    let reserved = header(HeaderError::ReservedBit1(Opcode::Text));
    let garbage = Fault::Insert(b"GET / HTTP/1.1\r\n\r\n".to_vec());
    vec![
        damage(0, Some(0), flip(0x40), reserved, 0),
        damage(0, Some(0), flip(0x10), header(HeaderError::ReservedBits(0x91)), 0),
        damage(0, Some(0), flip(0x02), header(HeaderError::ReservedOpcode(3)), 0),
        damage(0, Some(1), flip(0x80), header(mask), 0),
        damage(0, None, flip(0x80), Violation::NotUtf8 { at: 0 }, 0),
        // A message that seems to go on, and then another begins.
        damage(1, Some(0), flip(0x80), Violation::InterruptedMessage(Opcode::Text), 1),
        damage(1, Some(0), garbage.clone(), header(HeaderError::ReservedOpcode(7)), 1),
        damage(2, Some(0), Fault::Insert(lone), Violation::LoneContinuation, 2),
        // Between fragments.
        damage(3, Some(0), garbage, header(HeaderError::ReservedOpcode(7)), 2),
        damage(6, Some(0), flip(0x80), header(HeaderError::FragmentedControl(Opcode::Close)), 4),
        // 1000 becomes 2024.
        damage(6, None, flip(0x04), Violation::CloseCode(2024), 4),
    ]
}

/// Each kind of damage that shows, on each transport, to each side.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn damaged_frames(driver: &dyn Driver) {
    let tls = Certificates::new();
    let mut cases = Vec::new();
    for stage in Stage::all() {
        for last in [Last::Closes, Last::Stays] {
            let script = Script { last, ..Script::farewell() };
            for damage in damages(stage.receiver.peer()) {
                if damage.frame < script.frames(stage.receiver.peer()).len() {
                    cases.push((stage, script.clone(), damage));
                }
            }
        }
    }
    at_once(&cases, |(stage, script, damage)| {
        let role = stage.receiver.peer();
        let frame = script.frames(role)[damage.frame];
        let at = (frame.start + damage.byte.unwrap_or(frame.header)) as u64;
        let context = format!("{stage:?} {:?} {:?} at {at}", script.last, damage.fault);
        let (proxy, mut receiver, sender) = stage.play(driver, &tls, plain(), sending(script));
        let (hold, fault) = (script.size(role) as u64, damage.fault.clone());
        proxy.plan(Plan { sender: role, at, hold, fault, answers: Answers::Pass });
        say(&*sender, script);
        let (messages, theirs) = hear(&mut *receiver, &context);
        let context = format!("{context}: {theirs}");
        assert_eq!(messages, script.messages[..damage.whole], "{context}");
        assert_eq!(theirs.cause, Cause::Violation(damage.violation.clone()), "{context}");
        assert_eq!(theirs.sent.code(), damage.violation.close_code().get(), "{context}");
        check_account(&*receiver, &theirs, 0, &context);

        // The peer did nothing wrong, and hears what was the matter.
        let ours = ending(&*sender, &context);
        let context = format!("{context} / {ours}");
        assert_eq!(ours.received, theirs.sent, "{context}");
        assert!(ours.is_clean(), "{context}");
        match script.last {
            Last::Closes => {
                assert_eq!((ours.first, &ours.sent), (Some(First::Us), &said()), "{context}");
            }
            Last::Stays => {
                assert_eq!((ours.first, &ours.sent), (Some(First::Peer), &theirs.sent));
            }
        }
        check_account(&*sender, &ours, script.messages.len(), &context);
    });
}
