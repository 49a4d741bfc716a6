//! What a record shows: each frame that crossed the wire, each state, each deadline; never a raw
//! control character, never a whole payload, never a panic on cut text.

mod support;

use lastword_proto::{Elided, Kind, Role};
use proptest::prelude::*;
use support::{Driven, frame, goodbye};

fn lines(driven: &mut Driven) -> Vec<String> {
    std::iter::from_fn(|| driven.connection.take_record()).map(|entry| entry.to_string()).collect()
}

#[test]
fn a_conversation_is_recorded_line_by_line() {
    let mut driven = Driven::new(Role::Server);
    driven.connection.record(100);
    driven.receive(&frame(Role::Client, 0x81, "grüezi\u{7}".as_bytes()));
    driven.receive(&frame(Role::Client, 0x89, b"p"));
    driven.send(vec![0, 255]);
    driven.receive(&frame(Role::Client, 0x88, &goodbye(1000, "bye")));
    driven.eof();
    assert_eq!(
        lines(&mut driven),
        [
            r#"< Text "grüezi\u{7}" [8 bytes]"#,
            "< Ping 70 [1 bytes]",
            "> Pong 70 [1 bytes]",
            "< Close 1000 \"bye\" [5 bytes]",
            "= answering",
            "> Binary 00 ff [2 bytes]",
            "> Close 1000 \"bye\" [5 bytes]",
            "= agreed",
            "= over",
        ]
    );
}

#[test]
fn deadlines_are_recorded_and_a_record_that_nobody_reads_stays_small() {
    let mut driven = Driven::new(Role::Client);
    driven.connection.record(3);
    driven.wait_for_the_end();
    let lines = lines(&mut driven);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], "= over");
    assert!(driven.connection.lost_records() > 0);
}

proptest! {
    #[test]
    fn any_bytes_make_one_printable_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [Kind::Text, Kind::Binary] {
            let line = Elided::new(kind, &bytes).to_string();
            prop_assert!(line.chars().all(|character| !character.is_control()));
            prop_assert!(line.len() < 700);
        }
    }
}
