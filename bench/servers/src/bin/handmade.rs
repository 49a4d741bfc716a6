//! The least that an echo of WebSocket messages can cost: frames are unmasked into the answer, nothing is
//! checked, nothing is limited, nobody could use it.

use data_encoding::BASE64;
use lastword_peers::epoll::{Answer, serve};

fn main() -> std::io::Result<()> {
    serve::<Frames>(lastword_peers::arguments().0)
}

#[derive(Default)]
struct Frames {
    opened: bool,
    /// The start of a request or of a frame.
    tail: Vec<u8>,
}

impl Answer for Frames {
    fn answer<'a>(&mut self, came: &'a mut [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        if self.tail.is_empty() && self.opened {
            let consumed = echo(came, scratch);
            self.tail.extend(&came[consumed..]);
            return scratch;
        }
        self.tail.extend_from_slice(came);
        if self.opened {
            let consumed = echo(&self.tail, scratch);
            self.tail.drain(..consumed);
        } else if self.tail.ends_with(b"\r\n\r\n") {
            scratch.extend(switch(&self.tail).into_bytes());
            self.tail = Vec::new();
            self.opened = true;
        }
        scratch
    }
}

/// Answers all whole frames; how many bytes they are.
fn echo(came: &[u8], answers: &mut Vec<u8>) -> usize {
    let mut rest = came;
    while let [first, second, ..] = *rest {
        let (header, size) = match (second & 0x7f, rest) {
            (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [_, _, size @ ..]) if size.len() >= 8 => {
                (10, u64::from_be_bytes(size[..8].try_into().expect("eight bytes")) as usize)
            }
            (126.., _) => break,
            (short, _) => (2, usize::from(short)),
        };
        let Some(body) = rest.get(header + 4..header + 4 + size) else { break };
        let mask: [u8; 4] = rest[header..header + 4].try_into().expect("four bytes");
        answers.extend([first, second & 0x7f]);
        answers.extend(&rest[2..header]);
        unmask(body, mask, answers);
        rest = &rest[header + 4 + size..];
    }
    came.len() - rest.len()
}

fn unmask(body: &[u8], mask: [u8; 4], answers: &mut Vec<u8>) {
    let wide = u64::from(u32::from_ne_bytes(mask)) * 0x1_0000_0001;
    let start = answers.len();
    answers.extend_from_slice(body);
    let (words, rest) = answers[start..].as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn switch(request: &[u8]) -> String {
    let request = String::from_utf8_lossy(request);
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let key = key.unwrap_or_default().to_owned() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let accept = BASE64.encode(&sha1_smol::Sha1::from(key).digest().bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}
