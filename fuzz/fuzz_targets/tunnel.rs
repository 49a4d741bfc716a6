//! Any bytes as the answers of a proxy, in any pieces: one verdict, however they were cut, in bounded memory.

#![no_main]

use lastword_dial::{MAX_ANSWER, Progress, Proxy, ProxyError, Tunnel, WebSocketUri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, cut, wire @ ..] = data else { return };
    let proxy = PROXIES[usize::from(*which) % PROXIES.len()];
    // Up to eight times over, so that the limit of an answer is met, too.
    let wire = &wire.repeat(1 + usize::from(which / 32))[..];
    let step = usize::from(*cut).max(1);
    let whole = verdict(proxy, [wire]);
    assert_eq!(whole, verdict(proxy, wire.chunks(step)));
    assert_eq!(whole, verdict(proxy, wire.chunks(1)));
    let (a, b) = wire.split_at(step.min(wire.len()));
    assert_eq!(whole, verdict(proxy, [a, b]));
});

/// One of each protocol, with and without credentials; each with a server that it can carry.
const PROXIES: [(&str, &str); 8] = [
    ("http://p", "ws://a"),
    ("https://u:p@p", "wss://a"),
    ("socks4://u@p", "ws://127.0.0.1"),
    ("socks4a://p", "ws://a"),
    ("socks5://p", "ws://[::1]:7"),
    ("socks5://u:p@p", "ws://127.0.0.1"),
    ("socks5h://p", "ws://a"),
    ("socks5h://u:p@p", "ws://a"),
];

/// What it comes to, and all that was written until then.
fn verdict<'a>(
    (proxy, server): (&str, &str),
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (String, Vec<u8>) {
    let server = WebSocketUri::parse(server).unwrap();
    let mut tunnel = Tunnel::new(&Proxy::parse(proxy).unwrap(), server.endpoint()).unwrap();
    let (mut written, mut taken) = (Vec::new(), 0);
    let mut pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
    let verdict = loop {
        write(&mut tunnel, &mut written);
        let Some(piece) = pieces.next() else { break tunnel.receive_eof().to_string() };
        match tunnel.receive(piece) {
            Ok(Progress::Unfinished) => {
                taken += piece.len();
                assert!(taken <= MAX_ANSWER, "{taken} bytes are kept of an answer without an end");
            }
            // What comes behind it belongs to the server; in the same piece it is an excess.
            Ok(Progress::Open) if pieces.next().is_none() => break "open".to_owned(),
            Ok(Progress::Open) | Err(ProxyError::Excess { .. }) => break "excess".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    write(&mut tunnel, &mut written);
    (verdict, written)
}

/// A request, credentials and a request again: no peer makes us say more.
fn write(tunnel: &mut Tunnel, written: &mut Vec<u8>) {
    written.extend_from_slice(tunnel.to_write());
    tunnel.wrote(tunnel.to_write().len());
    assert!(tunnel.to_write().is_empty() && written.len() < 1000);
}
