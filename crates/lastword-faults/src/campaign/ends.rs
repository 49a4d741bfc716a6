//! Ends of all kinds, at random, and nothing left of them.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lastword::Client;
use lastword_faults::Certificates;

use crate::baseline::{Holding, resident};
use crate::raw::{self, REQUEST, frame};
use crate::report::Report;
use crate::served::Served;

/// `count` of them, after a tenth as many to warm up.
pub(crate) fn run(served: &Served, count: usize, report: &mut Report) {
    let where_to = if served.tls.is_some() { ", inside TLS" } else { "" };
    report.title(&format!("abnormal ends of all kinds{where_to}"));
    // What the first ones of each kind make the process hold for good is no leak.
    let failed = storm(served, count as u64 / 10, 1);
    report.exactly("failed while warming up", failed, 0);
    let holding = settled(served);
    let (before, told) = (resident(), served.outcomes.all.load(Ordering::Relaxed));
    let started = Instant::now();
    let failed = storm(served, count as u64, 2);
    report.tell("ends", count);
    report.tell("seconds", format!("{:.1}", started.elapsed().as_secs_f64()));
    report.exactly("not ended by the server in time", failed, 0);
    holding.compare(served.runtime(), report);
    let told = served.outcomes.all.load(Ordering::Relaxed) - told;
    report.exactly("told to the observer", told, count as u64);
    report.tell("memory before, KiB", before);
    report.at_most("memory after, KiB", resident(), before + GROWTH);
}

/// What is held when all that was has gone.
fn settled(served: &Served) -> Holding {
    let started = Instant::now();
    let mut last = Holding::now(served.runtime());
    let mut same = 0;
    while same < 20 && started.elapsed().as_secs() < 15 {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let now = Holding::now(served.runtime());
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// How many of `count` were not ended by the server when they should have been.
fn storm(served: &Served, count: u64, seed: u64) -> u64 {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let mut dice = Dice(seed << 32 | number);
                    let end = match &served.tls {
                        None => one(served, &mut dice),
                        Some(tls) => one_sealed(served, tls, &mut dice),
                    };
                    if let Err(error) = end {
                        eprintln!("end {number} of storm {seed}: {error}");
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

/// One connection, and its end.
fn one(served: &Served, dice: &mut Dice) -> io::Result<()> {
    let server = served.address;
    let message = frame(0x82, &vec![dice.below(256) as u8; 1 + dice.below(2000)]);
    let cut = 1 + dice.below(message.len() - 1);
    match dice.below(16) {
        // Inside the opening.
        0 => drop(raw::connect(server)?),
        1 => raw::reset(raw::connect(server)?),
        2 => drop(part_of_request(server, dice)?),
        3 => raw::reset(part_of_request(server, dice)?),
        4 => return said(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Opened::No),
        5 => return said(server, b"\x16\x03\x01\x00\x05hello\r\n\r\n", Opened::No),
        // Between frames.
        6 => drop(raw::open(server)?),
        7 => raw::reset(raw::open(server)?),
        // Inside a frame, behind a message; the echo stays unread.
        8 | 9 => {
            let mut stream = raw::open(server)?;
            stream.write_all(&message)?;
            stream.write_all(&message[..cut])?;
            if dice.below(2) == 0 {
                raw::reset(stream);
            }
        }
        // Half closed inside a message; what the server says is read.
        10 => {
            let mut stream = raw::open(server)?;
            stream.write_all(&frame(0x02, b"a fragment"))?;
            stream.shutdown(Shutdown::Write)?;
            return raw::read_out(stream);
        }
        // Against the rules, in one way or another; the close frame is read.
        11 => return said(server, &frame(0x83, b"reserved"), Opened::Yes),
        12 => return said(server, &frame(0x81, &[0xff; 10]), Opened::Yes),
        13 => {
            return said(server, &[0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], Opened::Yes);
        }
        // A close, and gone before it is answered.
        14 => {
            let mut stream = raw::open(server)?;
            stream.write_all(&frame(0x88, &[3, 232]))?;
            raw::reset(stream);
        }
        // One of our own clients, aborted or dropped.
        _ => {
            let abort = dice.below(2) == 0;
            return served.runtime().block_on(async {
                let client = Client::new(format!("ws://{server}"));
                let ws = client.connect().await.map_err(io::Error::other)?;
                ws.send("hello").await.map_err(io::Error::other)?;
                if abort {
                    ws.abort();
                }
                Ok(())
            });
        }
    }
    Ok(())
}

/// One connection inside TLS, and its end.
fn one_sealed(served: &Served, tls: &Certificates, dice: &mut Dice) -> io::Result<()> {
    let server = served.address;
    let message = frame(0x82, &vec![1; 1 + dice.below(2000)]);
    let cut = 1 + dice.below(message.len() - 1);
    let kind = dice.below(8);
    match kind {
        0 => drop(raw::connect(server)?),
        1 => return said(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Opened::No),
        // Half a record, and gone.
        2 => raw::connect(server)?.write_all(b"\x16\x03\x01\x02\x00\x01")?,
        // Inside a frame, without close_notify; the echo of the one before stays unread.
        3 | 4 => {
            let mut stream = raw::open_sealed(server, tls)?;
            stream.write_all(&message)?;
            stream.write_all(&message[..cut])?;
            if kind == 4 {
                raw::reset(stream.sock);
            }
        }
        // Inside a frame, with close_notify.
        5 => {
            let mut stream = raw::open_sealed(server, tls)?;
            stream.write_all(&message[..cut])?;
            stream.conn.send_close_notify();
            stream.flush()?;
            return raw::read_out(stream.sock);
        }
        // A record that is none.
        6 => {
            let mut stream = raw::open_sealed(server, tls)?;
            stream.sock.write_all(b"\x17\x03\x03\x00\x14no record of this key")?;
            return raw::read_out(stream.sock);
        }
        _ => {
            let abort = dice.below(2) == 0;
            return served.runtime().block_on(async {
                let stream = tokio::net::TcpStream::connect(server).await?;
                let client = Client::new(format!("wss://{}/", Certificates::HOST));
                let client = client.tls(Arc::clone(&tls.client));
                let ws = client.connect_over(stream).await.map_err(io::Error::other)?;
                ws.send("hello").await.map_err(io::Error::other)?;
                if abort {
                    ws.abort();
                }
                Ok(())
            });
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Yes,
    No,
}

/// Says something that ends it, and waits for that.
fn said(server: SocketAddr, bytes: &[u8], opened: Opened) -> io::Result<()> {
    let mut stream = if opened == Opened::Yes { raw::open(server)? } else { raw::connect(server)? };
    stream.write_all(bytes)?;
    raw::read_out(stream)
}

fn part_of_request(server: SocketAddr, dice: &mut Dice) -> io::Result<std::net::TcpStream> {
    let mut stream = raw::connect(server)?;
    stream.write_all(&REQUEST[..1 + dice.below(REQUEST.len() - 1)])?;
    Ok(stream)
}

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

const THREADS: usize = 4;

/// How much resident memory may have grown, in KiB: what the allocator keeps between its peaks.
const GROWTH: u64 = 4096;
