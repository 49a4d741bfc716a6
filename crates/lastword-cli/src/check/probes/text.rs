//! Text is UTF-8, all of it, wherever frames cut it (RFC 6455 section 8.1).

use crate::check::probe::{Echo, Expect, Mark, Probe, Say, Step, once, round, row};
use crate::check::wire::{FIN, MORE, TEXT, frame};

/// Characters of one, two, three and four bytes.
const WIDE: &[u8] = "aß水🍰".as_bytes();

const NOT_UTF8: &[u16] = &[1007];

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "text/split-character",
        does: "cuts text within each of its characters",
        expect: Expect::Lives(&[Echo(TEXT, WIDE)]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(TEXT, b"a\xC3")),
            Step::Send(frame(MORE, b"\x9F\xE6\xB0")),
            Step::Send(frame(MORE, b"\xB4\xF0\x9F")),
            Step::Send(frame(FIN | MORE, b"\x8D\xB0")),
        ]))],
        ..row(
            "RFC 6455, 5.6",
            Mark::Error,
            "\
            A fragment need not be valid UTF-8 by itself, only the whole message. Decode the message, or carry \
            the bytes of an unfinished character over to the next fragment.",
        )
    },
    Probe {
        id: "text/not-utf8",
        does: "sends text that is not UTF-8, in six ways",
        expect: Expect::Fails(NOT_UTF8),
        rounds: &[
            round("a lone byte", Say::Frames(&[Step::Send(frame(FIN | TEXT, b"ab\xFFcd"))])),
            round("a broken sequence", Say::Frames(&[Step::Send(frame(FIN | TEXT, b"\xC3\x28"))])),
            round("a surrogate", Say::Frames(&[Step::Send(frame(FIN | TEXT, b"\xED\xA0\x80"))])),
            round("overlong", Say::Frames(&[Step::Send(frame(FIN | TEXT, b"\xC0\xAF"))])),
            round("cut short", Say::Frames(&[Step::Send(frame(FIN | TEXT, b"\xF0\x9F\x8D"))])),
            round(
                "across fragments",
                Say::Frames(&[
                    Step::Send(frame(TEXT, b"\xE6\xB0")),
                    Step::Send(frame(FIN | MORE, b"\x28")),
                ]),
            ),
        ],
        ..row(
            "RFC 6455, 8.1",
            Mark::Error,
            "\
            Text that is not UTF-8 must fail the connection, with 1007: whoever reads it next may take it for \
            something else, or fall over it. Use a decoder that refuses; surrogates and overlong forms are not \
            UTF-8 either.",
        )
    },
    Probe {
        id: "text/early",
        does: "begins a message with bytes that cannot become UTF-8, and does not end it",
        expect: Expect::Fails(NOT_UTF8),
        rounds: &[once(Say::Frames(&[Step::Send(frame(TEXT, b"\xF4\x90\x80\x80"))]))],
        ..row(
            "RFC 6455, 8.1",
            Mark::Note,
            "\
            Nothing that follows can mend it. To find it out at once saves memory and time; at the end of the \
            message is allowed.",
        )
    },
];
