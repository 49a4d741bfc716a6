//! Masking with 32-byte registers where the processor has them.
//!
//! The code itself is safe and names no intrinsic. What needs a promise is the call: a function
//! compiled for AVX2 may run only where AVX2 is.

use crate::{Pattern, Room};

/// Masks `payload` if the processor has wide registers; else leaves it alone and returns `false`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[must_use]
pub(crate) fn apply(pattern: Pattern, payload: &mut [u8]) -> bool {
    let wide = std::arch::is_x86_feature_detected!("avx2");
    if wide {
        // SAFETY: `apply_avx2` asks nothing of its arguments, and of the processor only AVX2,
        // which it has just said it has.
        #[expect(unsafe_code, reason = "at 16 KiB 1,460 instructions instead of 3,870")]
        unsafe {
            apply_avx2(pattern, payload);
        }
    }
    wide
}

/// Fills `room` with `source`, masked, if the processor has wide registers; else leaves it alone and
/// returns `false`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[must_use]
pub(crate) fn copy(pattern: Pattern, source: &[u8], room: &mut [Room]) -> bool {
    let wide = std::arch::is_x86_feature_detected!("avx2");
    if wide {
        // SAFETY: as for `apply`.
        #[expect(unsafe_code, reason = "at 16 KiB 1,490 instructions, as many as masking in place")]
        unsafe {
            copy_avx2(pattern, source, room);
        }
    }
    wide
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
#[must_use]
pub(crate) fn copy(_: Pattern, _: &[u8], _: &mut [Room]) -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
#[must_use]
pub(crate) fn apply(_: Pattern, _: &mut [u8]) -> bool {
    false
}

/// The compiler turns the eights into thirty-twos. Its safe twin is `apply_narrow`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2(pattern: Pattern, payload: &mut [u8]) {
    let (runs, rest) = payload.as_chunks_mut::<128>();
    for chunk in runs.as_flattened_mut().as_chunks_mut().0 {
        *chunk = pattern.mask_8(*chunk);
    }
    // A run is a multiple of four bytes long, so the pattern stays as it is.
    crate::apply_narrow(pattern, rest);
}

/// Its safe twin is `copy_narrow`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn copy_avx2(pattern: Pattern, source: &[u8], room: &mut [Room]) {
    let (runs, rest) = source.as_chunks::<128>();
    let (places, room) = room.as_chunks_mut::<128>();
    for (from, to) in runs.iter().zip(places) {
        for (from, to) in from.as_chunks().0.iter().zip(to.as_chunks_mut().0) {
            crate::fill(to, pattern.mask_8(*from));
        }
    }
    crate::copy_narrow(pattern, rest, room);
}
