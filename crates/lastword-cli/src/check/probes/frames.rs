//! Frames, as they should be and otherwise (RFC 6455 sections 5.1 to 5.4).

use crate::check::probe::{Echo, Expect, Mark, Probe, Say, Step, once, round, row};
use crate::check::wire::{BINARY, FIN, Length, MORE, PING, RSV1, TEXT, frame};

const HELLO: &[u8] = b"lastword check";
const BYTES: &[u8] = &[0x00, 0xFF, 0x7F];
/// Around the lengths at which the header grows.
const MEDIUM: &[u8] = &[b'm'; 126];
const LARGE: &[u8] = &[b'l'; 65_536];

const PROTOCOL_ERROR: &[u16] = &[1002];

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "frame/fragments",
        does: "sends a message in four frames, one of them empty",
        expect: Expect::Lives(&[Echo(TEXT, HELLO)]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(TEXT, b"last")),
            Step::Send(frame(MORE, b"")),
            Step::Send(frame(MORE, b"word ")),
            Step::Send(frame(FIN | MORE, b"check")),
        ]))],
        ..row(
            "RFC 6455, 5.4",
            Mark::Error,
            "\
            A message may come in any number of frames, and intermediaries may cut it anew. Put frames \
            together until one has the FIN bit.",
        )
    },
    Probe {
        id: "frame/apart",
        does: "sends a frame byte by byte",
        expect: Expect::Lives(&[Echo(TEXT, HELLO)]),
        rounds: &[once(Say::Frames(&[Step::Apart(frame(FIN | TEXT, HELLO))]))],
        ..row(
            "RFC 6455, 5.2",
            Mark::Error,
            "\
            TCP cuts frames where it likes, even within their headers. Keep what came until a frame is whole.",
        )
    },
    Probe {
        id: "frame/together",
        does: "sends several messages in one piece",
        expect: Expect::Lives(&[
            Echo(TEXT, b"one"),
            Echo(BINARY, BYTES),
            Echo(TEXT, b""),
            Echo(BINARY, b""),
            Echo(TEXT, b"two"),
        ]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(FIN | TEXT, b"one")),
            Step::Send(frame(FIN | BINARY, BYTES)),
            Step::Send(frame(FIN | TEXT, b"")),
            Step::Send(frame(FIN | BINARY, b"")),
            Step::Send(frame(FIN | TEXT, b"two")),
        ]))],
        ..row(
            "RFC 6455, 5.2 and 5.6",
            Mark::Error,
            "\
            What comes in one read may be several frames, and messages may be empty. Look for the next frame \
            in what is left.",
        )
    },
    Probe {
        id: "frame/from-server",
        does: "looks at all that the server sends",
        expect: Expect::Flawless(&[Echo(TEXT, HELLO), Echo(BINARY, MEDIUM), Echo(BINARY, LARGE)]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(FIN | TEXT, HELLO)),
            Step::Send(frame(FIN | BINARY, MEDIUM)),
            Step::Send(frame(FIN | BINARY, LARGE)),
        ]))],
        ..row(
            "RFC 6455, 5.1 and 5.2",
            Mark::Error,
            "\
            A server's frames have no mask, no reserved bits without an extension, and the shortest length \
            that fits. Clients fail the connection otherwise.",
        )
    },
    Probe {
        id: "frame/unmasked",
        does: "sends a frame without a mask",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[once(Say::Frames(&[Step::Send(frame(FIN | TEXT, HELLO).unmasked())]))],
        ..row(
            "RFC 6455, 5.1",
            Mark::Error,
            "\
            The mask keeps scripts from putting bytes of their choice on the wire, where a proxy might take \
            them for HTTP. A server must close on a frame without one, with 1002.",
        )
    },
    Probe {
        id: "frame/reserved-bits",
        does: "sets each of the reserved bits without an extension",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round("RSV1", Say::Frames(&[Step::Send(frame(FIN | RSV1 | TEXT, HELLO))])),
            round("RSV2", Say::Frames(&[Step::Send(frame(FIN | 0x20 | TEXT, HELLO))])),
            round("RSV3", Say::Frames(&[Step::Send(frame(FIN | 0x10 | TEXT, HELLO))])),
        ],
        ..row(
            "RFC 6455, 5.2",
            Mark::Error,
            "\
            A bit that no extension gives a meaning says that the other side means something else, such as \
            compression. Fail the connection with 1002 rather than hand on bytes that are not the message.",
        )
    },
    Probe {
        id: "frame/reserved-opcode",
        does: "sends a data frame and a control frame that do not exist",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round("0x3", Say::Frames(&[Step::Send(frame(FIN | 0x3, HELLO))])),
            round("0xB", Say::Frames(&[Step::Send(frame(FIN | 0xB, b""))])),
        ],
        ..row(
            "RFC 6455, 5.2",
            Mark::Error,
            "\
            An opcode that is not known must fail the connection, with 1002; to skip it loses what it was \
            for.",
        )
    },
    Probe {
        id: "frame/length",
        does: "says a length in a longer form than needed",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round(
                "16 bits",
                Say::Frames(&[Step::Send(frame(FIN | TEXT, HELLO).with_length(Length::In16Bits))]),
            ),
            round(
                "64 bits",
                Say::Frames(&[Step::Send(frame(FIN | TEXT, HELLO).with_length(Length::In64Bits))]),
            ),
        ],
        ..row(
            "RFC 6455, 5.2",
            Mark::Warning,
            "\
            The shortest form must be used. Many libraries take others, which harms nobody until two readers \
            of one stream disagree; 1002 is the strict answer.",
        )
    },
    Probe {
        id: "frame/length-top-bit",
        does: "says a length with the top bit set",
        expect: Expect::Fails(&[1002, 1009]),
        rounds: &[once(Say::Frames(&[Step::Send(
            frame(FIN | BINARY, b"x").with_length(Length::Claims(1 << 63 | 1)),
        )]))],
        ..row(
            "RFC 6455, 5.2",
            Mark::Error,
            "\
            The top bit of a length of 64 bits must be zero; with signed numbers the length is negative, with \
            unsigned ones nobody can send it. Refuse it with 1002.",
        )
    },
    Probe {
        id: "frame/order",
        does: "continues no message, and begins one within another",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round("a lone continuation", Say::Frames(&[Step::Send(frame(FIN | MORE, HELLO))])),
            round(
                "a message within a message",
                Say::Frames(&[
                    Step::Send(frame(TEXT, b"lastword ")),
                    Step::Send(frame(FIN | TEXT, b"check")),
                ]),
            ),
        ],
        ..row(
            "RFC 6455, 5.4",
            Mark::Error,
            "\
            Frames of one message follow each other, with control frames in between only. Anything else is \
            refused with 1002, or messages are put together that nobody sent.",
        )
    },
    Probe {
        id: "frame/bad-control",
        does: "sends a ping in fragments, and one of 126 bytes",
        expect: Expect::Fails(PROTOCOL_ERROR),
        rounds: &[
            round(
                "in fragments",
                Say::Frames(&[Step::Send(frame(PING, b"a")), Step::Send(frame(FIN | MORE, b"b"))]),
            ),
            round("126 bytes", Say::Frames(&[Step::Send(frame(FIN | PING, MEDIUM))])),
        ],
        ..row(
            "RFC 6455, 5.5",
            Mark::Error,
            "\
            Control frames are whole, and at most 125 bytes long, so that they can be answered at any time \
            from a small buffer. Refuse others with 1002.",
        )
    },
];
