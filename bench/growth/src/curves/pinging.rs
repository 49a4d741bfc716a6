//! Pings, answered or not.

use lastword_proto::Role;

use super::fourfold;
use crate::curve::{Curve, Done, count};
use crate::driven::{Driven, Into, SCRATCH};
use crate::wire::{PING, PONG, frame, last_ping, push_frame};

pub(crate) fn curves() -> Vec<Curve> {
    let pings = |name, title, small, run| Curve {
        name,
        title,
        x: "pings",
        unit: "ping",
        small,
        large: fourfold(1 << 12, 1 << 16),
        long: vec![],
        run,
    };
    vec![
        pings("pings-answered", "x pings come, each answered", fourfold(1, 1 << 10), |x| {
            pinged(x, Answers::Each)
        }),
        pings("pings-at-once", "x pings come before any is answered", fourfold(1, 1 << 10), |x| {
            pinged(x, Answers::Last)
        }),
        // Up to 256 of them are remembered: what an answer costs grows until there.
        pings(
            "pings-of-ours",
            "x pings are sent, then come all their answers",
            vec![1, 1 << 10],
            ours,
        ),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Each,
    Last,
}

fn pinged(pings: usize, answers: Answers) -> Done {
    let one = frame(Role::Client, PING, &[b'p'; 125]);
    let mut wire = one.repeat(pings);
    let mut driven = Driven::new(Role::Server);
    driven.wire.reserve(127 * pings);
    let done = count(pings, wire.len(), || match answers {
        Answers::Each => {
            for ping in wire.chunks_mut(one.len()) {
                driven.receive(ping, SCRATCH, Into::Scratch);
                driven.write(SCRATCH);
            }
        }
        Answers::Last => {
            driven.receive(&mut wire, SCRATCH, Into::Scratch);
            driven.write(SCRATCH);
        }
    });
    let answered = if answers == Answers::Each { pings } else { pings.min(16) };
    assert_eq!(driven.wire.len(), 127 * answered);
    done
}

fn ours(pings: usize) -> Done {
    let mut driven = Driven::new(Role::Server);
    let mut wire = Vec::with_capacity(14 * pings);
    let done = count(pings, 10 * pings, || {
        for _ in 0..pings {
            driven.wire.clear();
            driven.connection.confirm();
            driven.write(SCRATCH);
            push_frame(&mut wire, Role::Client, PONG, &last_ping(Role::Server, &driven.wire));
        }
        driven.receive(&mut wire, SCRATCH, Into::Scratch);
    });
    assert_eq!(driven.connection.answers(), pings.min(256) as u64);
    done
}
