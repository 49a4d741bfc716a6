//! A connection as the ecosystem's combinators see one: a `Stream` of messages, and a `Sink` for them.
//!
//! The same as `recv`, `send` and `flush`, for code that is generic over streams. What waits here is
//! kept in the handle and not in a future, as the traits want it; nothing is lost with it.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use lastword_kit::{Ended, StreamError};
use lastword_proto::{CloseCode, Message};

use crate::websocket::{Aim, Reaching, Receiver, Sender, Wait, Waiting, WebSocket};

/// The messages, in order; ends with the connection. If that did not end cleanly, the last item is the
/// error that tells how, and behind it there is nothing.
///
/// # Cancel safety
/// Nothing is lost: a message is taken only in the moment in which it is returned.
impl Stream for Receiver {
    type Item = Result<Message, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx).map_err(StreamError::Ended)
    }
}

/// Sends messages as [`Sender::send`] does. To be ready is to have room; there is no buffer besides that
/// of the connection. Closing closes with 1000 and waits for the end, within `Config::close_timeout`.
///
/// # Errors
/// Whoever sends on a connection that is closing or over gets the message back, when it is sent. To
/// flush and to close fail when the connection ends otherwise than they want it.
///
/// # Cancel safety
/// Nothing is lost: a message is either not accepted or wholly queued.
impl Sink<Message> for Sender {
    type Error = StreamError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_wait(Aim::Room, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), StreamError> {
        Ok(self.accept_now(message)?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_wait(Aim::Flushed, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let this = self.get_mut();
        if this.is_open() {
            this.close(CloseCode::NORMAL, "");
        }
        this.poll_wait(Aim::Closed, cx)
    }
}

impl Sender {
    /// Waits until it is as `aim` says.
    fn poll_wait(&mut self, aim: Aim, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if aim == Aim::Room && self.is_ready(&mut self.shared().lock()) {
            self.as_sink = Wait::default();
            return Poll::Ready(Ok(()));
        }
        let waiting = match self.as_sink.0.take() {
            Some(waiting) if waiting.aim == aim => self.as_sink.0.insert(waiting),
            _ => {
                let sender = self.clone();
                let future: Reaching = Box::pin(async move { sender.reach(aim).await });
                let future = Mutex::new(future);
                self.as_sink.0.insert(Box::new(Waiting { aim, future }))
            }
        };
        let future = waiting.future.get_mut().unwrap_or_else(PoisonError::into_inner);
        let result = ready!(future.as_mut().poll(cx));
        self.as_sink = Wait::default();
        Poll::Ready(result.map_err(StreamError::Ended))
    }

    async fn reach(&self, aim: Aim) -> Result<(), Ended> {
        match aim {
            Aim::Room => self.shared().wait(|inner| self.is_ready(inner).then_some(Ok(()))).await,
            Aim::Flushed => self.flush().await,
            Aim::Closed => {
                let ending = self.ended().await;
                if ending.is_clean() { Ok(()) } else { Err(Ended(ending)) }
            }
        }
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.get_mut().receiver).poll_next(cx)
    }
}

impl Sink<Message> for WebSocket {
    type Error = StreamError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.get_mut().sender).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), StreamError> {
        Pin::new(&mut self.get_mut().sender).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.get_mut().sender).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.get_mut().sender).poll_close(cx)
    }
}
