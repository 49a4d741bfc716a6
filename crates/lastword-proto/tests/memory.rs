//! What a peer can make us hold on to: counted by an allocator that keeps the books.

mod support;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lastword_proto::{
    Agreement, Compression, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Event, Role, Transmit,
};
use peak_alloc::PeakAlloc;
use support::{Driven, frame};

#[global_allocator]
static BOOKS: PeakAlloc = PeakAlloc;

/// One at a time: the books are of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// What the test runner itself may allocate meanwhile.
const NOISE: usize = 4 << 10;

/// By how many bytes `work` grew what is held when it is done, and at its peak.
fn cost<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = BOOKS.current_usage();
    BOOKS.reset_peak_usage();
    let result = work();
    let (after, peak) = (BOOKS.current_usage(), BOOKS.peak_usage());
    (after.saturating_sub(before), peak.saturating_sub(before), result)
}

fn connection(deflate: Option<DeflateAgreement>) -> Connection {
    let mut agreement = Agreement::plain(Role::Server);
    agreement.deflate = deflate;
    Connection::new(&agreement, Arc::new(Config::default()), [7; 32], Instant::now())
}

#[test]
fn a_header_reserves_nothing_whatever_it_claims() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    for claimed in [16 << 20, 1_u64 << 62, (1 << 63) - 1] {
        let mut header = vec![0x82, 0xff];
        header.extend(claimed.to_be_bytes());
        header.extend([0; 4]);
        let mut connection = connection(None);
        let (_, peak, ()) = cost(|| connection.receive(&mut header, now));
        assert!(peak < 8 << 10, "{peak} bytes for a header that claims {claimed}");
    }
}

#[test]
fn an_idle_connection_is_small_and_compression_costs_nothing_until_it_is_used() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (plain, ..) = cost(|| connection(None));
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
    let agreement = DeflateAgreement { client: direction, server: direction };
    let (held, _, connection) = cost(|| connection(Some(agreement)));
    assert!(plain < NOISE && held < NOISE, "{plain} and {held} bytes beside the value itself");
    let (left, ..) = cost(|| drop(connection));
    assert!(left < NOISE, "{left} bytes");
}

#[test]
fn a_flood_of_pings_or_of_empty_fragments_is_held_in_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let floods = [
        frame(Role::Client, 0x89, &[b'p'; 125]).repeat(100_000),
        [frame(Role::Client, 0x01, b""), frame(Role::Client, 0x00, b"").repeat(900_000)].concat(),
    ];
    for mut flood in floods {
        let mut connection = connection(None);
        let (_, peak, ()) = cost(|| connection.receive(&mut flood, now));
        assert!(peak < 16 << 10, "{peak} bytes");
    }
}

#[test]
fn a_small_message_pins_no_large_block_and_a_large_one_leaves_no_buffer_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let mut connection = connection(None);
    // One small message of each large read is kept, as a game keeps the last position.
    let read = frame(Role::Client, 0x82, &[1; 40]).repeat(500);
    let (held, _, kept) = cost(|| {
        let mut kept = Vec::new();
        for _ in 0..100 {
            connection.receive(&mut read.clone(), now);
            let mut last = None;
            while let Some(Event::Message(message)) = connection.poll_event() {
                last = Some(message);
            }
            kept.extend(last);
        }
        kept
    });
    assert_eq!(kept.len(), 100);
    assert!(held < 600 << 10, "{held} bytes for 100 messages of 40");
    drop(kept);

    // One that came in many reads takes up its own size, and no more.
    for size in [10_000, 100_000, 1_000_000, 5 << 20] {
        let large = frame(Role::Client, 0x82, &vec![1; size]);
        let (held, peak, kept) = cost(|| {
            large.chunks(4000).for_each(|piece| connection.receive(&mut piece.to_vec(), now));
            connection.poll_event()
        });
        assert!(kept.is_some());
        assert!(held < size + NOISE, "{held} bytes for a message of {size}");
        assert!(peak < size * 2 + NOISE, "{peak} bytes while a message of {size} came");
    }

    let large = frame(Role::Client, 0x82, &vec![1; 4 << 20]);
    let (held, ..) = cost(|| {
        for piece in large.chunks(64 << 10) {
            connection.receive(&mut piece.to_vec(), now);
        }
        assert!(connection.poll_event().is_some());
    });
    assert!(held < 64 << 10, "{held} bytes");
}

#[test]
fn no_peer_makes_a_connection_take_up_more_than_its_configuration_says() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let mut config = Config::default();
    config.max_message_size = 1 << 20;
    config.max_frame_size = 1 << 20;
    let direction = DeflateDirection { window_bits: 15, takeover: ContextTakeover::Kept };
    let agreed = DeflateAgreement { client: direction, server: direction };
    let bomb = |size: usize| {
        let mut peer = Agreement::plain(Role::Client);
        peer.deflate = Some(agreed);
        let mut peer = Connection::new(&peer, Arc::new(Config::default()), [7; 32], now);
        peer.send(vec![0; size].into(), Compression::Always).unwrap();
        let Transmit::Bytes(lent) = peer.poll_transmit() else { panic!("it is to be sent") };
        lent.to_vec()
    };
    let fragments = [frame(Role::Client, 0x01, b""), frame(Role::Client, 0x80, b"")].concat();
    let more = frame(Role::Client, 0x00, &[1; 5000]).repeat(200);
    let many = [frame(Role::Client, 0x02, b""), more].concat();
    let floods = [
        ("empty messages", None, frame(Role::Client, 0x82, b"").repeat(100_000)),
        ("messages of two empty fragments", None, fragments.repeat(50_000)),
        ("pings", None, frame(Role::Client, 0x89, &[1; 125]).repeat(10_000)),
        (
            "a message as large as may be",
            None,
            frame(Role::Client, 0x82, &vec![1; 1 << 20]).repeat(3),
        ),
        ("messages that inflate", Some(agreed), bomb(1 << 20).repeat(100)),
        ("a message that inflates beyond its limit", Some(agreed), bomb(32 << 20)),
        ("a message of many fragments", None, many),
    ];
    for (flood, deflate, wire) in floods {
        config.deflate = deflate.map(|_| Default::default());
        let mut agreement = Agreement::plain(Role::Server);
        agreement.deflate = deflate;
        let bound = config.memory_bound();
        if deflate.is_some() {
            // Whatever a read inflates to, it is bounded by what the configuration calls large.
            assert!(bound < 16 * config.max_message_size, "{bound} bytes");
        }
        let (_, peak, _connection) = cost(|| {
            let mut connection =
                Connection::new(&agreement, Arc::new(config.clone()), [7; 32], now);
            for read in wire.chunks(connection.read_limit()) {
                if !connection.wants_read() {
                    break;
                }
                connection.receive(&mut read.to_vec(), now);
            }
            connection
        });
        println!("{flood}: {peak} bytes of {bound}");
        assert!(peak < bound, "{flood}: {peak} bytes, and not {bound}");
    }
}

#[test]
fn what_was_sent_gives_its_memory_back_and_so_does_the_end() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (left, ..) = cost(|| {
        let mut driven = Driven::new(Role::Server);
        let (held, ..) = cost(|| {
            for _ in 0..100 {
                driven.send(vec![0; 100_000]);
                driven.settle();
            }
            driven.wire = Vec::new();
        });
        assert!(held < 64 << 10, "{held} bytes");
        driven.send(vec![0; 1_000_000]);
        driven.eof();
        let (freed, ..) = cost(|| drop(driven.connection.take_unsent()));
        assert!(freed < NOISE, "{freed} bytes");
    });
    assert!(left < NOISE, "{left} bytes");
}

fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
    while let Transmit::Bytes(lent) = from.poll_transmit() {
        let mut wire = lent.to_vec();
        from.wrote(wire.len(), now);
        to.receive(&mut wire, now);
    }
    while to.poll_event().is_some() {}
}

/// Sends and receives a burst of messages, then lets the connection be quiet for a while.
fn traffic_and_rest(connection: &mut Connection, peer: &mut Connection, size: usize) {
    let now = Instant::now();
    for _ in 0..50 {
        connection.send(vec![b'x'; size].into(), Compression::Auto).unwrap();
        peer.send(vec![b'y'; size].into(), Compression::Auto).unwrap();
    }
    for _ in 0..1000 {
        carry(connection, peer, now);
        carry(peer, connection, now);
    }
    let later = now + Duration::from_secs(3);
    connection.handle_timeout(later);
    peer.handle_timeout(later);
}

#[test]
fn after_traffic_and_a_quiet_moment_a_connection_is_as_small_as_before() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let window = |window_bits| {
        let direction = DeflateDirection { window_bits, takeover: ContextTakeover::Kept };
        Some(DeflateAgreement { client: direction, server: direction })
    };
    // Without compression; with it: the peer's window, and the last 2 KiB that we sent.
    for (deflate, limit) in
        [(None, NOISE), (window(12), (6 << 10) + NOISE), (window(15), (34 << 10) + NOISE)]
    {
        for size in [10, 1000, 300_000] {
            let mut peer = Agreement::plain(Role::Client);
            peer.deflate = deflate;
            let mut peer =
                Connection::new(&peer, Arc::new(Config::default()), [7; 32], Instant::now());
            let (held, ..) = cost(|| {
                let mut connection = connection(deflate);
                traffic_and_rest(&mut connection, &mut peer, size);
                // The peer's own memory is not what is measured.
                peer = Connection::new(
                    &Agreement::plain(Role::Client),
                    Arc::new(Config::default()),
                    [7; 32],
                    Instant::now(),
                );
                connection
            });
            assert!(held < limit, "{held} bytes after messages of {size}");
        }
    }
}
