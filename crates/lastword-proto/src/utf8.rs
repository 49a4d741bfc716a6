//! UTF-8, checked as it comes (RFC 6455 section 8.1).
//!
//! Text may be cut anywhere; a bad byte is refused when it is there, also inside a character whose
//! start came earlier. Keeps at most three bytes. Knows nothing of messages.

/// Checks one text after the other: after the end of a text or a bad byte the next one begins.
///
/// Invariant: the first `carried` bytes of `carry` could still become one character.
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
        let valid = if text.len() < SIMD_PAYS {
            is_short_text(text)
        } else {
            simdutf8::basic::from_utf8(text).is_ok()
        };
        if valid { Ok(()) } else { Err(InvalidUtf8 { at: first_bad(text) }) }
    }

    /// Checks the next bytes of a text.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if self.carried == 0 && bytes.len() < SIMD_PAYS && is_short_text(bytes) {
            self.done = self.done.saturating_add(bytes.len() as u64);
            return Ok(());
        }
        let verdict = self.push_anything(bytes);
        if verdict.is_err() {
            *self = Self::default();
        }
        verdict
    }

    /// The text ends here; the next one may begin.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let Self { carried, done, .. } = std::mem::take(self);
        if carried == 0 { Ok(()) } else { Err(InvalidUtf8 { at: done }) }
    }

    /// How many of the last bytes are the start of a character whose rest has not come.
    pub(crate) const fn pending(&self) -> usize {
        self.carried as usize
    }

    fn push_anything(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
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

    /// Adds a byte to the character that has begun.
    fn complete(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let [a, b, c] = self.carry;
        let mut sequence = [a, b, c, 0];
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

/// Whether the whole of it is UTF-8. Meant for less than [`SIMD_PAYS`]; right for any length.
#[inline]
fn is_short_text(text: &[u8]) -> bool {
    text.is_ascii() || is_short_foreign_text(text)
}

/// The standard library goes character by character; from a few on it is cheaper to fill up with
/// NULs, which are characters of their own and complete no other, and to ask SIMD.
fn is_short_foreign_text(text: &[u8]) -> bool {
    let mut filled_up = [0; SIMD_PAYS];
    match filled_up.get_mut(..text.len()) {
        Some(start) if text.len() >= FILLING_UP_PAYS => {
            start.copy_from_slice(text);
            simdutf8::basic::from_utf8(&filled_up).is_ok()
        }
        _ => std::str::from_utf8(text).is_ok(),
    }
}

#[cold]
fn first_bad(text: &[u8]) -> u64 {
    std::str::from_utf8(text).map_or_else(|error| error.valid_up_to() as u64, |_| 0)
}

/// From this size on SIMD beats the standard library; it works on blocks of as many bytes.
const SIMD_PAYS: usize = 64;

/// From this size on it does so for text beyond ASCII even when it must be filled up. (It saves
/// instructions from ten bytes on, but time only from here.)
const FILLING_UP_PAYS: usize = 24;

#[cfg(test)]
mod tests;
