//! Messages that come: large ones, in many fragments, in small reads, many at once.

use lastword_proto::{Kind, Role};

use super::fourfold;
use crate::curve::{Curve, Done, count};
use crate::driven::{Driven, Into, SCRATCH};
use crate::wire::{BINARY, CONTINUATION, FIN, TEXT, frame, payload, push_frame};

pub(crate) fn curves() -> Vec<Curve> {
    let sizes = |name, title, large: Vec<usize>, long, run| Curve {
        name,
        title,
        x: "bytes in the message",
        unit: "byte",
        small: fourfold(1, 1 << 20),
        large,
        long,
        run,
    };
    let counts = |name, title, x, unit, run| Curve {
        name,
        title,
        x,
        unit,
        small: fourfold(1, 1 << 10),
        large: fourfold(1 << 12, 1 << 20),
        long: vec![],
        run,
    };
    let reads = |name, title, run| Curve {
        name,
        title,
        x: "bytes in a read",
        unit: "read",
        small: vec![1 << 20, 1 << 16, 1 << 12, 1 << 8, 1 << 6],
        large: vec![16, 4, 1],
        long: vec![],
        run,
    };
    vec![
        sizes(
            "receive-binary",
            "a binary message of x bytes comes, read straight to its place",
            fourfold(1 << 22, 1 << 28),
            vec![],
            |x| whole(Kind::Binary, x, Into::Target),
        ),
        sizes(
            "receive-binary-by-scratch",
            "a binary message of x bytes comes, in reads of 64 KiB",
            fourfold(1 << 22, 1 << 24),
            fourfold(1 << 26, 1 << 28),
            |x| whole(Kind::Binary, x, Into::Scratch),
        ),
        sizes(
            "receive-text",
            "a text of x bytes comes, read straight to its place",
            fourfold(1 << 22, 1 << 24),
            fourfold(1 << 26, 1 << 28),
            |x| whole(Kind::Text, x, Into::Target),
        ),
        counts(
            "fragments-binary",
            "one binary message comes in x fragments of 16 bytes",
            "fragments",
            "fragment",
            |x| fragments(Kind::Binary, x, 16),
        ),
        counts(
            "fragments-text",
            "one text comes in x fragments of 1 byte, characters cut apart",
            "fragments",
            "fragment",
            |x| fragments(Kind::Text, x, 1),
        ),
        counts(
            "messages-at-once",
            "x messages of 20 bytes come in one read, before any is fetched",
            "messages",
            "message",
            at_once,
        ),
        reads("reads-of-a-message", "one text of 1 MiB comes in reads of x bytes", |x| {
            in_reads(frame(Role::Client, FIN | TEXT, &payload(Kind::Text, 1 << 20)), 1, x)
        }),
        reads(
            "reads-of-messages",
            "1,000 binary messages of 1 KiB come in reads of x bytes",
            |x| in_reads(frame(Role::Client, FIN | BINARY, &[7; 1 << 10]).repeat(1000), 1000, x),
        ),
    ]
}

fn whole(kind: Kind, size: usize, to: Into) -> Done {
    let first_byte = FIN | if kind == Kind::Text { TEXT } else { BINARY };
    let mut wire = frame(Role::Client, first_byte, &payload(kind, size));
    let mut driven = Driven::new(Role::Server);
    let done = count(size, wire.len(), || driven.receive(&mut wire, SCRATCH, to));
    assert_eq!(driven.messages, 1);
    done
}

fn fragments(kind: Kind, fragments: usize, size: usize) -> Done {
    let payload = payload(kind, fragments * size);
    let mut wire = Vec::with_capacity(payload.len() + fragments * 6);
    for (index, piece) in payload.chunks(size).enumerate() {
        let opcode = match (index, kind) {
            (0, Kind::Text) => TEXT,
            (0, Kind::Binary) => BINARY,
            _ => CONTINUATION,
        };
        let fin = if index + 1 == fragments { FIN } else { 0 };
        push_frame(&mut wire, Role::Client, fin | opcode, piece);
    }
    let mut driven = Driven::new(Role::Server);
    let done = count(fragments, wire.len(), || driven.receive(&mut wire, SCRATCH, Into::Target));
    assert_eq!(driven.messages, 1);
    done
}

fn at_once(messages: usize) -> Done {
    let mut wire = frame(Role::Client, FIN | BINARY, &[7; 20]).repeat(messages);
    let mut driven = Driven::new(Role::Server);
    let bytes = wire.len();
    let done = count(messages, bytes, || driven.receive(&mut wire, bytes, Into::Target));
    assert_eq!(driven.messages, messages);
    done
}

fn in_reads(mut wire: Vec<u8>, messages: usize, size: usize) -> Done {
    let mut driven = Driven::new(Role::Server);
    let (reads, bytes) = (wire.len().div_ceil(size), wire.len());
    let done = count(reads, bytes, || driven.receive(&mut wire, size, Into::Target));
    assert_eq!(driven.messages, messages);
    done
}
