//! UTF-8, checked as it comes (RFC 6455 section 8.1).
//!
//! Text may be cut anywhere; a bad byte is refused when it is there, also inside a character whose
//! start came earlier. Keeps at most three bytes. Knows nothing of messages.

/// Checks one text after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validator {
    /// The start of a character whose rest has not come.
    carry: [u8; 3],
    carried: u8,
    /// Bytes of the text before `carry`.
    done: u64,
}

/// Bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8 {
    /// Where the first bad sequence begins, in bytes of the text.
    pub(crate) at: u64,
}

impl Validator {
    /// Checks a text that is there as a whole.
    #[inline]
    pub(crate) fn check(text: &[u8]) -> Result<(), InvalidUtf8> {
        let verdict = if text.len() < SIMD_PAYS {
            std::str::from_utf8(text).is_ok()
        } else {
            simdutf8::basic::from_utf8(text).is_ok()
        };
        if verdict { Ok(()) } else { Err(InvalidUtf8 { at: first_bad(text) }) }
    }

    /// Checks the next bytes of a text.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = bytes;
        while self.carried > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.complete(byte)?;
            rest = after;
        }
        let (valid, bad) = match simdutf8::compat::from_utf8(rest) {
            Ok(_) => (rest.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some()),
        };
        self.done = self.done.saturating_add(valid as u64);
        if bad {
            return Err(InvalidUtf8 { at: self.done });
        }
        // At most three bytes: four make a character, or an error.
        for &byte in rest.get(valid..).unwrap_or_default() {
            self.keep(byte);
        }
        Ok(())
    }

    /// The text ends here; the next one may begin.
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let Self { carried, done, .. } = std::mem::take(self);
        if carried == 0 { Ok(()) } else { Err(InvalidUtf8 { at: done }) }
    }

    /// How many of the last bytes are the start of a character whose rest has not come.
    pub(crate) const fn pending(&self) -> usize {
        self.carried as usize
    }

    /// Adds a byte to the character that has begun.
    fn complete(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let [a, b, c] = self.carry;
        let sequence = [a, b, c, 0];
        let mut sequence = sequence;
        let carried = usize::from(self.carried);
        if let Some(slot) = sequence.get_mut(carried) {
            *slot = byte;
        }
        let so_far = sequence.get(..=carried).unwrap_or_default();
        match std::str::from_utf8(so_far) {
            Ok(_) => {
                self.done = self.done.saturating_add(so_far.len() as u64);
                self.carried = 0;
            }
            Err(error) if error.error_len().is_none() => self.keep(byte),
            Err(_) => return Err(InvalidUtf8 { at: self.done }),
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if let Some(slot) = self.carry.get_mut(usize::from(self.carried)) {
            *slot = byte;
            self.carried = self.carried.saturating_add(1);
        }
    }
}

#[cold]
fn first_bad(text: &[u8]) -> u64 {
    std::str::from_utf8(text).map_or_else(|error| error.valid_up_to() as u64, |_| 0)
}

/// From this size on SIMD beats the standard library.
const SIMD_PAYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the standard library says of the bytes so far: fine, fine but cut, or bad at.
    fn oracle(bytes: &[u8]) -> Result<usize, u64> {
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(0),
            Err(e) if e.error_len().is_none() => Ok(bytes.len() - e.valid_up_to()),
            Err(e) => Err(e.valid_up_to() as u64),
        }
    }

    #[track_caller]
    fn check_byte_by_byte(bytes: &[u8]) {
        let mut validator = Validator::default();
        for end in 1..=bytes.len() {
            let pushed = validator.push(&bytes[end - 1..end]);
            match oracle(&bytes[..end]) {
                Ok(pending) => {
                    assert_eq!(pushed, Ok(()), "{bytes:x?} up to {end}");
                    assert_eq!(validator.pending(), pending, "{bytes:x?} up to {end}");
                }
                Err(at) => return assert_eq!(pushed, Err(InvalidUtf8 { at }), "{bytes:x?}"),
            }
        }
        let cut = oracle(bytes).unwrap() > 0;
        assert_eq!(validator.finish().is_err(), cut, "{bytes:x?}");
    }

    #[test]
    fn every_sequence_of_up_to_three_bytes_is_judged_at_its_first_bad_byte() {
        for a in 0..=255 {
            check_byte_by_byte(&[a]);
            for b in 0..=255 {
                check_byte_by_byte(&[a, b]);
                // The third byte only matters by its class.
                for c in [
                    0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf5, 0xff,
                ] {
                    check_byte_by_byte(&[a, b, c]);
                    for d in [0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff] {
                        check_byte_by_byte(&[a, b, c, d]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_cut_at_any_two_points_is_judged_as_a_whole() {
        let good = "aä€𝄞".repeat(5);
        let mut bad = good.clone().into_bytes();
        bad[37] = 0xff;
        for text in [good.into_bytes(), bad] {
            let whole = Validator::check(&text);
            for a in 0..=text.len() {
                for b in a..=text.len() {
                    let mut validator = Validator::default();
                    let pieces = [&text[..a], &text[a..b], &text[b..]];
                    let verdict = pieces
                        .into_iter()
                        .try_for_each(|piece| validator.push(piece))
                        .and_then(|()| validator.finish());
                    assert_eq!(verdict, whole, "cut at {a}, {b}");
                }
            }
        }
    }
}
