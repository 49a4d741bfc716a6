//! What has to come back, checked as it comes: a server's frames, cut anywhere, in as many pieces as the
//! server chose, compressed or not, are compared with the messages that were sent. Panics at the first
//! byte that differs.

use zlib_rs::{Inflate, InflateFlush};

/// What a connection still waits for.
#[derive(Default)]
pub struct Answers {
    /// Which message comes next.
    message: usize,
    /// How much of it came.
    offset: usize,
    /// The start of a frame's header.
    header: Vec<u8>,
    frame: Frame,
    inflating: Option<Inflating>,
}

/// The frame that is coming.
#[derive(Default)]
struct Frame {
    left: usize,
    ends_message: bool,
    /// A ping, a pong: nobody asked for it, nobody minds.
    of_control: bool,
}

struct Inflating {
    window: Inflate,
    /// The message in compressed form, as far as it came.
    body: Vec<u8>,
    /// Whether the message that is coming is compressed.
    now: bool,
}

impl Answers {
    /// Answers that may be compressed, and whose compression remembers what came before.
    pub fn compressed() -> Self {
        let window = Inflate::new(false, 15);
        let inflating = Some(Inflating { window, body: Vec::new(), now: false });
        Self { inflating, ..Self::default() }
    }

    /// How many of `messages` have come as a whole.
    pub fn came(&self) -> usize {
        self.message
    }

    /// The next message is the first again.
    pub fn again(&mut self) {
        self.message = 0;
    }

    /// Compares `bytes`, the next that came, with `messages`.
    pub fn take(&mut self, mut bytes: &[u8], messages: &[Vec<u8>]) {
        while !bytes.is_empty() {
            if self.frame.left == 0 {
                bytes = self.take_header(bytes);
                if self.frame.left > 0 || !self.header.is_empty() {
                    continue;
                }
            } else {
                let (piece, rest) = bytes.split_at(bytes.len().min(self.frame.left));
                self.take_payload(piece, messages);
                bytes = rest;
            }
            if self.frame.left == 0 && self.frame.ends_message {
                self.end_message(messages);
            }
        }
    }

    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        // Mostly it is there as a whole.
        if self.header.is_empty()
            && let Some(size) = self.parse(bytes)
        {
            return &bytes[size..];
        }
        let (byte, rest) = bytes.split_at(1);
        self.header.extend(byte);
        let header = std::mem::take(&mut self.header);
        if self.parse(&header).is_none() {
            self.header = header;
        }
        rest
    }

    /// The length of the header, if it is complete.
    fn parse(&mut self, bytes: &[u8]) -> Option<usize> {
        let first = *bytes.first()?;
        let (size, length) = match *bytes.get(1)? {
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
            126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
            short @ 0..126 => (2, usize::from(short)),
            _ => panic!("a masked frame from a server"),
        };
        let opcode = first & 0x0f;
        let of_control = opcode >= 8;
        assert!(opcode != 8, "the server closed");
        self.frame =
            Frame { left: length, ends_message: first & 0x80 != 0 && !of_control, of_control };
        if !of_control && opcode != 0 {
            let compressed = first & 0x40 != 0;
            match &mut self.inflating {
                Some(inflating) => inflating.now = compressed,
                None => assert!(!compressed, "nobody agreed on compression"),
            }
        }
        Some(size)
    }

    fn take_payload(&mut self, piece: &[u8], messages: &[Vec<u8>]) {
        self.frame.left -= piece.len();
        if self.frame.of_control {
            return;
        }
        if let Some(inflating) = &mut self.inflating
            && inflating.now
        {
            inflating.body.extend(piece);
            return;
        }
        let message = messages.get(self.message).expect("no more than was asked for");
        let expected = message.get(self.offset..self.offset + piece.len());
        assert!(expected == Some(piece), "an echo that is none");
        self.offset += piece.len();
    }

    fn end_message(&mut self, messages: &[Vec<u8>]) {
        self.frame.ends_message = false;
        let message = messages.get(self.message).expect("no more than was asked for");
        if let Some(inflating) = &mut self.inflating
            && inflating.now
        {
            assert!(inflating.inflate(message.len()) == *message, "an echo that is none");
        } else {
            assert!(self.offset == message.len(), "half an echo");
        }
        self.offset = 0;
        self.message += 1;
    }
}

impl Inflating {
    fn inflate(&mut self, size: usize) -> Vec<u8> {
        self.body.extend([0, 0, 0xff, 0xff]);
        let mut plain = vec![0; size + 64];
        let before = self.window.total_out();
        self.window
            .decompress(&self.body, &mut plain, InflateFlush::SyncFlush)
            .expect("a deflate stream");
        plain.truncate((self.window.total_out() - before) as usize);
        self.body.clear();
        plain
    }
}
