//! An independent reader of frames (RFC 6455 section 5.2): bytes in, counts and facts out.
//!
//! Shares no code with the core, so that it can bear witness about it: which messages are whole in a
//! stream, which close frame stands in it, whether anything follows that, where it was cut.

/// What has passed on one stream so far.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    masked: Masked,
    header: Vec<u8>,
    frame: Option<Frame>,
    message: Option<Unfinished>,
    control: Vec<u8>,
    /// Messages whose last byte has passed.
    pub messages: u64,
    /// The payload of the first close frame that passed wholly.
    pub close: Option<Vec<u8>>,
    /// The first rule of framing that the stream broke.
    pub broken: Option<&'static str>,
}

/// Whether the sender of the stream masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masked {
    /// A server's stream.
    #[default]
    No,
    /// A client's stream.
    Yes,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    fin: bool,
    len: u64,
    came: u64,
    key: [u8; 4],
}

#[derive(Clone, Copy, Debug)]
struct Unfinished {
    frames: usize,
    bytes: u64,
}

/// Where a stream stands, if not between messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes of an unfinished header.
    pub header: Option<usize>,
    /// Bytes that came, and the length, of an unfinished payload.
    pub payload: Option<(u64, u64)>,
    /// Frames that began, and bytes that came, of an unfinished message.
    pub message: Option<(usize, u64)>,
}

impl Witness {
    /// A witness of a stream.
    pub fn new(masked: Masked) -> Self {
        Self { masked, ..Self::default() }
    }

    /// Sees the next bytes.
    pub fn see(&mut self, mut bytes: &[u8]) {
        while self.broken.is_none() {
            match self.frame {
                None => {
                    let Some((&byte, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    self.header.push(byte);
                    self.read_header();
                }
                Some(frame) => {
                    let missing = usize::try_from(frame.len - frame.came).unwrap_or(usize::MAX);
                    let (now, rest) = bytes.split_at(missing.min(bytes.len()));
                    bytes = rest;
                    self.take(frame, now);
                    if self.frame.is_some() {
                        return;
                    }
                }
            }
        }
    }

    /// Where the stream stands; `None` between messages.
    pub fn place(&self) -> Option<Place> {
        // What comes behind a close frame is not looked at by anybody.
        let looked = self.close.is_none();
        let place = Place {
            header: (looked && !self.header.is_empty()).then_some(self.header.len()),
            payload: self.frame.filter(|_| looked).map(|frame| (frame.came, frame.len)),
            message: self.message.map(|message| (message.frames, message.bytes)),
        };
        (place != Place::default()).then_some(place)
    }

    fn read_header(&mut self) {
        let [first, second, ..] = *self.header.as_slice() else { return };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let key_size = if self.masked == Masked::Yes { 4 } else { 0 };
        if self.header.len() < 2 + extended + key_size {
            return;
        }
        if (second & 0x80 != 0) != (self.masked == Masked::Yes) {
            self.broken = Some("masked exactly if a client sends");
        }
        let len = match extended {
            0 => u64::from(second & 0x7f),
            _ => self.header[2..2 + extended].iter().fold(0, |len, &b| len << 8 | u64::from(b)),
        };
        let mut key = [0; 4];
        key[..key_size].copy_from_slice(&self.header[2 + extended..]);
        self.header.clear();
        let frame = Frame { opcode: first & 0xf, fin: first & 0x80 != 0, len, came: 0, key };
        self.begin(frame);
    }

    fn begin(&mut self, frame: Frame) {
        let complaint = match (frame.opcode, self.close.is_some(), self.message.is_some()) {
            // 5.5.2: a ping is answered until the peer's close frame has come.
            (10, true, _) => None,
            (_, true, _) => Some("nothing but pongs follows a close frame"),
            (0, _, false) => Some("a continuation continues something"),
            (1 | 2, _, true) => Some("a message is finished before the next begins"),
            (0..=2, ..) => None,
            (8..=10, ..) if frame.len > 125 => Some("control frames are short"),
            (8..=10, ..) if !frame.fin => Some("control frames are whole"),
            (8..=10, ..) => None,
            _ => Some("reserved opcodes are not used"),
        };
        self.broken = self.broken.or(complaint);
        if frame.opcode < 8 {
            let message = self.message.get_or_insert(Unfinished { frames: 0, bytes: 0 });
            message.frames += 1;
        }
        self.take(frame, &[]);
    }

    fn take(&mut self, mut frame: Frame, bytes: &[u8]) {
        if frame.opcode < 8 {
            if let Some(message) = &mut self.message {
                message.bytes += bytes.len() as u64;
            }
        } else {
            let from = frame.came as usize;
            let plain = bytes.iter().enumerate().map(|(i, b)| b ^ frame.key[(from + i) % 4]);
            self.control.extend(plain);
        }
        frame.came += bytes.len() as u64;
        self.frame = Some(frame);
        if frame.came < frame.len {
            return;
        }
        self.frame = None;
        match frame.opcode {
            0..=2 if frame.fin => {
                self.message = None;
                self.messages += 1;
            }
            0..=2 => {}
            8 => self.close = self.close.take().or(Some(std::mem::take(&mut self.control))),
            _ => self.control.clear(),
        }
    }
}
