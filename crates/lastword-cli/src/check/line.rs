//! A stream to the server, with a limit on each wait. How writing failed is not told: reading says what
//! became of the stream.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::seen::End;
use crate::args::Stream;

pub(super) struct Line {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    pub(super) end: End,
    /// Writing was told of a reset, of which reading then hears nothing.
    reset: Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    Unheard,
    Heard,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Taken,
    /// Not all of it in time.
    Stuck,
    Failed,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: vec![0; BLOCK], end: End::Open, reset: Reset::Unheard }
    }

    pub(super) async fn put(&mut self, bytes: &[u8], until: Instant) -> Put {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(until, writing).await {
            Ok(Ok(())) => Put::Taken,
            Ok(Err(error)) => {
                self.reset = self.reset.or(&error);
                Put::Failed
            }
            Err(_) => Put::Stuck,
        }
    }

    /// Byte by byte, each on its way before the next.
    pub(super) async fn put_apart(&mut self, bytes: &[u8], until: Instant) {
        for byte in bytes {
            if self.put(&[*byte], until).await != Put::Taken {
                return;
            }
            tokio::time::sleep(APART).await;
        }
    }

    /// What comes next; `None` when the stream has ended, as `end` says, or when it is too late.
    pub(super) async fn read(&mut self, until: Instant) -> Option<&[u8]> {
        if self.end != End::Open {
            return None;
        }
        match timeout_at(until, self.stream.read(&mut self.buffer)).await.ok()? {
            Ok(0) => self.end = self.reset.end(),
            Ok(count) => return Some(&self.buffer[..count]),
            Err(error) => self.end = of_error(&error),
        }
        None
    }

    /// Writes and reads at once: says how much of `bytes` was taken, and hands out what came.
    pub(super) async fn exchange(&mut self, bytes: &[u8], until: Instant) -> (usize, &[u8]) {
        let Self { stream, buffer, end, reset } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let both = async {
            tokio::select! {
                count = writer.write(bytes) => match count {
                    Ok(count) => (count, Ok(None)),
                    Err(error) => {
                        *reset = reset.or(&error);
                        (0, Ok(None))
                    }
                },
                count = reader.read(buffer) => (0, count.map(Some)),
            }
        };
        let (taken, came) = timeout_at(until, both).await.unwrap_or((0, Ok(None)));
        match came {
            Ok(Some(0)) => *end = reset.end(),
            Ok(count) => return (taken, &buffer[..count.unwrap_or(0)]),
            Err(error) => *end = of_error(&error),
        }
        (taken, &[])
    }

    /// Ends our half.
    pub(super) async fn finish(&mut self, until: Instant) {
        let _ = timeout_at(until, self.stream.shutdown()).await;
    }
}

impl Reset {
    /// What is known behind an error of writing.
    fn or(self, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::ConnectionReset { Self::Heard } else { self }
    }

    /// What an end of the stream means.
    const fn end(self) -> End {
        match self {
            Self::Unheard => End::Finished,
            Self::Heard => End::Reset,
        }
    }
}

fn of_error(error: &io::Error) -> End {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => End::Truncated,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::Reset,
        kind => End::Broken(kind),
    }
}

const BLOCK: usize = 64 << 10;

/// Between two bytes that are sent apart; together with `TCP_NODELAY`, enough for segments of their own.
const APART: Duration = Duration::from_millis(2);
