//! One message by parts: read before it is whole, or written before its end is known.
//!
//! It is a way to take or to give a single message; those before and behind it are whole, unless they
//! are asked for by parts as well. The parts stand in the core: nothing is kept here but where the
//! message stands.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use lastword_kit::{Ended, ReceiveError, SendError};
use lastword_proto::{Compression, Kind, Message, Part};

use crate::shared::{Next, judged};
use crate::socket::now;
use crate::websocket::{Place, Receiver, Sender, WebSocket};

impl WebSocket {
    /// Waits for the next message, and gives it by parts, as soon as something of it is there; `None`
    /// when the connection has ended cleanly. Large messages need not fit into memory: raise
    /// `Config::max_message_size`, and no more than about `Config::receive_buffer` of it waits for you.
    ///
    /// # Errors
    /// [`Ended`] when the connection has ended otherwise than cleanly.
    pub fn recv_parts(&mut self) -> Result<Option<MessageReader<'_>>, Ended> {
        self.receiver.recv_parts()
    }

    /// Waits for the next message as [`recv_parts`](Self::recv_parts) does, but no longer than `limit`
    /// for it to begin.
    ///
    /// # Errors
    /// [`ReceiveError`]: none began in time, or the connection has ended otherwise than cleanly.
    pub fn recv_parts_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<Option<MessageReader<'_>>, ReceiveError> {
        self.receiver.recv_parts_timeout(limit)
    }

    /// A message to be sent by parts: each leaves as soon as it is written. It begins with the first
    /// part; from then on all other messages, of all senders, wait until it is finished, while pings,
    /// pongs and the close go between its parts.
    ///
    /// A message that was begun must be finished: see [`MessageWriter`].
    ///
    /// ```no_run
    /// # fn example(ws: &lastword_blocking::WebSocket) -> Result<(), lastword_blocking::HandlerError> {
    /// use lastword_blocking::Kind;
    ///
    /// let mut writer = ws.send_parts(Kind::Binary);
    /// std::io::copy(&mut std::fs::File::open("film.webm")?, &mut writer)?;
    /// writer.finish()?;
    /// # Ok(()) }
    /// ```
    pub const fn send_parts(&self, kind: Kind) -> MessageWriter<'_> {
        self.sender.send_parts(kind)
    }
}

impl Receiver {
    /// The next message, by parts; see [`WebSocket::recv_parts`].
    ///
    /// # Errors
    /// As [`WebSocket::recv_parts`].
    pub fn recv_parts(&mut self) -> Result<Option<MessageReader<'_>>, Ended> {
        match self.first_part(None) {
            Next::Taken(first) => Ok(Some(self.reader(first))),
            Next::End(ending) => judged(ending).map(|()| None),
            Next::TimedOut => unreachable!("without a limit, the time is never over"),
        }
    }

    /// The next message, by parts; see [`WebSocket::recv_parts_timeout`].
    ///
    /// # Errors
    /// As [`WebSocket::recv_parts_timeout`].
    pub fn recv_parts_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<Option<MessageReader<'_>>, ReceiveError> {
        match self.first_part(now().checked_add(limit)) {
            Next::Taken(first) => Ok(Some(self.reader(first))),
            Next::End(ending) => Ok(judged(ending).map(|()| None)?),
            Next::TimedOut => Err(ReceiveError::TimedOut { limit }),
        }
    }

    fn first_part(&mut self, deadline: Option<Instant>) -> Next<Part> {
        match self.next_in_hand() {
            Some(data) => Next::Taken(Part { data, last: true }),
            None => self.shared().next_part(deadline),
        }
    }

    fn reader(&mut self, first: Part) -> MessageReader<'_> {
        let kind = first.data.kind();
        let (rest, stands) = (Bytes::new(), Stands::Within);
        MessageReader { receiver: self, kind, first: Some(first), rest, stands }
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
///
/// It is a [`Read`], too: [`std::io::copy`] takes the bytes of the message to wherever they are to go. A
/// connection that ends in the middle of it is an error there, never an end of file.
#[derive(Debug)]
#[must_use = "dropped, it throws its message away"]
pub struct MessageReader<'a> {
    receiver: &'a mut Receiver,
    kind: Kind,
    /// What came with it.
    first: Option<Part>,
    /// What was taken and is to be read as bytes.
    rest: Bytes,
    stands: Stands,
}

impl MessageReader<'_> {
    /// Whether it is text or binary.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits for what comes next, never empty; text is cut between characters. `None` when the message
    /// is complete. How the parts are cut is the network's doing, and means nothing.
    ///
    /// # Errors
    /// [`Ended`] when the connection has ended, however cleanly, in the middle of the message.
    // It borrows what it gives from nothing, and fails: no iterator.
    #[expect(clippy::should_implement_trait, reason = "the name of the same call in `lastword`")]
    pub fn next(&mut self) -> Result<Option<Message>, Ended> {
        match self.part(None) {
            Ok(part) => Ok(part),
            Err(Some(ended)) => Err(ended),
            Err(None) => unreachable!("without a limit, the time is never over"),
        }
    }

    /// Waits for what comes next as [`next`](Self::next) does, but no longer than `limit`.
    ///
    /// # Errors
    /// [`ReceiveError`]: nothing came in time, and the message goes on; or the connection has ended.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<Message>, ReceiveError> {
        self.part(now().checked_add(limit)).map_err(|ended| match ended {
            Some(ended) => ReceiveError::Ended(ended),
            None => ReceiveError::TimedOut { limit },
        })
    }

    /// The next part; `None` as an error when the time is over.
    fn part(&mut self, deadline: Option<Instant>) -> Result<Option<Message>, Option<Ended>> {
        while self.stands == Stands::Within {
            let next = match self.first.take() {
                Some(part) => Next::Taken(part),
                None => self.receiver.shared().next_part(deadline),
            };
            let part = match next {
                Next::Taken(part) => part,
                Next::End(ending) => return Err(Some(Ended(ending))),
                Next::TimedOut => return Err(None),
            };
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

impl Read for MessageReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && !buffer.is_empty() {
            let part = self.next().map_err(io::Error::other)?;
            self.rest = part.map(Message::into_payload).unwrap_or_default();
        }
        let count = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        if self.stands == Stands::Behind {
            return;
        }
        let shared = self.receiver.shared();
        let whole = self.first.as_ref().is_some_and(|first| first.last);
        shared.request(|inner| {
            if let Some(first) = &self.first {
                inner.connection.discard_part(first);
            }
            if !whole {
                inner.connection.abandon_message();
            }
            // Reading may have been paused for what nobody wants any more.
            shared.call_pump(inner);
        });
    }
}

/// A message that is sent by parts. The parts are parts of one message for the peer, too, if it wants
/// to know; they are not cut again, so that each is one frame.
///
/// A message that was begun must be finished: nothing in the protocol takes it back, and no other can
/// be sent before. A writer that is dropped in the middle therefore closes the connection with 1011.
/// One that is dropped before its first part does nothing.
///
/// Of a binary message it is a [`Write`], too: [`std::io::copy`] brings its bytes from wherever they are.
/// [`finish`](Self::finish) ends it all the same.
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
    /// message, which can go on; or when the connection is closing or over.
    pub fn write(&mut self, part: impl Into<Message>) -> Result<(), SendError> {
        self.write_timeout(part, Duration::MAX)
    }

    /// Sends a part as [`write`](Self::write) does, but waits no longer than `limit`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], with the part, which is then not sent: the message can go on. Else as
    /// [`write`](Self::write).
    pub fn write_timeout(
        &mut self,
        part: impl Into<Message>,
        limit: Duration,
    ) -> Result<(), SendError> {
        let data = part.into();
        if data.kind() == self.kind && data.is_empty() {
            return Ok(());
        }
        self.put(Part { data, last: false }, limit)
    }

    /// Ends the message, with an empty last frame.
    ///
    /// # Errors
    /// [`SendError`] when the connection is closing or over.
    pub fn finish(self) -> Result<(), SendError> {
        let rest = match self.kind {
            Kind::Text => Message::text(""),
            Kind::Binary => Message::binary(Vec::new()),
        };
        self.finish_with(rest)
    }

    /// Ends the message with this part.
    ///
    /// # Errors
    /// As [`write`](Self::write); a part of another kind ends the connection, as a writer that is
    /// dropped does.
    pub fn finish_with(mut self, part: impl Into<Message>) -> Result<(), SendError> {
        self.put(Part { data: part.into(), last: true }, Duration::MAX)
    }

    fn put(&mut self, part: Part, limit: Duration) -> Result<(), SendError> {
        if part.data.kind() != self.kind {
            return Err(SendError::KindChanged(part.data));
        }
        let place = match self.stands {
            Stands::Before => Place::First,
            Stands::Within | Stands::Behind => Place::Later,
        };
        let last = part.last;
        self.sender.write_part(place, part, self.compression, limit)?;
        self.stands = if last { Stands::Behind } else { Stands::Within };
        Ok(())
    }
}

impl Write for MessageWriter<'_> {
    /// Sends the bytes as one part of a binary message. Those of text have to be
    /// [written](MessageWriter::write) as text: `InvalidInput`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.kind == Kind::Text {
            let why = "bytes were written to a message of text";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let part = Message::binary(Bytes::copy_from_slice(bytes));
        MessageWriter::write(self, part).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Does nothing: parts leave as soon as they are written.
    fn flush(&mut self) -> io::Result<()> {
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
