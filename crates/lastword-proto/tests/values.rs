//! Values and what they say of themselves: messages, proven text, codes, farewells, cuts.

use bytes::Bytes;
use lastword_proto::{
    Cause, CloseCode, CloseFrame, Farewell, Kind, Loss, Message, TimeOut, Utf8Bytes, Violation,
};
use std::time::Duration;

#[test]
fn text_is_proven_at_its_only_door_and_free_to_read() {
    let text = Utf8Bytes::try_from(Bytes::from_static("grüezi".as_bytes())).unwrap();
    assert!(Utf8Bytes::try_from(Bytes::from_static(b"\xff")).is_err());
    assert_eq!((text.as_str(), text.len(), &text[..2]), ("grüezi", 7, "gr"));
    assert_eq!(text.as_bytes().as_ref(), "grüezi".as_bytes());
    assert_eq!(AsRef::<str>::as_ref(&text), "grüezi");
    assert_eq!(AsRef::<[u8]>::as_ref(&text), "grüezi".as_bytes());
    assert!(text == *"grüezi" && text == "grüezi" && text == Utf8Bytes::from_static("grüezi"));
    assert_eq!((text.to_string(), format!("{text:?}")), ("grüezi".into(), "\"grüezi\"".into()));
    assert_eq!(text.into_bytes(), "grüezi".as_bytes());
}

#[test]
fn a_message_is_text_or_binary_and_a_log_line_never_holds_a_whole_one() {
    let text = Message::from(Utf8Bytes::from_static("hello"));
    let binary = Message::from(Bytes::from_static(&[1, 2]));
    assert_eq!((text.as_text(), binary.as_text()), (Some("hello"), None));
    assert_eq!((text.kind(), binary.kind()), (Kind::Text, Kind::Binary));
    assert!(!text.is_empty() && Message::text("").is_empty());
    assert_eq!(binary.into_payload(), vec![1, 2]);
    assert_eq!(format!("{:?}", Message::binary(vec![])), "binary empty (0 bytes)");
    // The elision falls into a character: it is left out whole.
    let long = format!("{:?}", Message::text("é".repeat(10_000)));
    assert!(long.len() < 300 && long.contains("20000 bytes"), "{long}");
    let odd = format!("{:?}", Message::text(format!("x{}", "é".repeat(10_000))));
    assert!(odd.len() < 300 && odd.contains("xé"), "{odd}");
}

#[test]
fn every_registered_code_has_a_name_and_every_farewell_a_number() {
    let names = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
        .map(|code| CloseCode::try_from(code).unwrap().to_string());
    let distinct: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    assert!(names.iter().all(|name| name.contains('(')), "{names:?}");
    let code = CloseCode::try_from(4321).unwrap();
    assert_eq!((code.to_string(), format!("{code:?}"), u16::from(code)), {
        ("4321".into(), "4321".into(), 4321)
    });
    let said = Farewell::Said(CloseFrame::new(code, "why").unwrap());
    assert_eq!(
        (said.code(), said.reason(), said.to_string()),
        (4321, "why", "4321 \"why\"".into())
    );
    assert_eq!((Farewell::Empty.code(), Farewell::Empty.reason()), (1005, ""));
    assert_eq!((Farewell::Silence.code(), Farewell::Silence.reason()), (1006, ""));
    assert!(said.is_said() && Farewell::Empty.is_said() && !Farewell::Silence.is_said());
}

#[test]
fn every_cause_says_in_a_word_what_it_is() {
    let limit = Duration::from_secs(1);
    let said: Vec<_> = [
        Cause::Closed,
        Cause::Lost(Loss::Eof),
        Cause::Violation(Violation::LoneContinuation),
        Cause::TimedOut(TimeOut::Idle { limit }),
        Cause::TimedOut(TimeOut::Write { limit }),
        Cause::TimedOut(TimeOut::Closing { limit }),
        Cause::Aborted,
        Cause::Dropped,
        Cause::Shutdown,
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert_eq!(
        said,
        [
            "closed",
            "peer ended the stream without a close frame",
            "continuation frame without a message to continue",
            "no message in either direction for 1s (idle_timeout)",
            "peer took none of our bytes for 1s (write_timeout)",
            "closing was not completed within 1s (close_timeout)",
            "aborted",
            "dropped",
            "shut down",
        ]
    );
}
