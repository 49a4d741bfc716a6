//! Bytes of one side in, in pieces of any size; its head and its frames out, as they come (RFC 6455
//! section 5.2).
//!
//! Keeps the beginning of a head or of a header, and nothing of payloads. Judges nothing: what the rules
//! forbid is shown like all else. A side that does not speak WebSocket is counted, and not read.

use lastword::Role;

/// What a piece of the stream turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// The head of the request, or of the answer, up to its empty line.
    Head(&'a [u8]),
    /// The first byte of a frame, at this byte of the stream.
    Begins(u64),
    /// Its header is whole.
    Header(Header),
    /// A piece of its payload, unmasked.
    Payload(&'a [u8]),
    /// It is whole, at this byte of the stream.
    Ends(u64),
    /// From here on there is nothing that could be read as frames.
    Opaque,
}

/// The header of a frame, as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// The three reserved bits, RSV1 the highest.
    pub(super) rsv: u8,
    pub(super) opcode: u8,
    pub(super) len: u64,
    pub(super) mask: Option<[u8; 4]>,
}

impl Header {
    /// RSV1, which marks a compressed message (RFC 7692 section 6).
    pub(super) const fn rsv1(&self) -> bool {
        self.rsv & 0b100 != 0
    }

    /// Whether it is of the control lane.
    pub(super) const fn is_control(&self) -> bool {
        self.opcode & 0x8 != 0
    }

    /// Its size on the wire.
    fn size(second: u8) -> usize {
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// `bytes` are as many as [`size`](Self::size) says.
    fn of(bytes: &[u8]) -> Self {
        let (first, second) = (bytes[0], bytes[1]);
        let mut rest = &bytes[2..];
        let short = second & 0x7f;
        let length = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (long, key) = rest.split_at(length);
        rest = key;
        let len = match short {
            126 | 127 => long.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 0b111,
            opcode: first & 0x0f,
            len,
            mask: rest.first_chunk().copied(),
        }
    }
}

/// Reads what one side sends.
#[derive(Debug)]
pub(super) struct Scanner {
    side: Role,
    /// How many bytes have come.
    offset: u64,
    at: At,
    /// Where payloads are unmasked.
    plain: Vec<u8>,
}

#[derive(Debug)]
enum At {
    Head(Vec<u8>),
    Between,
    Header { bytes: [u8; MAX_HEADER], have: usize },
    Payload { header: Header, left: u64 },
    Opaque,
}

/// The longest header.
const MAX_HEADER: usize = 14;

/// Heads that are longer are not read.
const MAX_HEAD: usize = 64 << 10;

impl Scanner {
    pub(super) const fn new(side: Role) -> Self {
        Self { side, offset: 0, at: At::Head(Vec::new()), plain: Vec::new() }
    }

    /// How many bytes have come.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Nothing is read as frames any more: the other side has not agreed.
    pub(super) fn give_up(&mut self) {
        self.at = At::Opaque;
    }

    /// In the middle of what the stream is, in words; `None` between frames.
    pub(super) fn middle(&self) -> Option<String> {
        match &self.at {
            At::Head(head) if !head.is_empty() => Some("its head".to_owned()),
            At::Header { .. } => Some("the header of a frame".to_owned()),
            At::Payload { header, left } => {
                Some(format!("a frame, behind {} of {} bytes", header.len - left, header.len))
            }
            At::Head(_) | At::Between | At::Opaque => None,
        }
    }

    /// Reads all of `bytes`.
    pub(super) fn scan(&mut self, bytes: &[u8], mut see: impl FnMut(Seen<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.step(rest, &mut see);
            self.offset += taken as u64;
            rest = &rest[taken..];
            if let At::Payload { header: _, left: 0 } = self.at {
                self.at = At::Between;
                see(Seen::Ends(self.offset));
            }
        }
    }

    /// Reads up to what is next; says how much that was.
    fn step(&mut self, bytes: &[u8], see: &mut impl FnMut(Seen<'_>)) -> usize {
        match &mut self.at {
            At::Opaque => bytes.len(),
            At::Head(head) => {
                let before = head.len();
                let from = before.saturating_sub(HEAD_END.len() - 1);
                head.extend_from_slice(&bytes[..bytes.len().min(MAX_HEAD - before)]);
                let end = head[from..].windows(HEAD_END.len()).position(|found| found == HEAD_END);
                let Some(end) = end.map(|end| from + end + HEAD_END.len()) else {
                    let taken = head.len() - before;
                    if head.len() == MAX_HEAD || !may_be_http(head) {
                        self.at = At::Opaque;
                        see(Seen::Opaque);
                    }
                    return taken;
                };
                let head = std::mem::take(head);
                self.at = At::Between;
                see(Seen::Head(&head[..end]));
                if self.side == Role::Server && !accepts(&head) {
                    self.at = At::Opaque;
                    see(Seen::Opaque);
                }
                end - before
            }
            At::Between => {
                self.at = At::Header { bytes: [0; MAX_HEADER], have: 0 };
                see(Seen::Begins(self.offset));
                0
            }
            At::Header { bytes: header, have } => {
                let size = if *have < 2 { 2 } else { Header::size(header[1]) };
                let taken = bytes.len().min(size - *have);
                header[*have..*have + taken].copy_from_slice(&bytes[..taken]);
                *have += taken;
                if *have >= 2 && *have == Header::size(header[1]) {
                    let header = Header::of(&header[..*have]);
                    self.at = At::Payload { header, left: header.len };
                    see(Seen::Header(header));
                }
                taken
            }
            At::Payload { header, left } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let piece = &bytes[..taken];
                let done = header.len - *left;
                *left -= taken as u64;
                match header.mask {
                    None => see(Seen::Payload(piece)),
                    Some(key) => {
                        self.plain.clear();
                        lastword_mask::append(key, (done % 4) as usize, piece, &mut self.plain);
                        see(Seen::Payload(&self.plain));
                    }
                }
                taken
            }
        }
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Whether these could be the first bytes of a request or of an answer.
fn may_be_http(head: &[u8]) -> bool {
    head.first().is_some_and(u8::is_ascii_alphabetic)
}

/// Whether this answer leads to a WebSocket connection.
fn accepts(head: &[u8]) -> bool {
    head.starts_with(b"HTTP/1.1 101")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// What is seen of a stream that comes in pieces of this size; payloads joined.
    fn seen(side: Role, stream: &[u8], size: usize) -> Vec<String> {
        let mut scanner = Scanner::new(side);
        let mut all: Vec<String> = Vec::new();
        let mut payload = Vec::new();
        for piece in stream.chunks(size) {
            scanner.scan(piece, |seen| match seen {
                Seen::Payload(piece) => payload.extend_from_slice(piece),
                Seen::Ends(at) => {
                    all.push(format!("{:?}", String::from_utf8_lossy(&payload)));
                    payload.clear();
                    all.push(format!("ends {at}"));
                }
                Seen::Head(head) => all.push(format!("head {}", head.len())),
                Seen::Header(h) => {
                    let masked = h.mask.is_some();
                    all.push(format!(
                        "{:x} fin {} rsv {:03b} {} masked {masked}",
                        h.opcode, h.fin, h.rsv, h.len
                    ));
                }
                other => all.push(format!("{other:?}")),
            });
        }
        assert_eq!(scanner.offset(), stream.len() as u64);
        all
    }

    /// A frame with a payload of `len` bytes.
    fn frame(first: u8, mask: Option<[u8; 4]>, len: usize) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut wire = vec![first];
        match len {
            0..126 => wire.push(bit | len as u8),
            126..65536 => {
                wire.push(bit | 126);
                wire.extend((len as u16).to_be_bytes());
            }
            _ => {
                wire.push(bit | 127);
                wire.extend((len as u64).to_be_bytes());
            }
        }
        let key = mask.unwrap_or_default();
        wire.extend(mask.into_iter().flatten());
        wire.extend((0..len).map(|at| b'x' ^ key[at % 4]));
        wire
    }

    #[test]
    fn pieces_of_any_size_show_the_same() {
        for len in [0, 1, 5, 125, 126, 65535, 65536] {
            for mask in [None, Some([1, 2, 3, 200])] {
                let mut stream = REQUEST.to_vec();
                stream.extend(frame(0x81, mask, len));
                stream.extend(frame(0x49, mask, 3));
                let whole = seen(Role::Client, &stream, stream.len());
                assert_eq!(whole[0], format!("head {}", REQUEST.len()));
                assert_eq!(whole[1], format!("Begins({})", REQUEST.len()));
                assert_eq!(whole[3], format!("{:?}", "x".repeat(len)));
                assert_eq!(whole[6], format!("9 fin false rsv 100 3 masked {}", mask.is_some()));
                assert_eq!(whole.last().unwrap(), &format!("ends {}", stream.len()));
                for size in (1..17).chain([1000]) {
                    assert_eq!(seen(Role::Client, &stream, size), whole, "{size}");
                }
            }
        }
    }

    #[test]
    fn a_server_that_does_not_agree_sends_no_frames() {
        let answer = b"HTTP/1.1 404 Not Found\r\n\r\nnothing here";
        assert_eq!(seen(Role::Server, answer, 7), ["head 26", "Opaque"]);
    }

    #[test]
    fn what_is_no_http_is_not_kept() {
        assert_eq!(seen(Role::Client, &[0x16, 3, 1, 0, 200], 2), ["Opaque"]);
        let endless = [b'a'; 2 * MAX_HEAD];
        assert_eq!(seen(Role::Client, &endless, 1000), ["Opaque"]);
    }

    #[test]
    fn a_stream_that_ends_in_the_middle_says_of_what() {
        let middle = |bytes: &[u8]| {
            let mut scanner = Scanner::new(Role::Client);
            scanner.scan(REQUEST, |_| {});
            scanner.scan(bytes, |_| {});
            scanner.middle()
        };
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[0x81]).as_deref(), Some("the header of a frame"));
        assert_eq!(middle(&[0x81, 5, 1, 2]).as_deref(), Some("a frame, behind 2 of 5 bytes"));
        assert_eq!(middle(&[0x81, 2, 1, 2]), None);
    }
}
