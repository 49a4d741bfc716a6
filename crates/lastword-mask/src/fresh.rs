//! Memory that is written for the first time: no zeroes are put there to be overwritten at once.

use crate::Room;

/// Appends `length` bytes, which `fill` writes, all of them, to the room that it is given.
#[inline]
pub(crate) fn append(length: usize, target: &mut Vec<u8>, fill: impl FnOnce(&mut [Room])) {
    target.reserve(length);
    fill(&mut target.spare_capacity_mut()[..length]);
    // SAFETY: the room that `fill` was given lies right behind the vector's length, in its capacity,
    // and each byte of it was written: `copy_narrow` and `wide::copy`, the only two that fill,
    // leave nothing out, which tests compare at every length.
    #[expect(unsafe_code, reason = "a copy that is masked afterwards costs a second pass")]
    unsafe {
        target.set_len(target.len() + length);
    }
}
