//! Every scripted conversation, cut at every byte, by every fault, as server and as client.
//!
//! What has to come of it is computed here from the script: which messages were whole, where the cut
//! fell, which close frames were across.

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use lastword_proto::{
    Cause, Config, Farewell, FrameCut, Loss, Message, Operation, PeerSide, Role, TimeOut,
};
use support::{Driven, close_frame, frame, goodbye};

/// What the peer sends, frame by frame.
#[derive(Clone, Copy, Debug)]
enum Say {
    Text(&'static str),
    Binary(&'static [u8]),
    /// The first and the last fragment of a text.
    Begin(&'static str),
    End(&'static str),
    Ping(&'static str),
    /// A close frame with a code, or without.
    Close(u16, &'static str),
    CloseEmpty,
}

/// Whether we had closed before the peer's bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Open,
    CloseSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Eof,
    TlsTruncation,
    Reset,
    ResetOnWrite,
    Silence,
}

const FAULTS: [Fault; 5] =
    [Fault::Eof, Fault::TlsTruncation, Fault::Reset, Fault::ResetOnWrite, Fault::Silence];

const SCRIPTS: &[&[Say]] = &[
    &[],
    &[Say::Text("hello")],
    &[Say::Binary(&[1, 2, 3]), Say::Ping("p"), Say::Text("grüezi")],
    &[Say::Begin("one "), Say::Ping("inside"), Say::End("two"), Say::Text("three")],
    &[Say::Text("bye now"), Say::Close(1000, "done")],
    &[Say::Close(4321, "")],
    &[Say::CloseEmpty],
    &[Say::Begin("never finished"), Say::Close(1001, "left")],
    &[Say::Text("a"), Say::Close(1000, "x"), Say::Text("late"), Say::Close(1002, "again")],
];

impl Say {
    fn frame(self, sender: Role) -> Vec<u8> {
        let wire = |first, payload: &[u8]| frame(sender, first, payload);
        match self {
            Self::Text(text) => wire(0x81, text.as_bytes()),
            Self::Binary(bytes) => wire(0x82, bytes),
            Self::Begin(text) => wire(0x01, text.as_bytes()),
            Self::End(text) => wire(0x80, text.as_bytes()),
            Self::Ping(payload) => wire(0x89, payload.as_bytes()),
            Self::Close(code, reason) => wire(0x88, &goodbye(code, reason)),
            Self::CloseEmpty => wire(0x88, &[]),
        }
    }
}

/// What has come of a script when it is cut after `cut` bytes.
#[derive(Debug, Default)]
struct Came {
    messages: Vec<Message>,
    pings: Vec<Vec<u8>>,
    /// The peer's farewell.
    farewell: Option<Farewell>,
    /// Whether a message, or a frame, had begun and was not whole.
    message_cut: bool,
    frame_cut: Option<FrameCut>,
    /// Bytes behind the peer's close frame.
    late: u64,
}

fn came(script: &[Say], sender: Role, cut: usize) -> Came {
    let mut came = Came::default();
    let (mut at, mut begun) = (0, None);
    for &say in script {
        let wire = say.frame(sender);
        if came.farewell.is_some() {
            came.late += (wire.len().min(cut.saturating_sub(at))) as u64;
            at += wire.len();
            continue;
        }
        if at >= cut {
            break;
        }
        if at + wire.len() > cut {
            let header = if sender == Role::Client { 6 } else { 2 };
            let (had, of) = (cut - at, (wire.len() - header) as u64);
            came.frame_cut = Some(if had < header {
                FrameCut::Header { bytes: had }
            } else {
                let opcode = lastword_proto::Opcode::from_bits(wire[0]).unwrap();
                FrameCut::Payload { opcode, came: (had - header) as u64, of }
            });
            let is_data = !matches!(say, Say::Ping(_) | Say::Close(..) | Say::CloseEmpty);
            came.message_cut = begun.is_some() || (is_data && had >= header);
            return came;
        }
        at += wire.len();
        match say {
            Say::Text(text) => came.messages.push(text.into()),
            Say::Binary(bytes) => came.messages.push(bytes.into()),
            Say::Begin(text) => begun = Some(text),
            Say::End(text) => {
                came.messages.push(format!("{}{text}", begun.take().unwrap()).into());
            }
            Say::Ping(payload) => came.pings.push(payload.as_bytes().to_vec()),
            Say::Close(code, reason) => {
                came.farewell = Some(Farewell::Said(close_frame(code, reason)));
            }
            Say::CloseEmpty => came.farewell = Some(Farewell::Empty),
        }
    }
    came.message_cut = begun.is_some();
    came
}

#[test]
fn every_script_cut_at_every_byte_by_every_fault_ends_as_it_did() {
    let mut endings = 0;
    for role in [Role::Server, Role::Client] {
        for script in SCRIPTS {
            let wire: Vec<u8> = script.iter().flat_map(|say| say.frame(role.peer())).collect();
            for cut in 0..=wire.len() {
                for fault in FAULTS {
                    for ours in [Ours::Open, Ours::CloseSent] {
                        for piece in [wire.len().max(1), 1] {
                            check(role, script, &wire[..cut], piece, fault, ours);
                            endings += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{endings} endings");
    assert!(endings > 5_000);
}

#[track_caller]
fn check(role: Role, script: &[Say], wire: &[u8], piece: usize, fault: Fault, ours: Ours) {
    let config = Config::default();
    let mut driven = Driven::new(role);
    if ours == Ours::CloseSent {
        driven.close(1000, "ours");
    }
    for bytes in wire.chunks(piece) {
        driven.receive(bytes);
    }
    match fault {
        Fault::Eof => driven.eof(),
        Fault::TlsTruncation => driven.fail(Operation::Read, ErrorKind::UnexpectedEof),
        Fault::Reset => driven.fail(Operation::Read, ErrorKind::ConnectionReset),
        Fault::ResetOnWrite => {
            driven.fail(Operation::Write, ErrorKind::BrokenPipe);
            driven.eof();
        }
        Fault::Silence => {}
    }
    let waited = driven.wait_for_the_end();
    // Whatever is said after the end changes nothing.
    driven.eof();
    driven.fail(Operation::Read, ErrorKind::ConnectionReset);
    driven.receive(b"\x81\x00");
    driven.connection.abort(driven.now);
    driven.settle();

    let context = format!("{role:?} {script:?} cut at {} {fault:?} {ours:?}", wire.len());
    let came = came(script, role.peer(), wire.len());
    let ending = driven.ending();
    assert_eq!(driven.messages, came.messages, "{context}");
    assert_eq!(ending.ledger.delivered.messages, came.messages.len() as u64, "{context}");

    let agreed = came.farewell.is_some();
    assert_eq!(ending.is_clean(), agreed, "{context}: {ending}");
    assert_eq!(ending.received, came.farewell.clone().unwrap_or_default(), "{context}");
    assert_eq!(ending.discarded, came.late, "{context}");
    check_cause(ending, agreed, fault, ours, &config, &context);
    check_wire(&driven, &came, fault, ours, &context);
    check_time(waited, fault, ours, agreed, &config, &context);

    match ending.cut.filter(|_| !agreed) {
        Some(ended) => {
            assert_eq!(ended.frame, came.frame_cut, "{context}");
            assert_eq!(ended.message.is_some(), came.message_cut, "{context}");
        }
        None => assert!(agreed || (came.frame_cut.is_none() && !came.message_cut), "{context}"),
    }
}

#[track_caller]
fn check_cause(
    ending: &lastword_proto::Ending,
    agreed: bool,
    fault: Fault,
    ours: Ours,
    config: &Config,
    context: &str,
) {
    let fits = match (&ending.cause, fault) {
        (Cause::Closed, _) => agreed,
        (Cause::Lost(Loss::Eof), Fault::Eof) => true,
        (Cause::Lost(Loss::Truncated), Fault::TlsTruncation) => true,
        (Cause::Lost(Loss::Reset(_)), Fault::Reset | Fault::ResetOnWrite) => true,
        (Cause::TimedOut(TimeOut::Pong { limit, .. }), Fault::Silence) => {
            ours == Ours::Open && Some(*limit) == config.ping_timeout
        }
        (Cause::TimedOut(TimeOut::Closing { limit }), Fault::Silence) => {
            ours == Ours::CloseSent && *limit == config.close_timeout
        }
        _ => false,
    };
    assert!(fits, "{context}: {ending}");
    // The transport's own end is kept apart from how the WebSocket ended.
    let transport = ending.transport.peer;
    let fits = match fault {
        Fault::Eof => transport == PeerSide::Finished,
        Fault::TlsTruncation => transport == PeerSide::Truncated,
        Fault::Reset | Fault::ResetOnWrite => matches!(transport, PeerSide::Reset(_)),
        Fault::Silence => transport == PeerSide::Open,
    };
    assert!(fits, "{context}: {transport:?}");
}

#[track_caller]
fn check_wire(driven: &Driven, came: &Came, fault: Fault, ours: Ours, context: &str) {
    let ending = driven.ending();
    let mut expected: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut said = Farewell::Silence;
    if ours == Ours::CloseSent {
        expected.push((0x88, goodbye(1000, "ours")));
        said = Farewell::Said(close_frame(1000, "ours"));
    }
    // A ping is answered unless the peer's close came in the same read before the answer left;
    // pieces of one byte answer each.
    let pongs = driven.written().into_iter().filter(|(first, _)| *first == 0x8a);
    let pongs: Vec<_> = pongs.map(|(_, payload)| payload).collect();
    assert!(
        pongs == came.pings || came.farewell.is_some() && pongs.is_empty(),
        "{context}: {pongs:?}"
    );
    if let (Ours::Open, Some(farewell)) = (ours, &came.farewell) {
        expected.push(match farewell {
            Farewell::Said(frame) => (0x88, goodbye(frame.code().get(), frame.reason())),
            _ => (0x88, Vec::new()),
        });
        said = farewell.clone();
    }
    let died = ours == Ours::Open && came.farewell.is_none() && fault == Fault::Silence;
    if died {
        expected.push((0x88, goodbye(1011, "keepalive ping timeout")));
        said = Farewell::Said(close_frame(1011, "keepalive ping timeout"));
    }
    let closes: Vec<_> = driven.written().into_iter().filter(|(first, _)| *first == 0x88).collect();
    assert_eq!(closes, expected, "{context}");
    assert_eq!(ending.sent, said, "{context}");
    // 7.1.1: the server ends the stream first, once both have said goodbye; 7.1.7: so does whoever
    // fails the connection.
    let server_finishes = driven.role == Role::Server && came.farewell.is_some();
    assert_eq!(driven.finished, server_finishes || died, "{context}");
}

#[track_caller]
fn check_time(
    waited: Duration,
    fault: Fault,
    ours: Ours,
    agreed: bool,
    config: &Config,
    context: &str,
) {
    let bound = match (fault, ours) {
        (Fault::Silence, Ours::Open) if !agreed => {
            config.ping_interval.unwrap() + config.ping_timeout.unwrap()
        }
        (Fault::Silence, _) => config.close_timeout,
        _ => Duration::ZERO,
    };
    assert!(waited <= bound, "{context}: took {waited:?}, at most {bound:?}");
}
