//! stub
#[derive(Default)]
pub(crate) struct Validator {
    carry: Vec<u8>,
    done: u64,
}
pub(crate) struct InvalidUtf8 {
    pub(crate) at: u64,
}
impl Validator {
    pub(crate) fn check(bytes: &[u8]) -> Result<(), InvalidUtf8> {
        std::str::from_utf8(bytes)
            .map(|_| ())
            .map_err(|e| InvalidUtf8 { at: e.valid_up_to() as u64 })
    }
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        self.carry.extend_from_slice(bytes);
        let n = match std::str::from_utf8(&self.carry) {
            Ok(_) => self.carry.len(),
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            Err(e) => {
                return Err(InvalidUtf8 { at: self.done.saturating_add(e.valid_up_to() as u64) });
            }
        };
        self.done = self.done.saturating_add(n as u64);
        self.carry.drain(..n);
        Ok(())
    }
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let r = if self.carry.is_empty() { Ok(()) } else { Err(InvalidUtf8 { at: self.done }) };
        *self = Self::default();
        r
    }
    pub(crate) fn pending(&self) -> usize {
        self.carry.len()
    }
}
