//! Masking with 32-byte registers where the processor has them: the one room for `unsafe`.
//!
//! The code itself is safe and names no intrinsic. What needs a promise is the call: a function
//! compiled for AVX2 may run only where AVX2 is.

use crate::Pattern;

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
