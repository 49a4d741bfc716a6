//! What each room of the protocol costs. The rooms are private: they are seen through the public door,
//! by inputs that make one of them do most of the work, and by differences.
//!
//! - header: messages with nothing in them;
//! - mask: `lastword-mask` itself;
//! - UTF-8: texts less binary messages of the same size, unmasked;
//! - assemble: messages in fragments less the same in one;
//! - encode: messages sent by a server (headers, a copy of small ones) and by a client (masks, too);
//! - deflate: compressed messages, both ways; the codec is most of it;
//! - handshake: a whole opening of either side.
//!
//! Beside those that move bytes stands the bare copy.

use std::sync::Arc;
use std::time::Instant;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use lastword::proto::handshake::{client, server};
use lastword::proto::{
    Agreement, Compression, Config, Connection, ContextTakeover, DeflateAgreement,
    DeflateDirection, Event, Message, Role, Transmit,
};
use lastword_micro::{KEY, Kind, REQUEST, frame, payload};

fn main() {
    divan::main();
}

const SIZES: [usize; 6] = [16, 128, 1 << 10, 1 << 14, 1 << 17, 1 << 20];
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

#[divan::bench(args = SIZES)]
fn bare_copy(bencher: Bencher, size: usize) {
    let source = vec![7; size];
    let mut target = vec![0; size];
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| black_box(&mut target[..]).copy_from_slice(black_box(&source)));
}

#[divan::bench]
fn header_empty_messages(bencher: Bencher) {
    let wire = frame(BINARY, Some(KEY), b"").repeat(64);
    receive(bencher.counter(ItemsCount::new(64_usize)), Role::Server, &wire);
}

#[divan::bench(args = SIZES)]
fn mask_in_place(bencher: Bencher, size: usize) {
    let mut payload = vec![7; size];
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| lastword_mask::apply(black_box(KEY), 1, black_box(&mut payload)));
}

#[divan::bench(args = SIZES)]
fn utf8_binary_to_compare(bencher: Bencher, size: usize) {
    let wire = frame(BINARY, None, &payload(Kind::Text, size));
    receive(bencher.counter(BytesCount::new(size)), Role::Client, &wire);
}

#[divan::bench(args = SIZES)]
fn utf8_text(bencher: Bencher, size: usize) {
    let wire = frame(TEXT, None, &payload(Kind::Text, size));
    receive(bencher.counter(BytesCount::new(size)), Role::Client, &wire);
}

#[divan::bench(args = SIZES)]
fn utf8_text_of_ascii(bencher: Bencher, size: usize) {
    let wire = frame(TEXT, None, &vec![b'a'; size]);
    receive(bencher.counter(BytesCount::new(size)), Role::Client, &wire);
}

#[divan::bench(args = [1, 4, 16, 64])]
fn assemble_4_kib_in_fragments(bencher: Bencher, fragments: usize) {
    let mut wire = Vec::new();
    for index in 1..=fragments {
        let opcode = if index == 1 { 0x02 } else { 0x00 };
        let fin = if index == fragments { 0x80 } else { 0x00 };
        wire.extend(frame(fin | opcode, Some(KEY), &vec![7; 4096 / fragments]));
    }
    receive(bencher.counter(ItemsCount::new(fragments)), Role::Server, &wire);
}

/// The peer's bytes come in one read; what they were is fetched and let go.
fn receive(bencher: Bencher, role: Role, wire: &[u8]) {
    let (mut connection, now) = (connection(role), Instant::now());
    bencher.with_inputs(|| wire.to_vec()).bench_local_refs(|wire| {
        connection.receive(wire, now);
        fetch(&mut connection);
    });
    assert!(connection.is_open(), "what came was as it should be");
}

fn fetch(connection: &mut Connection) {
    while let Some(event) = connection.poll_event() {
        assert!(matches!(black_box(event), Event::Message(_)));
    }
}

#[divan::bench(args = SIZES)]
fn encode_server(bencher: Bencher, size: usize) {
    send(
        bencher.counter(BytesCount::new(size)),
        connection(Role::Server),
        size,
        Compression::Never,
    );
}

#[divan::bench(args = SIZES)]
fn encode_client(bencher: Bencher, size: usize) {
    send(
        bencher.counter(BytesCount::new(size)),
        connection(Role::Client),
        size,
        Compression::Never,
    );
}

#[divan::bench(args = [128, 1 << 10, 1 << 14])]
fn deflate_compress(bencher: Bencher, size: usize) {
    send(
        bencher.counter(BytesCount::new(size)),
        compressing(Role::Server),
        size,
        Compression::Always,
    );
}

#[divan::bench(args = [128, 1 << 10, 1 << 14])]
fn deflate_inflate(bencher: Bencher, size: usize) {
    let now = Instant::now();
    let mut messages = feeds(size);
    let (mut client, mut server) = (compressing(Role::Client), compressing(Role::Server));
    bencher
        .counter(BytesCount::new(size))
        .with_inputs(|| {
            let message = messages.next().expect("a cycle");
            client.send(message, Compression::Always).expect("it is open");
            write(&mut client, now)
        })
        .bench_local_refs(|wire| {
            server.receive(wire, now);
            fetch(&mut server);
        });
}

/// A message is sent, lent and written.
fn send(bencher: Bencher, mut connection: Connection, size: usize, compression: Compression) {
    let now = Instant::now();
    let mut messages = feeds(size);
    bencher.with_inputs(|| messages.next().expect("a cycle")).bench_local_values(|message| {
        connection.send(message, compression).expect("it is open");
        while let Transmit::Bytes(lent) = connection.poll_transmit() {
            let count = black_box(lent).len();
            connection.wrote(count, now);
        }
    });
}

fn write(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let mut wire = Vec::new();
    while let Transmit::Bytes(lent) = connection.poll_transmit() {
        let bytes = lent.to_vec();
        connection.wrote(bytes.len(), now);
        wire.extend(bytes);
    }
    wire
}

/// Different messages: the same one again would be compressed to a reference to the first.
fn feeds(size: usize) -> impl Iterator<Item = Message> {
    (0..64).map(|seed| feed(size, seed)).collect::<Vec<_>>().into_iter().cycle()
}

/// A text like those of a market feed, which compresses as such things do.
fn feed(size: usize, seed: u32) -> Message {
    let mut text = String::new();
    let mut number = seed.wrapping_mul(2_654_435_761);
    while text.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (price, quantity) = (number >> 12, number & 0xff);
        text += &format!(r#"{{"e":"trade","s":"BTCUSDT","p":{price},"q":{quantity}}}"#);
    }
    text.truncate(size);
    text.into()
}

#[divan::bench]
fn handshake_server(bencher: Bencher) {
    let (options, config) = (Arc::new(server::Options::default()), Arc::new(Config::default()));
    bencher.bench_local(|| {
        let mut opening = server::Opening::new(Arc::clone(&options), Arc::clone(&config));
        let server::Step::Offer(offer) = opening.receive(black_box(REQUEST.as_bytes())) else {
            panic!("a valid request");
        };
        offer.accept().expect("nothing is required")
    });
}

#[divan::bench]
fn handshake_client(bencher: Bencher) {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let config = Config::default();
    bencher.bench_local(|| {
        let (host, path) = ("example.com".parse(), "/chat".parse());
        let options = client::Options::new(host.expect("a host"), path.expect("a path"));
        let opening = client::Opening::new(options, &config, *b"the sample nonce");
        let mut opening = opening.expect("nothing special");
        opening.receive(black_box(answer)).expect("a valid answer").expect("a whole answer")
    });
}

fn connection(role: Role) -> Connection {
    make(Agreement::plain(role))
}

fn compressing(role: Role) -> Connection {
    let direction = DeflateDirection { window_bits: 12, takeover: ContextTakeover::Kept };
    let mut agreement = Agreement::plain(role);
    agreement.deflate = Some(DeflateAgreement { client: direction, server: direction });
    make(agreement)
}

fn make(agreement: Agreement) -> Connection {
    Connection::new(&agreement, Arc::new(Config::default()), [7; 32], Instant::now())
}
