//! Compressed messages, both ways.

use lastword_proto::{Compression, Role};

use super::fourfold;
use crate::curve::{Curve, Done, count};
use crate::driven::{Driven, Into, SCRATCH};
use crate::wire::{CONTINUATION, FIN, RSV1, TEXT, feed, frame, push_frame};

pub(crate) fn curves() -> Vec<Curve> {
    let sizes = |name, title, run| Curve {
        name,
        title,
        x: "bytes in the message",
        unit: "byte",
        small: fourfold(1, 1 << 20),
        large: vec![1 << 22, 1 << 24],
        long: fourfold(1 << 26, 1 << 28),
        run,
    };
    vec![
        sizes("compress", "a message of x bytes is compressed and sent", compress),
        sizes("inflate", "a compressed message of x bytes comes", inflate),
        Curve {
            name: "inflate-in-reads",
            title: "a compressed message of 1 MiB comes in reads of x bytes",
            x: "bytes in a read",
            unit: "read",
            small: vec![1 << 18, 1 << 14, 1 << 10, 1 << 6],
            large: vec![16, 4, 1],
            long: vec![],
            run: inflate_in_reads,
        },
        Curve {
            name: "inflate-fragments",
            title: "a compressed message comes in x fragments of 16 bytes",
            x: "fragments",
            unit: "fragment",
            small: fourfold(1, 1 << 10),
            large: fourfold(1 << 12, 1 << 14),
            long: vec![1 << 16],
            run: inflate_fragments,
        },
        Curve {
            name: "inflate-final-blocks",
            title: "a compressed message comes with x final blocks of nothing in it",
            x: "final blocks",
            unit: "block",
            small: fourfold(1, 1 << 10),
            large: fourfold(1 << 12, 1 << 14),
            long: vec![1 << 16],
            run: final_blocks,
        },
    ]
}

fn compress(size: usize) -> Done {
    let message = feed(size);
    let mut driven = Driven::compressed(Role::Server);
    driven.wire.reserve(size + 100);
    let done = count(size, size, || {
        driven.connection.send(message.into(), Compression::Always).expect("it is open");
        driven.write(SCRATCH);
    });
    assert!(driven.wire.first() == Some(&(FIN | RSV1 | TEXT)) || size > 1 << 20);
    done
}

fn inflate(size: usize) -> Done {
    let mut wire = compressed(&feed(size));
    let mut driven = Driven::compressed(Role::Server);
    let done = count(size, size, || driven.receive(&mut wire, SCRATCH, Into::Target));
    assert_eq!(driven.messages, 1);
    done
}

fn inflate_in_reads(size: usize) -> Done {
    let mut wire = compressed(&feed(1 << 20));
    let mut driven = Driven::compressed(Role::Server);
    let reads = wire.len().div_ceil(size);
    let done = count(reads, wire.len(), || driven.receive(&mut wire, size, Into::Target));
    assert_eq!(driven.messages, 1);
    done
}

fn inflate_fragments(fragments: usize) -> Done {
    // Compresses to more than 16 bytes a fragment; what is behind the last is not sent.
    let deflated = deflated(&feed(fragments * 100 + 1000));
    let mut wire = Vec::new();
    for (index, piece) in deflated.chunks(16).take(fragments).enumerate() {
        let first_byte = if index == 0 { RSV1 | TEXT } else { CONTINUATION };
        push_frame(&mut wire, Role::Client, first_byte, piece);
    }
    let mut driven = Driven::compressed(Role::Server);
    let done = count(fragments, wire.len(), || driven.receive(&mut wire, SCRATCH, Into::Target));
    assert!(deflated.len() >= 16 * fragments && driven.connection.is_open());
    done
}

fn final_blocks(blocks: usize) -> Done {
    // A window full of text, then blocks that say they are the last: each begins a new stream.
    let mut payload = deflated(&feed(40_000));
    payload.extend([0x00, 0x00, 0xff, 0xff]);
    payload.extend([0x03, 0x00].repeat(blocks));
    let mut wire = frame(Role::Client, FIN | RSV1 | TEXT, &payload);
    let mut driven = Driven::compressed(Role::Server);
    let done = count(blocks, wire.len(), || driven.receive(&mut wire, SCRATCH, Into::Scratch));
    assert_eq!(driven.messages, 1);
    done
}

/// `text` as a client puts it on the wire, compressed.
fn compressed(text: &str) -> Vec<u8> {
    let mut client = Driven::compressed(Role::Client);
    client.connection.send(text.into(), Compression::Always).expect("it is open");
    client.write(usize::MAX);
    client.wire
}

/// The payload of a server's one frame that says `text`.
fn deflated(text: &str) -> Vec<u8> {
    let mut server = Driven::compressed(Role::Server);
    server.connection.send(text.into(), Compression::Always).expect("it is open");
    server.write(usize::MAX);
    let header = match server.wire.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    server.wire.split_off(header)
}
