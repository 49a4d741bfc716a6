//! Requests, as they should be and otherwise (RFC 6455 section 4.2).

use crate::check::probe::{Answer, Edit, Expect, Mark, Probe, Say, once, round, row};

pub(super) static PROBES: &[Probe] = &[
    Probe {
        id: "opening/ordinary",
        does: "asks for a connection as every client does",
        expect: Expect::Opens,
        rounds: &[once(Say::Request(&[]))],
        ..row(
            "RFC 6455, 4.2.2",
            Mark::Error,
            "\
            Without a 101 with Upgrade, Connection and the Sec-WebSocket-Accept that belongs to the key, and \
            without extensions or subprotocols that nobody offered, no client connects. Compare the answer \
            with section 4.2.2, or let a library make it.",
        )
    },
    Probe {
        id: "opening/spelling",
        does: "writes headers in lower case, and values in another case, in lists, on several lines",
        expect: Expect::Opens,
        rounds: &[
            round("names in lower case", Say::Request(&[Edit::LowerCase])),
            round(
                "values in another case",
                Say::Request(&[
                    Edit::Set("Upgrade", "WebSocket"),
                    Edit::Set("Connection", "UPGRADE"),
                ]),
            ),
            round("a list", Say::Request(&[Edit::Set("Connection", "keep-alive, Upgrade")])),
            round(
                "several lines",
                Say::Request(&[
                    Edit::Set("Connection", "keep-alive"),
                    Edit::Also("Connection", "Upgrade"),
                ]),
            ),
        ],
        ..row(
            "RFC 6455, 4.2.1; RFC 9110, 5.1 and 5.3",
            Mark::Error,
            "\
            Names of headers, \"websocket\" and \"Upgrade\" are the same in any case, and Connection is a list, \
            on one line or on several: browsers and proxies write it in all these ways. Compare without case, \
            token by token.",
        )
    },
    Probe {
        id: "opening/in-pieces",
        does: "sends the request byte by byte",
        expect: Expect::Opens,
        rounds: &[once(Say::RequestInPieces)],
        ..row(
            "RFC 9112, 2.2",
            Mark::Error,
            "\
            TCP cuts a request where it likes. Read until the empty line before looking at it.",
        )
    },
    Probe {
        id: "opening/no-upgrade",
        does: "leaves out what asks for an upgrade",
        expect: Expect::Refuses(Answer::Ordinary),
        rounds: &[
            round("no Upgrade", Say::Request(&[Edit::Without("Upgrade")])),
            round("another Upgrade", Say::Request(&[Edit::Set("Upgrade", "h2c")])),
            round("no Connection", Say::Request(&[Edit::Without("Connection")])),
        ],
        ..row(
            "RFC 6455, 4.2.1; RFC 9110, 7.8",
            Mark::Error,
            "\
            Who did not ask for an upgrade must not be given one: an intermediary in between would not know \
            of it. Answer with 426 or 400, or as an ordinary web server.",
        )
    },
    Probe {
        id: "opening/key",
        does: "sends no key, one that is too short, or two",
        expect: Expect::Refuses(Answer::ErrorStatus),
        rounds: &[
            round("none", Say::Request(&[Edit::Without("Sec-WebSocket-Key")])),
            round("too short", Say::Request(&[Edit::Set("Sec-WebSocket-Key", "dG9vIHNob3J0")])),
            round(
                "two",
                Say::Request(&[Edit::Also("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]),
            ),
        ],
        ..row(
            "RFC 6455, 4.2.1 and 11.3.1",
            Mark::Warning,
            "\
            The key is base64 of 16 bytes, once; it keeps scripts that are not WebSocket clients from opening \
            connections. Answer anything else with 400.",
        )
    },
    Probe {
        id: "opening/version",
        does: "asks for a version of the protocol that does not exist",
        expect: Expect::Refuses(Answer::UpgradeRequired),
        rounds: &[once(Say::Request(&[Edit::Set("Sec-WebSocket-Version", "99")]))],
        ..row(
            "RFC 6455, 4.4",
            Mark::Error,
            "\
            A version that the server does not speak is answered with 426 and Sec-WebSocket-Version: 13, so \
            that a client can come back with it.",
        )
    },
    Probe {
        id: "opening/no-version",
        does: "asks for no version of the protocol",
        expect: Expect::Refuses(Answer::ErrorStatus),
        rounds: &[once(Say::Request(&[Edit::Without("Sec-WebSocket-Version")]))],
        ..row(
            "RFC 6455, 4.2.1",
            Mark::Warning,
            "\
            Whoever does not say 13 may mean an older version, whose frames look otherwise. Answer with 400 \
            or 426.",
        )
    },
    Probe {
        id: "opening/request-line",
        does: "asks with POST, or over HTTP/1.0",
        expect: Expect::Refuses(Answer::ErrorStatus),
        rounds: &[
            round("POST", Say::Request(&[Edit::Method("POST")])),
            round("HTTP/1.0", Say::Request(&[Edit::Version("HTTP/1.0")])),
        ],
        ..row(
            "RFC 6455, 4.2.1; RFC 9110, 7.8",
            Mark::Warning,
            "\
            The opening is a GET of HTTP/1.1 or higher; HTTP/1.0 knows no upgrade. Answer POST with 405, and \
            HTTP/1.0 with 400, 426 or 505.",
        )
    },
    Probe {
        id: "opening/host",
        does: "sends no Host, or two",
        expect: Expect::Refuses(Answer::ErrorStatus),
        rounds: &[
            round("none", Say::Request(&[Edit::Without("Host")])),
            round("two", Say::Request(&[Edit::Also("Host", "check.invalid")])),
        ],
        ..row(
            "RFC 9112, 3.2",
            Mark::Warning,
            "\
            A proxy and the server may take different ones for the host, and let in who should stay outside. \
            Answer with 400.",
        )
    },
    Probe {
        id: "opening/space-before-colon",
        does: "puts a space between a header's name and its colon",
        expect: Expect::Refuses(Answer::ErrorStatus),
        rounds: &[once(Say::Request(&[Edit::SpaceBehind("Upgrade")]))],
        ..row(
            "RFC 9112, 5.1",
            Mark::Warning,
            "\
            Such lines are read in two ways, which has been used to smuggle requests past proxies. Answer \
            with 400.",
        )
    },
    Probe {
        id: "opening/garbage",
        does: "sends what is no HTTP",
        expect: Expect::Refuses(Answer::Anyhow),
        rounds: &[once(Say::Bytes(b"\x16\x03\x01\x00\x05hello\r\n\r\n"))],
        ..row(
            "RFC 9112, 3",
            Mark::Warning,
            "\
            What cannot become a request should not hold a connection. Answer with 400, or hang up.",
        )
    },
    Probe {
        id: "opening/not-offered",
        does: "offers a subprotocol and an extension that no server knows",
        expect: Expect::Declines,
        rounds: &[
            round(
                "subprotocol",
                Say::Request(&[Edit::Set("Sec-WebSocket-Protocol", "lastword-check.invalid")]),
            ),
            round(
                "extension",
                Say::Request(&[Edit::Set("Sec-WebSocket-Extensions", "x-lastword-check; a=1")]),
            ),
        ],
        ..row(
            "RFC 6455, 4.2.2 and 9.1",
            Mark::Warning,
            "\
            To answer with what the server does not speak promises what it cannot hold; echoing the header is \
            not choosing. Answer with what both sides know, or without the header.",
        )
    },
    Probe {
        id: "opening/origin",
        does: "comes from a page of another site",
        expect: Expect::TellsOrigin,
        rounds: &[once(Say::Request(&[Edit::Set("Origin", "https://check.invalid")]))],
        ..row(
            "RFC 6455, 10.2",
            Mark::Note,
            "\
            Browsers let any page connect, and send its visitor's cookies. If cookies say who somebody is, \
            compare Origin with the sites that may.",
        )
    },
];
