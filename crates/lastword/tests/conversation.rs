//! Conversations over real sockets: what is said, and how they end.

mod support;

use std::time::Duration;

use lastword::{
    Budget, Cause, CloseCode, Config, Farewell, First, Loss, Message, SendError, Server, Violation,
};
use support::{Running, come_back, echo, masked, raw_client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn messages_of_all_sizes_come_back_compressed_or_not() {
    for compression in [true, false] {
        let mut config = Config::default();
        if !compression {
            config.deflate = None;
        }
        let mut server = Running::with(config).await;
        let mut ws = lastword::connect(server.url()).await.unwrap();
        assert_eq!(ws.opening().deflate.is_some(), compression);
        for size in [0, 1, 125, 126, 2048, 2049, 65_535, 65_536, 1 << 20, 3 << 20] {
            come_back(&mut ws, size).await;
        }
        let ending = ws.close(CloseCode::NORMAL, "done").await;
        assert!(ending.is_clean(), "{ending}");
        assert_eq!(ending.first, Some(First::Us));
        let theirs = server.ending().await;
        assert!(theirs.is_clean(), "{theirs}");
        assert_eq!((theirs.code(), theirs.reason()), (1000, "done"));
        assert_eq!(theirs.ledger.delivered.messages, 20);
    }
}

#[tokio::test]
async fn a_burst_is_answered_by_one_write() {
    let server = Running::echo().await;
    let mut raw = raw_client(server.address).await;
    let burst: Vec<u8> = (0..16).flat_map(|_| masked(0x82, b"x")).collect();
    raw.write_all(&burst).await.unwrap();
    let mut answer = [0; 1000];
    let mut got = raw.read(&mut answer).await.unwrap();
    assert_eq!(got, 16 * 3, "in one piece");
    // And a lone one is not held back.
    raw.write_all(&masked(0x82, b"y")).await.unwrap();
    got = raw.read(&mut answer).await.unwrap();
    assert_eq!(&answer[..got], b"\x82\x01y");
}

#[tokio::test]
async fn a_handler_that_returns_closes_with_1000_one_that_fails_or_panics_with_1011() {
    let server = Server::new();
    let mut server = Running::start(server, async |mut ws| {
        match ws.recv().await?.as_ref().and_then(Message::as_text) {
            Some("return") => Ok(()),
            Some("fail") => Err("told to".into()),
            _ => panic!("told to"),
        }
    })
    .await;
    for (word, code) in [("return", 1000), ("fail", 1011), ("panic", 1011)] {
        let mut ws = lastword::connect(server.url()).await.unwrap();
        ws.send(word).await.unwrap();
        // 1011 is a proper goodbye, too.
        assert!(ws.recv().await.unwrap().is_none());
        assert_eq!(ws.ended().await.code(), code, "{word}");
        assert!(server.ending().await.is_clean());
    }
}

#[tokio::test]
async fn pings_are_answered_and_a_close_completed_while_the_handler_is_elsewhere() {
    let server = Running::start(Server::new(), async |ws| {
        let _kept = ws;
        std::future::pending().await
    })
    .await;
    let ws = lastword::connect(server.url()).await.unwrap();
    assert!(ws.ping().await.unwrap() < Duration::from_secs(5));
    ws.send("unread").await.unwrap();
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
}

#[tokio::test]
async fn a_client_that_nobody_polls_answers_pings_and_closes() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Running::start(Server::new(), move |ws| {
        let told = told.clone();
        async move {
            told.send(ws.ping().await.is_ok())?;
            let ending = ws.close(CloseCode::GOING_AWAY, "").await;
            told.send(ending.is_clean())?;
            Ok(())
        }
    })
    .await;
    let ws = lastword::connect(server.url()).await.unwrap();
    assert_eq!(heard.recv().await, Some(true));
    assert_eq!(heard.recv().await, Some(true));
    assert_eq!(ws.ended().await.code(), 1001);
}

#[tokio::test]
async fn a_confirmed_message_was_read_by_the_peers_endpoint() {
    let server = Running::echo().await;
    let ws = lastword::connect(server.url()).await.unwrap();
    ws.send_confirmed("certainly").await.unwrap();
    assert_eq!(ws.ledger().confirmed.messages, 1);
}

#[tokio::test]
async fn each_end_of_a_raw_peer_is_told_as_it_was() {
    let mut server = Running::echo().await;
    // The stream ends in the middle of a message.
    let mut raw = raw_client(server.address).await;
    raw.write_all(&masked(0x82, b"whole")).await.unwrap();
    raw.write_all(&masked(0x82, b"cut off")[..9]).await.unwrap();
    raw.shutdown().await.unwrap();
    let ending = server.ending().await;
    assert_eq!(ending.cause, Cause::Lost(Loss::Eof));
    assert_eq!(ending.ledger.delivered.messages, 1);
    assert!(ending.to_string().contains("3 bytes had come"), "{ending}");
    drop(raw);

    // A reset.
    let raw = raw_client(server.address).await;
    raw.set_zero_linger().unwrap();
    drop(raw);
    let ending = server.ending().await;
    assert!(matches!(ending.cause, Cause::Lost(Loss::Reset(_))), "{ending}");

    // A close frame and the end of the stream in one packet.
    let mut raw = raw_client(server.address).await;
    raw.write_all(&masked(0x88, &[3, 232])).await.unwrap();
    raw.shutdown().await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [0x88, 2, 3, 232]);
    assert!(server.ending().await.is_clean());

    // Garbage: told why, with the close frame intact though more garbage follows.
    let mut raw = raw_client(server.address).await;
    raw.write_all(&[0x83; 50_000]).await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer[..4], [0x88, (answer.len() - 2) as u8, 3, 234]);
    drop(raw);
    let ending = server.ending().await;
    assert!(matches!(ending.cause, Cause::Violation(_)), "{ending}");
    assert_eq!(ending.sent.code(), 1002);
}

#[tokio::test]
async fn dropping_the_last_handle_says_goodbye() {
    let mut server = Running::echo().await;
    let ws = lastword::connect(server.url()).await.unwrap();
    ws.send("last").await.unwrap();
    drop(ws);
    let ending = server.ending().await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.code(), 1001);
    assert_eq!(ending.ledger.delivered.messages, 1);
}

#[tokio::test]
async fn either_half_outlives_the_other() {
    let mut server = Running::echo().await;
    let (sender, mut receiver) = lastword::connect(server.url()).await.unwrap().split();
    sender.send("one").await.unwrap();
    drop(sender);
    assert_eq!(receiver.recv().await.unwrap(), Some("one".into()));
    drop(receiver);
    assert_eq!(server.ending().await.code(), 1001);

    let (sender, receiver) = lastword::connect(server.url()).await.unwrap().split();
    drop(receiver);
    for _ in 0..100 {
        sender.send(vec![0; 10_000]).await.unwrap();
    }
    sender.send_confirmed("all read").await.unwrap();
    sender.close(CloseCode::NORMAL, "");
    let ending = sender.ended().await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(server.ending().await.ledger.delivered.messages, 101);
}

#[tokio::test]
async fn a_full_buffer_refuses_try_send_and_the_message_comes_back() {
    let mut config = Config::default();
    config.deflate = None;
    let server = Running::start(Server::new().config(config), async |ws| {
        let _unread = ws;
        std::future::pending().await
    })
    .await;
    let ws = lastword::connect(server.url()).await.unwrap();
    let message = Message::binary(vec![1; 100_000]);
    let refused = loop {
        match ws.try_send(message.clone()) {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SendError::Full(_)), "{refused}");
    assert_eq!(refused.into_message(), message);
    // The buffers of both sides are full, and a close does not wait behind them for ever.
    let sender = ws.sender();
    let ending = ws.abort();
    assert_eq!(ending.cause, Cause::Aborted);
    assert!(ending.ledger.unsent.messages > 0);
    assert_eq!(sender.take_unsent().len() as u64, ending.ledger.unsent.messages);
    assert!(matches!(sender.send("x").await, Err(SendError::Ended(..))));
}

#[tokio::test]
async fn a_shutdown_closes_all_and_reports_each() {
    let server = Running::echo().await;
    let address = server.address;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut ws = lastword::connect(server.url()).await.unwrap();
        ws.send("hello").await.unwrap();
        assert!(ws.recv().await.unwrap().is_some());
        clients.push(ws);
    }
    // One is in the middle of its opening.
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    lastword::connect(server.url()).await.unwrap().close(CloseCode::NORMAL, "").await;
    let stopping = tokio::spawn(server.stop());
    for ws in &mut clients {
        assert!(ws.recv().await.unwrap().is_none());
        assert_eq!(ws.ended().await.code(), 1001);
    }
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let report = stopping.await.unwrap();
    assert_eq!((report.endings.len(), report.stuck), (5, 0));
    for lastword::Departure { ending, .. } in report.endings {
        assert_eq!(ending.cause, Cause::Shutdown);
        assert!(ending.is_clean());
    }
}

#[tokio::test]
async fn everybody_who_waits_gets_the_same_ending() {
    let server = Running::start(Server::new(), async |ws| {
        ws.abort();
        Ok(())
    })
    .await;
    let mut ws = lastword::connect(server.url()).await.unwrap();
    let sender = ws.sender();
    let waiting = tokio::spawn(async move { (sender.ping().await, sender.ended().await) });
    let received = ws.recv().await.unwrap_err();
    let (ping, ended) = waiting.await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&received.0, &ended));
    assert!(std::sync::Arc::ptr_eq(&ping.unwrap_err().0, &ended));
    // And it can be asked for again.
    assert!(ws.recv().await.is_err());
    assert_eq!(ended.received, Farewell::Silence);
}

#[tokio::test]
async fn any_stream_will_do() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let server = tokio::spawn(async move { echo(lastword::accept(theirs).await.unwrap()).await });
    let mut ws = lastword::Client::new("ws://in.memory/").connect_over(ours).await.unwrap();
    let large = Message::binary(vec![3; 100_000]);
    ws.send(large.clone()).await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(large));
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
    assert!(server.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_batch_leaves_together() {
    let server = Running::start(Server::new(), async |ws| {
        let batch = ws.batch();
        for _ in 0..10 {
            batch.send("x").await?;
            tokio::task::yield_now().await;
        }
        batch.flush().await?;
        assert_eq!(ws.ledger().handed_over.messages, 10);
        Ok(())
    })
    .await;
    let mut ws = lastword::connect(server.url()).await.unwrap();
    for _ in 0..10 {
        assert_eq!(ws.recv().await.unwrap(), Some("x".into()));
    }
    assert!(ws.recv().await.unwrap().is_none());
}

#[tokio::test]
async fn a_refusal_tells_status_and_body() {
    let server = Running::start(
        Server::new().subprotocols(lastword::Subprotocols::Required(vec!["v2".into()])),
        echo,
    )
    .await;
    let error = lastword::connect(server.url()).await.unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    let ws = lastword::Client::new(server.url()).subprotocol("v2").connect().await.unwrap();
    assert_eq!(ws.opening().subprotocol.as_deref(), Some("v2"));
}

#[tokio::test]
async fn a_server_without_memory_left_says_so_to_one_and_serves_the_others() {
    let budget = Budget::new(6 << 20);
    let mut config = Config::default();
    config.deflate = None;
    config.memory_budget = Some(budget.clone());
    let mut server = Running::with(config).await;
    let mut small = lastword::connect(server.url()).await.unwrap();

    // More than there is for all.
    let large = lastword::connect(server.url()).await.unwrap();
    large.send(Message::binary(vec![1; 12 << 20])).await.unwrap();
    let ending = large.ended().await;
    assert_eq!(ending.code(), 1013, "{ending}");
    let theirs = server.ending().await;
    let expected = Cause::Violation(Violation::OutOfMemory { limit: 6 << 20 });
    assert_eq!(theirs.cause, expected, "{theirs}");

    for size in [10, 100_000, 2 << 20] {
        let message = Message::binary(vec![2; size]);
        small.send(message.clone()).await.unwrap();
        assert_eq!(small.recv().await.unwrap(), Some(message));
    }
    assert!(small.close(CloseCode::NORMAL, "").await.is_clean());
    assert!(server.ending().await.is_clean());
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn of_a_burst_in_the_receivers_hand_the_rest_is_counted_when_it_goes() {
    let mut server = Running::start(Server::new(), async |mut ws| {
        assert_eq!(ws.recv().await?, Some("one".into()));
        let (sender, receiver) = ws.split();
        drop(receiver);
        sender.send("that will do").await?;
        sender.ended().await;
        Ok(())
    })
    .await;
    let mut raw = raw_client(server.address).await;
    let burst = [&b"one"[..], b"two", b"three"].map(|text| masked(0x81, text)).concat();
    raw.write_all(&burst).await.unwrap();
    let mut answer = [0; 14];
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\x81\x0cthat will do", "and not held back");
    drop(raw);
    let ending = server.ending().await;
    assert_eq!(ending.ledger.delivered.messages, 1);
    assert_eq!((ending.ledger.discarded.messages, ending.ledger.discarded.bytes), (2, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_holds_its_thread_holds_up_no_shutdown() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut config = Config::default();
    config.close_timeout = Duration::from_millis(100);
    config.linger = Duration::from_millis(100);
    let server = Server::new().config(config);
    let server = Running::start(server, move |mut ws| {
        let (held, began) = (std::sync::Arc::clone(&held), began.clone());
        async move {
            ws.recv().await?;
            began.send(())?;
            // As a computation without end would.
            let _ = held.lock().unwrap().recv();
            Ok(())
        }
    })
    .await;
    let ws = lastword::connect(server.url()).await.unwrap();
    ws.send("work").await.unwrap();
    begun.recv().await.unwrap();
    let report = tokio::time::timeout(Duration::from_secs(20), server.stop()).await;
    drop(release);
    assert_eq!(report.expect("a bounded shutdown").stuck, 1);
}
