//! Every way in which an operating system says that the peer is gone, at every operation, in every
//! state: one right ending, never an error of its own.

mod support;

use std::io;

use lastword_proto::{Cause, Loss, Operation, Role, TransportError};
use support::{Driven, frame, goodbye};

const OPERATIONS: [Operation; 4] =
    [Operation::Read, Operation::Write, Operation::Flush, Operation::Shutdown];

fn errors() -> Vec<(io::Error, bool)> {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    let kinds = [ConnectionReset, ConnectionAborted, BrokenPipe, NotConnected];
    let resets = kinds.into_iter().map(|kind| (io::Error::from(kind), true));
    let others = [TimedOut, UnexpectedEof].into_iter().map(|kind| (io::Error::from(kind), false));
    // WSAECONNABORTED, WSAECONNRESET, WSAESHUTDOWN.
    let windows = [10053, 10054, 10058];
    let windows = windows.into_iter().map(|code| (io::Error::from_raw_os_error(code), true));
    resets.chain(others).chain(windows).collect()
}

type Prepare = fn(&mut Driven);

/// A way into each state.
const STATES: [(&str, Prepare); 8] = [
    ("open", |_| {}),
    ("closing", |d| d.connection.close(None, d.now)),
    ("close sent", |d| d.close(1000, "")),
    ("answering", |d| {
        d.connection.receive(&mut frame(d.role.peer(), 0x88, b""), d.now);
    }),
    ("agreed", |d| d.receive(&frame(d.role.peer(), 0x88, &goodbye(1000, "")))),
    ("failing", |d| d.connection.receive(&mut [0x83], d.now)),
    ("failed", |d| d.receive(&[0x83])),
    ("draining", |d| {
        d.connection
            .transport_error(support::error(Operation::Write, io::ErrorKind::BrokenPipe), d.now);
    }),
];

#[test]
fn every_error_at_every_operation_in_every_state_comes_to_one_right_ending() {
    for role in [Role::Server, Role::Client] {
        for (state, prepare) in STATES {
            for operation in OPERATIONS {
                for (error, is_reset) in errors() {
                    let context = format!("{role:?} {state} {operation:?} {error:?}");
                    let mut driven = Driven::new(role);
                    prepare(&mut driven);
                    let error = TransportError::new(operation, &error);
                    driven.connection.transport_error(error, driven.now);
                    // And again, and the end of the stream behind it.
                    driven.connection.transport_error(error, driven.now);
                    driven.settle();
                    driven.eof();
                    driven.wait_for_the_end();
                    let ending = driven.ending();
                    match (state, &ending.cause) {
                        ("agreed", Cause::Closed) => assert!(ending.is_clean(), "{context}"),
                        ("failing" | "failed", Cause::Violation(_)) => {}
                        // A peer that said goodbye may end its stream without TLS's word for it:
                        // our answer is written all the same.
                        ("answering", Cause::Closed) => assert!(ending.is_clean(), "{context}"),
                        ("answering", Cause::Lost(_)) => {}
                        ("draining", Cause::Lost(Loss::Reset(_))) => {}
                        ("open" | "closing" | "close sent", Cause::Lost(loss)) => {
                            assert_eq!(matches!(loss, Loss::Reset(_)), is_reset, "{context}");
                        }
                        (_, cause) => panic!("{context}: {cause:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn an_interruption_is_no_loss() {
    for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock] {
        for operation in OPERATIONS {
            let mut driven = Driven::new(Role::Server);
            driven.fail(operation, kind);
            assert!(driven.connection.is_open());
            driven.receive(&frame(Role::Client, 0x81, b"still here"));
            assert_eq!(driven.messages, ["still here".into()]);
        }
    }
}

#[test]
fn what_came_before_a_failed_write_is_read_with_the_close_frame_behind_it() {
    let mut driven = Driven::new(Role::Server);
    driven.fail(Operation::Write, io::ErrorKind::ConnectionReset);
    driven.receive(&frame(Role::Client, 0x81, b"sent before"));
    driven.receive(&frame(Role::Client, 0x88, &goodbye(1001, "and gone")));
    let ending = driven.ending();
    assert_eq!(driven.messages, ["sent before".into()]);
    assert!(matches!(ending.cause, Cause::Lost(Loss::Reset(_))));
    assert_eq!((ending.code(), ending.reason()), (1001, "and gone"));
    assert!(!ending.is_clean());
}
