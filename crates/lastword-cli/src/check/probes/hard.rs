//! What a server withstands. For one's own only: each of these may take up memory and time, and bring
//! down what was not built for it.

use crate::check::probe::{Expect, Flood, Force, Mark, Offer, Probe, Say, once, row};

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "hard/message",
        does: "sends one message without an end, up to 256 MiB",
        force: Force::Hard,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::Message))],
        ..row(
            "RFC 6455, 10.4",
            Mark::Error,
            "\
            A message has to have a limit, in all of its fragments together; refuse it with 1009 there. Set \
            the library's limit of message size to what the application needs.",
        )
    },
    Probe {
        id: "hard/fragments",
        does: "sends a message in 200,000 empty fragments",
        force: Force::Hard,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::Fragments))],
        ..row(
            "RFC 6455, 5.4 and 10.4",
            Mark::Error,
            "\
            Fragments cost even if they are empty. Whoever keeps a list of them needs a limit on their number.",
        )
    },
    Probe {
        id: "hard/pings",
        does: "sends 20,000 pings, and reads their pongs",
        force: Force::Hard,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::Pings))],
        ..row(
            "RFC 6455, 5.5.3",
            Mark::Error,
            "\
            Pongs must neither pile up nor keep other clients waiting; of several pings only the latest needs \
            an answer.",
        )
    },
    Probe {
        id: "hard/unread",
        does: "sends messages, and does not read what comes back, up to 256 MiB",
        force: Force::Hard,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::Unread))],
        ..row(
            "RFC 6455, 10.4",
            Mark::Error,
            "\
            A server that goes on reading keeps all answers in memory for a client that takes none. Wait for \
            the socket before the next message is read, or limit what waits to be sent.",
        )
    },
    Probe {
        id: "hard/bomb",
        does: "sends 1 MiB that inflates to 1 GiB",
        force: Force::Hard,
        offer: Offer::Deflate,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::Bomb))],
        ..row(
            "RFC 7692, 8; RFC 6455, 10.4",
            Mark::Error,
            "\
            The limit of message size has to hold for what is inflated, while it is inflated. Refuse it with \
            1009.",
        )
    },
    Probe {
        id: "hard/slow-requests",
        does: "keeps 200 requests unfinished, and asks for a connection beside them",
        force: Force::Hard,
        expect: Expect::Withstands,
        rounds: &[once(Say::Flood(Flood::SlowRequests))],
        ..row(
            "RFC 9112, 9.5",
            Mark::Error,
            "\
            Requests that never end must not keep others out. Give the whole opening a deadline that a byte now \
            and then does not renew, and limit connections that are still opening.",
        )
    },
];
