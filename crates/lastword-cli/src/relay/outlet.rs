//! What is on its way to one side: bytes in, and out to a stream, later or slower if that was asked for.
//!
//! Holds a bounded amount; whoever feeds it asks first whether there is [room](Outlet::has_room).

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Bytes on their way.
pub(super) struct Outlet<W> {
    sink: W,
    queue: VecDeque<Piece>,
    queued: usize,
    /// Written, and perhaps not yet out of the stream's own buffer.
    unflushed: bool,
    latency: Duration,
    rate: Option<NonZeroU64>,
    /// When the rate allows the next bytes.
    next: Instant,
}

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

/// How much may be on its way: what a stream would hold, too.
const ROOM: usize = 64 << 10;

/// And how much when it is held for a while: about as much as long fat networks have under way.
const ROOM_DELAYED: usize = 4 << 20;

/// How large a piece may be before the next one stands alone.
const PIECE: usize = 16 << 10;

/// How often a second a rate is kept.
const TICKS: u64 = 50;

impl<W: AsyncWrite + Unpin> Outlet<W> {
    pub(super) fn new(sink: W) -> Self {
        Self {
            sink,
            queue: VecDeque::new(),
            queued: 0,
            unflushed: false,
            latency: Duration::ZERO,
            rate: None,
            next: Instant::now(),
        }
    }

    /// From now on what is pushed comes so much later.
    pub(super) const fn delay(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// From now on so many bytes a second pass.
    pub(super) const fn throttle(&mut self, rate: NonZeroU64) {
        self.rate = Some(rate);
    }

    pub(super) const fn has_room(&self) -> bool {
        self.queued < if self.latency.is_zero() { ROOM } else { ROOM_DELAYED }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.queued += bytes.len();
        // What came in one piece goes on in one, wherever faults have looked at it.
        if self.latency.is_zero()
            && let Some(last) = self.queue.back_mut()
            && last.bytes.len() < PIECE
        {
            last.bytes.extend_from_slice(bytes);
            return;
        }
        let due = Instant::now() + self.latency;
        self.queue.push_back(Piece { due, bytes: bytes.to_vec(), written: 0 });
    }

    /// Whether all that was pushed is on its way out of this machine.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// When there is something to write; `None` if nothing is there.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        match self.queue.front() {
            Some(piece) if self.rate.is_some() => Some(piece.due.max(self.next)),
            Some(piece) => Some(piece.due),
            None => self.unflushed.then_some(self.next),
        }
    }

    /// Writes some of it. Dropping the future loses nothing.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        let Some(piece) = self.queue.front_mut() else {
            self.sink.flush().await?;
            self.unflushed = false;
            return Ok(());
        };
        let mut waiting = &piece.bytes[piece.written..];
        if let Some(rate) = self.rate {
            let tick = usize::try_from((rate.get() / TICKS).max(1)).unwrap_or(usize::MAX);
            waiting = waiting.get(..tick).unwrap_or(waiting);
        }
        let written = self.sink.write(waiting).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = true;
        self.queued -= written;
        piece.written += written;
        if piece.written == piece.bytes.len() {
            self.queue.pop_front();
        }
        if let Some(rate) = self.rate {
            let pause = Duration::from_secs_f64(written as f64 / rate.get() as f64);
            self.next = self.next.max(Instant::now()) + pause;
        }
        Ok(())
    }

    /// Ends the stream: FIN, inside TLS with close_notify.
    pub(super) async fn finish(&mut self) {
        // A stream that is gone has ended, too.
        let _ = self.sink.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When three bytes, pushed one by one at once, were written, in milliseconds.
    async fn times(prepare: impl FnOnce(&mut Outlet<Vec<u8>>)) -> Vec<u128> {
        let start = Instant::now();
        let mut outlet = Outlet::new(Vec::new());
        prepare(&mut outlet);
        for byte in *b"abc" {
            outlet.push(&[byte]);
        }
        let mut times = Vec::new();
        while let Some(ready) = outlet.ready_at() {
            tokio::time::sleep_until(ready).await;
            let before = outlet.sink.len();
            outlet.write().await.unwrap();
            if outlet.sink.len() > before {
                times.push(start.elapsed().as_millis());
            }
        }
        assert_eq!((outlet.sink.as_slice(), outlet.is_empty()), (&b"abc"[..], true));
        times
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_delayed_keeps_its_pace_and_what_is_throttled_has_a_pace_of_its_own() {
        assert_eq!(times(|_| ()).await, [0]);
        assert_eq!(times(|outlet| outlet.delay(Duration::from_secs(2))).await, [2000, 2000, 2000]);
        let rate = NonZeroU64::new(10).unwrap();
        assert_eq!(times(|outlet| outlet.throttle(rate)).await, [0, 100, 200]);
    }
}
