//! permessage-deflate (RFC 7692), with the messages of its own examples.

use crate::check::probe::{Echo, Edit, Expect, Mark, Offer, Probe, Say, Step, once, round, row};
use crate::check::wire::{FIN, MORE, PING, RSV1, TEXT, frame};

const HELLO: &[u8] = b"Hello";
/// "Hello" (section 7.2.3.1).
const DEFLATED: &[u8] = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
/// "Hello" once more, with the window of the first (section 7.2.3.2).
const AGAIN: &[u8] = b"\xF2\x00\x11\x00\x00";
/// "Hello" in a block without compression (section 7.2.3.3).
const STORED: &[u8] = b"\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00";
/// A message of two bytes that are not UTF-8, in a block without compression.
const NOT_UTF8: &[u8] = b"\x00\x02\x00\xFD\xFF\xC3\x28\x00";
/// A block of a type that does not exist.
const BROKEN: &[u8] = b"\xFF\xFF\xFF\xFF";

const COMPRESSED: u8 = FIN | RSV1 | TEXT;

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "deflate/offer",
        does: "offers compression",
        offer: Offer::Deflate,
        expect: Expect::Agrees,
        rounds: &[once(Say::Request(&[]))],
        ..row(
            "RFC 7692, 7.1",
            Mark::Error,
            "\
            The answer names permessage-deflate once, with parameters that exist, have valid values, and were \
            offered if they have to be. Clients fail the connection otherwise.",
        )
    },
    Probe {
        id: "deflate/small-window",
        does: "asks the server for a window of 512 bytes",
        offer: Offer::SmallWindow,
        expect: Expect::Agrees,
        rounds: &[once(Say::Request(&[]))],
        ..row(
            "RFC 7692, 7.1.2.1",
            Mark::Error,
            "\
            Who accepts the offer has to keep within that window, and says so with server_max_window_bits; \
            who cannot declines.",
        )
    },
    Probe {
        id: "deflate/bad-offers",
        does: "offers parameters that do not exist, occur twice, or have no such value",
        expect: Expect::Declines,
        rounds: &[
            round(
                "unknown",
                Say::Request(&[Edit::Set(EXTENSIONS, "permessage-deflate; x_lastword_check")]),
            ),
            round(
                "twice",
                Say::Request(&[Edit::Set(
                    EXTENSIONS,
                    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                )]),
            ),
            round(
                "a value where none may be",
                Say::Request(&[Edit::Set(
                    EXTENSIONS,
                    "permessage-deflate; server_no_context_takeover=1",
                )]),
            ),
            round(
                "7 bits",
                Say::Request(&[Edit::Set(
                    EXTENSIONS,
                    "permessage-deflate; server_max_window_bits=7",
                )]),
            ),
            round(
                "16 bits",
                Say::Request(&[Edit::Set(
                    EXTENSIONS,
                    "permessage-deflate; server_max_window_bits=16",
                )]),
            ),
        ],
        ..row(
            "RFC 7692, 7.1",
            Mark::Error,
            "\
            An offer with a parameter that is not understood must be declined: the other side would compress in \
            a way that this one does not know. Answer without the extension.",
        )
    },
    Probe {
        id: "deflate/messages",
        does: "sends messages compressed, in fragments, stored, empty, and among others that are not",
        offer: Offer::Deflate,
        expect: Expect::Lives(&[
            Echo(TEXT, HELLO),
            Echo(TEXT, HELLO),
            Echo(TEXT, b"plain"),
            Echo(TEXT, HELLO),
            Echo(TEXT, b""),
        ]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(COMPRESSED, DEFLATED)),
            Step::Send(frame(RSV1 | TEXT, b"\xF2\x48\xCD")),
            Step::Send(frame(FIN | MORE, b"\xC9\xC9\x07\x00")),
            Step::Send(frame(FIN | TEXT, b"plain")),
            Step::Send(frame(COMPRESSED, STORED)),
            Step::Send(frame(COMPRESSED, b"\x00")),
        ]))],
        ..row(
            "RFC 7692, 6 and 7.2",
            Mark::Error,
            "\
            RSV1 on the first frame says whether a message is compressed, message by message; the four bytes \
            that the compressor left out are put back at the end of the message, not of the frame.",
        )
    },
    Probe {
        id: "deflate/takeover",
        does: "refers to the message before in a compressed message",
        offer: Offer::DeflateWithTakeover,
        expect: Expect::Lives(&[Echo(TEXT, HELLO), Echo(TEXT, HELLO)]),
        rounds: &[once(Say::Frames(&[
            Step::Send(frame(COMPRESSED, DEFLATED)),
            Step::Send(frame(COMPRESSED, AGAIN)),
        ]))],
        ..row(
            "RFC 7692, 7.1.1 and 7.2.3.2",
            Mark::Error,
            "\
            Unless client_no_context_takeover was agreed on, the window goes on from message to message. Keep \
            the inflater, or answer the offer with that parameter.",
        )
    },
    Probe {
        id: "deflate/bits",
        does: "sets RSV1 on a continuation and on a ping",
        offer: Offer::Deflate,
        expect: Expect::Fails(&[1002]),
        rounds: &[
            round(
                "continuation",
                Say::Frames(&[
                    Step::Send(frame(RSV1 | TEXT, b"\xF2\x48\xCD")),
                    Step::Send(frame(FIN | RSV1 | MORE, b"\xC9\xC9\x07\x00")),
                ]),
            ),
            round("ping", Say::Frames(&[Step::Send(frame(FIN | RSV1 | PING, b"x"))])),
        ],
        ..row(
            "RFC 7692, 6",
            Mark::Error,
            "\
            Only the first frame of a message may have it. Refuse it elsewhere with 1002.",
        )
    },
    Probe {
        id: "deflate/broken",
        does: "sends what cannot be inflated",
        offer: Offer::Deflate,
        expect: Expect::Fails(&[1007, 1002]),
        rounds: &[once(Say::Frames(&[Step::Send(frame(COMPRESSED, BROKEN))]))],
        ..row(
            "RFC 7692, 7.2.2; RFC 6455, 7.1.7",
            Mark::Error,
            "\
            What follows cannot be read any more, either: fail the connection with 1007 or 1002, and let the \
            inflater's error end neither the process nor other connections.",
        )
    },
    Probe {
        id: "deflate/not-utf8",
        does: "sends text that is not UTF-8 when it is inflated",
        offer: Offer::Deflate,
        expect: Expect::Fails(&[1007]),
        rounds: &[once(Say::Frames(&[Step::Send(frame(COMPRESSED, NOT_UTF8))]))],
        ..row(
            "RFC 6455, 8.1",
            Mark::Error,
            "\
            Text is UTF-8, compressed or not. Check it behind the inflater; refuse it with 1007.",
        )
    },
];

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
