//! Messages that are received before they are whole, and sent before their end is known.

mod support;

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use lastword_blocking::{
    CloseCode, Config, Kind, Message, MessageReader, ReceiveError, SendError, WebSocket,
};
use support::{Over, frame, masked, pair, raw_pair};

/// More than any wait in here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A moment that is let pass.
const MOMENT: Duration = Duration::from_millis(30);

fn whole(mut message: MessageReader<'_>) -> String {
    let mut all = String::new();
    while let Some(part) = message.next().unwrap() {
        assert!(!part.is_empty());
        all.push_str(part.as_text().unwrap());
    }
    assert!(message.next().unwrap().is_none(), "and again");
    all
}

#[test]
fn parts_come_as_they_are_written_and_whole_messages_beside_them() {
    for over in Over::ALL {
        let (mut ws, peer) = pair(over, Config::default());
        peer.send("whole").unwrap();
        let mut writer = peer.send_parts(Kind::Text);
        writer.write("a ").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("whole".into()));
        let mut reader = ws.recv_parts_timeout(LIMIT).unwrap().unwrap();
        assert_eq!(reader.kind(), Kind::Text);
        // It is there before the next one is written.
        assert_eq!(reader.next_timeout(LIMIT).unwrap(), Some("a ".into()));
        let error = reader.next_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, ReceiveError::TimedOut { .. }), "{error}");
        writer.write("").unwrap();
        writer.write("long ").unwrap();
        writer.finish_with("story").unwrap();
        assert_eq!(whole(reader), "long story");
        peer.send("after").unwrap();
        assert_eq!(whole(ws.recv_parts().unwrap().unwrap()), "after");
        let Err(error) = ws.recv_parts_timeout(MOMENT) else { panic!("nothing was sent") };
        assert!(matches!(error, ReceiveError::TimedOut { .. }), "{error}");
        peer.close(CloseCode::NORMAL, "");
        assert!(ws.recv_parts().unwrap().is_none());
    }
}

#[test]
fn bytes_are_copied_from_any_reader_to_any_writer() {
    let mut config = Config::default();
    config.max_message_size = usize::MAX;
    let (mut ws, peer) = pair(Over::Tcp, config);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let source = bytes.clone();
    let sending = thread::spawn(move || {
        let mut writer = peer.send_parts(Kind::Binary);
        io::copy(&mut &source[..], &mut writer).unwrap();
        writer.finish().unwrap();
        peer
    });
    let mut copied = Vec::new();
    let mut message = ws.recv_parts().unwrap().unwrap();
    // In pieces that fit no part.
    let mut piece = [0; 777];
    loop {
        match message.read(&mut piece).unwrap() {
            0 => break,
            count => copied.extend_from_slice(&piece[..count]),
        }
    }
    assert_eq!(message.read(&mut piece).unwrap(), 0);
    drop(message);
    assert!(copied == bytes);
    let peer = sending.join().unwrap();
    let mut text = peer.send_parts(Kind::Text);
    let error = Write::write(&mut text, b"bytes").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn what_is_not_read_of_a_message_is_discarded_and_counted() {
    let (mut ws, peer) = pair(Over::Tcp, Config::default());
    for _ in 0..2 {
        let mut writer = peer.send_parts(Kind::Binary);
        writer.write(vec![1; 100_000]).unwrap();
        let mut reader = ws.recv_parts().unwrap().unwrap();
        reader.next().unwrap();
        drop(reader);
        writer.write(vec![2; 100_000]).unwrap();
        writer.finish().unwrap();
        peer.send("next").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("next".into()));
    }
    assert_eq!(ws.ledger().delivered.messages, 2);
    assert_eq!(ws.ledger().discarded.messages, 2);
}

#[test]
fn an_end_in_the_middle_of_a_message_is_never_the_end_of_the_message() {
    let (mut ws, mut raw) = raw_pair(|server| server);
    raw.write_all(&masked(0x02, b"beginning")).unwrap();
    let mut reader = ws.recv_parts().unwrap().unwrap();
    assert_eq!(reader.next().unwrap(), Some(Message::binary(&b"beginning"[..])));
    raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
    raw.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(reader.next().is_err());
    let error = reader.read(&mut [0; 10]).unwrap_err();
    assert!(error.to_string().contains("closed by the peer"), "{error}");
}

#[test]
fn other_messages_wait_until_a_message_by_parts_is_finished() {
    let (ws, mut raw) = raw_pair(|server| server);
    let mut writer = ws.send_parts(Kind::Text);
    writer.write("one ").unwrap();
    assert_eq!(frame(&mut raw), (0x01, b"one ".to_vec()));
    assert!(matches!(ws.try_send("no"), Err(SendError::Streaming(_))));
    let error = ws.send_timeout("no", MOMENT).unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error}");
    let error = writer.write(Message::binary(vec![1])).unwrap_err();
    assert!(matches!(error, SendError::KindChanged(_)), "{error}");
    // Pings go between the parts.
    ws.pong("between").unwrap();
    assert_eq!(frame(&mut raw), (0x8a, b"between".to_vec()));
    let sender = ws.sender();
    let waiting = thread::spawn(move || sender.send("two"));
    writer.write("story").unwrap();
    writer.finish().unwrap();
    waiting.join().unwrap().unwrap();
    assert_eq!(frame(&mut raw), (0x00, b"story".to_vec()));
    assert_eq!(frame(&mut raw), (0x80, vec![]));
    assert_eq!(frame(&mut raw), (0x81, b"two".to_vec()));
}

#[test]
fn a_writer_stuck_with_a_peer_that_does_not_read_comes_back_and_can_go_on() {
    let mut config = Config::default();
    (config.write_timeout, config.deflate) = (None, None);
    let (ws, mut raw) = raw_pair(|server| server.config(config));
    let mut writer = ws.send_parts(Kind::Binary);
    let mut sent = 0;
    while writer.write_timeout(vec![7; 100_000], MOMENT).is_ok() {
        sent += 100_000;
    }
    let reading = thread::spawn(move || {
        let mut received = 0;
        loop {
            let (first, payload) = frame(&mut raw);
            received += payload.len();
            if first == 0x80 {
                return received;
            }
        }
    });
    writer.finish_with(vec![8; 10]).unwrap();
    assert_eq!(reading.join().unwrap(), sent + 10);
}

fn ending_after(write: impl FnOnce(&WebSocket)) -> u16 {
    let (mut ws, peer) = pair(Over::Tcp, Config::default());
    write(&peer);
    peer.sender().close(CloseCode::NORMAL, "");
    while let Ok(Some(_)) = ws.recv() {}
    ws.ended().code()
}

#[test]
fn a_writer_dropped_in_the_middle_closes_with_1011_and_before_it_does_nothing() {
    assert_eq!(ending_after(|ws| drop(ws.send_parts(Kind::Text))), 1000);
    let begun = |ws: &WebSocket| ws.send_parts(Kind::Text).write("begun").unwrap();
    assert_eq!(ending_after(begun), 1011);
}
