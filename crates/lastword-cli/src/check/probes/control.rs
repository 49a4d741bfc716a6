//! Pings and pongs (RFC 6455 sections 5.5.2 and 5.5.3).

use crate::check::probe::{Echo, Expect, Mark, Probe, Say, Step, once, round, row};
use crate::check::wire::{FIN, MORE, PING, PONG, TEXT, frame};

const LONG: &[u8] = &[b'p'; 125];

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "control/ping",
        does: "sends pings with some, no, and all the data that a ping can carry",
        expect: Expect::Lives(&[]),
        rounds: &[
            round(
                "some",
                Say::Frames(&[Step::Send(frame(FIN | PING, b"ping")), Step::Pong(b"ping")]),
            ),
            round("none", Say::Frames(&[Step::Send(frame(FIN | PING, b"")), Step::Pong(b"")])),
            round(
                "125 bytes",
                Say::Frames(&[Step::Send(frame(FIN | PING, LONG)), Step::Pong(LONG)]),
            ),
        ],
        ..row(
            "RFC 6455, 5.5.2 and 5.5.3",
            Mark::Error,
            "\
            A ping is answered with a pong of the same data, as soon as is practical; whoever sends pings gives \
            up on a peer that does not answer.",
        )
    },
    Probe {
        id: "control/pings",
        does: "sends three pings in one piece",
        expect: Expect::Lives(&[]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(FIN | PING, b"first")),
            Step::Send(frame(FIN | PING, b"second")),
            Step::Send(frame(FIN | PING, b"third")),
            Step::Pong(b"third"),
        ]))],
        ..row(
            "RFC 6455, 5.5.3",
            Mark::Error,
            "\
            Of several pings at least the latest has to be answered.",
        )
    },
    Probe {
        id: "control/ping-within-message",
        does: "sends a ping between two fragments, and waits for its pong before the message goes on",
        expect: Expect::Lives(&[Echo(TEXT, b"lastword check")]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(TEXT, b"lastword ")),
            Step::Send(frame(FIN | PING, b"between")),
            Step::Pong(b"between"),
            Step::Send(frame(FIN | MORE, b"check")),
        ]))],
        ..row(
            "RFC 6455, 5.4 and 5.5",
            Mark::Error,
            "\
            Control frames come between the fragments of a message and are handled there: otherwise a long \
            upload looks like a dead connection. Answer pings while a message is being put together.",
        )
    },
    Probe {
        id: "control/pong",
        does: "sends a pong that nobody asked for",
        expect: Expect::Lives(&[]),
        rounds: &[once(Say::Frames(&[Step::Send(frame(FIN | PONG, b"nobody asked"))]))],
        ..row(
            "RFC 6455, 5.5.3",
            Mark::Error,
            "\
            Such a pong is a heartbeat in one direction, and no answer is expected. Ignore it.",
        )
    },
];
