//! One message by parts: read before it is whole, or written before its end is known.
//!
//! It is a way to take or to give a single message; those before and behind it are whole, unless they
//! are asked for by parts as well. The parts stand in the core: nothing is kept here but where the
//! message stands.

use std::future::poll_fn;

use lastword_kit::{Ended, SendError};
use lastword_proto::{Compression, Kind, Message, Part};

use crate::websocket::{Place, Receiver, Sender, WebSocket};

impl WebSocket {
    /// The next message, by parts, as soon as something of it is there; `None` when the connection has
    /// ended cleanly. Large messages need not fit into memory: raise `Config::max_message_size`, and no
    /// more than about `Config::receive_buffer` of it waits for you. Where an extension of your own was
    /// agreed on, which sees whole messages only, each message is one part.
    ///
    /// ```
    /// # use lastword::{Client, HandlerError, Kind, accept};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let (near, far) = tokio::io::duplex(100);
    /// # let serving = tokio::spawn(accept(far));
    /// # let ws = Client::new("ws://in.memory/").connect_over(near).await?;
    /// # let mut peer = serving.await.unwrap().unwrap();
    /// # let (sent, received) = tokio::join!(async {
    /// let mut writer = ws.send_parts(Kind::Text);
    /// writer.write("a long ").await?;
    /// writer.write("story").await?;
    /// writer.finish().await
    /// # }, async {
    /// # let mut story = String::new();
    /// while let Some(mut message) = peer.recv_parts().await? {
    ///     while let Some(part) = message.next().await? {
    ///         story.push_str(part.as_text().unwrap_or("(binary)"));
    ///     }
    /// #   break;
    /// }
    /// # Ok::<_, HandlerError>(story) });
    /// # sent.unwrap();
    /// # assert_eq!(received?, "a long story");
    /// # Ok::<_, HandlerError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Ended`] when the connection has ended otherwise than cleanly.
    ///
    /// # Cancel safety
    /// Nothing is lost: a part is taken only in the moment in which the reader is returned.
    pub async fn recv_parts(&mut self) -> Result<Option<MessageReader<'_>>, Ended> {
        self.receiver.recv_parts().await
    }

    /// A message to be sent by parts: each leaves as soon as it is written. It begins with the first
    /// part; from then on all other messages, of all senders, wait until it is finished, while pings,
    /// pongs and the close go between its parts.
    ///
    /// A message that was begun must be finished: see [`MessageWriter`]. Where an extension of your own was
    /// agreed on, which sees whole messages only, the parts are put together and leave with the last, up to
    /// `Config::max_message_size`.
    pub const fn send_parts(&self, kind: Kind) -> MessageWriter<'_> {
        self.sender.send_parts(kind)
    }
}

impl Receiver {
    /// The next message, by parts; see [`WebSocket::recv_parts`].
    ///
    /// # Errors
    /// As [`WebSocket::recv_parts`].
    ///
    /// # Cancel safety
    /// Nothing is lost: a part is taken only in the moment in which the reader is returned.
    pub async fn recv_parts(&mut self) -> Result<Option<MessageReader<'_>>, Ended> {
        let first = match self.next_in_hand() {
            Some(data) => Some(Part { data, last: true }),
            None => poll_fn(|cx| self.shared().poll_part(cx)).await?,
        };
        Ok(first.map(|first| MessageReader {
            receiver: self,
            kind: first.data.kind(),
            first: Some(first),
            stands: Stands::Within,
        }))
    }
}

impl Sender {
    /// A message to be sent by parts; see [`WebSocket::send_parts`].
    pub const fn send_parts(&self, kind: Kind) -> MessageWriter<'_> {
        let (compression, stands) = (Compression::Auto, Stands::Before);
        MessageWriter { sender: self, kind, compression, stands }
    }
}

/// A message that is received by parts. What is not read of it when the reader is dropped is counted
/// as discarded, and thrown away as it comes; the next receive gives the next message.
#[derive(Debug)]
#[must_use = "dropped, it throws its message away"]
pub struct MessageReader<'a> {
    receiver: &'a mut Receiver,
    kind: Kind,
    /// What came with it.
    first: Option<Part>,
    stands: Stands,
}

impl MessageReader<'_> {
    /// Whether it is text or binary.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What has come since the last time, never empty; text is cut between characters. `None` when the
    /// message is complete. How the parts are cut is the network's doing, and means nothing.
    ///
    /// # Errors
    /// [`Ended`] when the connection has ended, however cleanly, in the middle of the message.
    ///
    /// # Cancel safety
    /// Nothing is lost: a part is taken only in the moment in which it is returned.
    pub async fn next(&mut self) -> Result<Option<Message>, Ended> {
        while self.stands == Stands::Within {
            let part = match self.first.take() {
                Some(part) => Some(part),
                None => poll_fn(|cx| self.receiver.shared().poll_part(cx)).await?,
            };
            let Some(part) = part else { return Err(self.receiver.shared().cut_off()) };
            if part.last {
                self.stands = Stands::Behind;
            }
            if !part.data.is_empty() {
                return Ok(Some(part.data));
            }
        }
        Ok(None)
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        if self.stands == Stands::Behind {
            return;
        }
        let mut inner = self.receiver.shared().lock();
        let whole = self.first.as_ref().is_some_and(|first| first.last);
        if let Some(first) = &self.first {
            inner.connection.discard_part(first);
        }
        if !whole {
            inner.connection.abandon_message();
        }
        // Reading may have been paused for what nobody wants any more.
        self.receiver.shared().resume(&mut inner);
    }
}

/// A message that is sent by parts. The parts are parts of one message for the peer, too, if it wants
/// to know; they are not cut again, so that each is one frame.
///
/// A message that was begun must be finished: nothing in the protocol takes it back, and no other can
/// be sent before. A writer that is dropped in the middle therefore closes the connection with 1011.
/// One that is dropped before its first part does nothing.
#[derive(Debug)]
#[must_use = "a message that was begun has to be finished"]
pub struct MessageWriter<'a> {
    sender: &'a Sender,
    kind: Kind,
    compression: Compression,
    stands: Stands,
}

impl MessageWriter<'_> {
    /// Whether the message may be compressed, if nothing of it was written yet. It is by default,
    /// where permessage-deflate was agreed on: nobody knows its size.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sends a part: waits for room in the send buffer, the first one also for the end of any other
    /// message that is being sent by parts. An empty part changes nothing.
    ///
    /// # Errors
    /// [`SendError`], with the part: [`SendError::KindChanged`] if it is of another kind than the
    /// message, which can go on; [`SendError::PartsTooBig`] if it is too much for what an extension may
    /// see, after which the message can go on with less; or when the connection is closing or over.
    ///
    /// # Cancel safety
    /// Nothing is lost: the part is either not accepted or wholly queued.
    pub async fn write(&mut self, part: impl Into<Message>) -> Result<(), SendError> {
        let data = part.into();
        if data.kind() == self.kind && data.is_empty() {
            return Ok(());
        }
        self.put(Part { data, last: false }).await
    }

    /// Ends the message, with an empty last frame.
    ///
    /// # Errors
    /// [`SendError`] when the connection is closing or over.
    ///
    /// # Cancel safety
    /// The writer is consumed: dropped before it was done, it closes the connection as a writer that
    /// is dropped does.
    pub async fn finish(self) -> Result<(), SendError> {
        let rest = match self.kind {
            Kind::Text => Message::text(""),
            Kind::Binary => Message::binary(Vec::new()),
        };
        self.finish_with(rest).await
    }

    /// Ends the message with this part.
    ///
    /// # Errors
    /// As [`write`](Self::write); a part of another kind ends the connection, as a writer that is
    /// dropped does.
    ///
    /// # Cancel safety
    /// As [`finish`](Self::finish).
    pub async fn finish_with(mut self, part: impl Into<Message>) -> Result<(), SendError> {
        self.put(Part { data: part.into(), last: true }).await
    }

    async fn put(&mut self, part: Part) -> Result<(), SendError> {
        if part.data.kind() != self.kind {
            return Err(SendError::KindChanged(part.data));
        }
        let place = match self.stands {
            Stands::Before => Place::First,
            Stands::Within | Stands::Behind => Place::Later,
        };
        let last = part.last;
        // Nothing waits behind the moment in which it is accepted.
        self.sender.write_part(place, part, self.compression).await?;
        self.stands = if last { Stands::Behind } else { Stands::Within };
        Ok(())
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        if self.stands == Stands::Within {
            self.sender.give_up_message();
        }
    }
}

/// Where somebody stands with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Before,
    Within,
    Behind,
}
