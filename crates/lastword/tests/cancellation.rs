//! Dropping any future at any poll loses nothing and tears no frame.

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use lastword::{CloseCode, Message};
use support::Running;

/// Polls `future` up to `times` times, then drops it; its output if it was ready by then.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn a_receive_dropped_at_any_poll_loses_no_message() {
    let server = Running::echo().await;
    let mut ws = lastword::connect(server.url()).await.unwrap();
    let total = 200;
    let (mut sent, mut received) = (0, 0);
    while received < total {
        if sent < total && sent < received + 20 {
            ws.send(sent.to_string()).await.unwrap();
            sent += 1;
        }
        if let Some(message) = polled(ws.recv(), 1 + received % 3).await {
            assert_eq!(message.unwrap(), Some(received.to_string().into()));
            received += 1;
        } else {
            tokio::task::yield_now().await;
        }
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}

#[tokio::test]
async fn a_send_dropped_at_any_poll_is_wholly_accepted_or_not_at_all() {
    let server = Running::echo().await;
    let (sender, mut receiver) = lastword::connect(server.url()).await.unwrap().split();
    let receiving = tokio::spawn(async move {
        let mut messages = Vec::new();
        while let Ok(Some(message)) = receiver.recv().await {
            messages.push(message);
        }
        messages
    });
    let mut accepted = Vec::new();
    for index in 0..300_u32 {
        let message = Message::binary(index.to_be_bytes().repeat(5000));
        match polled(sender.send(message.clone()), 1 + index as usize % 2).await {
            Some(result) => {
                result.unwrap();
                accepted.push(message);
            }
            None => tokio::task::yield_now().await,
        }
    }
    // Others that are dropped while they wait.
    polled(sender.ping(), 1).await;
    polled(sender.flush(), 1).await;
    polled(sender.ended(), 1).await;
    assert!(accepted.len() > 2);
    // Its echo shows that the last has come through.
    sender.send("end").await.unwrap();
    sender.send_confirmed("confirmed").await.unwrap();
    sender.flush().await.unwrap();
    while sender.ledger().delivered.messages < accepted.len() as u64 + 2 {
        tokio::task::yield_now().await;
    }
    sender.close(CloseCode::NORMAL, "");
    assert!(sender.ended().await.is_clean());
    accepted.extend(["end".into(), "confirmed".into()]);
    assert_eq!(receiving.await.unwrap(), accepted);
}

#[tokio::test]
async fn a_close_dropped_at_once_goes_on_in_the_background() {
    let mut server = Running::echo().await;
    let ws = lastword::connect(server.url()).await.unwrap();
    polled(ws.close(CloseCode::NORMAL, "left alone"), 1).await;
    let ending = server.ending().await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.reason(), "left alone");
}
