//! Where in the stream of one side which fault comes to pass: positions in, steps out.
//!
//! It is told where frames begin and end and what is in them, and says of the bytes that wait what
//! becomes of the next of them. It has no sockets and no clock, and carries out nothing itself but what
//! concerns bytes: which of them vanish.
//!
//! While a fault waits for a text, a frame is held until it is whole, or as long as [`HOLD`] allows, so
//! that the fault can come to pass in front of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::args::{Action, Fault, Point};

/// What becomes of the next bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many pass.
    Pass(usize),
    /// So many vanish.
    Vanish(usize),
    /// These bits of the next one are turned over.
    Corrupt(u8),
    /// This comes to pass here.
    Fault(Fault),
}

/// How much of a frame is held while a fault waits for a text in it.
pub(super) const HOLD: usize = 64 << 10;

/// The faults of one side of one connection.
#[derive(Debug, Default)]
pub(super) struct Injector {
    armed: Vec<Armed>,
    /// How many bytes have passed, or vanished.
    offset: u64,
    /// Where frames begin and end, in front of `offset`.
    marks: VecDeque<Mark>,
    /// The frame that `offset` is in.
    current: Option<Frame>,
    /// The frame that is being read.
    reading: Option<Frame>,
    /// How much has been read.
    read: u64,
    /// The beginning of what is in that frame, while a fault waits for a text.
    content: Vec<u8>,
    /// That frame was too long to be held: its beginning has been looked at, once.
    let_go: bool,
    vanishing: Vanishing,
    corrupt: Option<u8>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Offset(u64),
    /// In the frame of this number, at this byte of the stream.
    Inside(u64, u64),
    /// In the frame of this number, which has not begun, behind so many of its bytes.
    Frame(u64, u64),
    Text,
    After(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    number: u64,
    begins: u64,
}

#[derive(Clone, Copy, Debug)]
enum Mark {
    Begins(Frame),
    Ends(u64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Vanishing {
    #[default]
    No,
    Bytes(u64),
    Frame,
    Rest,
}

impl Injector {
    pub(super) fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let armed = faults.into_iter().map(|fault| {
            let at = match &fault.point {
                Point::Byte(byte) => At::Offset(*byte),
                Point::Frame { number, byte } => At::Frame(*number, *byte),
                Point::Text { .. } => At::Text,
                Point::After(time) => At::After(*time),
            };
            Armed { fault, at }
        });
        Self { armed: armed.collect(), ..Self::default() }
    }

    /// The faults that have not come to pass.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Fault> {
        self.armed.iter().map(|armed| &armed.fault)
    }

    /// When a fault comes to pass next, whatever passes until then.
    pub(super) fn due(&self) -> Option<Duration> {
        let times = self.armed.iter().filter_map(|armed| match armed.at {
            At::After(time) => Some(time),
            _ => None,
        });
        times.min()
    }

    /// A frame begins at this byte of the stream.
    pub(super) fn begins(&mut self, number: u64, begins: u64) {
        let frame = Frame { number, begins };
        self.reading = Some(frame);
        if !self.armed.is_empty() {
            self.marks.push_back(Mark::Begins(frame));
        }
    }

    /// A piece of what is in it.
    pub(super) fn content(&mut self, piece: &[u8]) {
        if !self.let_go && self.waits_for_text() {
            let room = HOLD.saturating_sub(self.content.len());
            self.content.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }

    /// It ends at this byte of the stream.
    pub(super) fn ends(&mut self, ends: u64) {
        self.look_for_text();
        self.let_go = false;
        self.reading = None;
        if !self.armed.is_empty() || self.vanishing == Vanishing::Frame {
            self.marks.push_back(Mark::Ends(ends));
        }
    }

    /// So many bytes have been read in all: how many of the bytes that wait may have their way.
    pub(super) fn release(&mut self, read: u64) -> usize {
        self.read = read;
        let mut until = read;
        if let (false, true, Some(frame)) = (self.let_go, self.waits_for_text(), self.reading) {
            if read - frame.begins <= HOLD as u64 {
                until = frame.begins;
            } else {
                self.look_for_text();
                self.let_go = true;
            }
        }
        usize::try_from(until.saturating_sub(self.offset)).unwrap_or(usize::MAX)
    }

    /// The stream has ended: nothing more is waited for.
    pub(super) fn release_all(&mut self) -> usize {
        self.look_for_text();
        usize::try_from(self.read.saturating_sub(self.offset)).unwrap_or(usize::MAX)
    }

    /// What becomes of the next of `available` bytes; `None` when there is nothing to be done.
    pub(super) fn next(&mut self, available: usize, elapsed: Duration) -> Option<Step> {
        self.pass_marks();
        let here = self.armed.iter().position(|armed| match armed.at {
            At::Offset(at) | At::Inside(_, at) => at <= self.offset,
            At::After(time) => time <= elapsed,
            At::Frame(..) | At::Text => false,
        });
        if let Some(here) = here {
            let fault = self.armed.remove(here).fault;
            self.begin(fault.action);
            return Some(Step::Fault(fault));
        }
        if available == 0 {
            return None;
        }
        if let Some(bits) = self.corrupt.filter(|_| self.vanishing == Vanishing::No) {
            self.corrupt = None;
            self.offset += 1;
            return Some(Step::Corrupt(bits));
        }
        let mut size = available;
        if let Some(ahead) = self.next_point() {
            size = usize::try_from(ahead).unwrap_or(usize::MAX).min(available);
        }
        if let Vanishing::Bytes(left) = self.vanishing {
            size = usize::try_from(left).unwrap_or(usize::MAX).min(size);
            let left = left - size as u64;
            self.vanishing = if left == 0 { Vanishing::No } else { Vanishing::Bytes(left) };
            self.offset += size as u64;
            return Some(Step::Vanish(size));
        }
        self.offset += size as u64;
        Some(match self.vanishing {
            Vanishing::No => Step::Pass(size),
            Vanishing::Bytes(_) | Vanishing::Frame | Vanishing::Rest => Step::Vanish(size),
        })
    }

    /// What is this room's own of a fault.
    fn begin(&mut self, action: Action) {
        self.vanishing = match action {
            Action::DropBytes(0) => return,
            Action::DropBytes(bytes) => Vanishing::Bytes(bytes),
            Action::DropFrame => Vanishing::Frame,
            Action::DropRest | Action::HalfClose => Vanishing::Rest,
            Action::Corrupt(bits) => {
                self.corrupt = Some(bits);
                return;
            }
            _ => return,
        };
    }

    /// How many bytes there are up to the next place at which something may happen.
    fn next_point(&self) -> Option<u64> {
        let faults = self.armed.iter().filter_map(|armed| match armed.at {
            At::Offset(at) | At::Inside(_, at) => Some(at),
            At::Frame(..) | At::Text | At::After(_) => None,
        });
        let mark = self.marks.front().map(|mark| match mark {
            Mark::Begins(frame) => frame.begins,
            Mark::Ends(at) => *at,
        });
        faults.chain(mark).min().map(|at| at - self.offset)
    }

    /// Enters and leaves the frames that begin and end here.
    fn pass_marks(&mut self) {
        while let Some(mark) = self.marks.front().copied() {
            match mark {
                Mark::Begins(frame) if frame.begins <= self.offset => {
                    self.current = Some(frame);
                    self.settle(frame);
                }
                Mark::Ends(at) if at <= self.offset => {
                    if self.vanishing == Vanishing::Frame {
                        self.vanishing = Vanishing::No;
                    }
                    if let Some(frame) = self.current.take() {
                        // The frame was too short for them.
                        for armed in &mut self.armed {
                            let At::Inside(number, place) = armed.at else { continue };
                            if number == frame.number && place > at {
                                armed.at = match armed.fault.point {
                                    Point::Text { .. } => At::Text,
                                    _ => At::Frame(number, place - frame.begins),
                                };
                            }
                        }
                    }
                }
                Mark::Begins(_) | Mark::Ends(_) => return,
            }
            self.marks.pop_front();
        }
    }

    /// Says where the faults of a frame are, now that it is known where it begins.
    fn settle(&mut self, frame: Frame) {
        for armed in &mut self.armed {
            if let At::Frame(number, byte) = armed.at
                && number == frame.number
            {
                armed.at = At::Inside(number, frame.begins.saturating_add(byte));
            }
        }
    }

    fn waits_for_text(&self) -> bool {
        self.armed.iter().any(|armed| armed.at == At::Text)
    }

    /// Makes of faults that wait for a text in the frame being read those of that frame.
    fn look_for_text(&mut self) {
        let Some(frame) = self.reading else { return };
        let content = &self.content;
        for armed in &mut self.armed {
            if let (At::Text, Point::Text { needle, byte }) = (armed.at, &armed.fault.point)
                && content.windows(needle.len()).any(|found| found == needle.as_bytes())
            {
                armed.at = At::Inside(frame.number, frame.begins.saturating_add(*byte));
            }
        }
        self.content.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::frames::{Scanner, Seen};
    use lastword::Role;

    const HEAD: &[u8] = b"HTTP/1.1 101 S\r\n\r\n";
    const FIRST: &[u8] = b"\x81\x05apple";
    const SECOND: &[u8] = b"\x81\x04pear";
    const THIRD: &[u8] = b"\x81\x04plum";

    /// What is left of three frames, and what came to pass with so many bytes of them behind it.
    fn after(fault: &str, piece: usize) -> (String, Vec<usize>) {
        let stream = [HEAD, FIRST, SECOND, THIRD].concat();
        let fault = Fault::parse(fault).unwrap();
        let mut injector = Injector::new([fault]);
        let mut scanner = Scanner::new(Role::Server);
        let (mut number, mut left, mut happened) = (0, Vec::new(), Vec::new());
        let mut held: Vec<u8> = Vec::new();
        let mut pieces: Vec<&[u8]> = stream.chunks(piece).collect();
        pieces.push(&[]);
        for piece in pieces {
            scanner.scan(piece, |seen| match seen {
                Seen::Begins(at) => {
                    number += 1;
                    injector.begins(number, at);
                }
                Seen::Payload(piece) => injector.content(piece),
                Seen::Ends(at) => injector.ends(at),
                _ => {}
            });
            held.extend(piece);
            let mut released = injector.release(scanner.offset());
            while let Some(step) = injector.next(released, Duration::ZERO) {
                let taken = match step {
                    Step::Pass(size) => {
                        left.extend(&held[..size]);
                        size
                    }
                    Step::Vanish(size) => size,
                    Step::Corrupt(bits) => {
                        left.push(held[0] ^ bits);
                        1
                    }
                    Step::Fault(_) => {
                        happened.push(left.len());
                        0
                    }
                };
                held.drain(..taken);
                released -= taken;
            }
        }
        assert!(held.is_empty());
        let left = left.strip_prefix(HEAD).unwrap_or(&left).to_vec();
        let text = left.into_iter().map(|byte| match byte {
            b' '..=b'~' => char::from(byte),
            0x81 => '|',
            _ => '.',
        });
        (text.collect(), happened)
    }

    #[track_caller]
    fn check(fault: &str, expected: &str, place: usize) {
        for piece in 1..60 {
            let (left, happened) = after(fault, piece);
            assert_eq!(
                (left.as_str(), &happened[..]),
                (expected, &[place][..]),
                "{fault}, in pieces of {piece}"
            );
        }
    }

    #[test]
    fn faults_come_to_pass_at_their_byte_however_the_stream_is_cut() {
        let (head, first) = (HEAD.len(), HEAD.len() + FIRST.len());
        check("server at start cut", "|.apple|.pear|.plum", 0);
        check("server at byte 20 cut", "|.apple|.pear|.plum", 20);
        check("server at frame 1 cut", "|.apple|.pear|.plum", head);
        check("server at frame 2 drop", "|.apple|.plum", first);
        check("server at frame 2 byte 2 drop 2", "|.apple|.ar|.plum", first + 2);
        check("server at frame 2 byte 6 drop 2", "|.apple|.pearplum", first + 6);
        check("server at frame 2 drop rest", "|.apple", first);
        check("server at frame 2 byte 3 half-close", "|.apple|.p", first + 3);
        check("server at frame 2 byte 2 corrupt 0x01", "|.apple|.qear|.plum", first + 2);
        check("server at text \"ea\" drop", "|.apple|.plum", first);
        check("server at text \"p\" byte 2 corrupt 0x01", "|.`pple|.pear|.plum", head + 2);
    }

    #[test]
    fn a_frame_that_is_too_short_and_a_text_that_never_comes_let_all_pass() {
        for fault in
            ["server at frame 1 byte 8 cut", "server at frame 4 cut", "server at text \"fig\" drop"]
        {
            for piece in 1..60 {
                let nothing = ("|.apple|.pear|.plum".to_owned(), vec![]);
                assert_eq!(after(fault, piece), nothing, "{fault}");
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_to_be_held_is_let_go_and_judged_by_its_beginning() {
        let fault = |text: &str| Fault::parse(text).unwrap();
        for (text, found) in
            [("server at text \"ab\" drop", true), ("server at text \"z\" drop", false)]
        {
            let mut injector = Injector::new([fault(text)]);
            injector.begins(1, 0);
            injector.content(&b"ab".repeat(HOLD));
            assert_eq!(injector.release(HOLD as u64), 0);
            assert_eq!(injector.release(HOLD as u64 + 1), HOLD + 1);
            let step = injector.next(HOLD + 1, Duration::ZERO).unwrap();
            assert_eq!(matches!(step, Step::Fault(_)), found, "{step:?}");
        }
    }

    #[test]
    fn what_is_due_at_a_time_waits_for_no_byte() {
        let fault = Fault::parse("server after 2s reset").unwrap();
        let mut injector = Injector::new([fault.clone()]);
        assert_eq!(injector.due(), Some(Duration::from_secs(2)));
        assert_eq!(injector.next(0, Duration::from_secs(1)), None);
        assert_eq!(injector.next(0, Duration::from_secs(2)), Some(Step::Fault(fault)));
        assert_eq!((injector.due(), injector.waiting().count()), (None, 0));
    }
}
