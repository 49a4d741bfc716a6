//! A message is received before it is whole, and sent before its end is known.

mod support;

use std::time::Duration;

use lastword::proto::{Agreement, Connection, Event};
use lastword::{
    Cause, CloseCode, Compression, Config, Kind, Message, Role, SendError, Topic, Violation,
};
use support::masked;
use support::pipes::{beside_raw, dropped_after, frame, pair};
use tokio::io::AsyncWriteExt;

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    let mut config = Config::default();
    (config.ping_interval, config.write_timeout) = (None, None);
    config
}

#[tokio::test(start_paused = true)]
async fn text_comes_as_it_is_sent_and_is_cut_between_characters_wherever_frames_are() {
    let text = "aé€😀z";
    let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        raw.write_all(&masked(0x01, head)).await.unwrap();
        let whole_characters = (0..=cut).rfind(|&at| text.is_char_boundary(at)).unwrap();
        let (first, rest) = text.split_at(whole_characters);
        if first.is_empty() {
            // Nothing is there to be taken yet.
            assert!(tokio::time::timeout(SECOND, ws.recv_parts()).await.is_err(), "cut at {cut}");
            raw.write_all(&masked(0x80, tail)).await.unwrap();
            let mut message = ws.recv_parts().await.unwrap().unwrap();
            assert_eq!(message.next().await.unwrap(), Some(text.into()), "cut at {cut}");
            assert_eq!(message.next().await.unwrap(), None);
            continue;
        }
        let mut message = ws.recv_parts().await.unwrap().unwrap();
        assert_eq!(message.kind(), Kind::Text);
        assert_eq!(message.next().await.unwrap(), Some(first.into()), "cut at {cut}");
        assert!(tokio::time::timeout(SECOND, message.next()).await.is_err(), "no more is there");
        raw.write_all(&masked(0x80, tail)).await.unwrap();
        let expected = (!rest.is_empty()).then(|| rest.into());
        assert_eq!(message.next().await.unwrap(), expected, "cut at {cut}");
        assert_eq!(message.next().await.unwrap(), None);
        assert_eq!(message.next().await.unwrap(), None, "and none behind the end");
    }
    let ledger = ws.ledger();
    assert_eq!(ledger.delivered.messages, text.len() as u64 + 1);
    assert_eq!(ledger.delivered.bytes, (text.len() * (text.len() + 1)) as u64);
    assert_eq!(ledger.discarded.messages, 0);
}

#[tokio::test(start_paused = true)]
async fn each_message_is_taken_as_it_is_asked_for() {
    let (ws, mut peer) = pair(10_000, config()).await;
    for number in 0..40 {
        ws.send(format!("{number}")).await.unwrap();
    }
    for number in 0..40 {
        let expected = Message::from(format!("{number}"));
        if number % 3 == 0 {
            assert_eq!(peer.recv().await.unwrap(), Some(expected));
        } else {
            let mut message = peer.recv_parts().await.unwrap().unwrap();
            if number % 3 == 1 {
                assert_eq!(message.next().await.unwrap(), Some(expected));
                assert_eq!(message.next().await.unwrap(), None);
            }
        }
    }
    let ledger = peer.ledger();
    assert_eq!((ledger.delivered.messages, ledger.discarded.messages), (27, 13));
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
    assert!(peer.recv_parts().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_of_a_message_is_discarded_and_counted() {
    // Before its end has come, behind it, and between two of its frames.
    for rest_first in [true, false] {
        let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
        raw.write_all(&masked(0x01, b"head")).await.unwrap();
        let mut message = ws.recv_parts().await.unwrap().unwrap();
        assert_eq!(message.next().await.unwrap(), Some("head".into()));
        let rest = [masked(0x00, b"middle"), masked(0x80, b"tail")].concat();
        if rest_first {
            raw.write_all(&rest).await.unwrap();
            tokio::time::sleep(SECOND).await;
            drop(message);
        } else {
            drop(message);
            raw.write_all(&rest).await.unwrap();
        }
        raw.write_all(&masked(0x81, b"next")).await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("next".into()));
        let ledger = ws.ledger();
        assert_eq!((ledger.delivered.messages, ledger.delivered.bytes), (1, 8));
        assert_eq!((ledger.discarded.messages, ledger.discarded.bytes), (1, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_not_text_is_handed_out_as_text() {
    let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
    raw.write_all(&masked(0x01, b"good")).await.unwrap();
    let mut message = ws.recv_parts().await.unwrap().unwrap();
    raw.write_all(&masked(0x00, b"more \xff")).await.unwrap();
    assert_eq!(message.next().await.unwrap(), Some("good".into()));
    let ending = message.next().await.unwrap_err().0;
    assert_eq!(ending.cause, Cause::Violation(Violation::NotUtf8 { at: 9 }), "{ending}");
    drop(message);

    // Behind a message that was not fetched the verdict waits: what it is about does not come.
    let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
    let wire = [masked(0x81, b"whole"), masked(0x01, b"more \xff")].concat();
    raw.write_all(&wire).await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(ws.recv().await.unwrap(), Some("whole".into()));
    assert!(ws.recv_parts().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_of_a_message_is_never_the_end_of_the_message() {
    let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
    raw.write_all(&masked(0x02, b"head")).await.unwrap();
    let mut message = ws.recv_parts().await.unwrap().unwrap();
    raw.write_all(&masked(0x88, &[3, 232])).await.unwrap();
    assert_eq!(message.next().await.unwrap(), Some(Message::binary(&b"head"[..])));
    let answer = frame(&mut raw).await;
    assert_eq!(answer, (0x88, vec![3, 232]));
    drop(raw);
    let ending = message.next().await.unwrap_err().0;
    assert_eq!(ending.code(), 1000);
}

#[test]
fn a_message_that_is_taken_by_parts_never_takes_up_more_than_the_receive_buffer_and_a_read() {
    let mut config = config();
    config.receive_buffer = 1000;
    let now = std::time::Instant::now();
    let agreement = Agreement::plain(Role::Client);
    let mut connection = Connection::new(&agreement, config.into(), [0; 32], now);
    // One frame of 10 MiB from a server.
    let size = 10_usize << 20;
    let mut header = vec![0x82, 127];
    header.extend((size as u64).to_be_bytes());
    header.extend([7; 10]);
    connection.receive(&mut header, now);
    let mut taken = connection.take_part().unwrap().data.len();
    assert_eq!(connection.take_part(), None);
    assert!(connection.read_target().is_none(), "no room is made for the whole of it");
    loop {
        let mut waiting = 0;
        while connection.wants_read() && taken + waiting < size {
            let read = 500.min(size - taken - waiting);
            connection.receive(&mut vec![7; read], now);
            waiting += read;
        }
        assert!(waiting <= 1500, "{waiting}");
        match connection.poll_event() {
            Some(Event::Part(part)) => {
                assert!(part.last);
                taken += part.data.len();
                break;
            }
            None => taken += connection.take_part().unwrap().data.len(),
            Some(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, size);
    assert_eq!(connection.ledger().delivered.messages, 1);
    assert_eq!(connection.ledger().delivered.bytes, size as u64);
}

#[tokio::test(start_paused = true)]
async fn parts_make_one_message_and_pings_pass_between_them() {
    let (mut ws, mut raw) = beside_raw(100_000, config(), "").await;
    let sender = ws.sender();
    let mut writer = sender.send_parts(Kind::Text);
    writer.write("").await.unwrap();
    writer.write("first").await.unwrap();
    assert_eq!(frame(&mut raw).await, (0x01, b"first".to_vec()));
    raw.write_all(&masked(0x89, b"ping")).await.unwrap();
    assert!(ws.recv_timeout(SECOND).await.is_err());
    assert_eq!(frame(&mut raw).await, (0x8a, b"ping".to_vec()));
    match writer.write(Message::binary(&b"x"[..])).await.unwrap_err() {
        SendError::KindChanged(part) => assert_eq!(part, Message::binary(&b"x"[..])),
        other => panic!("{other}"),
    }
    writer.write("second").await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(frame(&mut raw).await, (0x00, b"second".to_vec()));
    assert_eq!(frame(&mut raw).await, (0x80, vec![]));

    ws.send_parts(Kind::Binary).finish_with(Message::binary(&b"all"[..])).await.unwrap();
    assert_eq!(frame(&mut raw).await, (0x82, b"all".to_vec()));
    ws.send_parts(Kind::Binary).finish().await.unwrap();
    assert_eq!(frame(&mut raw).await, (0x82, vec![]));
}

#[tokio::test(start_paused = true)]
async fn other_messages_wait_until_a_message_by_parts_is_finished() {
    let (ws, mut peer) = pair(10_000, config()).await;
    let topic = Topic::new();
    let _subscription = topic.subscribe(&ws.sender());
    let sender = ws.sender();
    let mut writer = sender.send_parts(Kind::Text);
    writer.write("by ").await.unwrap();
    match ws.try_send("now").unwrap_err() {
        SendError::Streaming(message) => assert_eq!(message, "now".into()),
        other => panic!("{other}"),
    }
    let error = ws.send_timeout("soon", SECOND).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error}");
    let spawn = |text: &'static str| {
        let sender = ws.sender();
        tokio::spawn(async move { sender.send(text).await })
    };
    let waiting = spawn("behind");
    let confirmed = {
        let sender = ws.sender();
        tokio::spawn(async move { sender.send_confirmed("confirmed").await })
    };
    let another = {
        let sender = ws.sender();
        tokio::spawn(async move {
            let mut writer = sender.send_parts(Kind::Text);
            writer.write("by others").await?;
            writer.finish().await
        })
    };
    topic.publish("published").await;
    assert!(ws.ping().await.is_ok(), "pings do not wait");
    tokio::time::sleep(SECOND).await;
    assert!(!waiting.is_finished() && !confirmed.is_finished() && !another.is_finished());
    writer.write("parts").await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(peer.recv().await.unwrap(), Some("by parts".into()));
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(peer.recv().await.unwrap().unwrap());
    }
    others.sort_by_key(Message::len);
    let expected = ["behind", "confirmed", "by others", "published"].map(Message::from);
    assert_eq!(others.len(), 4);
    assert!(expected.iter().all(|message| others.contains(message)), "{others:?}");
    waiting.await.unwrap().unwrap();
    another.await.unwrap().unwrap();
    let (confirmed, _) = tokio::join!(confirmed, peer.recv_timeout(SECOND));
    confirmed.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_dropped_in_the_middle_closes_with_1011_and_before_it_does_nothing() {
    let (ws, mut raw) = beside_raw(100_000, config(), "").await;
    drop(ws.send_parts(Kind::Text));
    let mut writer = ws.send_parts(Kind::Text);
    writer.write("half").await.unwrap();
    drop(writer);
    assert_eq!(frame(&mut raw).await, (0x01, b"half".to_vec()));
    let (first, payload) = frame(&mut raw).await;
    let said = [&1011_u16.to_be_bytes()[..], b"error in fragmented message"].concat();
    assert_eq!((first, payload), (0x88, said));
    let error = ws.send("more").await.unwrap_err();
    assert!(matches!(error, SendError::Closing(_)), "{error}");
    let ledger = ws.ledger();
    assert_eq!((ledger.handed_over.messages, ledger.unsent.messages), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn parts_are_compressed_where_that_was_agreed_on_unless_told_not_to() {
    for compression in [Compression::Auto, Compression::Never] {
        let (ws, mut peer) = pair(100, config()).await;
        assert!(ws.opening().deflate.is_some());
        let line = "a line that is like the others\n";
        let (sent, received) = tokio::join!(
            async {
                let mut writer = ws.send_parts(Kind::Text).compression(compression);
                for _ in 0..1000 {
                    writer.write(line).await?;
                }
                writer.finish().await
            },
            async {
                let mut received = String::new();
                let mut message = peer.recv_parts().await.unwrap().unwrap();
                while let Some(part) = message.next().await.unwrap() {
                    received.push_str(part.as_text().unwrap());
                }
                received
            }
        );
        sent.unwrap();
        assert_eq!(received, line.repeat(1000));
        ws.send("next").await.unwrap();
        assert_eq!(peer.recv().await.unwrap(), Some("next".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn parts_can_be_dropped_at_every_poll_on_both_sides() {
    for times in 1..8 {
        let mut narrow = config();
        (narrow.send_buffer, narrow.receive_buffer, narrow.deflate) = (50, 50, None);
        let (ws, mut peer) = pair(32, narrow).await;
        let writing = tokio::spawn(async move {
            for number in 0..20_u8 {
                let mut writer = ws.send_parts(Kind::Binary);
                let mut at = 0;
                while at < 10 {
                    let part = Message::binary(vec![number + at; 20]);
                    match dropped_after(writer.write(part), times).await {
                        Some(result) => result.unwrap(),
                        // It was not accepted, and may be tried again.
                        None => continue,
                    }
                    at += 1;
                }
                writer.finish().await.unwrap();
            }
            ws.close(CloseCode::NORMAL, "").await
        });
        for number in 0..20_u8 {
            let mut message = loop {
                if let Some(message) = dropped_after(peer.recv_parts(), times).await {
                    break message.unwrap().unwrap();
                }
            };
            let mut received = Vec::new();
            loop {
                match dropped_after(message.next(), times).await {
                    Some(Ok(Some(part))) => received.extend_from_slice(part.payload()),
                    Some(end) => break assert!(end.unwrap().is_none()),
                    None => {}
                }
            }
            let expected: Vec<_> = (0..10).flat_map(|at| vec![number + at; 20]).collect();
            assert_eq!(received, expected, "{number} at {times}");
        }
        assert!(peer.recv_parts().await.unwrap().is_none());
        assert!(writing.await.unwrap().is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_idle_while_parts_come_or_go() {
    let mut config = config();
    (config.idle_timeout, config.deflate) = (Some(2 * SECOND), None);
    let (ws, mut peer) = pair(1000, config).await;
    let writing = tokio::spawn(async move {
        let mut writer = ws.send_parts(Kind::Text);
        for _ in 0..10 {
            writer.write("part").await.unwrap();
            tokio::time::sleep(SECOND).await;
        }
        writer.finish().await.unwrap();
        ws.ended().await
    });
    let mut message = peer.recv_parts().await.unwrap().unwrap();
    let mut length = 0;
    while let Some(part) = message.next().await.unwrap() {
        length += part.len();
    }
    assert_eq!(length, 40);
    // And idle it is when nothing comes any more.
    drop(message);
    assert_eq!(peer.ended().await.code(), 1001);
    assert_eq!(writing.await.unwrap().code(), 1001);
}
