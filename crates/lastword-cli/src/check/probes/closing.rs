//! The closing handshake, and other ends (RFC 6455 sections 5.5.1, 7.1 and 7.4).

use crate::check::probe::{Expect, Mark, Probe, Say, Step, once, round, row};
use crate::check::wire::{CLOSE, FIN, Frame, PING, TEXT, frame};

const PROTOCOL_ERROR: &[u16] = &[1002];

const fn close(payload: &'static [u8]) -> Step {
    Step::Send(frame(FIN | CLOSE, payload))
}

const HELLO: Frame = frame(FIN | TEXT, b"lastword check");

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "close/answered",
        does: "closes with 1000 and a reason",
        expect: Expect::Closes,
        rounds: &[once(Say::Frames(&[close(b"\x03\xE8lastword check")]))],
        ..row(
            "RFC 6455, 5.5.1 and 7.1.1",
            Mark::Error,
            "\
            A close is answered with a close of the same code, and then the server ends TCP, at once: a client \
            waits for that, and cannot tell a slow server from a dead one. Answer in the library, whatever the \
            application does meanwhile.",
        )
    },
    Probe {
        id: "close/empty",
        does: "closes without a code",
        expect: Expect::Closes,
        rounds: &[once(Say::Frames(&[close(b"")]))],
        ..row(
            "RFC 6455, 5.5.1 and 7.1.5",
            Mark::Error,
            "\
            A close frame may be empty. The answer is empty, too (or 1000), never 1005, which no frame may \
            carry.",
        )
    },
    Probe {
        id: "close/other-codes",
        does: "closes with a code of libraries, and one of applications",
        expect: Expect::Closes,
        rounds: &[
            round("3000", Say::Frames(&[close(b"\x0B\xB8")])),
            round("4999", Say::Frames(&[close(b"\x13\x87")])),
        ],
        ..row(
            "RFC 6455, 7.4.2",
            Mark::Error,
            "\
            3000 to 3999 are of libraries, 4000 to 4999 of applications; all of them are valid, and answered \
            alike.",
        )
    },
    Probe {
        id: "close/forbidden-code",
        does: "closes with codes that no frame may carry",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round("0", Say::Frames(&[close(b"\x00\x00")])),
            round("999", Say::Frames(&[close(b"\x03\xE7")])),
            round("1005", Say::Frames(&[close(b"\x03\xED")])),
            round("1006", Say::Frames(&[close(b"\x03\xEE")])),
            round("1015", Say::Frames(&[close(b"\x03\xF7")])),
            round("1016", Say::Frames(&[close(b"\x03\xF8")])),
            round("2999", Say::Frames(&[close(b"\x0B\xB7")])),
        ],
        ..row(
            "RFC 6455, 7.4.1 and 7.4.2",
            Mark::Error,
            "\
            1005, 1006 and 1015 are said by a library to its own application, of an end without such a frame; \
            to take them from the wire lets a peer forge one. Answer these, and what nobody has defined, with \
            1002.",
        )
    },
    Probe {
        id: "close/one-byte",
        does: "closes with half a code",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[once(Say::Frames(&[close(b"\x03")]))],
        ..row(
            "RFC 6455, 5.5.1",
            Mark::Error,
            "\
            If there is a body, its first two bytes are the code. One byte is neither; answer with 1002.",
        )
    },
    Probe {
        id: "close/reason-not-utf8",
        does: "closes with a reason that is not UTF-8",
        expect: Expect::Fails(&[1007, 1002]),
        rounds: &[once(Say::Frames(&[close(b"\x03\xE8\xC3\x28")]))],
        ..row(
            "RFC 6455, 5.5.1 and 8.1",
            Mark::Error,
            "\
            The reason is UTF-8 like any text, and lands in logs. Answer with 1007.",
        )
    },
    Probe {
        id: "close/behind",
        does: "sends a message and a ping behind its close",
        expect: Expect::Closes,
        rounds: &[once(Say::Frames(&[
            close(b"\x03\xE8"),
            Step::Send(HELLO),
            Step::Send(frame(FIN | PING, b"too late")),
        ]))],
        ..row(
            "RFC 6455, 5.5.1",
            Mark::Warning,
            "\
            Behind a close frame there is nothing: what comes is discarded, and nothing is sent behind the \
            answer. Read what still comes before closing the socket, or the kernel resets the connection and \
            the answer may be lost.",
        )
    },
    Probe {
        id: "close/unanswered",
        does: "breaks the protocol, and does not answer the close that comes of it",
        expect: Expect::EndsUnanswered,
        rounds: &[once(Say::Frames(&[Step::Send(frame(FIN | 0x3, b"lastword check"))]))],
        ..row(
            "RFC 6455, 7.1.1 and 7.1.7",
            Mark::Warning,
            "\
            Who never answers would hold the connection for ever. Wait for the answer for some seconds, then \
            end TCP all the same.",
        )
    },
    Probe {
        id: "close/vanished",
        does: "ends its half of the stream without a close, at three places",
        expect: Expect::Ends,
        rounds: &[
            round("between messages", Say::Frames(&[Step::Finish])),
            round("within a frame", Say::Frames(&[Step::Cut(HELLO, 9), Step::Finish])),
            round(
                "within a message",
                Say::Frames(&[Step::Send(frame(TEXT, b"lastword")), Step::Finish]),
            ),
        ],
        ..row(
            "RFC 6455, 7.1.7; RFC 9293, 3.6",
            Mark::Error,
            "\
            The end of the stream is the end of the connection. A server that does not look for it keeps sockets \
            of clients that are gone, until none are left.",
        )
    },
    Probe {
        id: "close/still-there",
        does: "connects once more, when all else is done",
        expect: Expect::Lives(&[]),
        rounds: &[once(Say::Frames(&[]))],
        ..row(
            "RFC 6455, 10.7",
            Mark::Error,
            "\
            After all that, the server has to be as it was. Look at its logs for what brought it down, and run \
            the probes one by one with --only.",
        )
    },
];
