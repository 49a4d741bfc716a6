//! What a server puts up with, asked gently: nothing here takes up more than one connection, or more than
//! some hundred kilobytes.

use crate::check::probe::{Answer, Edit, Expect, Mark, Probe, Say, Step, once, round, row};
use crate::check::wire::{BINARY, FIN, Length, frame};

/// More than any request has.
const HUGE_HEADER: usize = 256 << 10;
/// More than any server has memory.
const HUGE_MESSAGE: u64 = 1 << 46;

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "limit/header",
        does: "sends a request with a header of 256 KiB",
        expect: Expect::Refuses(Answer::Anyhow),
        rounds: &[once(Say::Request(&[Edit::Long(HUGE_HEADER)]))],
        ..row(
            "RFC 9110, 5.4; RFC 6585, 5",
            Mark::Warning,
            "\
            Before a request is read anybody can send one, so its size needs a limit. Answer with 431, or hang \
            up.",
        )
    },
    Probe {
        id: "limit/announced",
        does: "announces a frame of 64 TiB, and sends one byte of it",
        expect: Expect::Fails(&[1009]),
        rounds: &[once(Say::Frames(&[Step::Send(
            frame(FIN | BINARY, b"x").with_length(Length::Claims(HUGE_MESSAGE)),
        )]))],
        ..row(
            "RFC 6455, 10.4",
            Mark::Warning,
            "\
            The header says already that the message will be too big: refuse it with 1009 there, rather than \
            collect it until there is no memory left. Set the library's limit of message size.",
        )
    },
    Probe {
        id: "limit/opening",
        does: "connects, and sends nothing, or half a request",
        expect: Expect::GivesUp,
        rounds: &[
            round("nothing", Say::Bytes(b"")),
            round("half", Say::Bytes(b"GET / HTTP/1.1\r\nHost: check.invalid\r\n")),
        ],
        ..row(
            "RFC 9112, 9.5",
            Mark::Warning,
            "\
            A client that never asks holds a socket for nothing, and a thousand of them hold them all. Give the \
            whole opening a deadline of some seconds; --long SECONDS waits longer for it here.",
        )
    },
    Probe {
        id: "limit/idle",
        does: "opens, and says nothing more",
        expect: Expect::Pings,
        rounds: &[once(Say::Frames(&[]))],
        ..row(
            "RFC 6455, 5.5.2",
            Mark::Note,
            "\
            Without pings a server notices clients that vanished only when it sends something, and proxies cut \
            connections on which nothing is said for a minute. Turn on the library's keepalive.",
        )
    },
];
