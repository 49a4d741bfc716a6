//! A connection as a `Stream` and a `Sink`: nothing is lost, and an end is told once.

use std::pin::Pin;
use std::task::{Context, Waker};

use futures_util::{FutureExt, Sink, SinkExt, StreamExt, TryStreamExt};
use lastword::{
    Cause, Client, CloseCode, Config, HandlerError, Message, SendError, Server, StreamError,
    WebSocket,
};
use tokio::io::duplex;

/// Both ends of a connection through so many bytes.
async fn pair(through: usize, config: Config) -> (WebSocket, WebSocket) {
    let (near, far) = duplex(through);
    let client = Client::new("ws://in.memory/").config(config.clone()).connect_over(near);
    let (client, server) = tokio::join!(client, Server::new().config(config).accept(far));
    (client.unwrap(), server.unwrap())
}

fn numbered(number: u32) -> Message {
    Message::from(number.to_be_bytes().to_vec())
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_a_stream_forwarded_to_a_sink() {
    let (client, server) = pair(100, Config::default()).await;
    let serving = tokio::spawn(async move {
        let ended = server.sender();
        let (sink, stream) = server.split();
        stream.forward(sink).await?;
        Ok::<_, HandlerError>(ended.ended().await)
    });
    let (mut sink, stream) = client.split();
    let sending = async {
        let mut messages = futures_util::stream::iter((0..1000).map(numbered).map(Ok));
        sink.send_all(&mut messages).await.unwrap();
    };
    let receiving = stream.take(1000).try_collect::<Vec<_>>();
    let ((), echoed) = tokio::join!(sending, receiving);
    assert_eq!(echoed.unwrap(), (0..1000).map(numbered).collect::<Vec<_>>());
    SinkExt::close(&mut sink).await.unwrap();
    let ending = serving.await.unwrap().unwrap();
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_can_be_given_up_at_any_time_and_each_message_comes_once() {
    let mut config = Config::default();
    (config.send_buffer, config.receive_buffer) = (64, 64);
    let (mut client, mut server) = pair(64, config).await;
    let (mut sent, mut received, mut given_up) = (0, 0, 0);
    while sent < 200 {
        // Each attempt is polled once and dropped, whatever it came to.
        match client.feed(numbered(sent)).now_or_never() {
            Some(result) => {
                result.unwrap();
                sent += 1;
            }
            None => {
                given_up += 1;
                let message = server.next().await.unwrap().unwrap();
                assert_eq!(message, numbered(received));
                received += 1;
            }
        }
    }
    assert!(given_up > 10, "{given_up}");
    let flushing =
        tokio::spawn(async move { SinkExt::<Message>::flush(&mut client).await.map(|()| client) });
    while received < sent {
        assert_eq!(server.next().await.unwrap().unwrap(), numbered(received));
        received += 1;
    }
    let mut client = flushing.await.unwrap().unwrap();
    assert!(server.next().now_or_never().is_none(), "all came once");
    let (closed, end) = tokio::join!(SinkExt::close(&mut client), server.next());
    closed.unwrap();
    assert!(end.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_clean_is_the_last_item_of_a_stream() {
    let (client, mut server) = pair(1000, Config::default()).await;
    client.send("last").await.unwrap();
    client.flush().await.unwrap();
    client.abort();
    assert_eq!(server.next().await.unwrap().unwrap().as_text(), Some("last"));
    let error = server.next().await.unwrap().unwrap_err();
    let StreamError::Ended(ended) = error else { panic!("{error}") };
    assert!(matches!(ended.0.cause, Cause::Lost(_)), "{ended}");
    for _ in 0..3 {
        assert!(server.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_too_late_for_a_sink_comes_back() {
    let (mut client, _server) = pair(1000, Config::default()).await;
    client.sender().close(CloseCode::NORMAL, "");
    // A sink that takes nothing any more is ready to say so.
    client.feed(numbered(7)).await.map_err(check_came_back).unwrap_err();
    client.ended().await;
    client.feed(numbered(7)).await.map_err(check_came_back).unwrap_err();
}

#[track_caller]
fn check_came_back(error: StreamError) {
    match error {
        StreamError::NotSent(error @ (SendError::Closing(_) | SendError::Ended(..))) => {
            assert_eq!(error.into_message(), numbered(7));
        }
        error => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn closing_a_sink_waits_for_the_peer_as_long_as_close_timeout() {
    let mut config = Config::default();
    config.ping_interval = None;
    let (near, far) = duplex(1000);
    let client = Client::new("ws://in.memory/").config(config.clone()).connect_over(near);
    let opened = tokio::spawn(async move {
        let mut far = far;
        answer(&mut far).await;
        // Reads nothing, says nothing, and stays.
        std::future::pending::<()>().await;
        drop(far);
    });
    let mut client = client.await.unwrap();
    let before = tokio::time::Instant::now();
    let error = SinkExt::<Message>::close(&mut client).await.unwrap_err();
    assert!(matches!(error, StreamError::Ended(_)), "{error}");
    assert!(error.to_string().contains("close_timeout"), "{error}");
    assert!(before.elapsed() >= config.close_timeout);
    opened.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_waits_for_may_change() {
    let mut config = Config::default();
    config.send_buffer = 64;
    let (mut client, mut server) = pair(64, config).await;
    while client.feed(numbered(1)).now_or_never().is_some() {}
    let mut sink = Pin::new(&mut client);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Sink::<Message>::poll_ready(sink.as_mut(), &mut cx).is_pending());
    assert!(Sink::<Message>::poll_flush(sink.as_mut(), &mut cx).is_pending());
    assert!(Sink::<Message>::poll_ready(sink.as_mut(), &mut cx).is_pending());
    assert!(Sink::<Message>::poll_close(sink.as_mut(), &mut cx).is_pending());
    while let Some(message) = server.next().await {
        assert_eq!(message.unwrap(), numbered(1));
    }
    SinkExt::<Message>::close(&mut client).await.unwrap();
}

/// Reads a request and accepts it, by hand.
async fn answer(stream: &mut tokio::io::DuplexStream) {
    use lastword::proto::handshake::server::{Opening, Step};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut opening = Opening::new(Default::default(), Default::default());
    loop {
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes).await.unwrap();
        if let Step::Offer(offer) = opening.receive(&bytes[..count]) {
            let (answer, _) = offer.accept().unwrap();
            return stream.write_all(&answer).await.unwrap();
        }
    }
}
