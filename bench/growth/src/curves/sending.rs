//! Messages that go: large ones, many that wait, writes that take little, and what did not leave.

use std::io;

use bytes::Bytes;
use lastword_proto::{
    Agreement, Compression, Kind, Operation, Part, Role, TransportError, Unconfirmed,
};

use super::fourfold;
use crate::curve::{Curve, Done, count};
use crate::driven::{Driven, Into, SCRATCH, config};
use crate::wire::{PONG, frame, last_ping, message};

/// What a write takes where it takes little: no size of a frame, and no divisor of one.
const ODD: usize = 997;

pub(crate) fn curves() -> Vec<Curve> {
    let sizes = |name, title, long, run| Curve {
        name,
        title,
        x: "bytes in the message",
        unit: "byte",
        small: fourfold(1, 1 << 18),
        large: fourfold(1 << 20, 1 << 24),
        long,
        run,
    };
    let queue = |name, title, run| Curve {
        name,
        title,
        x: "messages",
        unit: "message",
        // Beyond 64 KiB they wait in another way: the small points know both.
        small: fourfold(1, 1 << 12),
        large: vec![1 << 14],
        long: fourfold(1 << 16, 1 << 18),
        run,
    };
    vec![
        sizes(
            "send-server",
            "a server sends a binary message of x bytes",
            fourfold(1 << 26, 1 << 28),
            |x| whole(Role::Server, x),
        ),
        sizes(
            "send-client",
            "a client sends, and masks, a binary message of x bytes",
            fourfold(1 << 26, 1 << 28),
            |x| whole(Role::Client, x),
        ),
        queue(
            "queue-small",
            "x messages of 100 bytes are queued, written by 997 bytes, and confirmed",
            |x| queued(Role::Server, Unconfirmed::Dropped, 100, x),
        ),
        queue(
            "queue-small-kept",
            "the same by a client, and each message is kept until it is confirmed",
            |x| queued(Role::Client, Unconfirmed::Kept, 100, x),
        ),
        queue("queue-large", "the same with messages of 3,000 bytes, sent by reference", |x| {
            queued(Role::Server, Unconfirmed::Dropped, 3000, x)
        }),
        queue("confirmed-one-by-one", "x messages, each confirmed before the next", one_by_one),
        queue("parts", "one message is sent in x parts of 100 bytes", parts),
        queue(
            "unsent-small",
            "x messages of 100 bytes are queued, and taken back after a loss",
            |x| unsent(100, x),
        ),
        queue(
            "unsent-large",
            "x messages of 3,000 bytes are queued, and taken back after a loss",
            |x| unsent(3000, x),
        ),
        Curve {
            name: "writes",
            title: "1,000 messages of 100 bytes leave in writes of x bytes",
            x: "bytes in a write",
            unit: "write",
            small: vec![1 << 16, 1 << 12, 1 << 8, 1 << 6],
            large: vec![16, 4, 1],
            long: vec![],
            run: writes,
        },
    ]
}

fn whole(role: Role, size: usize) -> Done {
    let message = message(Kind::Binary, size);
    let mut driven = Driven::new(role);
    driven.wire.reserve(size + (size >> 10) + 100);
    count(size, size, || {
        driven.send(message);
        driven.write(SCRATCH);
    })
}

fn queued(role: Role, unconfirmed: Unconfirmed, size: usize, messages: usize) -> Done {
    let mut config = config();
    config.unconfirmed = unconfirmed;
    let mut driven = Driven::with(&Agreement::plain(role), config);
    driven.wire.reserve(messages * (size + 14) + 100);
    let message = message(Kind::Binary, size);
    let done = count(messages, messages * size, || {
        for _ in 0..messages {
            driven.send(message.clone());
        }
        driven.connection.confirm();
        driven.write(ODD);
        answer_last_ping(&mut driven, role);
    });
    assert_eq!(driven.connection.ledger().confirmed.messages, messages as u64);
    done
}

fn one_by_one(messages: usize) -> Done {
    let mut driven = Driven::new(Role::Server);
    let message = message(Kind::Binary, 100);
    let done = count(messages, messages * 100, || {
        for _ in 0..messages {
            driven.wire.clear();
            driven.send(message.clone());
            driven.connection.confirm();
            driven.write(ODD);
            answer_last_ping(&mut driven, Role::Server);
        }
    });
    assert_eq!(driven.connection.ledger().confirmed.messages, messages as u64);
    done
}

fn answer_last_ping(driven: &mut Driven, role: Role) {
    let mut pong = frame(role.peer(), PONG, &last_ping(role, &driven.wire));
    driven.receive(&mut pong, SCRATCH, Into::Scratch);
}

fn parts(parts: usize) -> Done {
    let mut driven = Driven::new(Role::Server);
    driven.wire.reserve(parts * 110);
    let payload = Bytes::from(vec![7; 100]);
    let done = count(parts, parts * 100, || {
        for index in 1..=parts {
            let part = Part { data: payload.clone().into(), last: index == parts };
            driven.connection.send_part(part, Compression::Auto).expect("it is open");
        }
        driven.write(ODD);
    });
    assert_eq!(driven.connection.ledger().handed_over.messages, 1);
    done
}

fn unsent(size: usize, messages: usize) -> Done {
    let mut driven = Driven::new(Role::Client);
    let message = message(Kind::Binary, size);
    let mut taken = Vec::new();
    let done = count(messages, messages * size, || {
        for _ in 0..messages {
            driven.send(message.clone());
        }
        driven.write_once(size + size / 2);
        let error = TransportError::new(Operation::Write, &io::ErrorKind::BrokenPipe.into());
        driven.connection.transport_error(error, driven.now);
        driven.connection.receive_eof(driven.now);
        taken = driven.connection.take_unsent();
    });
    assert!(messages - taken.len() <= 1 && taken.iter().all(|taken| *taken == message));
    done
}

fn writes(size: usize) -> Done {
    let mut driven = Driven::new(Role::Client);
    let message = message(Kind::Binary, 100);
    for _ in 0..1000 {
        driven.send(message.clone());
    }
    let bytes = 1000 * 106;
    driven.wire.reserve(bytes);
    let done = count(bytes / size, bytes, || driven.write(size));
    assert_eq!(driven.wire.len(), bytes);
    done
}
