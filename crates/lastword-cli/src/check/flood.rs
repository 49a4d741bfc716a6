//! Floods: more than a good guest would say, up to a limit, and whether the server is still there behind
//! it. Only against one's own.

use std::time::Duration;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};
use tokio::time::Instant;

use super::line::{Line, Put};
use super::play::{Facts, survey};
use super::probe::Flood;
use super::seen::{End, Flooded, Opened};
use super::talk::{LAST_PING, Talk};
use super::wire::{BINARY, FIN, MORE, PING, PONG, RSV1, TEXT, masked};
use crate::args::Target;

const MIB: usize = 1 << 20;
const MESSAGE_MIB: usize = 256;
const FRAGMENTS: usize = 200_000;
const PINGS: usize = 20_000;
const BOMB_MIB: usize = 1024;
const SLOW_REQUESTS: usize = 200;

/// How many small frames are written together.
const TOGETHER: usize = 1000;
/// After so long without progress a server reads no more.
const STALL: Duration = Duration::from_secs(2);
/// Between two bytes of a slow request.
const DRIP: Duration = Duration::from_secs(1);
/// How long is looked whether the server has ended a slow request.
const GLANCE: Duration = Duration::from_millis(1);

pub(super) async fn flood(talk: &mut Talk, target: &Target, flood: Flood, facts: Facts) {
    let flooded = match flood {
        Flood::Message => message(talk).await,
        Flood::Fragments => fragments(talk).await,
        Flood::Pings => pings(talk).await,
        Flood::Unread if !facts.echoes => Flooded::Inapplicable("messages do not come back"),
        Flood::Unread => unread(talk).await,
        Flood::Bomb => bomb(talk).await,
        Flood::SlowRequests => slow_requests(talk, target).await,
    };
    talk.seen.flooded = Some(flooded);
    talk.leave().await;
}

async fn message(talk: &mut Talk) -> Flooded {
    let block = vec![b'm'; MIB];
    let more = masked(MORE, &block);
    let first = masked(BINARY, &block);
    let words = |count: usize| format!("{count} MiB of one message");
    match pour(talk, &first, &more, MESSAGE_MIB).await {
        Poured::All => Flooded::TookTooMuch(words(MESSAGE_MIB)),
        Poured::Ended(count) => Flooded::Stopped(words(count)),
        Poured::Stuck(count) => Flooded::Hung(words(count)),
    }
}

async fn fragments(talk: &mut Talk) -> Flooded {
    let more = masked(MORE, b"").repeat(TOGETHER);
    let first = masked(TEXT, b"");
    let words = |count: usize| format!("{} empty fragments", count * TOGETHER);
    endured(talk, &first, &more, FRAGMENTS / TOGETHER, words).await
}

async fn pings(talk: &mut Talk) -> Flooded {
    let pings = masked(FIN | PING, &[b'p'; 125]).repeat(TOGETHER);
    let words = |count: usize| format!("{} pings", count * TOGETHER);
    endured(talk, &[], &pings, PINGS / TOGETHER, words).await
}

/// Pours, and asks whether the server is still there.
async fn endured(
    talk: &mut Talk,
    first: &[u8],
    more: &[u8],
    count: usize,
    words: impl Fn(usize) -> String,
) -> Flooded {
    match pour(talk, first, more, count).await {
        Poured::All if is_there(talk).await => Flooded::Endured(words(count)),
        Poured::Ended(count) => Flooded::Stopped(words(count)),
        // It may have ended it just then.
        Poured::All if talk.line.end != End::Open || talk.seen.close().is_some() => {
            Flooded::Stopped(words(count))
        }
        Poured::All => Flooded::Hung(words(count)),
        Poured::Stuck(count) => Flooded::Hung(words(count)),
    }
}

async fn unread(talk: &mut Talk) -> Flooded {
    let message = masked(FIN | BINARY, &vec![b'u'; MIB]);
    let words = |count: usize| format!("{count} MiB whose echo was not read");
    for count in 0..MESSAGE_MIB {
        if talk.line.put(&message, Instant::now() + STALL).await != Put::Taken {
            talk.said_now();
            return Flooded::Stopped(words(count));
        }
    }
    talk.said_now();
    Flooded::TookTooMuch(words(MESSAGE_MIB))
}

async fn bomb(talk: &mut Talk) -> Flooded {
    let block = zeros();
    let first = masked(RSV1 | BINARY, &block);
    let more = masked(MORE, &block);
    let words = |count: usize| format!("{count} MiB, compressed to a thousandth");
    match pour(talk, &first, &more, BOMB_MIB).await {
        Poured::All => {
            // A block without content ends the message.
            let until = Instant::now() + talk.waits.patience;
            talk.line.put(&masked(FIN | MORE, b"\x00"), until).await;
            match is_there(talk).await {
                true => Flooded::TookTooMuch(words(BOMB_MIB)),
                false if talk.line.end != End::Open || talk.seen.close().is_some() => {
                    Flooded::Stopped(words(BOMB_MIB))
                }
                false => Flooded::Hung(words(BOMB_MIB)),
            }
        }
        Poured::Ended(count) => Flooded::Stopped(words(count)),
        Poured::Stuck(count) => Flooded::Hung(words(count)),
    }
}

/// A mebibyte of zeros, compressed so that it can be repeated.
fn zeros() -> Vec<u8> {
    let flags = create_comp_flags_from_zip_params(9, 0, 0);
    let mut compressor = CompressorOxide::new(flags);
    compressor.set_format_and_level(DataFormat::Raw, 9);
    let mut block = vec![0; MIB / 64];
    let done = deflate(&mut compressor, &vec![0; MIB], &mut block, MZFlush::Full);
    block.truncate(done.bytes_written);
    block
}

/// What became of what was poured: how many times it was taken.
enum Poured {
    All,
    /// The server ended it.
    Ended(usize),
    /// The server takes no more.
    Stuck(usize),
}

/// Writes `first` once and `more` many times, and reads meanwhile.
async fn pour(talk: &mut Talk, first: &[u8], more: &[u8], count: usize) -> Poured {
    for at in 0..count {
        let begins: &[u8] = if at == 0 { first } else { &[] };
        for mut rest in [begins, more] {
            let mut until = Instant::now() + talk.waits.patience;
            while !rest.is_empty() {
                let taken = talk.exchange(rest, until).await;
                if talk.line.end != End::Open || talk.seen.close().is_some() {
                    talk.said_now();
                    return Poured::Ended(at);
                }
                if taken > 0 {
                    until = Instant::now() + talk.waits.patience;
                } else if Instant::now() >= until {
                    talk.said_now();
                    return Poured::Stuck(at);
                }
                rest = &rest[taken..];
            }
        }
    }
    talk.said_now();
    Poured::All
}

/// Whether a ping behind it all is answered.
async fn is_there(talk: &mut Talk) -> bool {
    talk.said_now();
    let until = Instant::now() + talk.waits.patience;
    talk.line.put(&masked(FIN | PING, LAST_PING), until).await;
    talk.wait_for(PONG, LAST_PING, until).await
}

async fn slow_requests(talk: &mut Talk, target: &Target) -> Flooded {
    let until = Instant::now() + talk.waits.long;
    let mut lines = Vec::with_capacity(SLOW_REQUESTS);
    for _ in 0..SLOW_REQUESTS {
        // Who takes no more of them has a limit.
        let Ok(stream) = target.dial().await else { break };
        let mut line = Line::new(stream);
        line.put(b"GET / HTTP/1.1\r\nHost: check.invalid\r\nX-Slow: ", until).await;
        lines.push(line);
    }
    let count = lines.len();
    let honest = survey(target, talk.waits).await;
    let let_in = match &honest {
        Ok((seen, _)) => match &seen.opened {
            Opened::Agreed { .. } => true,
            // All of them came from one address, which may be too many for it.
            Opened::Refused { status, .. } => matches!(status, 429 | 503),
            _ => false,
        },
        Err(_) => false,
    };
    if !let_in {
        return Flooded::Hung(format!("{count} unfinished requests"));
    }
    while !lines.is_empty() && Instant::now() < until {
        tokio::time::sleep(DRIP).await;
        let mut open = Vec::with_capacity(lines.len());
        for mut line in lines {
            line.put(b"x", Instant::now() + GLANCE).await;
            while line.read(Instant::now() + GLANCE).await.is_some() {}
            if line.end == End::Open {
                open.push(line);
            }
        }
        lines = open;
    }
    talk.said_now();
    match lines.len() {
        0 => Flooded::Endured(format!("{count} unfinished requests")),
        left => Flooded::TookTooMuch(format!("{count} unfinished requests, and still has {left}")),
    }
}
