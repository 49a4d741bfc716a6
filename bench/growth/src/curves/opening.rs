//! Openings: cut anywhere, byte by byte, long ones.

use std::sync::Arc;

use lastword_proto::Config;
use lastword_proto::handshake::{client, server};

use crate::curve::{Curve, Done, count};

pub(crate) fn curves() -> Vec<Curve> {
    let cuts = |name, title, end: usize, run| Curve {
        name,
        title,
        x: "bytes before the cut",
        unit: "cut",
        // Cut before the first byte, which is not at all.
        small: vec![0],
        large: (1..end).collect(),
        long: vec![],
        run,
    };
    let growing = |name, title, x, unit, small, large, run| Curve {
        name,
        title,
        x,
        unit,
        small,
        large,
        long: vec![],
        run,
    };
    vec![
        cuts("request-cut", "a browser's request, cut in two", request(0).len(), |cut| {
            let wire = request(0);
            let (first, second) = wire.split_at(cut);
            serve(0, wire.len(), &[first, second])
        }),
        cuts("answer-cut", "a server's answer, cut in two", answer(0).1.len(), |cut| {
            let (opening, wire) = answer(0);
            let (first, second) = wire.split_at(cut);
            connect(0, wire.len(), opening, &[first, second])
        }),
        growing(
            "request-by-bytes",
            "a request with cookies of x bytes, byte by byte",
            "bytes of cookies",
            "byte",
            vec![0, 250, 500, 1000, 2000],
            vec![4000, 8000, 16_000, 31_000],
            |x| {
                let wire = request(x);
                serve(wire.len(), wire.len(), &wire.chunks(1).collect::<Vec<_>>())
            },
        ),
        growing(
            "answer-by-bytes",
            "an answer with cookies of x bytes, byte by byte",
            "bytes of cookies",
            "byte",
            vec![0, 250, 500, 1000, 2000],
            vec![4000, 8000, 16_000, 31_000],
            |x| {
                let (opening, wire) = answer(x);
                connect(wire.len(), wire.len(), opening, &wire.chunks(1).collect::<Vec<_>>())
            },
        ),
        growing(
            "refusal-by-bytes",
            "a refusal in chunks, with a body of x bytes, byte by byte",
            "bytes of body",
            "byte",
            vec![100, 500, 1000, 4000],
            vec![8000, 16_000, 32_000, 60_000],
            refused,
        ),
        growing(
            "offers",
            "a request with x offers of extensions",
            "offers",
            "offer",
            vec![1, 10, 50, 100],
            vec![500, 1000, 2000],
            |x| {
                let offers = "x-none; y=1, ".repeat(x);
                let more = format!("Sec-WebSocket-Extensions: {offers}permessage-deflate\r\n");
                let wire = request_with(&more);
                serve(x, wire.len(), &[&wire])
            },
        ),
        growing(
            "subprotocols",
            "a request with x subprotocols, none of them known",
            "subprotocols",
            "subprotocol",
            vec![1, 10, 100, 500],
            vec![1000, 2000, 3500],
            |x| {
                let offers = "unknown, ".repeat(x);
                let more = format!("Sec-WebSocket-Protocol: {offers}unknown\r\n");
                let wire = request_with(&more);
                serve(x, wire.len(), &[&wire])
            },
        ),
    ]
}

fn request_with(more: &str) -> Vec<u8> {
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Upgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    request.into_bytes()
}

fn request(cookies: usize) -> Vec<u8> {
    let cookies = self::cookies("Cookie", cookies);
    request_with(&format!("Sec-WebSocket-Extensions: permessage-deflate\r\n{cookies}"))
}

/// Header fields of some 500 bytes each.
fn cookies(name: &str, size: usize) -> String {
    format!("{name}: {}\r\n", "c=ookie; ".repeat(55)).repeat(size / 500)
}

/// A client that has asked, and what it is answered.
fn answer(cookies: usize) -> (client::Opening, Vec<u8>) {
    let options =
        client::Options::new("example.com".parse().expect("a host"), "/".parse().expect("a path"));
    let opening = client::Opening::new(options, &Config::default(), *b"the sample nonce");
    let cookies = self::cookies("Set-Cookie", cookies);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{cookies}\r\n"
    );
    (opening.expect("nothing special"), answer.into_bytes())
}

fn serve(units: usize, bytes: usize, reads: &[&[u8]]) -> Done {
    let mut options = server::Options::default();
    options.subprotocols = server::Subprotocols::Optional(vec!["chat".into()]);
    let mut opening = server::Opening::new(Arc::new(options), Arc::new(Config::default()));
    let mut agreed = None;
    let done = count(units, bytes, || {
        for read in reads {
            if let server::Step::Offer(offer) = opening.receive(read) {
                agreed = offer.accept().ok();
            }
        }
    });
    assert!(agreed.is_some(), "the request is accepted");
    done
}

fn connect(units: usize, bytes: usize, mut opening: client::Opening, reads: &[&[u8]]) -> Done {
    let mut agreed = None;
    let done = count(units, bytes, || {
        for read in reads {
            agreed = opening.receive(read).expect("the answer is as it should be");
        }
    });
    assert!(agreed.is_some(), "the answer is accepted");
    done
}

fn refused(size: usize) -> Done {
    let (mut opening, _) = answer(0);
    let mut wire =
        b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    wire.extend(b"10\r\n0123456789abcdef\r\n".repeat(size / 16));
    wire.extend(b"0\r\n\r\n");
    let mut refused = None;
    let done = count(wire.len(), wire.len(), || {
        for byte in wire.chunks(1) {
            refused = refused.take().or(opening.receive(byte).err());
        }
    });
    assert!(matches!(refused, Some(client::Error::Refused(_))), "it is refused");
    done
}
