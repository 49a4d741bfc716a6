//! Receiving through the API, over a stream that is a buffer: no kernel, no wake-up, only what a
//! library does with bytes that are there.
//!
//! Three in turns, the best and the median of many rounds: lastword, tokio-websockets, and the bare
//! copy out of the stream, which is in the figures of both. `--json PATH` writes JSON lines.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use lastword_micro::{KEY, Kind, REQUEST, frame, payload};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Kind, bytes in a message, messages that come in one read, and the target of a message in ns.
const ROWS: &[(Kind, usize, usize, Option<f64>)] = &[
    (Kind::Binary, 16, 64, Some(60.0)),
    (Kind::Binary, 64, 64, Some(60.0)),
    (Kind::Binary, 128, 64, Some(60.0)),
    (Kind::Text, 128, 64, None),
    (Kind::Binary, 16 << 10, 1, None),
    (Kind::Binary, 1 << 20, 1, Some(45_000.0)),
    (Kind::Text, 1 << 20, 1, Some(80_000.0)),
];
const SUBJECTS: [&str; 3] = ["lastword", "tokio-websockets", "copy"];
const ROUNDS: usize = 15;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let json = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--json", path] => Some(path.to_owned()),
        _ => return Err(io::Error::other("usage: receive [--json PATH]")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut lines = String::new();
    println!(
        "{:34}{:>22}{:>22}{:>22}",
        "ns per message, best (median)", SUBJECTS[0], SUBJECTS[1], SUBJECTS[2]
    );
    for &(kind, size, batch, target) in ROWS {
        let mut samples = [const { Vec::new() }; SUBJECTS.len()];
        for _ in 0..ROUNDS {
            for (subject, samples) in SUBJECTS.iter().zip(&mut samples) {
                samples.push(runtime.block_on(nanoseconds(subject, kind, size, batch))?);
            }
        }
        print!("{:34}", format!("{kind:?}, {size} B, {batch} in a read"));
        for (subject, samples) in SUBJECTS.iter().zip(&mut samples) {
            samples.sort_by(f64::total_cmp);
            let (best, median) = (samples[0], samples[ROUNDS / 2]);
            print!("{:>22}", format!("{best:.1} ({median:.1})"));
            let line = json!({
                "bench": "receive", "subject": subject, "kind": format!("{kind:?}").to_lowercase(),
                "size": size, "batch": batch, "best_ns": best, "median_ns": median, "target_ns": target,
            });
            lines += &format!("{line}\n");
        }
        println!("{}", target.map(|target| format!("   target {target:.0}")).unwrap_or_default());
    }
    json.map_or(Ok(()), |path| std::fs::write(path, lines))
}

/// What a message costs in one round.
async fn nanoseconds(subject: &str, kind: Kind, size: usize, batch: usize) -> io::Result<f64> {
    let count = (100_000_000 / (size + 500)).clamp(200, 200_000).next_multiple_of(batch);
    let first_byte = if kind == Kind::Text { 0x81 } else { 0x82 };
    let frame = frame(first_byte, Some(KEY), &payload(kind, size));
    let stream = Buffer::new(frame.repeat(batch));
    let took = match subject {
        "lastword" => {
            let mut ws = lastword::accept(stream).await.map_err(io::Error::other)?;
            let start = Instant::now();
            for _ in 0..count {
                let message = ws.recv().await.map_err(io::Error::other)?;
                assert_eq!(message.map(|message| message.len()), Some(size));
            }
            start.elapsed()
        }
        "tokio-websockets" => {
            let builder = tokio_websockets::ServerBuilder::new();
            let (_request, mut ws) = builder.accept(stream).await.map_err(io::Error::other)?;
            let start = Instant::now();
            for _ in 0..count {
                let message = ws.next().await.transpose().map_err(io::Error::other)?;
                assert_eq!(message.map(|message| message.as_payload().len()), Some(size));
            }
            start.elapsed()
        }
        _ => {
            let mut stream = stream;
            let mut scratch = vec![0; 1 << 17];
            stream.read_exact(&mut scratch[..REQUEST.len()]).await?;
            let mut left = frame.len() * count;
            let start = Instant::now();
            while left > 0 {
                left -= stream.read(&mut scratch).await?.min(left);
            }
            start.elapsed()
        }
    };
    Ok(took.as_nanos() as f64 / count as f64)
}

/// A stream from which a request comes, and then the same batch again and again, each in as few reads
/// as the reader's buffer allows. What is written to it is gone.
struct Buffer {
    request: &'static [u8],
    batch: Vec<u8>,
    read: usize,
}

impl Buffer {
    const fn new(batch: Vec<u8>) -> Self {
        Self { request: REQUEST.as_bytes(), batch, read: 0 }
    }
}

impl AsyncRead for Buffer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.request.is_empty() {
            let (now, later) = this.request.split_at(target.remaining().min(this.request.len()));
            target.put_slice(now);
            this.request = later;
            return Poll::Ready(Ok(()));
        }
        let end = this.batch.len().min(this.read + target.remaining());
        target.put_slice(&this.batch[this.read..end]);
        this.read = if end == this.batch.len() { 0 } else { end };
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Buffer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
