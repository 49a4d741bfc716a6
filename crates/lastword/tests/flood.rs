//! A flood of openings that never come to an end: it takes little memory, keeps nobody out that is not
//! told so, and is gone when its time is over. One test, since the memory is that of the whole process.

#![cfg(unix)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lastword::{CloseCode, Config, Counts, Limits, Monitor, Server};
use peak_alloc::PeakAlloc;
use rustix::process::{Resource, getrlimit, setrlimit};
use support::{Running, echo};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Each is two descriptors of ours: its own, and the server's.
const MOST: usize = 3000;

/// What one opening may take up: its task, what the kernel tells of its socket, twice the bytes that came.
const EACH: usize = 6 << 10;

/// How often it is looked whether something is lost.
const ROUNDS: usize = 5;

/// As many as there are descriptors for.
fn crowd() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / 2).unwrap_or(MOST).saturating_sub(100).min(MOST)
}

/// The socket of one who has said half of his request.
fn half_open(server: SocketAddr, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    let request = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    stream.write_all(&request.as_bytes()[..number % request.len()]).unwrap();
    stream
}

/// Waits for numbers that come true a moment behind what made them.
async fn until(monitor: &Monitor, are: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = monitor.counts();
        if are(&counts) {
            return counts;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn start(set: impl FnOnce(&mut Limits)) -> (Running, Monitor) {
    let mut config = Config::default();
    config.open_timeout = Duration::from_secs(3);
    let mut limits = Limits::default();
    set(&mut limits);
    let server = Server::new().config(config).limits(limits);
    let monitor = server.monitor();
    (Running::start(server, echo).await, monitor)
}

async fn is_served(server: &Running) {
    let mut ws = lastword::connect(server.url()).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("hello"));
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_half_open_openings_is_survived_and_passes() {
    let crowd = crowd();
    let (mut server, monitor) = start(|_| {}).await;
    is_served(&server).await;
    until(&monitor, |counts| counts.open() == 0).await;

    // Without limits: others come in, and little memory is taken. A runtime keeps room for as many as it
    // has had at once, of sockets and of whatever waits; what is lost of each is lost every time.
    let mut left = Vec::new();
    while left.iter().all(|&bytes| bytes > crowd * 8) {
        let before = MEMORY.current_usage();
        let flood: Vec<_> = (0..crowd).map(|number| half_open(server.address, number)).collect();
        until(&monitor, |counts| counts.opening() == crowd as u64).await;
        let taken = MEMORY.current_usage().saturating_sub(before);
        assert!(taken / crowd <= EACH, "{} bytes for each of {crowd}", taken / crowd);
        is_served(&server).await;

        // Their time is one for all of it; then nothing is left of them, and each is hung up on.
        let counts = until(&monitor, |counts| counts.opening() == 0).await;
        assert_eq!(counts.failed.timed_out, ((left.len() + 1) * crowd) as u64);
        for mut stream in flood {
            match stream.read(&mut [0; 16]) {
                Ok(count) => assert_eq!(count, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
        is_served(&server).await;
        until(&monitor, |counts| counts.open() == 0).await;
        // What the test itself is told of each.
        while server.outcomes.try_recv().is_ok() {}
        left.push(MEMORY.current_usage().saturating_sub(before));
        assert!(left.len() < ROUNDS, "bytes that are left of {crowd} each time: {left:?}");
    }
    let report = server.stop().await;
    assert_eq!((report.endings.len(), report.stuck), (0, 0));

    // With a limit: so many wait, all others are told so, and nobody is kept out for ever.
    let places = crowd / 10;
    let (server, monitor) = start(|limits| limits.openings = Some(places)).await;
    let mut flood: Vec<_> = (0..crowd).map(|number| half_open(server.address, number)).collect();
    until(&monitor, |counts| counts.turned_away.openings == (crowd - places) as u64).await;
    let refused = lastword::connect(server.url()).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    until(&monitor, |counts| counts.opening() == 0).await;
    is_served(&server).await;
    let told = flood.iter_mut().filter(|stream| {
        let mut answer = String::new();
        // Who was turned away in the middle of his sentence may find the line dead behind the answer.
        let _ = (&mut &**stream).read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 503 ")
    });
    assert_eq!(told.count(), crowd - places);
}
